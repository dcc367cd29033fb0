//! The boot-time clock: monotonic, counts suspended time, never stepped.

/// `CLOCK_BOOTTIME` in nanoseconds since boot.
pub fn boottime() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    (now.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec as u64)
}
