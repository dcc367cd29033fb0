//! Socket filters: programs that decide in the kernel which frames a socket is given.

use crate::{Result, checked};
use core::mem::size_of;
use rustix::fd::{AsRawFd, BorrowedFd};
use slash32_bare::bpf::{Instruction, JUMP_EQUAL, LOAD_WORD, RETURN, jump, op};

const LOAD_HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
pub(crate) const LOAD_HALF_INDEXED: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_IND;
pub(crate) const LOAD_BYTE_INDEXED: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_IND;
pub(crate) const LOAD_IP_HEADER_LENGTH: u32 = libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH;
const JUMP_ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;

const fn ancillary(offset: i32) -> u32 {
    (libc::SKF_AD_OFF + offset) as u32
}

/// Takes only what a DHCP server of one link may see: what is sent to servers, and what other servers send to clients.
/// Offsets are those of an Ethernet frame.
///
/// Each rule stands with its reason; `tests/` sends a frame against each.
pub(crate) const DHCP: [Instruction; 20] = [
    // A frame of a VLAN is another link's, even when the tag was taken off by the device: drop it, unless the tag only
    // carries a priority (VID 0).
    op(LOAD_WORD, ancillary(libc::SKF_AD_VLAN_TAG_PRESENT)),
    jump(JUMP_EQUAL, 0, 2, 0),
    op(LOAD_WORD, ancillary(libc::SKF_AD_VLAN_TAG)),
    jump(JUMP_ANY_BIT, 0x0fff, 15, 0),
    // A frame to another host's address was only seen because the device is promiscuous (a bridge's ports are).
    op(LOAD_WORD, ancillary(libc::SKF_AD_PKTTYPE)),
    jump(JUMP_EQUAL, libc::PACKET_OTHERHOST as u32, 13, 0),
    // EtherType IPv4.
    op(LOAD_HALF, 12),
    jump(JUMP_EQUAL, libc::ETH_P_IP as u32, 0, 11),
    // No fragment: neither "more fragments" nor an offset.
    op(LOAD_HALF, 20),
    jump(JUMP_ANY_BIT, 0x3fff, 9, 0),
    // UDP.
    op(LOAD_BYTE, 23),
    jump(JUMP_EQUAL, libc::IPPROTO_UDP as u32, 0, 7),
    // To the DHCP server's port.
    op(LOAD_IP_HEADER_LENGTH, 14),
    op(LOAD_HALF_INDEXED, 16),
    jump(JUMP_EQUAL, 67, 3, 0),
    // Or from it to the client's port: another server is there, which the operator is told.
    jump(JUMP_EQUAL, 68, 0, 3),
    op(LOAD_HALF_INDEXED, 14),
    jump(JUMP_EQUAL, 67, 0, 1),
    op(RETURN, u32::MAX),
    op(RETURN, 0),
];

/// Takes nothing.
pub(crate) const NOTHING: [Instruction; 1] = [op(RETURN, 0)];

/// Attaches `program` to `socket` (SO_ATTACH_FILTER) and locks it there (SO_LOCK_FILTER): whoever holds the socket later
/// can neither remove nor replace it.
pub(crate) fn attach_and_lock(socket: BorrowedFd<'_>, program: &[Instruction]) -> Result<()> {
    let program = libc::sock_fprog {
        len: program.len() as u16,
        // The kernel copies the program and does not write to it.
        filter: program.as_ptr().cast_mut().cast(),
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_LOCK_FILTER, &1_i32)
}

/// setsockopt(2) with a plain value of the type that the option takes.
pub(crate) fn set_option<T>(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &T,
) -> Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is readable for `length` bytes, and `filter` of a `sock_fprog` outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const *value).cast(),
            length,
        )
    };
    checked(result.into()).map(drop)
}
