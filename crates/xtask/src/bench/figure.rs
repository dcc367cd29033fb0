//! Every figure of the bench, by case. Cases take readings of them, targets and plots look for them.

use super::report::{Figure, Unit};

const fn figure(case: char, name: &'static str, unit: Unit) -> Figure {
    Figure { case, name, unit }
}

/// From just before the start of one responder or daemon. The client asks each 0.5 ms.
pub(crate) const START: Figure = figure('a', "start to first OFFER", Unit::Milliseconds);
/// Through the running agent: from just before a veth becomes the port of a known bridge that is up.
pub(crate) const LINK_UP: Figure = figure('a', "link up to first OFFER", Unit::Milliseconds);

/// On a link that was never bound before: the route is claimed and installed before the ACK.
pub(crate) const FIRST_DORA: Figure = figure('b', "first DORA, p50", Unit::Microseconds);
pub(crate) const FIRST_DORA_P99: Figure = figure('b', "first DORA, p99", Unit::Microseconds);
/// Once more on the same link.
pub(crate) const DORA: Figure = figure('b', "repeated DORA, p50", Unit::Microseconds);
pub(crate) const DORA_P99: Figure = figure('b', "repeated DORA, p99", Unit::Microseconds);
/// A REQUEST in RENEWING, by unicast.
pub(crate) const RENEWAL: Figure = figure('b', "renewal, p50", Unit::Microseconds);
pub(crate) const RENEWAL_P99: Figure = figure('b', "renewal, p99", Unit::Microseconds);
/// One round trip of a frame on a link of the same kind, by two packet sockets.
pub(crate) const ECHO: Figure = figure('b', "raw echo, p50", Unit::Microseconds);
pub(crate) const ECHO_P99: Figure = figure('b', "raw echo, p99", Unit::Microseconds);

/// From "all links are there" to the last ACK; with slash32 every host route is there by then.
pub(crate) const ALL_SERVED: Figure = figure('c', "every VM has its ACK", Unit::Seconds);
/// All processes, user and system, until then.
pub(crate) const CPU: Figure = figure('c', "processor time for that", Unit::Seconds);
/// Agent and responders, user time alone, by the number of links.
pub(crate) const USER_CPU_PER_LINK: Figure = figure('c', "user time per link", Unit::Microseconds);

pub(crate) const PSS: Figure = figure('d', "PSS of a responder or daemon", Unit::Kibibytes);
pub(crate) const AGENT_RSS: Figure = figure('d', "RSS of the agent", Unit::Kibibytes);

/// How often all responders, or daemons, ran in 60 s without a frame.
pub(crate) const WAKE_UPS: Figure = figure('g', "wake-ups of all in 60 s", Unit::Count);
pub(crate) const AGENT_WAKE_UPS: Figure = figure('g', "wake-ups of the agent in 60 s", Unit::Count);

/// The kernel's own times: RTM_DELLINK of the tap, RTM_DELROUTE, RTM_NEWROUTE.
pub(crate) const WITHDRAWN: Figure = figure('f', "tap gone to route gone, p50", Unit::Milliseconds);
pub(crate) const WITHDRAWN_P99: Figure =
    figure('f', "tap gone to route gone, p99", Unit::Milliseconds);
pub(crate) const GIVEN: Figure =
    figure('f', "tap gone to next VM's route, p50", Unit::Milliseconds);
pub(crate) const GIVEN_P99: Figure =
    figure('f', "tap gone to next VM's route, p99", Unit::Milliseconds);
