//! The table of descriptors of the agent, and of the one thread that has its own.

use crate::{Result, checked};
use rustix::fd::{AsRawFd, BorrowedFd};

/// Makes room for `count` descriptors in the process's table, at once.
///
/// Errors: `INVAL` or `MFILE` when `count` is above RLIMIT_NOFILE.
pub fn reserve(count: u32) -> Result<()> {
    let highest = i32::try_from(count.saturating_sub(1)).map_err(|_| crate::Errno::INVAL)?;
    rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), highest).map(drop)
}

/// Gives the calling thread a table of its own, in which there are the standard three and `kept`, and nothing else. From
/// here on a descriptor of another thread is none in this one, nor the other way round: the thread has to own, beside
/// `kept`, only what it opens itself.
///
/// Errors: `NOSYS` before Linux 5.9. Then the table is still everybody's.
pub fn own_table(kept: BorrowedFd<'_>) -> Result<()> {
    let kept = kept.as_raw_fd().unsigned_abs();
    // With this flag the other threads keep what is closed here (close_range(2)), and nothing that is to be closed is copied.
    close_range(kept + 1, u32::MAX, libc::CLOSE_RANGE_UNSHARE)?;
    if kept > 3 {
        close_range(3, kept - 1, 0)?;
    }
    Ok(())
}

fn close_range(first: u32, last: u32, flags: libc::c_uint) -> Result<()> {
    // SAFETY: only the table of this thread is changed, and its caller owns nothing there but what it keeps.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    checked(result).map(drop)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use rustix::fd::AsFd;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::thread;

    #[test]
    fn a_thread_with_its_own_table_has_what_it_keeps_and_others_lose_nothing() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let file = File::open("/dev/null").expect("a file");
        thread::scope(|scope| {
            let own = || {
                own_table(writer.as_fd()).expect("a table of its own");
                assert!(file.metadata().is_err(), "it has another's descriptor");
                (&writer).write_all(b"kept").expect("it is kept");
            };
            scope.spawn(own).join().expect("the thread");
        });
        let mut word = [0; 4];
        reader.read_exact(&mut word).expect("what it wrote");
        assert_eq!(&word, b"kept");
        assert!(file.metadata().is_ok(), "another thread lost a descriptor");
    }

    #[test]
    fn room_is_made_below_the_limit_only() {
        assert_eq!(reserve(512), Ok(()));
        assert_eq!(reserve(u32::MAX), Err(crate::Errno::INVAL));
    }
}
