//! Waiting for descriptors.

use crate::fd::BorrowedFd;
use crate::syscall::call;
use crate::{Errno, Result, clock};
use linux_raw_sys::general::{__NR_ppoll, __kernel_timespec, POLLIN, pollfd};

/// Waits until one of the descriptors can be read or has an error, and says which; or until `deadline`, in nanoseconds of
/// the [boot-time clock](clock::boottime), is over, and says none. Without a deadline it waits for as long as it takes.
///
/// Errors: those of ppoll(2); an interrupted wait is started again.
pub fn readable<const N: usize>(
    descriptors: [Option<BorrowedFd<'_>>; N],
    deadline: Option<u64>,
) -> Result<[bool; N]> {
    let mut entries = descriptors.map(|descriptor| pollfd {
        // ppoll(2) passes over an entry with a negative number.
        fd: descriptor.map_or(-1, |descriptor| descriptor.argument() as i32),
        events: POLLIN as i16,
        revents: 0,
    });
    loop {
        let left = deadline.map(|deadline| timespec(deadline.saturating_sub(clock::boottime())));
        let left = left
            .as_ref()
            .map_or(0, |left| core::ptr::from_ref(left).expose_provenance());
        let places = entries.as_mut_ptr().expose_provenance();
        // SAFETY: the N entries are writable, `left` is readable or null, and both outlive the call; no signal mask is given.
        match unsafe { call(__NR_ppoll, [places, N, left, 0, 0, 0]) } {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries.map(|entry| entry.revents != 0))
}

fn timespec(nanoseconds: u64) -> __kernel_timespec {
    const SECOND: u64 = 1_000_000_000;
    __kernel_timespec {
        tv_sec: (nanoseconds / SECOND) as i64,
        tv_nsec: (nanoseconds % SECOND) as i64,
    }
}
