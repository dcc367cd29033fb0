//! Another process, held by a pidfd: its number may be given to a new one, the descriptor never is.

use crate::{Result, checked};
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

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

    /// The same of a child of this process, which may have ended, and been reaped by the kernel, already.
    ///
    /// Errors: `SRCH` or `CHILD` when it has, and the number is nobody's or somebody else's.
    pub fn of_child(number: u32) -> Result<Self> {
        let process = Self::open(number)?;
        // Looks only, and knows no process but children.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::PidFd(process.as_fd()), look)?;
        Ok(process)
    }

    /// A process that another table of descriptors had hold of, by what was passed from there.
    pub fn passed(descriptor: OwnedFd, number: u32) -> Self {
        Self { descriptor, number }
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

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// From here on the kernel reaps the children of this process by itself (`SA_NOCLDWAIT`, sigaction(2)): none becomes a zombie,
/// and none can be waited for. What they start with is as ever: the flag does not outlive execve(2).
pub fn leave_children_to_the_kernel() -> Result<()> {
    // SAFETY: all-zero bytes are a valid sigaction: SIG_DFL, no signal blocked, no flags.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_flags = libc::SA_NOCLDWAIT;
    // SAFETY: `action` is readable, names no handler, and where the one before it goes is left out.
    let result =
        unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, core::ptr::null_mut()) };
    checked(result.into()).map(drop)
}
