//! A real responder, whose agent is the case itself.

use crate::BOUND;
use anyhow::{Context, Result, bail, ensure};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
};
use slash32_binding::{Binding, Generation};
use slash32_ipc::{Hello, MAX_DOWN, MAX_UP, State, ToAgent, ToResponder};
use slash32_sys::{idle, packet, seqpacket};
use slash32_tests::{GATEWAY, Host, Process, RawClient, binary, bridge_mac, guest_mac, vm_address};
use std::{
    fs::{self, File},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The user of every responder here.
pub(crate) const NOBODY: u32 = 65534;

/// The descriptors of a responder that serves, in the order in which it came by them.
pub(crate) const PACKET: u64 = 4;
pub(crate) const IDLE: u64 = 5;
pub(crate) const CONNECTION: u64 = 3;

pub(crate) struct Responder {
    process: Process,
    // The folder of its listening socket.
    folder: TempDir,
    connection: OwnedFd,
}

/// A standard error that is no pipe.
fn silent() -> Result<Stdio> {
    Ok(Stdio::from(File::create("/dev/null")?))
}

impl Responder {
    /// Starts one as an agent does, and hears its first State. Its standard error is no pipe.
    pub(crate) fn start(host: &Host) -> Result<Self> {
        Self::start_with(host, &binary("slash32-responder")?, silent()?)
    }

    fn start_with(host: &Host, program: &Path, stderr: Stdio) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
        let path = folder.path().join("link.sock");
        let listener = seqpacket::listen(path.to_str().context("a path of UTF-8")?)?;
        let process = host.namespace().spawn(
            Command::new(program)
                .args(["--user", &format!("{NOBODY}:{NOBODY}")])
                .env_clear()
                .stdin(Stdio::from(listener))
                .stdout(Stdio::null())
                .stderr(stderr),
        )?;
        let connection = seqpacket::connect(path.to_str().context("a path of UTF-8")?)?;
        let responder = Self {
            process,
            folder,
            connection,
        };
        responder.state()?;
        Ok(responder)
    }

    /// Starts one that serves VM `number` behind the bare tap `tapNUMBER`, in generation 1, and returns its client too.
    pub(crate) fn serving(host: &Host, number: u16) -> Result<(Self, RawClient)> {
        Self::serving_as(host, number, &binary("slash32-responder")?)
    }

    /// The same with this program.
    pub(crate) fn serving_as(
        host: &Host,
        number: u16,
        program: &Path,
    ) -> Result<(Self, RawClient)> {
        Self::serving_with(host, number, program, silent()?)
    }

    /// The same with this standard error.
    pub(crate) fn serving_with(
        host: &Host,
        number: u16,
        program: &Path,
        stderr: Stdio,
    ) -> Result<(Self, RawClient)> {
        let link = format!("tap{number}");
        let client = RawClient::new(host.tap(&link, None)?, guest_mac(number));
        host.namespace()
            .ip(&format!("addr add {GATEWAY}/32 dev {link}"))?;
        let responder = Self::start_with(host, program, stderr)?;
        let index = ifindex(host, &link)?;
        let (packet, idle) = host
            .namespace()
            .inside(|| Ok((packet::open(index)?, idle::open(&link, GATEWAY)?)))?;
        let mut binding = Binding::new(vm_address(number), GATEWAY);
        binding.server_mac = bridge_mac(&link);
        let hello = Hello {
            generation: Generation(1),
            confirmed: false,
            binding,
        };
        let mut buffer = [0; MAX_DOWN];
        let length = ToResponder::Hello(hello).encode(&mut buffer);
        let sockets = [packet.as_fd(), idle.as_fd()];
        seqpacket::send_with(responder.connection.as_fd(), &buffer[..length], &sockets)?;
        responder.state()?;
        Ok((responder, client))
    }

    /// Its pid as the case sees it.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Its pid as it knows itself.
    pub(crate) fn inner_pid(&self) -> Result<u64> {
        self.process.inner_pid()
    }

    /// `/proc/PID/NAME`.
    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid()))
    }

    pub(crate) fn tell(&self, message: &ToResponder) -> Result<()> {
        let mut buffer = [0; MAX_DOWN];
        let length = message.encode(&mut buffer);
        Ok(seqpacket::send(self.connection.as_fd(), &buffer[..length])?)
    }

    /// What it says next, or `None` within `bound`. Errors: it closed the connection, or said what is no message.
    pub(crate) fn next(&self, bound: Duration) -> Result<Option<ToAgent>> {
        let timeout = PollTimeout::try_from(bound.as_millis())?;
        let mut entry = [PollFd::new(self.connection.as_fd(), PollFlags::POLLIN)];
        if poll(&mut entry, timeout)? == 0 {
            return Ok(None);
        }
        let mut buffer = [0; MAX_UP];
        let record = seqpacket::receive(self.connection.as_fd(), &mut buffer)?;
        if record.length == 0 {
            bail!("the responder closed the connection");
        }
        Ok(Some(ToAgent::decode(&buffer[..record.length])?))
    }

    /// The first message for which `pick` gives something; others are passed over. Errors: there is none within `bound`.
    pub(crate) fn hear<T>(
        &self,
        what: &str,
        bound: Duration,
        pick: impl Fn(ToAgent) -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + bound;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.next(left)? {
                Some(message) => {
                    if let Some(found) = pick(message) {
                        return Ok(found);
                    }
                }
                None if left.is_zero() => bail!("waited {bound:?} in vain for {what}"),
                None => {}
            }
        }
    }

    /// Its next State.
    pub(crate) fn state(&self) -> Result<State> {
        self.hear("a State", BOUND, |message| match message {
            ToAgent::State(state) => Some(state),
            ToAgent::Claim(_) | ToAgent::Kept(_) => None,
        })
    }

    /// Answers its next Claim, as an agent does whose host route is there.
    pub(crate) fn confirm(&self) -> Result<()> {
        let claimed = self.hear("a Claim", BOUND, |message| match message {
            ToAgent::Claim(generation) => Some(generation),
            ToAgent::State(_) | ToAgent::Kept(_) => None,
        })?;
        self.tell(&ToResponder::Confirm(claimed))
    }

    /// Waits until something that it said can be read, and does not read it.
    pub(crate) fn wait_unread(&self) -> Result<()> {
        let timeout = PollTimeout::try_from(BOUND.as_millis())?;
        let mut entry = [PollFd::new(self.connection.as_fd(), PollFlags::POLLIN)];
        ensure!(poll(&mut entry, timeout)? == 1, "it said nothing");
        Ok(())
    }

    /// Lets go of it, as an agent does that ends.
    pub(crate) fn leave(self) -> Abandoned {
        Abandoned {
            process: self.process,
            _folder: self.folder,
        }
    }

    /// The same; returns when it has noticed.
    pub(crate) fn abandon(self) -> Result<Abandoned> {
        let abandoned = self.leave();
        let descriptor = format!("/proc/{}/fd/{CONNECTION}", abandoned.process.pid());
        slash32_tests::until("the responder to close its connection", BOUND, || {
            Ok(fs::symlink_metadata(&descriptor).is_err().then_some(()))
        })?;
        Ok(abandoned)
    }
}

/// A responder without an agent.
pub(crate) struct Abandoned {
    pub(crate) process: Process,
    _folder: TempDir,
}

/// The index of a link of the host.
pub(crate) fn ifindex(host: &Host, link: &str) -> Result<u32> {
    let path = format!("/sys/class/net/{link}/ifindex");
    let text = fs::read_to_string(host.namespace().path(path))?;
    Ok(text.trim().parse()?)
}
