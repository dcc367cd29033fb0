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
use frame::Datagram;
use message::Message;
use options::{MOST_JOINED, Options};
use request::Request;
use slash32_binding::{Ipv4Addr, MacAddr};

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
///
/// The binding lies last, as its own mostly empty end does in it.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Responder {
    /// What the binding has for a client that asks.
    offered: Codes,
    /// The first acknowledged `chaddr`: the only one that is served from then on, unless the binding names one.
    owner: Option<MacAddr>,
    binding: Binding,
}

impl Responder {
    /// One that has no binding yet, to be [changed](Self::change).
    pub const NONE: Self = Self {
        binding: Binding::new(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED),
        offered: Codes::of(&[]),
        owner: None,
    };

    /// A new generation: nobody was acknowledged yet.
    pub fn new(binding: Binding) -> Self {
        let mut responder = Self::NONE;
        responder.rebind(binding);
        responder
    }

    /// A changed binding in the same generation: the owner (first acknowledged `chaddr`) is kept.
    pub fn rebind(&mut self, binding: Binding) {
        self.change(|place| *place = binding);
    }

    /// The same, and the binding is changed where it lies: it is some KiB, which a small process need not hold twice.
    pub fn change(&mut self, change: impl FnOnce(&mut Binding)) {
        change(&mut self.binding);
        self.offered = reply_options::offered(&self.binding);
    }

    /// A new generation begins: nobody was acknowledged yet.
    pub fn forget_owner(&mut self) {
        self.owner = None;
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
        let options = Options::read(&message)?;
        if options.is_any_split() {
            self.answer_joined(&datagram, &message, options, out)
        } else {
            self.answer_message(&datagram, &message, &options, out)
        }
    }

    /// Apart from the others, because what joining takes on the stack would lie below them in every answer.
    #[inline(never)]
    fn answer_joined(
        &mut self,
        datagram: &Datagram<'_>,
        message: &Message<'_>,
        options: Options<'_>,
        out: &mut [u8],
    ) -> Result<Action, Reason> {
        let mut space = [0; MOST_JOINED];
        let options = options.joined(&mut space)?;
        self.answer_message(datagram, message, &options, out)
    }

    fn answer_message(
        &mut self,
        datagram: &Datagram<'_>,
        message: &Message<'_>,
        options: &Options<'_>,
        out: &mut [u8],
    ) -> Result<Action, Reason> {
        let request = Request::read(datagram, message, options)?;
        let outcome = match decide(&request, &self.binding, self.owner) {
            Decision::Answer(outcome) => outcome,
            Decision::Ignore(reason) => return Err(reason),
        };
        let length = if overlay::is_changed(&self.binding, options) {
            build_overlaid(outcome, message, options, &self.binding, out)
        } else {
            reply::build(outcome, message, options, &self.binding, self.offered, out)
        };
        let len = length.ok_or(Reason::ReplyTooLarge)?;
        // An all-zero chaddr (RFC 6842 §2) names nobody, so it cannot shut out the client that has one.
        if acknowledges(outcome) && request.chaddr != MacAddr::ZERO {
            self.owner.get_or_insert(request.chaddr);
        }
        Ok(Action::Reply { len, outcome })
    }
}

/// The reply for a client that gets a binding of its own, which is some KiB on the stack: apart from the others, as above.
#[inline(never)]
fn build_overlaid(
    outcome: Outcome,
    message: &Message<'_>,
    options: &Options<'_>,
    binding: &Binding,
    out: &mut [u8],
) -> Option<usize> {
    let binding = overlay::overlaid(binding, options);
    let offered = reply_options::offered(&binding);
    reply::build(outcome, message, options, &binding, offered, out)
}
