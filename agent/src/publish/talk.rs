//! How much the log says of one link: a link that flaps a hundred times a second must not fill the disk, nor hide what is said
//! of the others. `slash32 events` shows everything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// So many events of a link are logged in each [`WINDOW`]; a VM that boots causes half a dozen.
const LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// What was said of each link lately.
#[derive(Default)]
pub(super) struct Talk(BTreeMap<u32, Lately>);

struct Lately {
    since: Instant,
    lines: u32,
}

/// What the log is to say of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Say {
    It,
    /// It, and that the next ones are not logged.
    ItAtLast,
    Nothing,
}

impl Talk {
    /// An event of this link happens at `now`.
    pub(super) fn of(&mut self, ifindex: u32, now: Instant) -> Say {
        let fresh = || Lately {
            since: now,
            lines: 0,
        };
        let lately = self.0.entry(ifindex).or_insert_with(fresh);
        if now.duration_since(lately.since) >= WINDOW {
            *lately = fresh();
        }
        lately.lines = lately.lines.saturating_add(1);
        match lately.lines {
            0..LINES => Say::It,
            LINES => Say::ItAtLast,
            _ => Say::Nothing,
        }
    }

    /// The link is gone.
    pub(super) fn forget(&mut self, ifindex: u32) {
        self.0.remove(&ifindex);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_flaps_is_logged_a_little_in_each_window_and_others_as_ever() {
        let mut talk = Talk::default();
        let start = Instant::now();
        for window in 0..3 {
            let now = start + WINDOW * window;
            let said: Vec<_> = (0..1_000).map(|_| talk.of(1, now)).collect();
            let logged = said.iter().filter(|say| **say != Say::Nothing).count();
            assert_eq!(logged, LINES as usize);
            assert_eq!(said[logged - 1], Say::ItAtLast);
            assert_eq!(talk.of(2, now), Say::It);
        }
    }
}
