//! Which options a reply carries, in which order, and which give way when the client cannot take them all.
//!
//! An OFFER, an ACK and the ACK of an INFORM carry the same, except that the last has no times (RFC 2131 §4.3.5):
//! 53, 54, 51, 58, 59, 1, 121, 3, 6, 26, then what the parameter request list asks for in its order, then what the
//! operator sends unasked, then 61 and 82 as the client sent them. A NAK has 53, 54, 56, 61 and 82.
//!
//! When the field is too short, the last of these give way first, each as a whole, with these exceptions: 61 comes
//! before everything that the client can do without, even before 58 and 59, whose absence changes nothing but the fuzz
//! (RFC 6842 §3 is a MUST); and 121 shrinks to its two base routes before 61 is left out.

use crate::code::{self, Codes};
use crate::options::{Options, Value};
use crate::raw_option;
use crate::request::client_identifier;
use crate::writer::{Writer, encoded};
use crate::{message, route_option, search_option, times};
use core::iter;
use slash32_binding::{Binding, Ipv4Addr, Outcome, Routers};

/// Option 53 of the three kinds of reply (RFC 2132 §9.6).
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Option 56 of a NAK.
const NAK_TEXT: &str = "not the address of this link";

/// The mask that makes old iPXE use its router: under a mask of 32 bits it sends every frame to broadcast.
const OLD_IPXE_MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 252);

/// An MTU that every client assumes, and that is therefore not sent.
const USUAL_MTU: u16 = 1500;

/// Options that [`Binding::raw`] never carries: those that this module writes itself or that servers do not send.
const NOT_RAW: [u8; 16] = [
    code::PAD,
    code::SUBNET_MASK,
    code::ROUTER,
    code::REQUESTED_ADDRESS,
    code::LEASE_TIME,
    code::OVERLOAD,
    code::MESSAGE_TYPE,
    code::SERVER_IDENTIFIER,
    code::PARAMETER_REQUEST_LIST,
    code::MAXIMUM_SIZE,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
    code::CLIENT_IDENTIFIER,
    code::RELAY_AGENT_INFORMATION,
    code::CLASSLESS_ROUTE,
    code::END,
];

/// What is sent to a client without a parameter request list, where the binding has it.
const WITHOUT_A_LIST: [u8; 4] = [
    code::HOST_NAME,
    code::DOMAIN_NAME,
    code::NTP_SERVERS,
    code::DOMAIN_SEARCH,
];

/// Writes the options of the reply with this `outcome` to a request with the options `asked`, and END, into `field`.
/// Returns their length; `None` when not even the mandatory ones fit.
pub(crate) fn write(
    field: &mut [u8],
    outcome: Outcome,
    asked: Options,
    binding: &Binding,
) -> Option<usize> {
    match outcome {
        Outcome::Offer => configuration(field, OFFER, true, asked, binding),
        Outcome::AckSelecting
        | Outcome::AckInitReboot
        | Outcome::AckRenewing
        | Outcome::AckRebinding => configuration(field, ACK, true, asked, binding),
        Outcome::AckInform => configuration(field, ACK, false, asked, binding),
        Outcome::NakSelecting
        | Outcome::NakInitReboot
        | Outcome::NakRenewing
        | Outcome::NakRebinding => refusal(field, asked, binding),
    }
}

/// Bytes of an option with a value of 4 bytes.
const FOUR: usize = encoded(4);

fn refusal(field: &mut [u8], asked: Options, binding: &Binding) -> Option<usize> {
    let mut writer = Writer::new(field)?;
    writer.reserve(encoded(1) + FOUR).then_some(())?;
    let echo = reserve_echo(&mut writer, asked);

    writer.write(code::MESSAGE_TYPE, iter::once(NAK));
    writer.write(
        code::SERVER_IDENTIFIER,
        binding.gateway.octets().into_iter(),
    );
    writer.offer(code::MESSAGE, NAK_TEXT.bytes());
    finish(writer, echo, asked)
}

fn configuration(
    field: &mut [u8],
    kind: u8,
    with_times: bool,
    asked: Options,
    binding: &Binding,
) -> Option<usize> {
    let list = asked
        .value(code::PARAMETER_REQUEST_LIST)
        .filter(|list| list.len() > 0);
    let asks_for = |code| list.is_some_and(|list| list.bytes().any(|asked| asked == code));
    let with_router = binding.routers == Routers::Always || !asks_for(code::CLASSLESS_ROUTE);

    let base = encoded(route_option::base_value(binding.gateway).count());
    let all_routes = encoded(route_option::value(binding).count());
    let mut mandatory = encoded(1) + FOUR + FOUR + base;
    if with_times {
        mandatory += FOUR;
    }
    if with_router {
        mandatory += FOUR;
    }

    let mut writer = Writer::new(field)?;
    writer.reserve(mandatory).then_some(())?;
    let echo = reserve_echo(&mut writer, asked);
    let renewal = if with_times {
        times::renewal_and_rebinding(binding)
    } else {
        None
    };
    let renewal = renewal.filter(|_| writer.reserve(2 * FOUR));
    let own_routes = writer.reserve(all_routes - base);

    writer.write(code::MESSAGE_TYPE, iter::once(kind));
    writer.write(
        code::SERVER_IDENTIFIER,
        binding.gateway.octets().into_iter(),
    );
    if with_times {
        writer.write(
            code::LEASE_TIME,
            times::lease_time(binding).to_be_bytes().into_iter(),
        );
    }
    if let Some((t1, t2)) = renewal {
        writer.write(code::RENEWAL_TIME, t1.to_be_bytes().into_iter());
        writer.write(code::REBINDING_TIME, t2.to_be_bytes().into_iter());
    }
    writer.write(
        code::SUBNET_MASK,
        mask(asked, list, binding).octets().into_iter(),
    );
    if own_routes {
        writer.write(code::CLASSLESS_ROUTE, route_option::value(binding));
    } else {
        writer.write(
            code::CLASSLESS_ROUTE,
            route_option::base_value(binding.gateway),
        );
    }
    if with_router {
        writer.write(code::ROUTER, binding.gateway.octets().into_iter());
    }

    let mut extras = Extras {
        writer: &mut writer,
        binding,
        own_routes,
        tried: Codes::of(&NOT_RAW),
    };
    extras.send_unasked();
    match list {
        Some(list) => list.bytes().for_each(|code| extras.send(code)),
        None => WITHOUT_A_LIST
            .into_iter()
            .for_each(|code| extras.send(code)),
    }
    extras.send_unasked_last();
    finish(writer, echo, asked)
}

