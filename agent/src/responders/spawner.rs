//! The one thread that starts responders.
//!
//! Whoever starts a process copies its table of descriptors for it, and each entry is looked at once more when the program
//! begins. The agent has three descriptors for each link, so starting a thousand would cost a million of them; and it would wait
//! for each program meanwhile. So this thread has a table of its own with nearly nothing in it, and the agent goes on with
//! other links. What it opens is passed on over a socket (`SCM_RIGHTS`).
//!
//! It is started behind the agent's walls ([`isolate`](crate::isolate)): a thread has those of the one that started it.

use super::{ResponderError, Setup};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
};
use nix::unistd::pipe2;
use slash32_sys::descriptors::own_table;
use slash32_sys::fd::{AsFd, AsRawFd, OwnedFd};
use slash32_sys::process::Process;
use slash32_sys::seqpacket;
use std::fs;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// How many bytes of a responder's last words wait to be read: a page, the least that a pipe can have. What a guest makes its
/// responder write costs the kernel no more than that.
const LAST_WORDS: i32 = 4096;

/// A responder that is to be started.
pub(super) struct Order {
    pub(super) ifindex: u32,
    pub(super) number: u64,
    /// Of its control socket.
    pub(super) path: PathBuf,
}

/// What became of an order.
pub(super) struct Outcome {
    pub(super) ifindex: u32,
    pub(super) number: u64,
    pub(super) started: Result<Started, ResponderError>,
}

/// A responder that was started. It may have ended already.
pub(super) struct Started {
    /// `None` when it has ended so soon that its number may be another's.
    pub(super) process: Option<Process>,
    /// The end of its standard error from which it is read.
    pub(super) last_words: OwnedFd,
}

/// The other end of the thread. It ends with this.
pub(super) struct Spawner {
    orders: mpsc::Sender<Order>,
    outcomes: mpsc::Receiver<Told>,
    /// One record for each outcome, with its descriptors.
    passed: OwnedFd,
}

/// An outcome without its descriptors, which come on the socket.
struct Told {
    ifindex: u32,
    number: u64,
    /// The process's number, as long as that is its own.
    started: Result<Option<u32>, ResponderError>,
}

impl Spawner {
    /// Starts the thread.
    pub(super) fn start(setup: &Setup) -> io::Result<Self> {
        let (to_orders, orders) = mpsc::channel();
        let (to_outcomes, outcomes) = mpsc::channel();
        let (passed, pass) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let worker = Worker {
            program: setup.program.clone(),
            user: format!("{}:{}", setup.uid, setup.gid),
            outcomes: to_outcomes,
            pass,
        };
        thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || worker.run(&orders))?;
        Ok(Self {
            orders: to_orders,
            outcomes,
            passed,
        })
    }

    /// Has a responder started. Errors: the thread is gone.
    pub(super) fn order(&self, order: Order) -> Result<(), ResponderError> {
        self.orders.send(order).map_err(|_| ResponderError::Gone)
    }

    /// Can be read when there is an outcome.
    pub(super) fn readiness(&self) -> &OwnedFd {
        &self.passed
    }

    /// The next outcome, in the order of the orders, if there is one now.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let (_, [last_words, process]) =
            seqpacket::receive_with(self.passed.as_fd(), &mut [0]).ok()?;
        let told = self.outcomes.try_recv().ok()?;
        let started = told.started.and_then(|number| {
            Ok(Started {
                process: process
                    .zip(number)
                    .map(|(descriptor, number)| Process::passed(descriptor, number)),
                // Without room for one more descriptor the kernel passes none.
                last_words: last_words
                    .ok_or_else(|| ResponderError::Connect(io::Error::from(Errno::EMFILE)))?,
            })
        });
        Some(Outcome {
            ifindex: told.ifindex,
            number: told.number,
            started,
        })
    }
}

/// The thread.
struct Worker {
    program: PathBuf,
    /// `UID:GID`.
    user: String,
    outcomes: mpsc::Sender<Told>,
    pass: OwnedFd,
}

