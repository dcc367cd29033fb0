//! The allocator of a program that has none.
//!
//! A library may be able to allocate (`pnet_packet` is) and must then be linked with an allocator, even though nothing calls
//! it. This one calls a function that does not exist. The linker leaves out what nobody calls, so a program that allocates
//! nothing is linked, and one that does is not: the error names the function.

use core::alloc::{GlobalAlloc, Layout};

/// The allocator.
pub struct Nothing;

unsafe extern "C" {
    fn slash32_bare_has_no_allocator() -> !;
}

// SAFETY: memory is never given, and so never given twice.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        // SAFETY: it is not there to be called.
        unsafe { slash32_bare_has_no_allocator() }
    }

    /// Nobody has memory to give back; a compiler that does not see that keeps the call.
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
