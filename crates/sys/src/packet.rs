//! The packet socket of one link: `AF_PACKET`, `SOCK_RAW`, whole Ethernet frames.

use crate::{Result, checked};
use core::mem::{MaybeUninit, size_of};
use rustix::fd::{AsRawFd, BorrowedFd};

/// One frame as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes in the buffer.
    pub length: usize,
    /// The frame was longer than the buffer; the rest is lost.
    pub truncated: bool,
    /// The sender is on this machine and left its UDP checksum to a device that never came (`TP_STATUS_CSUMNOTREADY`).
    pub checksum_unfinished: bool,
}

/// Reads one frame without waiting (recvmsg(2) with `MSG_DONTWAIT`).
///
/// Errors: `WOULDBLOCK` when there is none; `NETDOWN` once when the link goes down, and frames again when it is up.
pub fn receive(socket: BorrowedFd<'_>, frame: &mut [u8]) -> Result<Received> {
    const CONTROL: usize = 64;
    // Aligned as cmsghdr needs it.
    let mut control = [0_u64; CONTROL / 8];
    let mut vector = libc::iovec {
        iov_base: frame.as_mut_ptr().cast(),
        iov_len: frame.len(),
    };
    // SAFETY: all-zero bytes are a valid msghdr: null pointers and zero lengths.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL;
    // SAFETY: the vector and the control buffer are writable for the lengths given and outlive the call.
    let result = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let length = checked(result as libc::c_long)?;
    let mut received = Received {
        length: length.min(frame.len()),
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        checksum_unfinished: false,
    };
    // SAFETY: recvmsg filled the header and the control buffer, and both are still there.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: a header that CMSG_FIRSTHDR or CMSG_NXTHDR gave lies inside the control buffer.
        let this = unsafe { *header };
        let holds_auxdata =
            this.cmsg_len >= size_of::<libc::cmsghdr>() + size_of::<libc::tpacket_auxdata>();
        if this.cmsg_level == libc::SOL_PACKET
            && this.cmsg_type == libc::PACKET_AUXDATA
            && holds_auxdata
        {
            // SAFETY: the header's data follows it inside the control buffer.
            let data = unsafe { libc::CMSG_DATA(header) };
            // SAFETY: the length above says that a whole tpacket_auxdata is there; it need not be aligned.
            let aux: libc::tpacket_auxdata =
                unsafe { data.cast::<libc::tpacket_auxdata>().read_unaligned() };
            received.checksum_unfinished = aux.tp_status & libc::TP_STATUS_CSUMNOTREADY != 0;
        }
        // SAFETY: as for the first header; null at the end.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok(received)
}

/// Writes one whole frame (write(2)): no address is named, so the link is the one that the socket was bound to.
///
/// Errors: `WOULDBLOCK` or `NOBUFS` when the link takes no more, `NETDOWN` when it is down, `NXIO` when it is gone.
pub fn transmit(socket: BorrowedFd<'_>, frame: &[u8]) -> Result<()> {
    rustix::io::write(socket, frame).map(drop)
}

/// Opens the packet socket of the link with `ifindex`, narrows it to DHCP and locks it so.
///
/// The order matters: the socket is made with protocol 0, so that it receives nothing; then the filter is attached and
/// locked; only then is it bound, for IPv4 on this link. Bound first, or made with a protocol, it would queue packets of
/// other links before the bind takes effect. The socket does not block and reports unfinished checksums.
///
/// Errors: `PERM` without CAP_NET_RAW, `NODEV` when the link is gone.
#[cfg(feature = "agent")]
pub fn open(ifindex: u32) -> Result<rustix::fd::OwnedFd> {
    use crate::filter::{DHCP, attach_and_lock, set_option};
    use rustix::fd::{AsFd, FromRawFd};

    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: a plain call without pointers.
    let raw = checked(unsafe { libc::socket(libc::AF_PACKET, kind, 0) }.into())?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
    let socket = unsafe { rustix::fd::OwnedFd::from_raw_fd(raw as i32) };
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