impl Worker {
    fn run(self, orders: &mpsc::Receiver<Order>) {
        if let Err(error) = own_table(self.pass.as_fd()) {
            // It works all the same. With the table the log may be gone, so nothing is said below.
            tracing::warn!("starting responders takes longer than it should: {error}");
        }
        for order in orders {
            let started = self.spawn(&order.path);
            let (started, descriptors) = match started {
                Ok(started) => {
                    let number = started.process.as_ref().map(Process::number);
                    (Ok(number), Some((started.last_words, started.process)))
                }
                Err(error) => (Err(error), None),
            };
            let told = Told {
                ifindex: order.ifindex,
                number: order.number,
                started,
            };
            // First, so that it is there when the record is.
            if self.outcomes.send(told).is_err() || self.pass(descriptors).is_err() {
                return;
            }
        }
    }

    /// Makes the control socket and starts a responder on it.
    fn spawn(&self, path: &Path) -> Result<Started, ResponderError> {
        let text = path.display().to_string();
        // A socket that nobody listens on any more, of a responder that was found dead.
        let _ = fs::remove_file(path);
        let listener = seqpacket::listen(&text)
            .map_err(|error| ResponderError::Listen { path: text, error })?;
        let failed = |error| ResponderError::Spawn {
            program: self.program.display().to_string(),
            error,
        };
        let (last_words, stderr) =
            pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|errno| failed(errno.into()))?;
        // A larger one holds more, and that is all.
        let _ = fcntl(&stderr, FcntlArg::F_SETPIPE_SZ(LAST_WORDS));
        // Nothing here may need a hook between fork and exec, or the standard library forks, and copies what this process
        // has mapped.
        let child = Command::new(&self.program)
            .arg("--user")
            .arg(&self.user)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(listener))
            .stdout(Stdio::null())
            .stderr(Stdio::from(stderr))
            .spawn()
            .map_err(failed)?;
        Ok(Started {
            process: Process::of_child(child.id()).ok(),
            last_words,
        })
    }

    /// Waits while the agent has much to read.
    fn pass(&self, descriptors: Option<(OwnedFd, Option<Process>)>) -> nix::Result<()> {
        let (last_words, process) = descriptors.unzip();
        let process = process.flatten();
        let numbers: Vec<_> = [
            last_words.as_ref().map(AsRawFd::as_raw_fd),
            process.as_ref().map(|process| process.as_fd().as_raw_fd()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let control: &[ControlMessage<'_>] = if numbers.is_empty() { &[] } else { &rights };
        let byte = [IoSlice::new(&[0])];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.pass.as_raw_fd(), &byte, control, flags, None).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    /// The outcome of one order, with a program that is this script.
    fn outcome(script: &str) -> (tempfile::TempDir, Outcome) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let setup = Setup {
            program,
            folder: folder.path().to_owned(),
            uid: 1,
            gid: 2,
        };
        let spawner = Spawner::start(&setup).unwrap();
        let path = folder.path().join("link.sock");
        let order = Order {
            ifindex: 7,
            number: 8,
            path,
        };
        spawner.order(order).unwrap();
        let outcome = loop {
            match spawner.outcome() {
                Some(outcome) => break outcome,
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        (folder, outcome)
    }

    #[test]
    fn a_program_is_started_with_the_standard_three_and_its_user() {
        let script = "#!/bin/sh\necho \"$@\" >&2\nls /proc/$$/fd >&2\n:\n";
        let (folder, outcome) = outcome(script);
        assert_eq!((outcome.ifindex, outcome.number), (7, 8));
        let started = outcome.started.unwrap();
        let mut words = fs::File::from(started.last_words);
        let mut text = Vec::new();
        while let Err(error) = words.read_to_end(&mut text) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            thread::sleep(Duration::from_millis(1));
        }
        let text = String::from_utf8(text).unwrap();
        let (arguments, descriptors) = text.split_once('\n').unwrap();
        assert_eq!(arguments, "--user 1:2");
        // What a shell keeps open for itself is above 9.
        let open = descriptors.lines().filter(|number| number.len() == 1);
        assert_eq!(open.collect::<Vec<_>>(), ["0", "1", "2"]);
        assert!(folder.path().join("link.sock").exists());
    }

    #[test]
    fn a_program_that_there_is_not_is_named() {
        let (_folder, outcome) = outcome("#!/there/is/no/interpreter\n");
        let error = outcome.started.err().unwrap().to_string();
        assert!(
            error.starts_with("cannot start /") && error.contains("No such file"),
            "{error}"
        );
    }
}
