use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read as read_fd};
use std::time::Instant;

/// What came on the standard input.
pub(super) struct Input {
    /// Empty when it was too much.
    pub(super) bytes: Vec<u8>,
    pub(super) end: End,
}

/// Where reading ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// At its end; or it cannot be read at all.
    Reached,
    /// At the deadline.
    Late,
    /// At its end, beyond what is kept.
    Beyond,
}

/// Reads the standard input to its end, which libvirt makes, or to the `deadline`. More than `most` bytes are not kept.
pub(super) fn read(deadline: Instant, most: usize) -> Input {
    let stdin = std::io::stdin();
    let mut bytes = Vec::new();
    let mut buffer = [0; 1 << 16];
    let mut is_beyond = false;
    let late = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
        let timeout = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut wanted, Some(&timeout)) {
            Err(Errno::INTR) => continue,
            Ok(0) => break true,
            _ => {}
        }
        match read_fd(&stdin, &mut buffer) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(0) | Err(_) => break false,
            Ok(length) => {
                is_beyond |= bytes.len() + length > most;
                if is_beyond {
                    bytes = Vec::new();
                } else {
                    bytes.extend_from_slice(&buffer[..length]);
                }
            }
        }
    };
    let end = match (is_beyond, late) {
        (true, _) => End::Beyond,
        (false, true) => End::Late,
        (false, false) => End::Reached,
    };
    Input { bytes, end }
}
