//! The control connection: `SOCK_SEQPACKET` unix sockets, one message a record.

use crate::fd::{BorrowedFd, OwnedFd};
use crate::message::{self, field};
use crate::syscall::{call, plain};
use crate::{Result, say};
use core::mem::size_of;
use linux_raw_sys::general::{__NR_accept4, __NR_getsockopt, __NR_listen, O_CLOEXEC, O_NONBLOCK};
use linux_raw_sys::net::{
    AF_UNIX, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SO_ACCEPTCONN, SO_DOMAIN, SO_TYPE, SOCK_SEQPACKET,
    SOL_SOCKET,
};

/// One record.
#[derive(Debug)]
pub struct Record {
    /// Bytes in the buffer; 0 means that the peer has closed the connection.
    pub length: usize,
    /// The record was longer than the buffer.
    pub truncated: bool,
    /// The descriptors that came along, in their order; more than these two are closed unseen.
    pub descriptors: [Option<OwnedFd>; 2],
}

/// Descriptor 0, as the process was given it.
pub fn standard_input() -> BorrowedFd<'static> {
    BorrowedFd::standard(0)
}

/// It is a unix socket of records that listens for connections.
pub fn is_listening(socket: BorrowedFd<'_>) -> bool {
    option(socket, SO_ACCEPTCONN) == Ok(1)
        && option(socket, SO_TYPE) == Ok(SOCK_SEQPACKET)
        && option(socket, SO_DOMAIN) == Ok(AF_UNIX)
}

/// getsockopt(2) with an option whose value is a number.
fn option(socket: BorrowedFd<'_>, name: u32) -> Result<u32> {
    let mut value = 0_u32;
    let mut length = size_of::<u32>() as u32;
    let arguments = [
        socket.argument(),
        SOL_SOCKET as usize,
        name as usize,
        (&raw mut value).expose_provenance(),
        (&raw mut length).expose_provenance(),
        0,
    ];
    // SAFETY: the value is writable for as many bytes as the length says, and so is the length; both outlive the call.
    unsafe { call(__NR_getsockopt, arguments) }?;
    Ok(value)
}

/// Takes the next connection from a listening socket; the connection does not block.
pub fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd> {
    // SOCK_CLOEXEC and SOCK_NONBLOCK are these on every architecture that is served here (linux/net.h).
    let flags = (O_CLOEXEC | O_NONBLOCK) as usize;
    let number = plain(__NR_accept4, [listener.argument(), 0, 0, flags])?;
    Ok(OwnedFd::of_the_kernel(number as u32))
}

/// So many connections may wait to be accepted.
const BACKLOG: usize = 8;

/// Makes this process the one whose credentials the kernel shows to whoever connects from now on (`SO_PEERCRED`, unix(7)). The
/// socket listens already: listen(2) once more changes nothing but that.
///
/// Errors: `NOTSOCK` and `INVAL` when it is no listening socket.
pub fn listen_as_oneself(listener: BorrowedFd<'_>) -> Result<()> {
    plain(__NR_listen, [listener.argument(), BACKLOG]).map(drop)
}

/// Reads one record without waiting.
///
/// Errors: `WOULDBLOCK` when there is none; `CONNRESET` once when the peer is gone and has not read all that it was sent: its
/// own last records come after that.
pub fn receive(connection: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Record> {
    let message = message::receive(connection, buffer, MSG_CMSG_CLOEXEC)?;
    let mut record = Record {
        length: message.length,
        truncated: message.truncated,
        descriptors: [None, None],
    };
    for (level, kind, data) in message.control() {
        if level == SOL_SOCKET && kind == SCM_RIGHTS {
            let mut places = record.descriptors.iter_mut();
            for at in (0..data.len()).step_by(size_of::<u32>()) {
                // One that has no place is closed here.
                let descriptor = field(data, at)
                    .map(|number| OwnedFd::of_the_kernel(u32::from_ne_bytes(number)));
                if let Some(place) = places.next() {
                    *place = descriptor;
                }
            }
        }
    }
    Ok(record)
}

/// Writes one record (write(2)), without waiting.
///
/// Errors: `WOULDBLOCK` when the peer does not read, `PIPE` when it is gone.
pub fn send(connection: BorrowedFd<'_>, record: &[u8]) -> Result<()> {
    say::write(connection, record)
}
