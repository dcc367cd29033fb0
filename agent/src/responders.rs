//! The responders: started, found again, spoken with, ended.
//!
//! Each has a control socket `RUNTIME/responder/LINK.sock`, which the responder holds as its standard input. One thread starts
//! them all ([`spawner`]); until one is up, what it is told waits here. What they say is read when it is there ([`inbox`]), a
//! bounded number of messages a second from each, so that a responder that a guest has taken over is a slow one, not a loud
//! one. What one has said on its standard error is read when it is finished ([`last_words`]). Those of an agent before are
//! found by their sockets ([`find`]).

mod find;
mod inbox;
mod last_words;
mod spawner;

pub(crate) use find::{Found, connect, first_state, receive};

use crate::conversation::{Conversation, Fault};
use crate::metrics::Metrics;
use inbox::{Inbox, Pace, Ready};
use slash32_binding::Generation;
use slash32_ipc::{Kept, MAX_DOWN, State, ToAgent, ToResponder};
use slash32_sys::clock::boottime;
use slash32_sys::fd::{AsFd, BorrowedFd, OwnedFd};
use slash32_sys::process::Process;
use slash32_sys::{Errno, seqpacket};
use spawner::{Order, Outcome, Spawner, Started};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A responder that was started must have said something by then.
const FIRST_WORD: Duration = Duration::from_secs(5);
/// And one that was told to begin or end a generation, by then: it does so at once, but for the kernel's grace periods.
const ANSWER: Duration = Duration::from_secs(10);
/// What the names of control sockets end in.
const SOCKET: &str = "sock";
/// The same of a responder that speaks another version, while its successor is on its way.
const OUTDATED: &str = "outdated";

/// What came from the responder of a link, or about it.
#[derive(Debug)]
pub(crate) struct FromResponder {
    pub(crate) ifindex: u32,
    pub(crate) word: Word,
    /// When it was seen to be there.
    pub(crate) heard: Instant,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every word is a State, and few are in flight"
)]
pub(crate) enum Word {
    /// It was started, and is told what waited for it.
    Started,
    /// It could not be started, at this attempt.
    NotStarted(ResponderError, u32),
    /// It was started, and ended before it could be spoken to; these were its last words.
    NeverUp(Option<String>),
    State(State),
    Claim(Generation),
    /// A frame that it keeps, which is not read here.
    Kept(Box<Kept>),
    /// The connection ended, or what was said is no message: the process is gone, broken, or taken over.
    Last(Fault),
}

/// Why a responder could not be started or spoken with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponderError {
    #[error("cannot make the control socket {path}: {error}")]
    Listen { path: String, error: Errno },
    #[error("cannot start {program}: {error}")]
    Spawn { program: String, error: io::Error },
    #[error("cannot connect to the responder: {0}")]
    Connect(io::Error),
    #[error("the responder does not read what it is told: {0}")]
    Send(Errno),
    #[error("cannot keep what the responder is to be told: {0}")]
    Keep(io::Error),
    #[error("the responder is gone")]
    Gone,
}

/// A responder that was ordered from the spawner.
struct Starting {
    number: u64,
    attempt: u32,
    /// Where its socket is made.
    ordered: PathBuf,
    /// Where it is to be: the link may have got another name since.
    path: PathBuf,
    /// What it is to be told, in its order, with the descriptors that come along.
    unsaid: Vec<(ToResponder, Vec<OwnedFd>)>,
}

struct Connection {
    socket: OwnedFd,
    path: PathBuf,
    process: Option<Process>,
    /// The reading end of its standard error; `None` when another agent has started it.
    last_words: Option<OwnedFd>,
    conversation: Conversation,
    pace: Pace,
    has_spoken: bool,
    /// By then it must have spoken, of what it was told last; `None` when it has.
    deadline: Option<Instant>,
}

/// Where and as whom responders run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) program: PathBuf,
    /// `RUNTIME/responder`.
    pub(crate) folder: PathBuf,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A responder of another version. It serves its VM until its successor does: new before old.
struct Outdated {
    path: PathBuf,
    process: Option<Process>,
}

/// All responders that this agent speaks with, by the ifindex of their link.
pub(crate) struct Responders {
    setup: Setup,
    spawner: Spawner,
    inbox: Inbox,
    starting: BTreeMap<u32, Starting>,
    connections: BTreeMap<u32, Connection>,
    outdated: BTreeMap<u32, Outdated>,
    /// The number of the next order.
    next: u64,
    metrics: Arc<Metrics>,
}

