//! The packet socket of one link: `AF_PACKET`, `SOCK_RAW`, whole Ethernet frames. The agent opens it.

use crate::fd::BorrowedFd;
use crate::message::{self, field};
use crate::{Result, say};
use core::mem::offset_of;
use linux_raw_sys::if_packet::{PACKET_AUXDATA, TP_STATUS_CSUMNOTREADY, tpacket_auxdata};
use linux_raw_sys::net::SOL_PACKET;

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
    let message = message::receive(socket, frame, 0)?;
    let status = message.control().find_map(|(level, kind, data)| {
        let holds_auxdata = level == SOL_PACKET && kind == PACKET_AUXDATA;
        let status = field(data, offset_of!(tpacket_auxdata, tp_status)).map(u32::from_ne_bytes);
        status.filter(|_| holds_auxdata)
    });
    Ok(Received {
        length: message.length,
        truncated: message.truncated,
        checksum_unfinished: status.is_some_and(|status| status & TP_STATUS_CSUMNOTREADY != 0),
    })
}

/// Writes one whole frame (write(2)): no address is named, so the link is the one that the socket was bound to.
///
/// Errors: `WOULDBLOCK` or `NOBUFS` when the link takes no more, `MSGSIZE` when the frame is longer than its MTU allows,
/// `NETDOWN` when it is down, `NXIO` when it is gone.
pub fn transmit(socket: BorrowedFd<'_>, frame: &[u8]) -> Result<()> {
    say::write(socket, frame)
}
