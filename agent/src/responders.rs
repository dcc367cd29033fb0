//! The responders: started, found again, spoken with, ended.
//!
//! Each has a control socket `RUNTIME/responder/LINK.sock`, which the responder holds as its standard input. A reader task
//! for each connection decodes what comes and passes it on; it reads no more than a bounded number of messages a second,
//! so that a responder that a guest has taken over is a slow one, not a loud one.

use crate::conversation::{Conversation, Fault};
use crate::metrics::Metrics;
use slash32_binding::Generation;
use slash32_ipc::{Kept, MAX_DOWN, MAX_UP, State, ToAgent, ToResponder};
use slash32_sys::clock::boottime;
use slash32_sys::fd::{AsFd, BorrowedFd};
use slash32_sys::process::Process;
use slash32_sys::{Errno, seqpacket};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// More messages than this in a second are left waiting in the socket: an honest responder sends two or three, and three more
/// each time that an operator wants to see its link.
const MESSAGES_A_SECOND: u32 = 300;
/// A responder that was started must have said something by then.
const FIRST_WORD: Duration = Duration::from_secs(5);
/// One that was found must have said something by then: it runs already, and other VMs wait for the agent meanwhile.
const ANSWER: Duration = Duration::from_secs(2);
/// What the names of control sockets end in.
const SOCKET: &str = "sock";
/// The same of a responder that speaks another version, while its successor is on its way.
const OUTDATED: &str = "outdated";

/// What came from the responder of a link.
#[derive(Debug)]
pub(crate) struct FromResponder {
    pub(crate) ifindex: u32,
    /// Which connection: an older one's last words mean nothing.
    pub(crate) connection: u64,
    pub(crate) word: Word,
    /// When it was read.
    pub(crate) heard: Instant,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every word is a State, and few are in flight"
)]
pub(crate) enum Word {
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
    #[error("the responder is gone")]
    Gone,
}

struct Connection {
    number: u64,
    socket: Arc<UnixDatagram>,
    path: PathBuf,
    process: Option<Process>,
    reader: tokio::task::AbortHandle,
    conversation: Conversation,
    /// By then it must have spoken; `None` when it has.
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

/// A responder that another agent has started.
pub(crate) struct Found {
    /// The link's name, from the name of the socket.
    pub(crate) link: String,
    /// What it said; `None` when it speaks another version of the control protocol, and so has to be succeeded.
    pub(crate) state: Option<State>,
    path: PathBuf,
    socket: UnixDatagram,
    process: Option<Process>,
    conversation: Conversation,
}

/// A responder of another version. It serves its VM until its successor does: new before old.
struct Outdated {
    path: PathBuf,
    process: Option<Process>,
}

/// All responders that this agent speaks with, by the ifindex of their link.
pub(crate) struct Responders {
    setup: Setup,
    connections: BTreeMap<u32, Connection>,
    outdated: BTreeMap<u32, Outdated>,
    next: u64,
    inbox: mpsc::Sender<FromResponder>,
    metrics: Arc<Metrics>,
}

impl Responders {
    pub(crate) fn new(
        setup: Setup,
        inbox: mpsc::Sender<FromResponder>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            setup,
            connections: BTreeMap::new(),
            outdated: BTreeMap::new(),
            next: 1,
            inbox,
            metrics,
        }
    }

    /// Judges a word before it is believed. Errors: no honest responder says it now.
    pub(crate) fn judge(&mut self, from: &FromResponder) -> Result<(), Fault> {
        let Some(connection) = self.connections.get_mut(&from.ifindex) else {
            return Ok(());
        };
        let (conversation, now) = (&mut connection.conversation, boottime());
        match &from.word {
            Word::State(state) => conversation.state(state, now),
            Word::Claim(generation) => conversation.claim(*generation),
            Word::Kept(kept) => conversation.kept(kept, now),
            Word::Last(fault) => Err(*fault),
        }
    }

    /// The process of a link's responder, as the kernel says, once it has spoken.
    pub(crate) fn pid(&self, ifindex: u32) -> Option<u32> {
        self.connections
            .get(&ifindex)?
            .process
            .as_ref()
            .map(Process::number)
    }

    /// The message is from the connection that is in use now.
    pub(crate) fn is_current(&self, from: &FromResponder) -> bool {
        self.connections
            .get(&from.ifindex)
            .is_some_and(|connection| connection.number == from.connection)
    }

    /// It has spoken: it is alive.
    pub(crate) fn heard(&mut self, ifindex: u32) {
        if let Some(connection) = self.connections.get_mut(&ifindex) {
            connection.deadline = None;
        }
    }

