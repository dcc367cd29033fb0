//! Now, on two clocks. What has to last is counted by the boot-time clock, which nobody steps; what is shown or kept beyond a
//! boot is told by the wall clock, as it stands when it is told.

use jiff::{SignedDuration, Timestamp};
use slash32_binding::Instant;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) boot: Instant,
    pub(crate) wall: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self {
            boot: Instant(slash32_sys::clock::boottime()),
            wall: Timestamp::now(),
        }
    }

    /// The boot-time clock, `age` nanoseconds ago; its zero when that was before the boot.
    pub(crate) fn ago(self, age: u64) -> Instant {
        Instant(self.boot.0.saturating_sub(age))
    }

    /// What the wall clock of this moment calls `then`.
    pub(crate) fn told(self, then: Instant) -> Timestamp {
        let distance = i128::from(then.0) - i128::from(self.boot.0);
        // Less than 600 years away, as nanoseconds in 64 bits are.
        self.wall + SignedDuration::from_nanos_i128(distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_stepped_moves_what_is_told_and_not_what_lasts() {
        let then = Instant(100_000_000_000);
        let boot = Instant(160_000_000_000);
        for wall in [1_800_000_000, 1_800_003_600] {
            let wall = Timestamp::from_second(wall).unwrap();
            let now = Moment { boot, wall };
            assert_eq!(now.told(then), wall - SignedDuration::from_secs(60));
            assert_eq!(now.ago(60_000_000_000), then);
        }
    }
}
