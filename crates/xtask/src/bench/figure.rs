//! Every figure of the bench, by case. Cases take readings of them, targets and plots look for them.

use super::report::{Figure, Unit};

const fn figure(case: char, name: &'static str, unit: Unit) -> Figure {
    Figure { case, name, unit }
}

/// From just before the start of one responder or daemon. The client asks each 0.5 ms.
pub(crate) const START: Figure = figure('a', "start to first OFFER", Unit::Milliseconds);
/// Through the running agent: from just before a veth becomes the port of a known bridge that is up.
pub(crate) const LINK_UP: Figure = figure('a', "link up to first OFFER", Unit::Milliseconds);
/// The same with a tap as the port, as QEMU has it.
pub(crate) const TAP_UP: Figure = figure('a', "tap up to first OFFER", Unit::Milliseconds);
/// What the kernel takes to start a static program and to say that it has ended.
pub(crate) const SPAWN: Figure =
    figure('a', "start and end of a static program", Unit::Microseconds);
/// RTM_NEWROUTE with its acknowledgement, one by one.
pub(crate) const ROUTE_ADD: Figure = figure('a', "one host route added", Unit::Microseconds);

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

/// slash32: every VM has its ACK, and its host route is in the kernel, as rtnetlink tells it, which can be late and is never
/// early. The others make no routes: the ACK. From the moment at
/// which the links come up, or at which the first process is started and the links are there. No reading where a VM was not
/// served within a minute.
pub(crate) const ALL_SERVED: Figure = figure('c', "every VM served", Unit::Seconds);
/// A VM is served as in [`ALL_SERVED`].
pub(crate) const VMS_SERVED: Figure = figure('c', "VMs served within a minute", Unit::Count);
pub(crate) const ANY_OFFER: Figure = figure('c', "first OFFER to any VM", Unit::Milliseconds);
/// All processes, those too that have ended, user and system, until all are served.
pub(crate) const CPU: Figure = figure('c', "processor time for that", Unit::Seconds);
pub(crate) const CPU_USER: Figure = figure('c', "of that: user", Unit::Seconds);
pub(crate) const CPU_SYSTEM: Figure = figure('c', "of that: system", Unit::Seconds);
/// Whatever ran meanwhile, kernel threads and strangers too, but not the clients.
pub(crate) const CPU_MACHINE: Figure = figure(
    'c',
    "processor time of the whole machine, without clients",
    Unit::Seconds,
);
/// All processes, user time alone, by the number of links.
pub(crate) const USER_CPU_PER_LINK: Figure = figure('c', "user time per link", Unit::Microseconds);

/// While all are served and nobody asks; the median of the processes.
pub(crate) const PSS: Figure = figure('d', "PSS of a responder or daemon", Unit::Kibibytes);
/// The median, too.
pub(crate) const PRIVATE: Figure = figure(
    'd',
    "private memory of a responder or daemon",
    Unit::Kibibytes,
);
/// The median, too.
pub(crate) const PAGE_TABLES: Figure =
    figure('d', "page tables of a responder or daemon", Unit::Kibibytes);
pub(crate) const PSS_OF_ALL: Figure =
    figure('d', "PSS of all responders or daemons", Unit::Kibibytes);
pub(crate) const AGENT_RSS: Figure = figure('d', "RSS of the agent", Unit::Kibibytes);
pub(crate) const AGENT_PSS: Figure = figure('d', "PSS of the agent", Unit::Kibibytes);
/// Over the links alone; the kernel's: what the links alone take.
pub(crate) const SLAB: Figure = figure('d', "kernel slabs per VM", Unit::Kibibytes);
/// The part that the kernel cannot give back.
pub(crate) const SLAB_UNRECLAIMABLE: Figure =
    figure('d', "kernel slabs per VM, not reclaimable", Unit::Kibibytes);
/// Where the memory controller is ours to use.
pub(crate) const CHARGED: Figure = figure('d', "charged to the cgroup, per VM", Unit::Kibibytes);

/// OFFERs to ten VMs while an eleventh sends nothing: p50, p99.
pub(crate) const QUIET: [Figure; 2] = [
    figure('e', "OFFER, no flood, p50", Unit::Microseconds),
    figure('e', "OFFER, no flood, p99", Unit::Microseconds),
];
/// While it sends 20,000 frames a second that no DHCP server sees.
pub(crate) const UNSEEN: [Figure; 2] = [
    figure('e', "OFFER, flood of other frames, p50", Unit::Microseconds),
    figure('e', "OFFER, flood of other frames, p99", Unit::Microseconds),
];
/// While it sends as many DISCOVERs.
pub(crate) const FLOODED: [Figure; 2] = [
    figure('e', "OFFER, flood of DISCOVERs, p50", Unit::Microseconds),
    figure('e', "OFFER, flood of DISCOVERs, p99", Unit::Microseconds),
];
/// While it sends as many that are malformed.
pub(crate) const MALFORMED: [Figure; 2] = [
    figure(
        'e',
        "OFFER, flood of malformed ones, p50",
        Unit::Microseconds,
    ),
    figure(
        'e',
        "OFFER, flood of malformed ones, p99",
        Unit::Microseconds,
    ),
];
pub(crate) const FLOODED_RATIO: Figure = figure(
    'e',
    "p99 with DISCOVERs against that with other frames",
    Unit::Ratio,
);
/// As they were really sent.
pub(crate) const FLOOD_RATE: Figure = figure('e', "DISCOVERs a second, least", Unit::Count);

/// How often all responders, or daemons, ran in 60 s without a frame. A shorter look is counted up to that.
pub(crate) const WAKE_UPS: Figure = figure('g', "wake-ups of all in 60 s", Unit::Count);
pub(crate) const IDLE_CPU: Figure =
    figure('g', "processor time of all in 60 s", Unit::Microseconds);
pub(crate) const AGENT_WAKE_UPS: Figure = figure('g', "wake-ups of the agent in 60 s", Unit::Count);
pub(crate) const AGENT_IDLE_CPU: Figure = figure(
    'g',
    "processor time of the agent in 60 s",
    Unit::Microseconds,
);

/// From the start of an agent whose predecessor was killed until it says that it is in charge of every link.
pub(crate) const IN_CHARGE: Figure = figure('h', "start to in charge again", Unit::Milliseconds);
/// Added or deleted, until every link is listed as bound again.
pub(crate) const ROUTES_TOUCHED: Figure = figure('h', "routes touched by that", Unit::Count);

/// The kernel's own times: RTM_DELLINK of the tap, RTM_DELROUTE, RTM_NEWROUTE.
pub(crate) const WITHDRAWN: Figure = figure('f', "tap gone to route gone, p50", Unit::Milliseconds);
pub(crate) const WITHDRAWN_P99: Figure =
    figure('f', "tap gone to route gone, p99", Unit::Milliseconds);
pub(crate) const GIVEN: Figure =
    figure('f', "tap gone to next VM's route, p50", Unit::Milliseconds);
pub(crate) const GIVEN_P99: Figure =
    figure('f', "tap gone to next VM's route, p99", Unit::Milliseconds);
