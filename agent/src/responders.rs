//! The responders: started, found again, spoken with, ended.
//!
//! Each has a control socket `RUNTIME/responder/LINK.sock`, which the responder holds as its standard input. A reader task
//! for each connection decodes what comes and passes it on; it reads no more than a bounded number of messages a second,
//! so that a responder that a guest has taken over is a slow one, not a loud one.

use slash32_binding::Generation;
use slash32_ipc::{Kept, MAX_DOWN, MAX_UP, Malformed, State, ToAgent, ToResponder};
use slash32_sys::fd::{AsFd, BorrowedFd};
use slash32_sys::process::Process;
use slash32_sys::{Errno, seqpacket};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
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
/// A responder that was started or found must have said something by then.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// What came from the responder of a link.
#[derive(Debug)]
pub(crate) struct FromResponder {
    pub(crate) ifindex: u32,
    /// Which connection: an older one's last words mean nothing.
    pub(crate) connection: u64,
    pub(crate) word: Word,
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
    /// The connection ended.
    Closed,
    /// It said what is no message: the process is broken, or taken over.
    Malformed(Malformed),
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
    pub(crate) state: State,
    path: PathBuf,
    socket: UnixDatagram,
    process: Option<Process>,
}

/// All responders that this agent speaks with, by the ifindex of their link.
pub(crate) struct Responders {
    setup: Setup,
    connections: BTreeMap<u32, Connection>,
    next: u64,
    inbox: mpsc::Sender<FromResponder>,
}

impl Responders {
    pub(crate) fn new(setup: Setup, inbox: mpsc::Sender<FromResponder>) -> Self {
        Self {
            setup,
            connections: BTreeMap::new(),
            next: 1,
            inbox,
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
        let path = self.setup.folder.join(format!("{link}.sock"));
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
        let socket = connect(&text).map_err(ResponderError::Connect)?;
        self.keep(
            ifindex,
            path,
            socket,
            process,
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
                deadline,
            },
        );
    }

    /// Says something to a link's responder, with at most two descriptors.
    pub(crate) fn tell(
        &self,
        ifindex: u32,
        message: &ToResponder,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ResponderError> {
        let connection = self.connections.get(&ifindex).ok_or(ResponderError::Gone)?;
        let mut buffer = [0; MAX_DOWN];
        let length = message.encode(&mut buffer);
        seqpacket::send_with(connection.socket.as_fd(), &buffer[..length], descriptors)
            .map_err(ResponderError::Send)
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
            let path = self.setup.folder.join(format!("{link}.sock"));
            if path != connection.path && fs::rename(&connection.path, &path).is_ok() {
                connection.path = path;
            }
        }
    }

    /// Finds the responders that an agent before this one has left: connects to every socket of the folder and hears their
    /// first State. Sockets without a responder are removed; a responder that says nothing, or does not speak this version,
    /// is ended.
    pub(crate) async fn find(&self) -> io::Result<Vec<Found>> {
        let mut candidates = Vec::new();
        for entry in fs::read_dir(&self.setup.folder)? {
            let path = entry?.path();
            let Some(link) = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_suffix(".sock"))
            else {
                continue;
            };
            candidates.push(find_one(path.clone(), link.to_owned()));
        }
        Ok(futures_util::future::join_all(candidates)
            .await
            .into_iter()
            .flatten()
            .collect())
    }

    /// Takes a found responder for the link's.
    pub(crate) fn adopt(&mut self, ifindex: u32, found: Found) {
        self.keep(ifindex, found.path, found.socket, found.process, None);
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
        if seqpacket::send(self.socket.as_fd(), &buffer[..length]).is_err() {
            self.kill();
        }
        let _ = fs::remove_file(&self.path);
    }

    fn kill(&self) {
        if let Some(process) = &self.process {
            let _ = process.kill();
        }
    }
}

async fn find_one(path: PathBuf, link: String) -> Option<Found> {
    let found = tokio::time::timeout(FIRST_WORD, first_state(&path)).await;
    let (process, reason) = match found {
        Ok(Some((socket, process, Ok(state)))) => {
            return Some(Found {
                link,
                state,
                path,
                socket,
                process,
            });
        }
        Ok(Some((_, process, Err(malformed)))) => (process, malformed.to_string()),
        Ok(None) => (None, "nobody listens".to_owned()),
        Err(_) => (None, "it says nothing".to_owned()),
    };
    tracing::info!(link, "responder not adopted: {reason}");
    if let Some(process) = process {
        let _ = process.kill();
    }
    let _ = fs::remove_file(&path);
    None
}

/// The connection, the process and the first word of whoever listens at `path`; `None` when nobody does.
pub(crate) async fn first_state(
    path: &Path,
) -> Option<(UnixDatagram, Option<Process>, Result<State, Malformed>)> {
    let socket = connect(path.to_str()?).ok()?;
    let mut buffer = [0; MAX_UP];
    let record = receive(&socket, &mut buffer).await.ok()?;
    let process = record.sender.and_then(|pid| Process::open(pid).ok());
    let state = match ToAgent::decode(&buffer[..record.length]) {
        Ok(ToAgent::State(state)) => Ok(state),
        Ok(ToAgent::Claim(_) | ToAgent::Kept(_)) => Err(Malformed::Message),
        Err(malformed) => Err(malformed),
    };
    Some((socket, process, state))
}

/// A connection that tokio waits on. It holds any socket of records as a `UnixDatagram`; only the waiting is its own.
fn connect(path: &str) -> io::Result<UnixDatagram> {
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
                    Err(malformed) => Word::Malformed(malformed),
                }
            }
            Ok(record) if record.truncated => Word::Malformed(Malformed::Message),
            Ok(_) | Err(_) => Word::Closed,
        };
        let last = matches!(word, Word::Closed | Word::Malformed(_));
        if inbox
            .send(FromResponder {
                ifindex,
                connection,
                word,
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
