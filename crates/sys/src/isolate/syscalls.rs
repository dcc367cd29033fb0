//! The calls that a responder may still make, each with its reason.

use crate::bpf::{Instruction, JUMP_EQUAL, LOAD_WORD, RETURN, jump, op};
use crate::{Result, checked};
use core::mem::offset_of;

/// Number, name and reason of each allowed call. Everything else fails with `EPERM`.
pub const ALLOWED: [(libc::c_long, &str, &str); 16] = [
    (
        libc::SYS_recvmsg,
        "recvmsg",
        "frames with their checksum state; messages of the agent with sockets",
    ),
    (
        libc::SYS_write,
        "write",
        "replies, messages to the agent, a last word on stderr: never with an address",
    ),
    (libc::SYS_poll, "poll", "the only place where it waits"),
    (libc::SYS_ppoll, "ppoll", "poll on architectures without it"),
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
        libc::SYS_restart_syscall,
        "restart_syscall",
        "the kernel goes on with a wait after SIGSTOP and SIGCONT",
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

const PROLOGUE: usize = 4;
const LENGTH: usize = PROLOGUE + ALLOWED.len() + 2;

/// Loads the filter; there is no way back.
///
/// Calls of another architecture end the process, since their numbers mean something else.
pub fn filter() -> Result<()> {
    let mut program = [op(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32); LENGTH];
    program[0] = op(LOAD_WORD, offset_of!(libc::seccomp_data, arch) as u32);
    program[1] = jump(JUMP_EQUAL, ARCHITECTURE, 1, 0);
    program[2] = op(RETURN, libc::SECCOMP_RET_KILL_PROCESS);
    program[3] = op(LOAD_WORD, offset_of!(libc::seccomp_data, nr) as u32);
    for (index, (number, _, _)) in ALLOWED.iter().enumerate() {
        // Jumps over the remaining comparisons and the refusal, to the last instruction.
        let ahead = (ALLOWED.len() - index) as u8;
        program[PROLOGUE + index] = jump(JUMP_EQUAL, *number as u32, ahead, 0);
    }
    program[LENGTH - 1] = op(RETURN, libc::SECCOMP_RET_ALLOW);
    load(&program)
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
