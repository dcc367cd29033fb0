//! One VM's time on the link: its sockets, what it was told, and the ACK that waits for the host route.

use crate::serve::REPORT_INTERVAL;
use slash32_bare::fd::OwnedFd;
use slash32_binding::{Generation, Instant, Outcome};
use slash32_dhcp::MAX_FRAME;

/// A held ACK that is older than this is not sent any more: the client has asked again or given up.
const HELD_FOR: u64 = 10_000_000_000;
/// A frame that every link carries, in bytes: an Ethernet header and the IPv4 packet that every host takes (RFC 791).
pub(crate) const LEAST_ROOM: usize = 14 + 576;

pub(crate) struct Serving {
    pub(crate) number: Generation,
    pub(crate) packet: OwnedFd,
    /// Kept open so that the kernel never answers a renewal with port-unreachable.
    _idle: Option<OwnedFd>,
    pub(crate) confirmed: bool,
    /// When the agent was last asked to confirm it.
    pub(crate) claimed: Option<Instant>,
    /// The longest reply that the link is known to take, or not known not to, in bytes.
    pub(crate) room: usize,
    pub(crate) last_ack: Option<Instant>,
    /// Option 51 of that ACK.
    pub(crate) lease_time: u32,
    /// What that ACK told.
    pub(crate) told: u64,
    /// What the next one tells.
    pub(crate) tells: u64,
    pub(crate) released: bool,
    held: Option<Held>,
}

#[derive(Clone, Copy)]
struct Held {
    since: Instant,
    length: usize,
    outcome: Outcome,
}

impl Serving {
    /// `tells` is the digest of the binding.
    pub(crate) fn new(
        number: Generation,
        confirmed: bool,
        tells: u64,
        packet: OwnedFd,
        idle: Option<OwnedFd>,
    ) -> Self {
        Self {
            number,
            packet,
            _idle: idle,
            confirmed,
            claimed: None,
            room: MAX_FRAME,
            last_ack: None,
            lease_time: 0,
            told: 0,
            tells,
            released: false,
            held: None,
        }
    }

    /// A changed binding for the same VM. A changed address needs its own host route first.
    pub(crate) fn rebind(&mut self, confirmed: bool, tells: u64, same_address: bool) {
        if same_address {
            self.confirmed |= confirmed;
        } else {
            self.confirmed = confirmed;
            self.claimed = None;
            self.held = None;
            self.last_ack = None;
            self.lease_time = 0;
            self.told = 0;
        }
        self.tells = tells;
    }

    /// Fresh sockets for the same VM: its gateway is another one now.
    pub(crate) fn replace_sockets(&mut self, packet: OwnedFd, idle: Option<OwnedFd>) {
        self.packet = packet;
        self._idle = idle;
    }

    /// An ACK of this length is kept until the host route is there. True when one was waiting already and is now replaced.
    pub(crate) fn hold(&mut self, now: Instant, length: usize, outcome: Outcome) -> bool {
        self.held
            .replace(Held {
                since: now,
                length,
                outcome,
            })
            .is_some()
    }

    /// The agent was not asked to confirm it within the interval.
    pub(crate) fn may_claim(&self, now: Instant) -> bool {
        self.claimed
            .is_none_or(|then| now.nanoseconds_since(then) >= REPORT_INTERVAL)
    }

    pub(crate) fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// The length of the held ACK and what it says, when it is young enough to be of use.
    pub(crate) fn take_held(&mut self, now: Instant) -> Option<(usize, Outcome)> {
        let held = self.held.take()?;
        let young = now.nanoseconds_since(held.since) < HELD_FOR;
        young.then_some((held.length, held.outcome))
    }
}