    /// The earliest time at which [`Self::silent`] may find one.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.connections
            .values()
            .filter_map(|connection| connection.deadline)
            .min()
    }

    /// Links whose responder should have spoken by now and did not.
    pub(crate) fn silent(&self) -> Vec<u32> {
        let now = Instant::now();
        let late =
            |connection: &Connection| connection.deadline.is_some_and(|deadline| deadline <= now);
        self.connections
            .iter()
            .filter(|(_, connection)| late(connection))
            .map(|(ifindex, _)| *ifindex)
            .collect()
    }

    /// Starts the responder of a link and connects to it. One that is there already is ended first.
    pub(crate) fn start(&mut self, ifindex: u32, link: &str) -> Result<(), ResponderError> {
        self.kill(ifindex);
        let path = self.setup.folder.join(format!("{link}.{SOCKET}"));
        let text = path.display().to_string();
        // A socket that nobody listens on any more, of a responder that was found dead.
        let _ = fs::remove_file(&path);
        let listener = seqpacket::listen(&text).map_err(|error| ResponderError::Listen {
            path: text.clone(),
            error,
        })?;
        let child = tokio::process::Command::new(&self.setup.program)
            .arg("--user")
            .arg(format!("{}:{}", self.setup.uid, self.setup.gid))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(listener))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| ResponderError::Spawn {
                program: self.setup.program.display().to_string(),
                error,
            })?;
        let process = child.id().and_then(|pid| Process::open(pid).ok());
        // Not waited for: its end is seen on the connection, and tokio reaps it.
        drop(child);
        let socket = connect(&text).map_err(|error| {
            if let Some(process) = &process {
                let _ = process.kill();
            }
            ResponderError::Connect(error)
        })?;
        self.keep(
            ifindex,
            path,
            socket,
            process,
            Conversation::default(),
            Some(Instant::now() + FIRST_WORD),
        );
        Ok(())
    }

    fn keep(
        &mut self,
        ifindex: u32,
        path: PathBuf,
        socket: UnixDatagram,
        process: Option<Process>,
        conversation: Conversation,
        deadline: Option<Instant>,
    ) {
        let socket = Arc::new(socket);
        let number = self.next;
        self.next += 1;
        let reader = tokio::spawn(read(
            Arc::clone(&socket),
            ifindex,
            number,
            self.inbox.clone(),
        ))
        .abort_handle();
        self.connections.insert(
            ifindex,
            Connection {
                number,
                socket,
                path,
                process,
                reader,
                conversation,
                deadline,
            },
        );
    }

    /// Says something to a link's responder, with at most two descriptors.
    pub(crate) fn tell(
        &mut self,
        ifindex: u32,
        message: &ToResponder,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ResponderError> {
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
        Ok(())
    }

    /// Asks a link's responder to exit and forgets it.
    pub(crate) fn stop(&mut self, ifindex: u32) {
        // One that does not read is ended the hard way.
        if self.tell(ifindex, &ToResponder::Quit, &[]).is_err() {
            self.kill(ifindex);
        } else if let Some(connection) = self.connections.remove(&ifindex) {
            connection.forget();
        }
    }

    /// The same for one that is finished, which is counted.
    pub(crate) fn finish(&mut self, ifindex: u32, fault: Fault) {
        self.metrics.count_responder_end(fault);
        self.kill(ifindex);
    }

    /// Ends a link's responder at once and forgets it.
    pub(crate) fn kill(&mut self, ifindex: u32) {
        if let Some(connection) = self.connections.remove(&ifindex) {
            if let Some(process) = &connection.process {
                let _ = process.kill();
            }
            connection.forget();
        }
    }

    /// The link has a new name: the socket takes it too, so that the next agent finds it.
    pub(crate) fn rename(&mut self, ifindex: u32, link: &str) {
        if let Some(connection) = self.connections.get_mut(&ifindex) {
            let path = self.setup.folder.join(format!("{link}.{SOCKET}"));
            if path != connection.path && fs::rename(&connection.path, &path).is_ok() {
                connection.path = path;
            }
        }
    }

    /// Finds the responders that an agent before this one has left: connects to every socket of the folder and hears their
    /// first State. Sockets without a responder are removed; a responder that says nothing, or what is no message, is ended.
    pub(crate) async fn find(&self) -> io::Result<Vec<Found>> {
        let mut candidates = Vec::new();
        for entry in fs::read_dir(&self.setup.folder)? {
            let path = entry?.path();
            let Some((link, ending)) = path
                .file_name()
                .and_then(|name| name.to_str()?.rsplit_once('.'))
            else {
                continue;
            };
            if [SOCKET, OUTDATED].contains(&ending) {
                candidates.push(self.find_one(path.clone(), link.to_owned()));
            }
        }
        Ok(futures_util::future::join_all(candidates)
            .await
            .into_iter()
            .flatten()
            .collect())
    }

    async fn find_one(&self, path: PathBuf, link: String) -> Option<Found> {
        let Ok(socket) = connect(path.to_str()?) else {
            self.not_adopted(&link, Fault::Ended);
            let _ = fs::remove_file(&path);
            return None;
        };
        let (process, first) = match tokio::time::timeout(ANSWER, first_state(&socket)).await {
            Ok(Some(heard)) => heard,
            Ok(None) => (None, Err(Fault::Ended)),
            Err(_) => (self.listener_of(&socket), Err(Fault::Silent)),
        };
        let outdated = path.extension().is_some_and(|end| end == OUTDATED);
        let mut found = Found {
            link,
            state: None,
            path,
            socket,
            process,
            conversation: Conversation::default(),
        };
        match first {
            // One that was on its way out stays so, whatever it speaks.
            Ok(_) if outdated => {}
            Ok((state, conversation)) => {
                (found.state, found.conversation) = (Some(state), conversation);
            }
            Err(Fault::Version(version)) => {
                self.metrics.count_responder_end(Fault::Version(version));
            }
            Err(fault) => {
                self.not_adopted(&found.link, fault);
                found.end();
                return None;
            }
        }
        Some(found)
    }

    fn not_adopted(&self, link: &str, fault: Fault) {
        self.metrics.count_responder_end(fault);
        tracing::info!(link, "{link}: responder not adopted: it {fault}");
    }

    /// The process at the other end of a connection, when it is a responder. One that was stopped before it was of its own
    /// user still goes by the agent that started it, whose number may be anybody's by now.
    fn listener_of(&self, socket: &UnixDatagram) -> Option<Process> {
        let listener = seqpacket::listener_of(socket.as_fd()).ok()?;
        let is_responder = (listener.uid, listener.gid) == (self.setup.uid, self.setup.gid);
        is_responder.then(|| Process::open(listener.pid).ok())?
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
            if let Some(process) = &outdated.process {
                let _ = process.kill();
            }
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
        self.keep(
            ifindex,
            found.path,
            found.socket,
            found.process,
            found.conversation,
            None,
        );
    }
}

