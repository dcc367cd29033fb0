//! The calls that a responder may still make, each with its reason.
//!
//! What is not in the table fails with `EPERM` instead of ending the process: a C library that tries something new at an
//! exit or a fault must not cost a VM its DHCP.

use crate::bpf::{Instruction, JUMP_EQUAL, LOAD_WORD, RETURN, jump, op};
use crate::{Result, checked};
use core::mem::offset_of;

/// Number, name and reason of each allowed call. Everything else fails with `EPERM`; so does a write to the standard output
/// or the standard error.
pub const ALLOWED: [(libc::c_long, &str, &str); 14] = [
    (
        libc::SYS_recvmsg,
        "recvmsg",
        "frames with their checksum state; messages of the agent with sockets",
    ),
    (
        libc::SYS_write,
        "write",
        "replies and messages to the agent: never with an address",
    ),
    (libc::SYS_ppoll, "ppoll", "the only place where it waits"),
    (
        libc::SYS_accept4,
        "accept4",
        "a new agent connects to standard input",
    ),
    (
        libc::SYS_close,
        "close",
        "sockets of a generation that is over, a connection that ended",
    ),
    (
        libc::SYS_clock_gettime,
        "clock_gettime",
        "where the vDSO does not answer it",
    ),
    (
        libc::SYS_rt_sigreturn,
        "rt_sigreturn",
        "returns from a signal handler",
    ),
    (
        libc::SYS_rt_sigaction,
        "rt_sigaction",
        "the standard library puts handlers back on a fault and at exit",
    ),
    (
        libc::SYS_rt_sigprocmask,
        "rt_sigprocmask",
        "abort blocks signals first",
    ),
    (
        libc::SYS_sigaltstack,
        "sigaltstack",
        "the standard library frees its signal stack at exit",
    ),
    (libc::SYS_munmap, "munmap", "the same stack"),
    (libc::SYS_getpid, "getpid", "abort names its own process"),
    (libc::SYS_gettid, "gettid", "abort names its own thread"),
    (libc::SYS_exit_group, "exit_group", "the end"),
];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// What is written there ends up in somebody's log or terminal, in the agent's name: a responder that a guest has taken over
/// could forge lines in it, or flood it.
const SPOKEN_ALOUD: [u32; 2] = [libc::STDOUT_FILENO as u32, libc::STDERR_FILENO as u32];

const PROLOGUE: usize = 4;
/// The refusal stands between the comparisons and what becomes of a write; all jumps go forward.
const REFUSAL: usize = PROLOGUE + ALLOWED.len();
const WRITE: usize = REFUSAL + 1;
const ALLOW: usize = WRITE + 1 + SPOKEN_ALOUD.len();
const LENGTH: usize = ALLOW + 2;

/// How far a jump at `from` goes to come to `to`.
const fn ahead(from: usize, to: usize) -> u8 {
    (to - from - 1) as u8
}

const fn program() -> [Instruction; LENGTH] {
    let refuse = op(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    // Its first and its last use are the ones that nothing below replaces.
    let mut program = [refuse; LENGTH];
    program[0] = op(LOAD_WORD, offset_of!(libc::seccomp_data, arch) as u32);
    program[1] = jump(JUMP_EQUAL, ARCHITECTURE, 1, 0);
    program[2] = op(RETURN, libc::SECCOMP_RET_KILL_PROCESS);
    program[3] = op(LOAD_WORD, offset_of!(libc::seccomp_data, nr) as u32);
    let mut index = 0;
    while index < ALLOWED.len() {
        let (here, number) = (PROLOGUE + index, ALLOWED[index].0);
        let to = if number == libc::SYS_write {
            WRITE
        } else {
            ALLOW
        };
        program[here] = jump(JUMP_EQUAL, number as u32, ahead(here, to), 0);
        index += 1;
    }
    // The kernel takes a descriptor to be 32 bits wide, whatever the register holds above; these are the low ones.
    program[WRITE] = op(LOAD_WORD, offset_of!(libc::seccomp_data, args) as u32);
    let mut index = 0;
    while index < SPOKEN_ALOUD.len() {
        let here = WRITE + 1 + index;
        program[here] = jump(JUMP_EQUAL, SPOKEN_ALOUD[index], ahead(here, ALLOW + 1), 0);
        index += 1;
    }
    program[ALLOW] = op(RETURN, libc::SECCOMP_RET_ALLOW);
    program
}

/// Loads the filter; there is no way back.
///
/// Calls of another architecture end the process, since their numbers mean something else.
pub fn filter() -> Result<()> {
    const PROGRAM: [Instruction; LENGTH] = program();
    load(&PROGRAM)
}

fn load(program: &[Instruction]) -> Result<()> {
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the program outlives the call, which copies it and does not write to it.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    checked(result.into()).map(drop)
}