impl Responders {
    /// Starts the thread that starts them: behind the walls of the thread that calls this, and with as few descriptors to
    /// leave behind as there are now.
    pub(crate) fn new(setup: Setup, metrics: Arc<Metrics>) -> io::Result<Self> {
        let spawner = Spawner::start(&setup)?;
        let inbox = Inbox::new(spawner.readiness())?;
        Ok(Self {
            setup,
            spawner,
            inbox,
            starting: BTreeMap::new(),
            connections: BTreeMap::new(),
            outdated: BTreeMap::new(),
            next: 1,
            metrics,
        })
    }

    /// What is said next. Nothing is lost when this is not waited for to its end.
    pub(crate) async fn next(&mut self) -> FromResponder {
        loop {
            self.listen_again();
            if let Some(message) = self.read() {
                return message;
            }
            self.inbox.wait().await;
        }
    }

    /// The same, if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<FromResponder> {
        self.listen_again();
        self.read().or_else(|| {
            self.inbox.look();
            self.read()
        })
    }

    /// To those who had said too much, and whose pause is over.
    fn listen_again(&mut self) {
        while let Some(ifindex) = self.inbox.due() {
            if let Some(connection) = self.connections.get(&ifindex) {
                let _ = self.inbox.add(ifindex, &connection.socket);
            }
        }
    }

    /// One message of one of those that are ready.
    fn read(&mut self) -> Option<FromResponder> {
        while let Some(ready) = self.inbox.pop() {
            let (ifindex, word) = match ready {
                Ready::Connection(ifindex) => (ifindex, self.read_one(ifindex)),
                Ready::Spawner => match self.spawner.outcome() {
                    Some(outcome) => (outcome.ifindex, self.take(outcome)),
                    None => continue,
                },
            };
            if let Some(word) = word {
                return Some(FromResponder {
                    ifindex,
                    word,
                    heard: self.inbox.looked,
                });
            }
        }
        None
    }

    /// The next word on the connection of a link, if there is one.
    fn read_one(&mut self, ifindex: u32) -> Option<Word> {
        let connection = self.connections.get_mut(&ifindex)?;
        let read = seqpacket::receive(connection.socket.as_fd(), &mut self.inbox.buffer);
        let word = match read {
            // The connection that was ready is another's by now.
            Err(Errno::AGAIN | Errno::INTR) => return None,
            Ok(record) if record.length > 0 && !record.truncated => {
                match ToAgent::decode(&self.inbox.buffer[..record.length]) {
                    Ok(ToAgent::State(state)) => Word::State(state),
                    Ok(ToAgent::Claim(generation)) => Word::Claim(generation),
                    Ok(ToAgent::Kept(kept)) => Word::Kept(Box::new(kept)),
                    Err(malformed) => Word::Last(malformed.into()),
                }
            }
            Ok(record) if record.truncated => Word::Last(Fault::Malformed),
            Ok(_) | Err(_) => Word::Last(Fault::Ended),
        };
        if let Some(until) = connection.pace.count(Instant::now()) {
            self.inbox.pause(ifindex, &connection.socket, until);
        }
        Some(word)
    }

    /// Judges a word before it is believed. Errors: no honest responder says it now.
    pub(crate) fn judge(&mut self, from: &FromResponder) -> Result<(), Fault> {
        let Some(connection) = self.connections.get_mut(&from.ifindex) else {
            return Ok(());
        };
        let (conversation, now) = (&mut connection.conversation, boottime());
        match &from.word {
            Word::Started | Word::NotStarted(..) | Word::NeverUp(_) => Ok(()),
            Word::State(state) => conversation.state(state, now),
            Word::Claim(generation) => conversation.claim(*generation),
            Word::Kept(kept) => conversation.kept(kept, now),
            Word::Last(fault) => Err(*fault),
        }
    }

    /// The process of a link's responder, as the kernel says, once it was started, or has spoken.
    pub(crate) fn pid(&self, ifindex: u32) -> Option<u32> {
        self.connections
            .get(&ifindex)?
            .process
            .as_ref()
            .map(Process::number)
    }

    /// It has spoken: it is alive, and if it has done what it was told, nothing more is waited for.
    pub(crate) fn heard(&mut self, ifindex: u32) {
        if let Some(connection) = self.connections.get_mut(&ifindex) {
            connection.has_spoken = true;
            if !connection.conversation.is_behind() {
                connection.deadline = None;
            }
        }
    }

    /// The earliest time at which [`Self::silent`] may find one.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.connections
            .values()
            .filter_map(|connection| connection.deadline)
            .min()
    }

    /// Links whose responder should have spoken by now and did not: at all, or of what it was told.
    pub(crate) fn silent(&self) -> Vec<(u32, Fault)> {
        let now = Instant::now();
        let late =
            |connection: &Connection| connection.deadline.is_some_and(|deadline| deadline <= now);
        self.connections
            .iter()
            .filter(|(_, connection)| late(connection))
            .map(|(ifindex, connection)| {
                let fault = if connection.has_spoken {
                    Fault::Deaf
                } else {
                    Fault::Silent
                };
                (*ifindex, fault)
            })
            .collect()
    }

    /// Has the responder of a link started; `attempt` is told with its [`Word::NotStarted`]. One that is there already is ended
    /// first. It may be spoken to at once.
    ///
    /// Errors: only that there is nobody who starts any.
    pub(crate) fn start(
        &mut self,
        ifindex: u32,
        link: &str,
        attempt: u32,
    ) -> Result<(), ResponderError> {
        self.kill(ifindex);
        let path = self.setup.folder.join(format!("{link}.{SOCKET}"));
        let number = self.next;
        self.next += 1;
        self.spawner.order(Order {
            ifindex,
            number,
            path: path.clone(),
        })?;
        let starting = Starting {
            number,
            attempt,
            ordered: path.clone(),
            path,
            unsaid: Vec::new(),
        };
        self.starting.insert(ifindex, starting);
        Ok(())
    }

    /// The link's responder is ordered and not there yet.
    pub(crate) fn is_starting(&self, ifindex: u32) -> bool {
        self.starting.contains_key(&ifindex)
    }

    /// What became of an order. Nothing is to be told when it was taken back.
    fn take(&mut self, outcome: Outcome) -> Option<Word> {
        let is_it = |starting: &Starting| starting.number == outcome.number;
        if !self.starting.get(&outcome.ifindex).is_some_and(is_it) {
            if let Ok(Started { process, .. }) = outcome.started {
                end(process.as_ref());
            }
            return None;
        }
        let starting = self.starting.remove(&outcome.ifindex)?;
        let attempt = starting.attempt;
        let word = match outcome.started {
            Ok(started) => self.take_up(outcome.ifindex, starting, started),
            Err(error) => Word::NotStarted(error, attempt),
        };
        Some(word)
    }

    /// Connects to a responder that was started, and tells it what waited for it.
    fn take_up(&mut self, ifindex: u32, starting: Starting, started: Started) -> Word {
        let Starting { ordered, path, .. } = &starting;
        let is_renamed = ordered != path && fs::rename(ordered, path).is_ok();
        let path = if is_renamed { path } else { ordered };
        let socket = match seqpacket::connect(&path.display().to_string()) {
            Ok(socket) => socket,
            Err(Errno::CONNREFUSED) => {
                let _ = fs::remove_file(path);
                return Word::NeverUp(last_words::read(started.last_words));
            }
            Err(error) => {
                end(started.process.as_ref());
                let _ = fs::remove_file(path);
                return Word::NotStarted(ResponderError::Connect(error.into()), starting.attempt);
            }
        };
        let connection = Connection {
            socket,
            path: path.clone(),
            process: started.process,
            last_words: Some(started.last_words),
            conversation: Conversation::default(),
            pace: Pace::new(),
            has_spoken: false,
            deadline: Some(Instant::now() + FIRST_WORD),
        };
        self.keep(ifindex, connection);
        for (message, descriptors) in &starting.unsaid {
            let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            // One that does not take it has ended, which is read next.
            let _ = self.tell(ifindex, message, &descriptors);
        }
        Word::Started
    }

    fn keep(&mut self, ifindex: u32, mut connection: Connection) {
        if self.inbox.add(ifindex, &connection.socket).is_err() {
            // The kernel has no room for it: it is never heard, and replaced for that.
            let deadline = Instant::now() + FIRST_WORD;
            connection.deadline.get_or_insert(deadline);
        }
        self.connections.insert(ifindex, connection);
    }

    /// Says something to a link's responder, with at most two descriptors. What is said to one that is not up yet waits.
    pub(crate) fn tell(
        &mut self,
        ifindex: u32,
        message: &ToResponder,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ResponderError> {
        if let Some(starting) = self.starting.get_mut(&ifindex) {
            let descriptors = descriptors
                .iter()
                .map(BorrowedFd::try_clone_to_owned)
                .collect::<io::Result<_>>()
                .map_err(ResponderError::Keep)?;
            starting.unsaid.push((message.clone(), descriptors));
            return Ok(());
        }
        let connection = self
            .connections
            .get_mut(&ifindex)
            .ok_or(ResponderError::Gone)?;
        let mut buffer = [0; MAX_DOWN];
        let length = message.encode(&mut buffer);
        // Before it is sent: what the answer tells of is later.
        let now = boottime();
        seqpacket::send_with(connection.socket.as_fd(), &buffer[..length], descriptors)
            .map_err(ResponderError::Send)?;
        connection.conversation.told(message, now);
        if connection.conversation.is_behind() {
            let deadline = Instant::now() + ANSWER;
            connection.deadline.get_or_insert(deadline);
        }
        Ok(())
    }

    /// A link's responder has not said yet that it has done what it was told ([`Conversation::is_behind`]).
    pub(crate) fn is_behind(&self, ifindex: u32) -> bool {
        let connection = self.connections.get(&ifindex);
        connection.is_some_and(|connection| connection.conversation.is_behind())
    }

    /// Asks a link's responder to exit and forgets it.
    pub(crate) fn stop(&mut self, ifindex: u32) {
        let is_starting = self.starting.contains_key(&ifindex);
        // One that does not read is ended the hard way, and one that has nothing to do yet, too.
        if is_starting || self.tell(ifindex, &ToResponder::Quit, &[]).is_err() {
            self.kill(ifindex);
        } else if let Some(connection) = self.connections.remove(&ifindex) {
            let _ = fs::remove_file(&connection.path);
        }
    }

    /// Ends one that is finished, which is counted. Returns its last words.
    pub(crate) fn finish(&mut self, ifindex: u32, fault: Fault) -> Option<String> {
        self.metrics.count_responder_end(fault);
        let connection = self.connections.get_mut(&ifindex);
        let pipe = connection.and_then(|connection| connection.last_words.take());
        let words = pipe.and_then(last_words::read);
        self.kill(ifindex);
        words
    }

    /// Ends a link's responder at once and forgets it. One that is being started is ended when it is there.
    pub(crate) fn kill(&mut self, ifindex: u32) {
        self.starting.remove(&ifindex);
        if let Some(connection) = self.connections.remove(&ifindex) {
            end(connection.process.as_ref());
            let _ = fs::remove_file(&connection.path);
        }
    }

    /// The link has a new name: the socket takes it too, so that the next agent finds it.
    pub(crate) fn rename(&mut self, ifindex: u32, link: &str) {
        let path = self.setup.folder.join(format!("{link}.{SOCKET}"));
        if let Some(starting) = self.starting.get_mut(&ifindex) {
            starting.path = path;
        } else if let Some(connection) = self.connections.get_mut(&ifindex)
            && path != connection.path
            && fs::rename(&connection.path, &path).is_ok()
        {
            connection.path = path;
        }
    }

    /// A responder of another version stays until its successor serves the link, or the link is served no more. Its socket
    /// gets another name, under which the next agent would find it.
    pub(crate) fn succeed(&mut self, ifindex: u32, found: Found) {
        self.end_outdated(ifindex);
        let path = found.path.with_extension(OUTDATED);
        let _ = fs::rename(&found.path, &path);
        let process = found.process;
        self.outdated.insert(ifindex, Outdated { path, process });
    }

    /// The link's responder of another version is not needed any more.
    pub(crate) fn end_outdated(&mut self, ifindex: u32) {
        if let Some(outdated) = self.outdated.remove(&ifindex) {
            end(outdated.process.as_ref());
            let _ = fs::remove_file(&outdated.path);
        }
    }

    /// The links that have a responder of another version.
    pub(crate) fn outdated(&self) -> Vec<u32> {
        self.outdated.keys().copied().collect()
    }

    /// Ends a found responder for what it said.
    pub(crate) fn refuse(&self, found: Found, fault: Fault) {
        self.metrics.count_responder_end(fault);
        found.end();
    }

    /// Takes a found responder for the link's.
    pub(crate) fn adopt(&mut self, ifindex: u32, found: Found) {
        let connection = Connection {
            socket: found.socket,
            path: found.path,
            process: found.process,
            last_words: None,
            conversation: found.conversation,
            pace: Pace::new(),
            has_spoken: true,
            deadline: None,
        };
        self.keep(ifindex, connection);
    }
}

/// Ends a process, if it is known.
fn end(process: Option<&Process>) {
    if let Some(process) = process {
        let _ = process.kill();
    }
}
