//! The control connection: `SOCK_SEQPACKET` unix sockets, one message a record.

use crate::Result;
use core::mem::MaybeUninit;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    socket_with, sockopt,
};

/// One record.
#[derive(Debug)]
pub struct Record {
    /// Bytes in the buffer; 0 means that the peer has closed the connection.
    pub length: usize,
    /// The record was longer than the buffer.
    pub truncated: bool,
    /// The process that wrote the record, as the kernel says, when the socket asks for it.
    pub sender: Option<u32>,
}

/// So many connections may wait to be accepted.
const BACKLOG: i32 = 8;

/// Reads one record without waiting. No descriptor is taken: one that comes along is closed unseen.
///
/// Errors: `WOULDBLOCK` when there is none; `CONNRESET` once when the peer is gone and has not read all that it was sent: its
/// own last records come after that.
pub fn receive(connection: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Record> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    Ok(receive_into(connection, buffer, &mut space)?.0)
}

/// The same from a peer that may pass descriptors: at most two, in their order.
pub fn receive_with(
    connection: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<(Record, [Option<OwnedFd>; 2])> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2), ScmCredentials(1))];
    receive_into(connection, buffer, &mut space)
}

fn receive_into(
    connection: BorrowedFd<'_>,
    buffer: &mut [u8],
    space: &mut [MaybeUninit<u8>],
) -> Result<(Record, [Option<OwnedFd>; 2])> {
    let mut control = RecvAncillaryBuffer::new(space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = rustix::net::recvmsg(
        connection,
        &mut [IoSliceMut::new(buffer)],
        &mut control,
        flags,
    )?;
    let mut record = Record {
        length: message.bytes,
        truncated: message.flags.contains(ReturnFlags::TRUNC),
        sender: None,
    };
    let mut passed = [None, None];
    for part in control.drain() {
        match part {
            RecvAncillaryMessage::ScmRights(descriptors) => {
                for (place, descriptor) in passed.iter_mut().zip(descriptors) {
                    *place = Some(descriptor);
                }
            }
            RecvAncillaryMessage::ScmCredentials(sender) => {
                record.sender = u32::try_from(sender.pid.as_raw_nonzero().get()).ok();
            }
            _ => {}
        }
    }
    Ok((record, passed))
}

/// Writes one record (write(2)), without waiting.
///
/// Errors: `WOULDBLOCK` when the peer does not read, `PIPE` when it is gone.
pub fn send(connection: BorrowedFd<'_>, record: &[u8]) -> Result<()> {
    rustix::io::write(connection, record).map(drop)
}

fn socket() -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// A listening socket at `path`, which must not exist yet. The socket blocks, as the standard input of a program should.
///
/// Errors: `ADDRINUSE` when the path exists, `NAMETOOLONG` when it has more than 107 bytes.
pub fn listen(path: &str) -> Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// A connection to the socket at `path`; every record read from it names its sender.
///
/// Errors: `CONNREFUSED` when nobody listens, `NOENT` when there is no such path.
pub fn connect(path: &str) -> Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket()?;
    sockopt::set_socket_passcred(&socket, true)?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// A process, and as whom it called listen(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener {
    /// Its number.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// The process that had called listen(2) last on the socket which this connection was made to (`SO_PEERCRED`): a
/// responder does so as soon as it is of its own user. It need not run, nor read, to be known.
pub fn listener_of(connection: BorrowedFd<'_>) -> Result<Listener> {
    let listener = sockopt::socket_peercred(connection)?;
    Ok(Listener {
        pid: listener.pid.as_raw_nonzero().get().unsigned_abs(),
        uid: listener.uid.as_raw(),
        gid: listener.gid.as_raw(),
    })
}

/// Writes one record with descriptors (`SCM_RIGHTS`), at most two, in their order, without waiting.
pub fn send_with(
    connection: BorrowedFd<'_>,
    record: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(crate::Errno::INVAL);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(connection, &[IoSlice::new(record)], &mut control, flags).map(drop)
}
