//! The responders that an agent before this one has left, and how anybody connects to one.

use super::{OUTDATED, Responders, SOCKET};
use crate::conversation::{Conversation, Fault};
use slash32_ipc::{MAX_DOWN, MAX_UP, State, ToAgent, ToResponder};
use slash32_sys::clock::boottime;
use slash32_sys::fd::{AsFd, OwnedFd};
use slash32_sys::process::Process;
use slash32_sys::seqpacket;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// One that was found must have said something by then: it runs already, and other VMs wait for the agent meanwhile.
const ANSWER: Duration = Duration::from_secs(2);

/// A responder that another agent has started.
pub(crate) struct Found {
    /// The link's name, from the name of the socket.
    pub(crate) link: String,
    /// What it said; `None` when it speaks another version of the control protocol, and so has to be succeeded.
    pub(crate) state: Option<State>,
    pub(super) path: PathBuf,
    pub(super) socket: OwnedFd,
    pub(super) process: Option<Process>,
    pub(super) conversation: Conversation,
}

impl Responders {
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
        // From here on it is waited for with all others.
        let socket = socket.into_std().ok()?.into();
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
    pub(super) fn end(self) {
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
