//! The kernel, as far as the agent needs more of it than safe libraries give: one of the two crates that may say `unsafe`.
//!
//! The agent opens sockets, narrows and locks them and hands them over: a packet socket that can only ever deliver DHCP
//! requests of one link ([`packet::open`]), and a UDP socket that keeps the kernel from answering a renewal with
//! port-unreachable ([`idle::open`]). What the responder does with them, and what it takes away from itself ([`isolate`]),
//! is in the other crate, `slash32-bare`, which needs neither std nor a C library.
//!
//! What the kernel cannot lock — the holder of a packet socket may bind it to another link — is denied by the responder's
//! own syscall filter, and has a test.
#![no_std]

pub mod capability;
pub mod clock;
pub mod descriptors;
pub mod echo;
mod filter;
pub mod idle;
pub mod memory;
pub mod packet;
pub mod peer;
pub mod process;
pub mod seqpacket;

pub use rustix::fd;
pub use rustix::io::Errno;
pub use slash32_bare::isolate;
/// What every call here returns: a value, or the kernel's error number.
pub type Result<T> = rustix::io::Result<T>;

/// The result of a libc call that says -1 and sets errno when it fails.
fn checked(result: libc::c_long) -> Result<usize> {
    if result < 0 {
        // SAFETY: a call without arguments that gives the address of this thread's errno.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: that address is always readable for this thread.
        return Err(Errno::from_raw_os_error(unsafe { *errno }));
    }
    Ok(result as usize)
}
