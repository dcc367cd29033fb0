//! What a frame is to get: RFC 2131 §4.3 for a server with one client, which gets one address, in a few lines.
//!
//! Written from the RFC and from what the project decided where it leaves a choice, to be compared with the core.

use crate::wire::{Asked, Message};
use slash32_binding::{Binding, Ipv4Addr, MacAddr};

/// What kind of message is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// DHCPOFFER
    Offer,
    /// DHCPACK of a REQUEST
    Ack,
    /// DHCPACK of a DISCOVER, with option 80 (RFC 4039)
    RapidAck,
    /// DHCPACK of an INFORM: without an address and times (RFC 2131 §4.3.5)
    AckInform,
    /// DHCPNAK
    Nak,
}

/// The answer that a frame is to get.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// What kind.
    pub kind: Kind,
    /// To everybody, not to the client alone.
    pub broadcast: bool,
    /// The request.
    pub message: Message<'a>,
    /// Its options.
    pub asked: Asked,
}

impl<'a> Expected<'a> {
    /// `None`: no answer. Whoever is not `binding.chaddr`, or else not `owner`, gets none.
    pub fn of(frame: &'a [u8], binding: &Binding, owner: Option<MacAddr>) -> Option<Self> {
        let message = Message::read(frame)?;
        let own = [Some(binding.gateway), binding.former_gateway];
        let to_us = message.ip.1.is_broadcast() || own.contains(&Some(message.ip.1));
        let on_our_link = [MacAddr::BROADCAST, binding.server_mac].contains(&message.link.1);
        if !to_us || !on_our_link {
            return None;
        }
        // BOOTREQUEST of an Ethernet client, with DHCP's cookie, and no relay in between.
        let chaddr = message.chaddr();
        let cookie = message.bytes[236..240] == [0x63, 0x82, 0x53, 0x63];
        if message.bytes[..3] != [1, 1, 6] || !cookie || chaddr.is_group() {
            return None;
        }
        if message.bytes[24..28] != [0; 4] {
            return None;
        }
        let asked = Asked::read(message.bytes)?;
        let named = asked
            .get(61)
            .is_some_and(|identifier| !identifier.is_empty());
        let served = binding.chaddr.or(owner).is_none_or(|mac| mac == chaddr);
        if (chaddr == MacAddr::ZERO && !named) || !served {
            return None;
        }
        let requested = one_address(&asked, 50)?;
        let server = one_address(&asked, 54)?;

        let ciaddr = Some(message.address(12)).filter(|address| !address.is_unspecified());
        let ours = Some(binding.address);
        let to_another = server.is_some_and(|server| server != binding.gateway);
        let kind = match asked.get(53)? {
            [1] if server.is_none() => {
                // RFC 8925 §3.3: who may be about to do without IPv4 is not committed to an address.
                let list = asked.get(55).unwrap_or_default();
                let without = binding.ipv6_only_wait != 0 && list.contains(&108);
                if binding.rapid_commit && asked.get(80) == Some(&[]) && !without {
                    Kind::RapidAck
                } else {
                    Kind::Offer
                }
            }
            _ if to_another => return None,
            [3] => {
                let claimed = match (server, ciaddr) {
                    // SELECTING
                    (Some(_), _) => requested.or(ciaddr),
                    // INIT-REBOOT
                    (None, None) => requested,
                    // RENEWING, REBINDING
                    (None, Some(_)) => ciaddr,
                };
                if claimed == ours {
                    Kind::Ack
                } else {
                    Kind::Nak
                }
            }
            [8] if ciaddr.unwrap_or(message.ip.0) == binding.address => Kind::AckInform,
            _ => return None,
        };
        let has_address = match kind {
            Kind::Ack => ciaddr == ours,
            Kind::AckInform => true,
            Kind::Offer | Kind::RapidAck | Kind::Nak => false,
        };
        let flag = message.bytes[10] & 0x80 != 0;
        let broadcast = kind == Kind::Nak || chaddr == MacAddr::ZERO || (flag && !has_address);
        Some(Self {
            kind,
            broadcast,
            message,
            asked,
        })
    }

    /// The largest IP packet that the client takes, in bytes (RFC 2132 §9.10): never under 576.
    pub fn largest(&self) -> usize {
        let size = match self.asked.get(57) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => 0,
        };
        usize::from(size).clamp(576, 1500)
    }
}

/// An option that is one address: `None` when it is something else, `Some(None)` when it is not there.
fn one_address(asked: &Asked, code: u8) -> Option<Option<Ipv4Addr>> {
    match asked.get(code) {
        None => Some(None),
        Some(&[a, b, c, d]) => Some(Some(Ipv4Addr::new(a, b, c, d))),
        Some(_) => None,
    }
}
