//! The packet socket of one link: `AF_PACKET`, `SOCK_RAW`, whole Ethernet frames. A responder reads and writes it.

use crate::filter::{DHCP, attach_and_lock, set_option};
use crate::{Result, checked};
use core::mem::{MaybeUninit, size_of};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Opens the packet socket of the link with `ifindex`, narrows it to DHCP and locks it so.
///
/// The order matters: the socket is made with protocol 0, so that it receives nothing; then the filter is attached and
/// locked; only then is it bound, for IPv4 on this link. Bound first, or made with a protocol, it would queue packets of
/// other links before the bind takes effect. The socket does not block and reports unfinished checksums.
///
/// Errors: `PERM` without CAP_NET_RAW, `NODEV` when the link is gone.
pub fn open(ifindex: u32) -> Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: a plain call without pointers.
    let raw = checked(unsafe { libc::socket(libc::AF_PACKET, kind, 0) }.into())?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw as i32) };
    attach_and_lock(socket.as_fd(), &DHCP)?;
    set_option(
        socket.as_fd(),
        libc::SOL_PACKET,
        libc::PACKET_AUXDATA,
        &1_i32,
    )?;
    // SAFETY: all-zero bytes are a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { MaybeUninit::zeroed().assume_init() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_IP as u16).to_be();
    address.sll_ifindex = ifindex as i32;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is readable for its length.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    checked(result.into())?;
    Ok(socket)
}
