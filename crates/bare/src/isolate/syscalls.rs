//! The calls that a responder may still make, each with its reason.
//!
//! What is not in the table fails with `EPERM` instead of ending the process: what a fault or an exit tries then must not
//! cost a VM its DHCP.

use crate::Result;
use crate::bpf::{Instruction, JUMP_EQUAL, LOAD_WORD, RETURN, jump, op};
use crate::syscall::call;
use core::mem::{MaybeUninit, offset_of};
use linux_raw_sys::general::{
    __NR_accept4, __NR_clock_gettime, __NR_close, __NR_exit_group, __NR_fstat, __NR_getpid,
    __NR_gettid, __NR_munmap, __NR_ppoll, __NR_prctl, __NR_recvmsg, __NR_rt_sigaction,
    __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_sigaltstack, __NR_write, S_IFIFO, S_IFMT, stat,
};
use linux_raw_sys::prctl::PR_SET_SECCOMP;
use linux_raw_sys::ptrace::{
    SECCOMP_MODE_FILTER, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, sock_fprog,
};

/// Number, name and reason of an allowed call.
pub type Allowed = (i64, &'static str, &'static str);

/// What the responder that ships may call. Everything else fails with `EPERM`; so does a write to the standard output, and one
/// to the standard error when that is no pipe.
pub const ALLOWED: [Allowed; 7] = [
    (
        __NR_recvmsg as i64,
        "recvmsg",
        "frames with their checksum state; messages of the agent with sockets",
    ),
    (
        __NR_write as i64,
        "write",
        "replies and messages to the agent: never with an address",
    ),
    (__NR_ppoll as i64, "ppoll", "the only place where it waits"),
    (
        __NR_accept4 as i64,
        "accept4",
        "a new agent connects to standard input",
    ),
    (
        __NR_close as i64,
        "close",
        "sockets of a generation that is over, a connection that ended",
    ),
    (
        __NR_clock_gettime as i64,
        "clock_gettime",
        "when a frame came, and how long to wait",
    ),
    (__NR_exit_group as i64, "exit_group", "the end"),
];

/// What one that was built with std (for debugging) may call besides.
pub const ALLOWED_WITH_STD: [Allowed; 7] = [
    (
        __NR_rt_sigreturn as i64,
        "rt_sigreturn",
        "returns from a signal handler",
    ),
    (
        __NR_rt_sigaction as i64,
        "rt_sigaction",
        "the standard library puts handlers back on a fault and at exit",
    ),
    (
        __NR_rt_sigprocmask as i64,
        "rt_sigprocmask",
        "abort blocks signals first",
    ),
    (
        __NR_sigaltstack as i64,
        "sigaltstack",
        "the standard library frees its signal stack at exit",
    ),
    (__NR_munmap as i64, "munmap", "the same stack"),
    (__NR_getpid as i64, "getpid", "abort names its own process"),
    (__NR_gettid as i64, "gettid", "abort names its own thread"),
];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// What is written there ends up in somebody's log or terminal, in the agent's name: a responder that a guest has taken over
/// could forge lines in it, or flood it.
const SPOKEN_ALOUD: [u32; 2] = [1, STANDARD_ERROR];
/// The same when the standard error is a pipe: its reader takes a bounded part of it, once, for what it is.
const SPOKEN_TO_A_READER: [u32; 2] = [1; 2];
const STANDARD_ERROR: u32 = 2;

/// `struct seccomp_data` of linux/seccomp.h: what a filter sees of a call.
#[repr(C)]
struct Call {
    number: i32,
    architecture: u32,
    instruction_pointer: u64,
    arguments: [u64; 6],
}

const PROLOGUE: usize = 4;

/// The number of instructions for a table of so many calls.
const fn length(calls: usize) -> usize {
    PROLOGUE + calls + SPOKEN_ALOUD.len() + 4
}

/// How far a jump at `from` goes to come to `to`.
const fn ahead(from: usize, to: usize) -> u8 {
    (to - from - 1) as u8
}

