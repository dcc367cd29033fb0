/// Makes the crate's executable a program without std and without a C library, with this `fn(start::Arguments) -> u8` as its
/// main function: its arguments, and its exit code. The crate says `#![no_std]` and `#![no_main]`, and is linked with
/// `-nostartfiles -nostdlib -static-pie`.
///
/// It is a macro because what it defines may be there once in a program, and not at all in one that has std.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        /// Where the kernel begins. It makes the stack as the ABI wants it, relocates the program, and calls
        /// [`begin`] with what the stack pointer was.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        unsafe extern "C" fn _start() -> ! {
            #[cfg(target_arch = "x86_64")]
            ::core::arch::naked_asm!(
                ".hidden __ehdr_start",
                "xor ebp, ebp",
                "mov rbx, rsp",
                "and rsp, -16",
                "lea rdi, [rip + __ehdr_start]",
                "call {relocate}",
                "mov rdi, rbx",
                "call {begin}",
                "ud2",
                relocate = sym $crate::relocate::relocate,
                begin = sym begin,
            );
            #[cfg(target_arch = "aarch64")]
            ::core::arch::naked_asm!(
                ".hidden __ehdr_start",
                "mov x29, xzr",
                "mov x30, xzr",
                "mov x19, sp",
                "adrp x0, __ehdr_start",
                "add x0, x0, :lo12:__ehdr_start",
                "bl {relocate}",
                "mov x0, x19",
                "bl {begin}",
                "brk 1",
                relocate = sym $crate::relocate::relocate,
                begin = sym begin,
            );
        }

        unsafe extern "C" fn begin(stack: *const usize) -> ! {
            // SAFETY: `_start` has kept the stack pointer that the kernel has set.
            unsafe { $crate::start::begin(stack, $main) }
        }

        #[global_allocator]
        static NOTHING: $crate::nothing::Nothing = $crate::nothing::Nothing;

        #[panic_handler]
        fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::end::panic(info)
        }

        /// What an unwinder would ask at each call. There is none, but the core library is built for one, and names it.
        #[unsafe(no_mangle)]
        extern "C" fn rust_eh_personality() {}

        #[unsafe(no_mangle)]
        unsafe extern "C" fn strlen(text: *const u8) -> usize {
            // SAFETY: the same contract.
            unsafe { $crate::memory::length(text) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
            // SAFETY: the same contract.
            unsafe { $crate::memory::copy(to, from, length) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
            // SAFETY: the same contract.
            unsafe { $crate::memory::shift(to, from, length) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
            // SAFETY: the same contract.
            unsafe { $crate::memory::fill(to, value as u8, length) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
            // SAFETY: the same contract.
            unsafe { $crate::memory::compare(left, right, length) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
            // SAFETY: the same contract.
            unsafe { $crate::memory::compare(left, right, length) }
        }
    };
}
