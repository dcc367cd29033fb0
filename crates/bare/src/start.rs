//! From the kernel to `main`: what lies on the stack when a program starts (System V ABI, "Process Initialization").

use crate::end;
use core::ffi::CStr;
use core::ffi::c_char;

/// The arguments, the program's own name not among them. One that is no UTF-8 ends them with a text that is no argument.
pub struct Arguments {
    next: *const *const c_char,
}

impl Iterator for Arguments {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        // SAFETY: the array ends with a null pointer, which is never passed.
        let argument = unsafe { self.next.read() };
        if argument.is_null() {
            return None;
        }
        // SAFETY: the null pointer has not come yet.
        self.next = unsafe { self.next.add(1) };
        // SAFETY: the kernel has put a string there, which nothing in the program writes to.
        let argument = unsafe { CStr::from_ptr(argument) };
        Some(argument.to_str().unwrap_or("\u{fffd}"))
    }
}

/// Runs `main` with the arguments that lie at `stack`, and ends the process with what it returns.
///
/// # Safety
/// `stack` is the stack pointer as the kernel has set it: the number of arguments is there, then a pointer to each, the
/// program's name first, then a null pointer.
pub unsafe fn begin(stack: *const usize, main: fn(Arguments) -> u8) -> ! {
    // SAFETY: as the caller says.
    let count = unsafe { stack.read() };
    // A program may be started without even a name: then the null pointer is there at once.
    // SAFETY: it lies behind the number, and is not passed.
    let next = unsafe { stack.add(1 + count.min(1)) }.cast();
    end::exit(main(Arguments { next }))
}
