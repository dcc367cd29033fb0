//! The protocol core of slash32: a DHCPv4 server (RFC 2131, RFC 2132) for exactly one client, which gets a /32.
//!
//! One Ethernet frame goes in, at most one comes out: [`Responder::handle`]. There is no socket, no clock, no
//! allocation and no state but the [`Binding`] and the hardware address of the first client that was acknowledged.
//! What the client says never selects its address, its times or whether it is served: the link it is on is who it is, and
//! the binding is the record of what it has. So INIT-REBOOT and renewals are acknowledged after a restart, too. It selects
//! at most among the options that the operator wrote for clients that say so (the binding's overlays).
//!
//! The way of a frame, one module a step:
//!
//! 1. `frame`: Ethernet, IPv4 and UDP, every length and checksum.
//! 2. `message`, `options`: the BOOTP header, then the options with RFC 3396 fragments joined and `file` and `sname`
//!    searched where option 52 says so. Checked once; later reads cannot fail.
//! 3. `request`, `decide`: the few facts on which the kind of answer depends, and the one pure function over them.
//! 4. `overlay`: the binding as this client gets it, by what it says of itself.
//! 5. `reply`, `reply_options`, `writer`: the answer.
//!
//! Invariants, each with a test:
//!
//! - Every frame ends in exactly one [`Outcome`] or [`Reason`]. Within the crate a `Reason` travels as `Err`; a caller
//!   never sees one.
//! - The same binding, owner and frame give the same reply, byte for byte.
//! - A reply names no address but those of the binding, goes nowhere but to everybody or to the binding's address, and
//!   is never longer than the client (option 57), the MTU and `out` allow. An option is sent whole or not at all.
//! - Only the bytes of the reply are written to `out`.
//! - An ACK is for the binding's own address; a REQUEST that names no address never gets one, and an INFORM never gets a NAK.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(test)]
extern crate std;

mod checksum;
mod code;
mod decide;
mod fqdn_option;
mod frame;
mod glob;
mod message;
mod options;
mod overlay;
mod raw_option;
mod reply;
mod reply_options;
mod request;
mod route_option;
mod search_option;
mod times;
mod writer;

pub use frame::{MAX_FRAME, forget_udp_checksum};
pub use slash32_binding::{Binding, Instant, Outcome, Reason};

use code::Codes;
use decide::{Decision, decide};
use message::Message;
use options::{MOST_JOINED, Options};
use request::Request;
use slash32_binding::MacAddr;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// No reply, and why.
    Ignore(Reason),
    /// The reply stands in the first `len` bytes of `out`.
    Reply {
        /// The reply's length in bytes, 342 to [`MAX_FRAME`].
        len: usize,
        /// What it says.
        outcome: Outcome,
    },
}

impl Action {
    /// The reply acknowledges the address: see [`acknowledges`].
    pub const fn acknowledges(self) -> bool {
        matches!(self, Self::Reply { outcome, .. } if acknowledges(outcome))
    }
}

/// The outcome is an ACK that grants the address: of a REQUEST in any of its four states, or of a DISCOVER with rapid
/// commit, not of an INFORM.
pub const fn acknowledges(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::AckSelecting
            | Outcome::AckRapidCommit
            | Outcome::AckInitReboot
            | Outcome::AckRenewing
            | Outcome::AckRebinding
    )
}

/// Answers the one client of a link, for the life of one generation.
#[derive(Clone, Debug)]
pub struct Responder {
    binding: Binding,
    /// What the binding has for a client that asks.
    offered: Codes,
    /// The first acknowledged `chaddr`: the only one that is served from then on, unless the binding names one.
    owner: Option<MacAddr>,
}

impl Responder {
    /// A new generation: nobody was acknowledged yet.
    pub fn new(binding: Binding) -> Self {
        Self {
            binding,
            offered: reply_options::offered(&binding),
            owner: None,
        }
    }

    /// A changed binding in the same generation: the owner (first acknowledged `chaddr`) is kept.
    pub fn rebind(&mut self, binding: Binding) {
        self.binding = binding;
        self.offered = reply_options::offered(&binding);
    }

    /// The binding that is served.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Answers the Ethernet frame `frame`, without FCS and VLAN tag, into `out`.
    ///
    /// `now` is when the frame was read; no answer depends on it so far, because the lease that is granted is always the
    /// binding's whole lease time. An `out` of [`MAX_FRAME`] bytes is always long enough; in a shorter one optional
    /// options give way, and below 342 bytes every answer becomes `Ignore(ReplyTooLarge)`.
    pub fn handle(&mut self, now: Instant, frame: &[u8], out: &mut [u8]) -> Action {
        let _ = now;
        self.answer(frame, out).unwrap_or_else(Action::Ignore)
    }

    fn answer(&mut self, frame: &[u8], out: &mut [u8]) -> Result<Action, Reason> {
        let datagram = frame::read(frame, &self.binding)?;
        let message = Message::read(datagram.payload)?;
        let mut options = Options::read(&message)?;
        let mut space;
        if options.is_any_split() {
            space = [0; MOST_JOINED];
            options = options.joined(&mut space)?;
        }
        let request = Request::read(&datagram, &message, &options)?;
        let outcome = match decide(&request, &self.binding, self.owner) {
            Decision::Answer(outcome) => outcome,
            Decision::Ignore(reason) => return Err(reason),
        };
        // In a place of its own, because a binding is some KiB that most answers need not move.
        let mut overlaid = None;
        overlay::overlay(&self.binding, &options, &mut overlaid);
        let (binding, offered) = match &overlaid {
            Some(binding) => (binding, reply_options::offered(binding)),
            None => (&self.binding, self.offered),
        };
        let len = reply::build(outcome, &message, &options, binding, offered, out)
            .ok_or(Reason::ReplyTooLarge)?;
        // An all-zero chaddr (RFC 6842 §2) names nobody, so it cannot shut out the client that has one.
        if acknowledges(outcome) && request.chaddr != MacAddr::ZERO {
            self.owner.get_or_insert(request.chaddr);
        }
        Ok(Action::Reply { len, outcome })
    }
}
