//! Building a reply: how long it may be, what its header says, and where it goes (RFC 2131 §4.1, §4.3.1).

use crate::code::{self, Codes};
use crate::frame::{self, Addressing, ETHERNET_HEADER, MAX_PACKET, MESSAGE_OFFSET};
use crate::message::{HEADER, MINIMUM, Message, Reply};
use crate::options::Options;
use crate::reply_options;
use slash32_binding::{Binding, Ipv4Addr, MacAddr, Outcome};

/// The IP packet that every client can take, in bytes (RFC 2131 §2, RFC 2132 §9.10).
const LEAST_PACKET: usize = 576;

/// Writes the reply with this `outcome` as a frame into `out`. Returns the frame's length; `None` when `out` is too short
/// for the least reply, and then nothing was written. `offered` is what [`reply_options::offered`] says of the binding.
pub(crate) fn build(
    outcome: Outcome,
    request: &Message,
    options: &Options,
    binding: &Binding,
    offered: Codes,
    out: &mut [u8],
) -> Option<usize> {
    let limit = out
        .len()
        .min(ETHERNET_HEADER + largest_packet(options, binding));
    let message = out
        .get_mut(MESSAGE_OFFSET..limit)
        .filter(|message| message.len() >= MINIMUM)?;
    let (header, field) = message.split_first_chunk_mut::<HEADER>()?;

    let options_length = reply_options::write(field, outcome, options, binding, offered)?;
    if let Some(padding) = field.get_mut(options_length..MINIMUM - HEADER) {
        padding.fill(code::PAD);
    }
    let delivery = Delivery::of(outcome, request, binding);
    contents(outcome, request, binding).write(request, header);

    let length = (HEADER + options_length).max(MINIMUM);
    frame::write(out, delivery.addressing(request, binding), length)
}

/// The largest IP packet that this client takes on this link, in bytes: option 57, or 576 without it, and no more than the MTU.
fn largest_packet(options: &Options, binding: &Binding) -> usize {
    let asked = options
        .array(code::MAXIMUM_SIZE)
        .map_or(0, u16::from_be_bytes);
    usize::from(asked.min(binding.mtu)).clamp(LEAST_PACKET, MAX_PACKET)
}

/// The header fields of the reply.
fn contents<'b>(outcome: Outcome, request: &Message, binding: &'b Binding) -> Reply<'b> {
    let none = Ipv4Addr::UNSPECIFIED;
    let refused = Reply {
        ciaddr: none,
        yiaddr: none,
        siaddr: none,
        sname: &[],
        file: &[],
    };
    if is_refusal(outcome) {
        return refused;
    }
    Reply {
        // Copied when it is ours: no other address is ever named, and a DISCOVER has none, whatever it says.
        ciaddr: if !answers_discover(outcome) && request.ciaddr() == binding.address {
            binding.address
        } else {
            none
        },
        yiaddr: if outcome == Outcome::AckInform {
            none
        } else {
            binding.address
        },
        siaddr: binding.next_server,
        sname: binding.server_name.as_bytes(),
        file: binding.boot_file.as_bytes(),
    }
}

/// How a reply reaches the client (RFC 2131 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// To everybody on the link.
    Broadcast,
    /// To the binding's address at `chaddr`. The client need not answer ARP for the address yet.
    Unicast,
}

impl Delivery {
    fn of(outcome: Outcome, request: &Message, binding: &Binding) -> Self {
        let has_address = match outcome {
            Outcome::AckInform => true,
            _ => !answers_discover(outcome) && request.ciaddr() == binding.address,
        };
        let nowhere = request.chaddr() == MacAddr::ZERO;
        if is_refusal(outcome) || nowhere || (request.wants_broadcast() && !has_address) {
            Self::Broadcast
        } else {
            Self::Unicast
        }
    }

    fn addressing(self, request: &Message, binding: &Binding) -> Addressing {
        let (link_destination, destination) = match self {
            Self::Broadcast => (MacAddr::BROADCAST, Ipv4Addr::BROADCAST),
            Self::Unicast => (request.chaddr(), binding.address),
        };
        Addressing {
            link_source: binding.server_mac,
            link_destination,
            source: binding.gateway,
            destination,
        }
    }
}

/// The client has no address yet, so its ciaddr means nothing (RFC 2131 §4.4.1, table 5).
fn answers_discover(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Offer | Outcome::AckRapidCommit)
}

fn is_refusal(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::NakSelecting
            | Outcome::NakInitReboot
            | Outcome::NakRenewing
            | Outcome::NakRebinding
    )
}
