//! The asking socket. The kernel carries a request out before `sendto` returns, so nothing here waits for an answer.

use super::message::{Message, Writer, messages, number};
use super::request::RequestError;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::io;

/// No datagram of the kernel's is longer.
pub(super) const DATAGRAM: usize = 32 << 10;
/// So many requests go out at once. The answers to all of them, if all fail, fit into the smallest receive buffer.
const AT_ONCE: usize = 64;
/// After so many datagrams of a long dump others have their turn.
const TURN: usize = 16;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
pub(super) const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;

type Result<T> = std::result::Result<T, RequestError>;

/// A socket with its sequence numbers.
pub(super) struct Asking {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
    /// There may be answers that nobody has read.
    is_broken: bool,
}

impl Asking {
    /// Opens the socket, with strict checks so that dumps are filtered by the kernel (`NETLINK_GET_STRICT_CHK`), and with
    /// answers that do not repeat the request (`NETLINK_CAP_ACK`).
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_netlink_get_strict_chk(true)?;
        socket.set_cap_ack(true)?;
        // The answer is there when the request was sent. If it ever is not, that is an error and no reason to wait.
        socket.set_non_blocking(true)?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; DATAGRAM],
            is_broken: false,
        })
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Sends requests, many at once; `write` writes the one with this place and sequence number. The kernel carries them out in
    /// their order, whatever becomes of the others. Returns what became of each.
    pub(super) fn change(
        &mut self,
        count: usize,
        mut write: impl FnMut(&mut Writer, usize, u32),
    ) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(count);
        while results.len() < count {
            let begin = results.len();
            let end = count.min(begin + AT_ONCE);
            let first = self.sequence.wrapping_add(1);
            let mut writer = Writer::default();
            for place in begin..end {
                let sequence = self.next();
                write(&mut writer, place, sequence);
            }
            // The kernel tells of every failure, and of success where it is asked for.
            writer.flag(NLM_F_ACK);
            results.resize_with(end, || Ok(()));
            let answered = self.converse(&writer, |message| {
                let place = begin + message.sequence.wrapping_sub(first) as usize;
                if message.kind != NLMSG_ERROR || place >= end {
                    return false;
                }
                results[place] = errno(message);
                place + 1 == end
            });
            if let Err(error) = answered {
                // Nobody knows how far the kernel has come: whoever tries again finds what is there already.
                for result in &mut results[begin..] {
                    let error = io::Error::new(error.kind(), error.to_string());
                    *result = Err(RequestError::Conversation(error));
                }
            }
        }
        results
    }

    /// Asks for everything of one sort: `write` writes the request with these flags and this sequence number, and `take` takes
    /// each message of the answer.
    pub(super) fn dump(
        &mut self,
        write: impl FnOnce(&mut Writer, u16, u32),
        take: impl FnMut(Message<'_>),
    ) -> Result<()> {
        self.ask(NLM_F_REQUEST | NLM_F_DUMP, write, take)
    }

    /// The same for one thing.
    pub(super) fn get(
        &mut self,
        write: impl FnOnce(&mut Writer, u16, u32),
        take: impl FnMut(Message<'_>),
    ) -> Result<()> {
        self.ask(NLM_F_REQUEST | NLM_F_ACK, write, take)
    }

    /// The same as [`Self::dump`] of what there may be a million of: every now and then others have their turn.
    pub(super) async fn dump_many(
        &mut self,
        write: impl FnOnce(&mut Writer, u16, u32),
        mut take: impl FnMut(Message<'_>),
    ) -> Result<()> {
        let sequence = self.next();
        let mut writer = Writer::default();
        write(&mut writer, NLM_F_REQUEST | NLM_F_DUMP, sequence);
        let failed = RequestError::Conversation;
        self.say(&writer).map_err(failed)?;
        for datagram in 1_usize.. {
            let mut end = None;
            let is_end = |message: Message<'_>| answer(message, sequence, &mut end, &mut take);
            self.hear(is_end).map_err(failed)?;
            if let Some(result) = end {
                return result;
            }
            if datagram % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn ask(
        &mut self,
        flags: u16,
        write: impl FnOnce(&mut Writer, u16, u32),
        mut take: impl FnMut(Message<'_>),
    ) -> Result<()> {
        let sequence = self.next();
        let mut writer = Writer::default();
        write(&mut writer, flags, sequence);
        let mut end = None;
        let answered = self.converse(&writer, |message| {
            answer(message, sequence, &mut end, &mut take)
        });
        answered.map_err(RequestError::Conversation)?;
        end.unwrap_or(Ok(()))
    }

    /// Sends what was written, and reads until `is_end` of a message.
    fn converse(
        &mut self,
        writer: &Writer,
        mut is_end: impl FnMut(Message<'_>) -> bool,
    ) -> io::Result<()> {
        self.say(writer)?;
        while !self.hear(&mut is_end)? {}
        Ok(())
    }

    fn say(&mut self, writer: &Writer) -> io::Result<()> {
        // Of a conversation that has failed, if one has.
        while self.is_broken && self.socket.recv(&mut &mut self.buffer[..], 0).is_ok() {}
        self.is_broken = true;
        self.socket.send(writer.bytes(), 0).map(|_| ())
    }

    /// Reads one datagram. True when `is_end` of a message in it.
    fn hear(&mut self, is_end: impl FnMut(Message<'_>) -> bool) -> io::Result<bool> {
        let length = self.socket.recv(&mut &mut self.buffer[..], 0)?;
        let over = messages(&self.buffer[..length.min(DATAGRAM)]).any(is_end);
        self.is_broken = !over;
        Ok(over)
    }
}

/// Takes in a message of the answer to the request with this sequence number. True when it is the last one: then `end` says
/// how it ended.
fn answer(
    message: Message<'_>,
    sequence: u32,
    end: &mut Option<Result<()>>,
    take: &mut impl FnMut(Message<'_>),
) -> bool {
    if message.sequence != sequence {
        return false;
    }
    if matches!(message.kind, NLMSG_ERROR | NLMSG_DONE) {
        *end = Some(errno(message));
    } else {
        take(message);
    }
    end.is_some()
}

/// What a `struct nlmsgerr`, or the end of a dump, says: 0, or an error number below 0.
fn errno(message: Message<'_>) -> Result<()> {
    match number(message.payload, 0).map(u32::cast_signed) {
        None | Some(0) => Ok(()),
        Some(number) => {
            let error = io::Error::from_raw_os_error(number.wrapping_neg());
            Err(RequestError::Refused(error))
        }
    }
}
