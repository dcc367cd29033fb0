//! What can be read: one epoll(7) for all connections, so that one that is silent costs nothing.

use futures_util::FutureExt;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use slash32_ipc::MAX_UP;
use slash32_sys::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout_at};

/// More messages than this in a second are left waiting in the socket: an honest responder sends two or three, and three more
/// each time that an operator wants to see its link.
const MESSAGES_A_SECOND: u32 = 300;
/// So many connections are looked at in turn. Each has one message read, then the next ones are asked for.
const TURN: usize = 64;
/// The key of what is no connection; those have an ifindex.
const SPAWNER: u64 = u64::MAX;

/// What can be read now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ready {
    /// The connection to the responder of the link with this ifindex.
    Connection(u32),
    /// An outcome of the [`Spawner`](super::spawner::Spawner).
    Spawner,
}

pub(super) struct Inbox {
    sockets: AsyncFd<Sockets>,
    ready: VecDeque<Ready>,
    /// When these were seen to be ready.
    pub(super) looked: Instant,
    /// Links whose responder has said too much in its second, by the end of that.
    paused: BTreeSet<(Instant, u32)>,
    /// Where messages are read.
    pub(super) buffer: [u8; MAX_UP],
}

struct Sockets(Epoll);

impl AsRawFd for Sockets {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

impl Inbox {
    /// `spawner` can be read when there is an outcome. Errors: as of epoll_create(2) and epoll_ctl(2).
    pub(super) fn new(spawner: &OwnedFd) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(spawner, EpollEvent::new(EpollFlags::EPOLLIN, SPAWNER))?;
        #[expect(
            deprecated,
            reason = "what took its place is unsafe, for types that do not own their descriptor; this one does"
        )]
        let sockets = AsyncFd::new(Sockets(epoll))?;
        Ok(Self {
            sockets,
            ready: VecDeque::with_capacity(TURN),
            looked: Instant::now(),
            paused: BTreeSet::new(),
            buffer: [0; MAX_UP],
        })
    }

    /// Listens to the responder of a link, until the descriptor is closed.
    ///
    /// Errors: as of epoll_ctl(2).
    pub(super) fn add(&self, ifindex: u32, socket: &OwnedFd) -> nix::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, ifindex.into());
        match self.sockets.get_ref().0.add(socket, event) {
            Err(Errno::EEXIST) => Ok(()),
            result => result,
        }
    }

    /// Listens to it no more before `until`: then it is one of those that are [`due`](Self::due).
    pub(super) fn pause(&mut self, ifindex: u32, socket: &OwnedFd, until: Instant) {
        // Taken out, since the end of a connection is told whatever is asked for.
        let _ = self.sockets.get_ref().0.delete(socket.as_fd());
        self.paused.insert((until, ifindex));
    }

    /// A link whose pause is over.
    pub(super) fn due(&mut self) -> Option<u32> {
        let (until, ifindex) = *self.paused.first()?;
        if until > Instant::now() {
            return None;
        }
        self.paused.pop_first();
        Some(ifindex)
    }

    /// The next of those that were ready when it was last looked.
    pub(super) fn pop(&mut self) -> Option<Ready> {
        self.ready.pop_front()
    }

    /// Looks which are ready now. Asks the kernel only when the event loop, at its last turn, has seen that some are.
    pub(super) fn look(&mut self) {
        let look = self.sockets.async_io(Interest::READABLE, Sockets::ready);
        if let Some(Ok(ready)) = look.now_or_never() {
            self.take(&ready);
        }
    }

    /// Returns when one is ready, or a pause is over.
    pub(super) async fn wait(&mut self) {
        let look = self.sockets.async_io(Interest::READABLE, Sockets::ready);
        let looked = match self.paused.first() {
            Some((until, _)) => timeout_at(*until, look).await.unwrap_or(Ok(Vec::new())),
            None => look.await,
        };
        self.take(&looked.unwrap_or_default());
    }

    fn take(&mut self, ready: &[Ready]) {
        self.looked = Instant::now();
        self.ready.extend(ready);
    }
}

