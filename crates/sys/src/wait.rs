//! Waiting for descriptors.

use crate::{Result, clock};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;

/// Waits until one of the descriptors can be read or has an error, and says which; or until `deadline`, in nanoseconds of
/// the [boot-time clock](clock::boottime), is over, and says none. Without a deadline it waits for as long as it takes.
///
/// Errors: those of ppoll(2); an interrupted wait is started again.
pub fn readable<const N: usize>(
    descriptors: [Option<BorrowedFd<'_>>; N],
    fallback: BorrowedFd<'_>,
    deadline: Option<u64>,
) -> Result<[bool; N]> {
    // ppoll(2) is given one entry for each place; a place without a descriptor asks for nothing.
    let mut entries = descriptors.map(|descriptor| match descriptor {
        Some(descriptor) => PollFd::from_borrowed_fd(descriptor, PollFlags::IN),
        None => PollFd::from_borrowed_fd(fallback, PollFlags::empty()),
    });
    loop {
        let left = deadline.map(|deadline| timespec(deadline.saturating_sub(clock::boottime())));
        match poll(&mut entries, left.as_ref()) {
            Ok(_) => break,
            Err(crate::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    let mut index = 0;
    Ok(descriptors.map(|descriptor| {
        let ready = descriptor.is_some() && !entries[index].revents().is_empty();
        index += 1;
        ready
    }))
}

fn timespec(nanoseconds: u64) -> Timespec {
    const SECOND: u64 = 1_000_000_000;
    Timespec {
        tv_sec: (nanoseconds / SECOND) as i64,
        tv_nsec: (nanoseconds % SECOND) as i64,
    }
}
