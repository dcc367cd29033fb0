//! File descriptors: one that is owned is closed when it goes, one that is borrowed is open for as long as it is borrowed.
//! They are those of std's `std::os::fd`, which is not there without std.

use crate::syscall::plain;
use core::marker::PhantomData;
use linux_raw_sys::general::__NR_close;

/// A descriptor that nobody else closes.
#[derive(Debug)]
pub struct OwnedFd(u32);

/// A descriptor that is open while it is borrowed.
#[derive(Clone, Copy, Debug)]
pub struct BorrowedFd<'fd>(u32, PhantomData<&'fd OwnedFd>);

impl OwnedFd {
    /// Takes a descriptor that the kernel has just given: nobody else may have it.
    pub(crate) fn of_the_kernel(number: u32) -> Self {
        Self(number)
    }

    /// Borrows it.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        BorrowedFd(self.0, PhantomData)
    }
}

impl Drop for OwnedFd {
    fn drop(&mut self) {
        // Whatever close(2) says, the descriptor is gone.
        let _ = plain(__NR_close, [self.0 as usize]);
    }
}

impl BorrowedFd<'_> {
    /// One of the standard three, which nothing in a responder closes.
    pub(crate) const fn standard(number: u32) -> BorrowedFd<'static> {
        BorrowedFd(number, PhantomData)
    }

    /// Its number, as an argument of a call.
    pub(crate) fn argument(self) -> usize {
        self.0 as usize
    }
}
