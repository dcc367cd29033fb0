//! Another process, held by a pidfd: its number may be given to a new one, the descriptor never is.

use crate::Result;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that may be ended.
#[derive(Debug)]
pub struct Process {
    descriptor: OwnedFd,
    number: u32,
}

impl Process {
    /// Takes hold of the process with this number (pidfd_open(2)).
    ///
    /// Errors: `SRCH` when there is none, `INVAL` when the number cannot be one.
    pub fn open(number: u32) -> Result<Self> {
        let pid = i32::try_from(number)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(crate::Errno::INVAL)?;
        Ok(Self {
            descriptor: pidfd_open(pid, PidfdFlags::empty())?,
            number,
        })
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Ends it with SIGKILL. One that has ended is fine.
    pub fn kill(&self) -> Result<()> {
        match pidfd_send_signal(&self.descriptor, Signal::KILL) {
            Err(crate::Errno::SRCH) => Ok(()),
            result => result,
        }
    }
}
