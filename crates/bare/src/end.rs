//! The end of a program: as it wants it, or by a panic.

use crate::say;
use crate::syscall::plain;
use core::panic::PanicInfo;
use linux_raw_sys::general::__NR_exit_group;

/// The exit code of a panic: that which a shell gives a program which SIGABRT has ended.
const ABORTED: u8 = 134;

/// Ends the process with this exit code.
pub fn exit(code: u8) -> ! {
    loop {
        // It does not return.
        let _ = plain(__NR_exit_group, [code.into()]);
    }
}

/// Says what the panic was in one line, `panicked at FILE:LINE:COLUMN: MESSAGE`, and ends the process. Once the syscall
/// filter is there, nobody hears it but where the filter leaves it the standard error.
///
/// There is no signal: the filter denies every one, and an instruction that brings one would be in the kernel's log, at the
/// rate of a guest.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    let message = info.message();
    match info.location() {
        Some(at) => say::line(say::ERROR, format_args!("panicked at {at}: {message}")),
        None => say::line(say::ERROR, format_args!("panicked: {message}")),
    }
    exit(ABORTED)
}
