//! The idle socket of one link: UDP, bound to the gateway's port 67, reads nothing.
//!
//! A renewal is unicast to the gateway's address, so it also reaches the host's own UDP. Without a socket there the kernel
//! answers it with ICMP port-unreachable, and some clients take that for a refusal.

use crate::Result;
use crate::filter::{NOTHING, attach_and_lock, set_option};
use core::net::{Ipv4Addr, SocketAddrV4};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};

/// Opens the idle socket of the link named `device` and locks it to taking nothing.
///
/// Errors: `NODEV` when the link is gone, `ADDRNOTAVAIL` when `gateway` is not an address of this host, `ADDRINUSE` when a
/// DHCP server without SO_REUSEADDR holds the port on this link.
pub fn open(device: &str, gateway: Ipv4Addr) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        flags,
        Some(ipproto::UDP),
    )?;
    attach_and_lock(socket.as_fd(), &NOTHING)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    let mut name = [0_u8; libc::IFNAMSIZ];
    let room = libc::IFNAMSIZ - 1;
    if device.len() > room {
        return Err(rustix::io::Errno::NODEV);
    }
    name[..device.len()].copy_from_slice(device.as_bytes());
    set_option(
        socket.as_fd(),
        libc::SOL_SOCKET,
        libc::SO_BINDTODEVICE,
        &name,
    )?;
    bind(&socket, &SocketAddrV4::new(gateway, 67))?;
    Ok(socket)
}
