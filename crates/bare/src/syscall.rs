//! A system call: the one instruction, and what it returns (syscall(2), "Architecture calling conventions").

use crate::{Errno, Result};
use core::arch::asm;

/// The kernel's answers from here up are error numbers, negated (`MAX_ERRNO` of linux/err.h).
const FIRST_ERROR: usize = 4095_usize.wrapping_neg();

/// Makes the system call `number`, a `__NR_*` of linux-raw-sys; what it does not take of `arguments` is 0.
///
/// # Safety
/// The call does to the memory and the descriptors that `arguments` name what its man page says: whoever makes it must have
/// the right to that.
#[inline]
pub(crate) unsafe fn call(number: u32, arguments: [usize; 6]) -> Result<usize> {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let result: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction changes no register but these, and the kernel does what the caller answers for.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as usize => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack, preserves_flags)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the instruction changes no register but x0, and the kernel does what the caller answers for.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number as usize,
            inlateout("x0") first => result,
            in("x1") second,
            in("x2") third,
            in("x3") fourth,
            in("x4") fifth,
            in("x5") sixth,
            options(nostack, preserves_flags)
        );
    }
    if result >= FIRST_ERROR {
        Err(Errno(result.wrapping_neg() as u32))
    } else {
        Ok(result)
    }
}

/// Makes a system call that takes numbers only, and does nothing to memory.
pub(crate) fn plain<const N: usize>(number: u32, arguments: [usize; N]) -> Result<usize> {
    const { assert!(N <= 6) };
    let mut all = [0; 6];
    let mut index = 0;
    while index < N {
        all[index] = arguments[index];
        index += 1;
    }
    // SAFETY: no argument is an address, as all callers say.
    unsafe { call(number, all) }
}
