//! Words on the standard output and the standard error: any, while the syscall filter is not there yet; afterwards a panic's, where
//! the standard error is a pipe.

use crate::Result;
use crate::fd::BorrowedFd;
use crate::syscall::call;
use core::fmt::{self, Write};
use linux_raw_sys::general::__NR_write;

/// The standard output.
pub const OUTPUT: BorrowedFd<'static> = BorrowedFd::standard(1);
/// The standard error.
pub const ERROR: BorrowedFd<'static> = BorrowedFd::standard(2);

/// No line is longer than this many bytes, its newline among them; what is behind is lost.
pub const LONGEST: usize = 512;

/// write(2), once. What it did not take is lost: a record and a frame are taken whole or not at all.
pub(crate) fn write(descriptor: BorrowedFd<'_>, bytes: &[u8]) -> Result<()> {
    let place = bytes.as_ptr().expose_provenance();
    // SAFETY: the bytes are readable for their length and outlive the call.
    unsafe {
        call(
            __NR_write,
            [descriptor.argument(), place, bytes.len(), 0, 0, 0],
        )
    }
    .map(drop)
}

/// Writes one line, in one write(2): so it is whole, whoever else writes there. Where nobody reads it is lost.
pub fn line(descriptor: BorrowedFd<'_>, words: fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; LONGEST],
        length: 0,
    };
    // What does not fit is cut off, and nothing else can fail.
    let _ = line.write_fmt(words);
    line.bytes[line.length] = b'\n';
    let _ = write(descriptor, &line.bytes[..=line.length]);
}

/// Writes a text of any length, with a newline at its end. Where nobody reads it is lost.
pub fn text(descriptor: BorrowedFd<'_>, text: &str) {
    let _ = write(descriptor, text.as_bytes());
    let _ = write(descriptor, b"\n");
}

/// One line, without its end.
struct Line {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LONGEST - 1 - self.length;
        let taken = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.length..self.length + taken.len()].copy_from_slice(taken);
        self.length += taken.len();
        Ok(())
    }
}
