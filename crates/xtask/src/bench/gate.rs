//! A start that waits for its sign: a shell is in its namespaces and in its cgroup already, and what is measured begins with
//! what it does next.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use slash32_tests::until;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// How long a shell may take to come to the gate.
const ARRIVAL: Duration = Duration::from_secs(10);

/// A pipe that a shell waits at.
pub(super) struct Gate(PathBuf);

/// Lets the shell go on that waits. Dropped without that, the shell ends.
pub(super) struct Sign(File);

impl Gate {
    /// A gate at a path that nothing has yet.
    pub(super) fn new(pipe: PathBuf) -> Result<Self> {
        mkfifo(&pipe, Mode::from_bits_truncate(0o600))
            .with_context(|| format!("cannot make {}", pipe.display()))?;
        Ok(Self(pipe))
    }

    /// The line of shell that waits.
    pub(super) fn line(&self) -> String {
        format!("read -r go <'{}' || exit 1\n", self.0.display())
    }

    /// Waits until a shell is there. Errors: none comes.
    pub(super) fn arrived(&self) -> Result<Sign> {
        until("a shell to wait for its sign", ARRIVAL, || {
            let pipe = File::options()
                .write(true)
                .custom_flags(OFlag::O_NONBLOCK.bits())
                .open(&self.0);
            match pipe {
                Ok(pipe) => Ok(Some(Sign(pipe))),
                // No reader yet (fifo(7)).
                Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }
}

impl Sign {
    /// From here on the shell goes on.
    pub(super) fn give(mut self) -> Result<()> {
        Ok(self.0.write_all(b"go\n")?)
    }
}