impl Connection {
    fn forget(self) {
        self.reader.abort();
        let _ = fs::remove_file(&self.path);
    }
}

impl Found {
    /// Asks it to exit: its link is gone, or it is not known which it serves.
    pub(crate) fn dismiss(self) {
        let mut buffer = [0; MAX_DOWN];
        let length = ToResponder::Quit.encode(&mut buffer);
        let understands = self.state.is_some();
        if !understands || seqpacket::send(self.socket.as_fd(), &buffer[..length]).is_err() {
            self.end();
        } else {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Ends it the hard way.
    fn end(self) {
        if let Some(process) = &self.process {
            let _ = process.kill();
        }
        let _ = fs::remove_file(&self.path);
    }
}

pub(crate) type FirstWord = Result<(State, Conversation), Fault>;

/// The process and the first word of whoever has accepted `socket`; `None` when it is gone.
pub(crate) async fn first_state(socket: &UnixDatagram) -> Option<(Option<Process>, FirstWord)> {
    let mut buffer = [0; MAX_UP];
    let record = receive(socket, &mut buffer).await.ok()?;
    let process = record.sender.and_then(|pid| Process::open(pid).ok());
    let state = match ToAgent::decode(&buffer[..record.length]) {
        Ok(ToAgent::State(state)) => {
            Conversation::continued(&state, boottime()).map(|conversation| (state, conversation))
        }
        Ok(ToAgent::Claim(_) | ToAgent::Kept(_)) => Err(Fault::Malformed),
        Err(malformed) => Err(malformed.into()),
    };
    Some((process, state))
}

/// A connection that tokio waits on. It holds any socket of records as a `UnixDatagram`; only the waiting is its own.
pub(crate) fn connect(path: &str) -> io::Result<UnixDatagram> {
    UnixDatagram::from_std(seqpacket::connect(path)?.into())
}

pub(crate) async fn receive(
    socket: &UnixDatagram,
    buffer: &mut [u8],
) -> io::Result<seqpacket::Record> {
    socket
        .async_io(Interest::READABLE, || {
            Ok(seqpacket::receive(socket.as_fd(), buffer)?)
        })
        .await
}

async fn read(
    socket: Arc<UnixDatagram>,
    ifindex: u32,
    connection: u64,
    inbox: mpsc::Sender<FromResponder>,
) {
    let mut buffer = [0; MAX_UP];
    let mut second = Instant::now();
    let mut messages = 0;
    loop {
        let word = match receive(&socket, &mut buffer).await {
            Ok(record) if record.length > 0 && !record.truncated => {
                match ToAgent::decode(&buffer[..record.length]) {
                    Ok(ToAgent::State(state)) => Word::State(state),
                    Ok(ToAgent::Claim(generation)) => Word::Claim(generation),
                    Ok(ToAgent::Kept(kept)) => Word::Kept(Box::new(kept)),
                    Err(malformed) => Word::Last(malformed.into()),
                }
            }
            Ok(record) if record.truncated => Word::Last(Fault::Malformed),
            Ok(_) | Err(_) => Word::Last(Fault::Ended),
        };
        let last = matches!(word, Word::Last(_));
        if inbox
            .send(FromResponder {
                ifindex,
                connection,
                word,
                heard: Instant::now(),
            })
            .await
            .is_err()
            || last
        {
            return;
        }
        messages += 1;
        if messages == MESSAGES_A_SECOND {
            sleep_until(second + Duration::from_secs(1)).await;
            second = Instant::now();
            messages = 0;
        } else if second.elapsed() > Duration::from_secs(1) {
            second = Instant::now();
            messages = 1;
        }
    }
}
