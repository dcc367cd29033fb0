//! Instructions of classic BPF, which filters both sockets and syscalls.

use linux_raw_sys::ptrace::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};

/// One instruction, `struct sock_filter` of linux/filter.h.
pub type Instruction = linux_raw_sys::ptrace::sock_filter;

/// An instruction that does not jump.
pub const fn op(code: u32, k: u32) -> Instruction {
    jump(code, k, 0, 0)
}

/// A conditional jump: `jt` instructions ahead when it holds, `jf` when not.
pub const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// Loads the 32 bits at the offset `k`.
pub const LOAD_WORD: u32 = BPF_LD | BPF_W | BPF_ABS;
/// Compares what was loaded with `k`.
pub const JUMP_EQUAL: u32 = BPF_JMP | BPF_JEQ | BPF_K;
/// Ends the program with `k`.
pub const RETURN: u32 = BPF_RET | BPF_K;