/// Option 61, when there is one and room for it.
fn reserve_echo<'a>(writer: &mut Writer, asked: Options<'a>) -> Option<Value<'a>> {
    client_identifier(asked).filter(|identifier| writer.reserve(encoded(identifier.len())))
}

/// Echoes options 61 (RFC 6842 §3) and 82, which is the last (RFC 3046 §2.2), and ends the options.
fn finish(mut writer: Writer, echo: Option<Value>, asked: Options) -> Option<usize> {
    if let Some(identifier) = echo {
        writer.write(code::CLIENT_IDENTIFIER, identifier.bytes());
    }
    if let Some(relay) = asked
        .value(code::RELAY_AGENT_INFORMATION)
        .filter(|relay| relay.len() > 0)
    {
        writer.offer(code::RELAY_AGENT_INFORMATION, relay.bytes());
    }
    Some(writer.finish())
}

/// Option 1. iPXE before 2024-06 computes "on the link" as `(destination ^ 255.255.255.255) & ~mask == 0`, which holds for
/// every destination when the mask has 32 bits; iPXE that asks for option 121 is newer than that.
fn mask(asked: Options, list: Option<Value>, binding: &Binding) -> Ipv4Addr {
    let ipxe = asked
        .value(code::USER_CLASS)
        .is_some_and(|class| class.contains(*b"iPXE"))
        || asked.value(code::IPXE).is_some();
    let old =
        ipxe && list.is_some_and(|list| list.bytes().all(|code| code != code::CLASSLESS_ROUTE));
    if old && binding.netmask.is_broadcast() {
        OLD_IPXE_MASK
    } else {
        binding.netmask
    }
}

/// The options behind the mandatory ones: each code is tried once, and sent when it is configured and fits.
struct Extras<'w, 'f, 'b> {
    writer: &'w mut Writer<'f>,
    binding: &'b Binding,
    /// Option 121 has more than its base routes, and so has option 249.
    own_routes: bool,
    tried: Codes,
}

impl Extras<'_, '_, '_> {
    /// What every client needs, before what it asked for.
    fn send_unasked(&mut self) {
        if !self.binding.dns.is_empty() {
            self.send(code::DOMAIN_NAME_SERVER);
        }
        if self.binding.mtu != USUAL_MTU {
            self.send(code::INTERFACE_MTU);
        }
    }

    /// What is sent to a client that did not ask for it, behind what it asked for.
    fn send_unasked_last(&mut self) {
        if self.binding.boot_file.as_str().len() >= message::FILE {
            self.send(code::BOOTFILE_NAME);
        }
        for option in raw_option::records(&self.binding.raw).filter(|option| option.always) {
            self.send(option.code);
        }
    }

    fn send(&mut self, code: u8) {
        if !self.tried.insert(code) {
            return;
        }
        let binding = self.binding;
        match code {
            code::DOMAIN_NAME_SERVER => self.value(code, octets(&binding.dns)),
            code::HOST_NAME => self.value(code, binding.hostname.as_str().bytes()),
            code::DOMAIN_NAME => self.value(code, binding.domain.as_str().bytes()),
            code::INTERFACE_MTU if binding.mtu != USUAL_MTU => {
                self.value(code, binding.mtu.to_be_bytes().into_iter())
            }
            code::NTP_SERVERS => self.value(code, octets(&binding.ntp)),
            code::TFTP_SERVER_NAME => self.value(code, binding.server_name.as_str().bytes()),
            code::BOOTFILE_NAME => self.value(code, binding.boot_file.as_str().bytes()),
            code::DOMAIN_SEARCH => self.value(code, search_option::value(binding.search.as_str())),
            code::TFTP_SERVER_ADDRESS => self.value(code, octets(&binding.tftp_servers)),
            code::MICROSOFT_ROUTE if self.own_routes => {
                self.value(code, route_option::value(binding))
            }
            code::MICROSOFT_ROUTE => self.value(code, route_option::base_value(binding.gateway)),
            _ => self.raw(code),
        }
    }

    /// A value of the binding; when it has none, the one that the operator wrote, if any.
    fn value(&mut self, code: u8, value: impl Iterator<Item = u8> + Clone) {
        if value.clone().next().is_some() {
            self.writer.offer(code, value);
        } else {
            self.raw(code);
        }
    }

    fn raw(&mut self, code: u8) {
        if let Some(option) =
            raw_option::records(&self.binding.raw).find(|option| option.code == code)
        {
            self.writer.offer(code, option.value.iter().copied());
        }
    }
}

fn octets(addresses: &[Ipv4Addr]) -> impl Iterator<Item = u8> + Clone {
    addresses.iter().flat_map(Ipv4Addr::octets)
}
