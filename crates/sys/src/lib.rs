//! The kernel, as far as slash32 needs more of it than safe libraries give: the one crate that may say `unsafe`.
//!
//! Two halves. The **agent's** (feature `agent`) opens sockets, narrows and locks them and hands them over: a packet socket
//! that can only ever deliver DHCP requests of one link ([`packet::open`]), and a UDP socket that keeps the kernel from
//! answering a renewal with port-unreachable ([`idle::open`]). The **responder's** half reads and writes what it was given
//! and takes everything else away from itself ([`isolate`]); it needs neither std nor an allocator.
//!
//! What the kernel cannot lock — the holder of a packet socket may bind it to another link — is denied by the responder's
//! own syscall filter, and has a test.
#![no_std]

mod bpf;
#[cfg(feature = "agent")]
pub mod capability;
pub mod clock;
#[cfg(feature = "agent")]
pub mod echo;
#[cfg(feature = "agent")]
mod filter;
#[cfg(feature = "agent")]
pub mod idle;
pub mod isolate;
#[cfg(feature = "agent")]
pub mod memory;
pub mod packet;
#[cfg(feature = "agent")]
pub mod peer;
#[cfg(feature = "agent")]
pub mod process;
pub mod seqpacket;
pub mod wait;

pub use rustix::fd;
pub use rustix::io::Errno;
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