impl Sockets {
    /// Errors: `WouldBlock` when nothing is ready.
    fn ready(&self) -> io::Result<Vec<Ready>> {
        let mut events = [EpollEvent::empty(); TURN];
        let count = self.0.wait(&mut events, EpollTimeout::ZERO)?;
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let ready = |event: &EpollEvent| {
            u32::try_from(event.data()).map_or(Ready::Spawner, Ready::Connection)
        };
        Ok(events[..count].iter().map(ready).collect())
    }
}

/// How much was read from one connection.
pub(super) struct Pace {
    second: Instant,
    messages: u32,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            second: Instant::now(),
            messages: 0,
        }
    }

    /// One more message was read `now`. Returns until when no more is to be, when that was the last one of its second.
    pub(super) fn count(&mut self, now: Instant) -> Option<Instant> {
        let over = self.second + Duration::from_secs(1);
        if now >= over {
            (self.second, self.messages) = (now, 0);
        }
        self.messages += 1;
        (self.messages == MESSAGES_A_SECOND).then(|| {
            let over = self.second + Duration::from_secs(1);
            (self.second, self.messages) = (over, 0);
            over
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slash32_sys::seqpacket;

    fn pair() -> (OwnedFd, OwnedFd) {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
        let kind = SockType::SeqPacket;
        socketpair(AddressFamily::Unix, kind, None, SockFlag::empty()).unwrap()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn a_loud_one_is_not_listened_to_until_its_second_is_over() {
        let start = Instant::now();
        let mut pace = Pace {
            second: start,
            messages: 0,
        };
        for _ in 1..MESSAGES_A_SECOND {
            assert_eq!(pace.count(start), None);
        }
        let over = start + Duration::from_secs(1);
        assert_eq!(pace.count(start), Some(over));
        // And has as many in the next.
        for _ in 1..MESSAGES_A_SECOND {
            assert_eq!(pace.count(over), None);
        }
        assert_eq!(pace.count(over), Some(over + Duration::from_secs(1)));
        // One that is not loud has a second from its own words on.
        let later = over + Duration::from_secs(9);
        assert_eq!(pace.count(later), None);
        assert_eq!((pace.second, pace.messages), (later, 1));
    }

    #[test]
    fn everybody_who_has_something_to_say_has_one_turn_before_anybody_has_two() {
        runtime().block_on(async {
            let (spawner, _thread) = pair();
            let mut inbox = Inbox::new(&spawner).unwrap();
            let pairs: Vec<_> = (1..=3).map(|ifindex| (ifindex, pair())).collect();
            for (ifindex, (ours, theirs)) in &pairs {
                inbox.add(*ifindex, ours).unwrap();
                for _ in 0..100 {
                    seqpacket::send(theirs.as_fd(), b"word").unwrap();
                }
            }
            for _ in 0..5 {
                inbox.wait().await;
                let mut turn: Vec<_> = std::iter::from_fn(|| inbox.pop()).collect();
                turn.sort_by_key(|ready| format!("{ready:?}"));
                let all = [1, 2, 3].map(Ready::Connection);
                assert_eq!(turn, all);
            }
        });
    }

    #[test]
    fn one_that_is_paused_is_silent_whatever_happens_and_due_later() {
        runtime().block_on(async {
            let (spawner, _thread) = pair();
            let mut inbox = Inbox::new(&spawner).unwrap();
            let (ours, theirs) = pair();
            inbox.add(5, &ours).unwrap();
            let until = Instant::now() + Duration::from_millis(100);
            inbox.pause(5, &ours, until);
            seqpacket::send(theirs.as_fd(), b"word").unwrap();
            drop(theirs);
            inbox.wait().await;
            assert!(Instant::now() >= until, "it was listened to");
            assert_eq!((inbox.pop(), inbox.due()), (None, Some(5)));
            inbox.add(5, &ours).unwrap();
            inbox.wait().await;
            assert_eq!(inbox.pop(), Some(Ready::Connection(5)));
        });
    }
}
