//! Memory that was freed goes back to the kernel: glibc keeps it else, as a program that was busy once may be so again.

/// One arena for all threads, and blocks of 128 KiB and more mapped each by itself, however often such are freed (mallopt(3)).
/// To be called before there is a second thread.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_ARENA_MAX, 1),
        (libc::M_MMAP_THRESHOLD, 128 << 10),
        (libc::M_TRIM_THRESHOLD, 128 << 10),
    ] {
        // SAFETY: it sets a number of the allocator's; no pointer is involved, and no other thread is there.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Gives every free page of the heap back (malloc_trim(3)). Takes a time that grows with the heap: a millisecond or two for 16 MiB.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own locks, and touches only what is not in use.
    unsafe {
        libc::malloc_trim(0)
    };
}
