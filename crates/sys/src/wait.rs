//! Waiting for descriptors.

use crate::Result;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;

/// Waits, without a time limit, until one of the descriptors can be read or has an error; says which.
///
/// Errors: those of poll(2); an interrupted wait is started again.
pub fn readable<const N: usize>(
    descriptors: [Option<BorrowedFd<'_>>; N],
    fallback: BorrowedFd<'_>,
) -> Result<[bool; N]> {
    // poll(2) is given one entry for each place; a place without a descriptor asks for nothing.
    let mut entries = descriptors.map(|descriptor| match descriptor {
        Some(descriptor) => PollFd::from_borrowed_fd(descriptor, PollFlags::IN),
        None => PollFd::from_borrowed_fd(fallback, PollFlags::empty()),
    });
    loop {
        match poll(&mut entries, None) {
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
