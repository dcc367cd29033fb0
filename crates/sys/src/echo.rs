//! Is an address in use? One ICMP echo request, of whose answer only the arrival is looked at.
//!
//! The answer comes from somebody else's machine, so the agent does not read it: a filter in the kernel lets nothing pass
//! but echo replies to this very request, and that one is there says all that was asked.

use crate::Result;
use crate::filter::{LOAD_BYTE_INDEXED, LOAD_HALF_INDEXED, LOAD_IP_HEADER_LENGTH, attach_and_lock};
use core::net::{Ipv4Addr, SocketAddrV4};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, connect, ipproto, send, socket_with,
};
use slash32_bare::bpf::{Instruction, JUMP_EQUAL, RETURN, jump, op};

/// Type 8 of RFC 792; its answer has type 0.
const ECHO_REQUEST: u8 = 8;
const SEQUENCE: u16 = 1;

/// Sends one echo request to `address` and gives the socket, which becomes readable when an answer to it has come.
/// `identifier` tells the request from others to the same address.
///
/// Errors: `PERM` without CAP_NET_RAW; `NETUNREACH` or `HOSTUNREACH` when there is no way to the address.
pub fn request(address: Ipv4Addr, identifier: u16) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::RAW,
        flags,
        Some(ipproto::ICMP),
    )?;
    attach_and_lock(socket.as_fd(), &answers_to(identifier))?;
    connect(&socket, &SocketAddrV4::new(address, 0))?;
    send(&socket, &echo_request(identifier), SendFlags::NOSIGNAL)?;
    Ok(socket)
}

fn echo_request(identifier: u16) -> [u8; 8] {
    let sum = u32::from(u16::from_be_bytes([ECHO_REQUEST, 0]))
        + u32::from(identifier)
        + u32::from(SEQUENCE);
    // RFC 1071: the carry is added once more.
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    let mut packet = [ECHO_REQUEST, 0, 0, 0, 0, 0, 0, 0];
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    packet[4..6].copy_from_slice(&identifier.to_be_bytes());
    packet[6..8].copy_from_slice(&SEQUENCE.to_be_bytes());
    packet
}

/// Offsets are those of an IP packet.
fn answers_to(identifier: u16) -> [Instruction; 7] {
    [
        op(LOAD_IP_HEADER_LENGTH, 0),
        op(LOAD_BYTE_INDEXED, 0),
        jump(JUMP_EQUAL, 0, 0, 3),
        op(LOAD_HALF_INDEXED, 4),
        jump(JUMP_EQUAL, u32::from(identifier), 0, 1),
        op(RETURN, u32::MAX),
        op(RETURN, 0),
    ]
}