/// The program for the calls of both tables; `LENGTH` is its [`length`]. A write to the descriptors of `silent` is refused.
const fn program<const LENGTH: usize>(
    table: &[Allowed],
    besides: &[Allowed],
    silent: [u32; 2],
) -> [Instruction; LENGTH] {
    let calls = table.len() + besides.len();
    // The refusal stands between the comparisons and what becomes of a write; all jumps go forward.
    let write = PROLOGUE + calls + 1;
    let allow = write + 1 + SPOKEN_ALOUD.len();
    assert!(LENGTH == length(calls) && LENGTH == allow + 2);
    let refuse = op(RETURN, SECCOMP_RET_ERRNO | linux_raw_sys::errno::EPERM);
    // Its first and its last use are the ones that nothing below replaces.
    let mut program = [refuse; LENGTH];
    program[0] = op(LOAD_WORD, offset_of!(Call, architecture) as u32);
    program[1] = jump(JUMP_EQUAL, ARCHITECTURE, 1, 0);
    program[2] = op(RETURN, SECCOMP_RET_KILL_PROCESS);
    program[3] = op(LOAD_WORD, offset_of!(Call, number) as u32);
    let mut index = 0;
    while index < calls {
        let here = PROLOGUE + index;
        let number = if index < table.len() {
            table[index].0
        } else {
            besides[index - table.len()].0
        } as u32;
        let to = if number == __NR_write { write } else { allow };
        program[here] = jump(JUMP_EQUAL, number, ahead(here, to), 0);
        index += 1;
    }
    // The kernel takes a descriptor to be 32 bits wide, whatever the register holds above; these are the low ones.
    program[write] = op(LOAD_WORD, offset_of!(Call, arguments) as u32);
    let mut index = 0;
    while index < silent.len() {
        let here = write + 1 + index;
        program[here] = jump(JUMP_EQUAL, silent[index], ahead(here, allow + 1), 0);
        index += 1;
    }
    program[allow] = op(RETURN, SECCOMP_RET_ALLOW);
    program
}

/// Loads the filter; there is no way back. `with_std` says whether this program has std, which needs some calls more. What the
/// standard error is now decides whether it may be written to: nothing that is allowed makes another file of a descriptor
/// that is open.
///
/// Calls of another architecture end the process, since their numbers mean something else.
pub fn filter(with_std: bool) -> Result<()> {
    const BARE: usize = length(ALLOWED.len());
    const WITH_STD: usize = length(ALLOWED.len() + ALLOWED_WITH_STD.len());
    static QUIET: [Instruction; BARE] = program(&ALLOWED, &[], SPOKEN_ALOUD);
    static WITH_READER: [Instruction; BARE] = program(&ALLOWED, &[], SPOKEN_TO_A_READER);
    static QUIET_WITH_STD: [Instruction; WITH_STD] =
        program(&ALLOWED, &ALLOWED_WITH_STD, SPOKEN_ALOUD);
    static WITH_READER_AND_STD: [Instruction; WITH_STD] =
        program(&ALLOWED, &ALLOWED_WITH_STD, SPOKEN_TO_A_READER);
    load(match (with_std, is_pipe(STANDARD_ERROR)) {
        (false, false) => &QUIET,
        (false, true) => &WITH_READER,
        (true, false) => &QUIET_WITH_STD,
        (true, true) => &WITH_READER_AND_STD,
    })
}

/// One that is closed is none.
fn is_pipe(descriptor: u32) -> bool {
    // SAFETY: all-zero bytes are a valid stat.
    let mut found: stat = unsafe { MaybeUninit::zeroed().assume_init() };
    let place = (&raw mut found).expose_provenance();
    // SAFETY: `found` is writable for one; a descriptor that is not open is an error.
    let result = unsafe { call(__NR_fstat, [descriptor as usize, place, 0, 0, 0, 0]) };
    result.is_ok() && found.st_mode & S_IFMT == S_IFIFO
}

fn load(program: &[Instruction]) -> Result<()> {
    let program = sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    let arguments = [
        PR_SET_SECCOMP as usize,
        SECCOMP_MODE_FILTER as usize,
        (&raw const program).expose_provenance(),
        0,
        0,
        0,
    ];
    // SAFETY: the program outlives the call, which copies it and does not write to it.
    unsafe { call(__NR_prctl, arguments) }.map(drop)
}
