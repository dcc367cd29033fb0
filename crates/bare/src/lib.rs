//! The kernel as a responder sees it, without a C library and without std.
//!
//! A responder is one of thousands of its kind, so what each takes for itself counts: with glibc and std it was 164 KiB and
//! 200 system calls before it served. Here is what it needs instead: the calls themselves (`syscall`, every one of them an
//! instruction in one file), descriptors that close themselves ([`fd`]), its sockets ([`packet`], [`seqpacket`]), waiting
//! ([`wait`]), the clock ([`clock`]), words on its standard descriptors ([`say`]) and all that it takes away from itself
//! ([`isolate`]).
//!
//! [`program!`] makes a program of it that has nothing below itself but the kernel: an entry ([`start`]) that relocates the
//! program ([`relocate`]), the four functions that a compiler takes for granted ([`memory`]), an end for a panic ([`end`]).
//! A program with std may use everything but the macro, and the debug build of the responder does.
//!
//! There is no dependency but the kernel's numbers and structures (`linux-raw-sys`, made from its headers), and no feature:
//! cargo builds a crate with all the features that anything in the same build asks for, so a crate that has a feature `std`
//! (rustix, libc) has it whenever the agent is built too, and then no program without std can be linked with it.
#![no_std]

pub mod bpf;
pub mod clock;
pub mod end;
mod errno;
pub mod fd;
pub mod isolate;
pub mod memory;
mod message;
pub mod nothing;
pub mod packet;
mod place;
mod program;
pub mod relocate;
pub mod say;
pub mod seqpacket;
pub mod start;
mod syscall;
pub mod wait;

pub use errno::Errno;
pub use place::Place;

/// What every call here returns: a value, or the kernel's error number.
pub type Result<T> = core::result::Result<T, Errno>;
