//! A VM that arrives by live migration: what its host route waits for.
//!
//! libvirt makes the VM's tap, with carrier, some 0.5 s before the guest runs here, and takes the one at the host that it
//! comes from away some 0.2 s after. A host route before the guest runs would take its traffic from where it still runs. So
//! the route waits for the guest's first frame; then, as long as another host still announces the address, for that to end,
//! so that it is never in two places. Not for ever: a host that died in the middle withdraws nothing.

use crate::presence::Stay;
use std::time::Duration;
use tokio::time::Instant;

/// How long after the guest's first frame the route waits for the host that it comes from.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of a VM on its way, in one stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Arrival {
    /// When the guest was first seen to run here.
    pub(crate) first_frame: Option<Instant>,
    /// How many frames its tap had received before it, once that is known.
    received: Option<u64>,
}

/// What a host route waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    /// The guest does not run here yet.
    FirstFrame,
    /// It does, and another host still announces its address. At that time it is over whatever that does.
    OtherHost { until: Instant },
}

impl Hold {
    /// The reason in the link's row.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::FirstFrame => "arrives by migration: the route waits for its first frame",
            Self::OtherHost { .. } => {
                "arrives by migration: the route waits for the host that it comes from"
            }
        }
    }
}

impl Arrival {
    /// What holds the route; `None`: it is to be there. `announced`: another host announces the address now.
    pub(crate) fn hold(self, announced: bool, now: Instant) -> Option<Hold> {
        let Some(first_frame) = self.first_frame else {
            return Some(Hold::FirstFrame);
        };
        let until = first_frame + PATIENCE;
        (announced && now < until).then_some(Hold::OtherHost { until })
    }

    /// Takes in how many frames the VM's tap has received by now. True when one of them came since the VM is on its way.
    ///
    /// A tap that had its carrier once was made for this VM, so each frame is the VM's, and also one that came while the
    /// agent was away. Of one that was used before, only those count that come after the first look.
    pub(crate) fn has_received(&mut self, stay: Stay, frames: u64) -> bool {
        let is_new = stay.carrier_ups <= 1;
        let before = self.received.get_or_insert(if is_new { 0 } else { frames });
        frames > *before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_waits_for_the_first_frame_and_then_a_while_for_the_other_host() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let other_host = Some(Hold::OtherHost { until: at(2_000) });
        let first_frame = Some(Hold::FirstFrame);
        // The first frame was seen, another host announces the address, what is the time: what holds the route?
        for (seen, announced, now, held) in [
            (None, false, 0, first_frame),
            (None, true, 0, first_frame),
            (None, false, 60_000, first_frame),
            (None, true, 60_000, first_frame),
            (Some(0), false, 0, None),
            (Some(0), true, 0, other_host),
            (Some(0), true, 1_999, other_host),
            (Some(0), false, 1_999, None),
            (Some(0), true, 2_000, None),
            (Some(0), true, 60_000, None),
        ] {
            let arrival = Arrival {
                first_frame: seen.map(at),
                received: None,
            };
            assert_eq!(
                arrival.hold(announced, at(now)),
                held,
                "{seen:?} {announced} {now}"
            );
        }
    }

    #[test]
    fn a_frame_on_a_tap_counts_when_it_can_only_be_this_vms() {
        // How often the tap had a carrier, and what it had received at each look: whether that tells of the VM.
        for (carrier_ups, looks, told) in [
            (0, &[0, 0, 1][..], &[false, false, true][..]),
            (1, &[7], &[true]),
            (2, &[7, 7, 8, 9], &[false, false, true, true]),
            (5, &[0, 1], &[false, true]),
        ] {
            let mut arrival = Arrival::default();
            let stay = Stay {
                port: 3,
                carrier_ups,
            };
            let seen: Vec<_> = looks
                .iter()
                .map(|frames| arrival.has_received(stay, *frames))
                .collect();
            assert_eq!(seen, told, "{carrier_ups} {looks:?}");
        }
    }
}
