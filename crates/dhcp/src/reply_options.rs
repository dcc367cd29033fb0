//! Which options a reply carries, in which order, and which give way when the client cannot take them all.
//!
//! An OFFER, an ACK and the ACK of an INFORM carry the same, except that the last has no times (RFC 2131 §4.3.5):
//! 53, 54, 51, 58, 59, 1, 121, 3, 6, 26, then 80 in an ACK that a DISCOVER got at once, what the parameter request list
//! asks for in its order, 81 for a client that sent one and what the operator sends unasked, then 61 and 82 as the
//! client sent them. A NAK has 53, 54, 56, 61 and 82.
//!
//! When the field is too short, the last of these give way first, each as a whole, with these exceptions: 61 comes
//! before everything that the client can do without, even before 58 and 59, whose absence changes nothing but the fuzz
//! (RFC 6842 §3 is a MUST); and 121 shrinks to its two base routes before 61 is left out.

use crate::code::{self, Codes};
use crate::options::Options;
use crate::raw_option;
use crate::request::client_identifier;
use crate::writer::{Writer, encoded};
use crate::{fqdn_option, message, route_option, search_option, times};
use slash32_binding::{Binding, Bytes, Ipv4Addr, List, Outcome, Routers};

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
const NOT_RAW: Codes = Codes::of(&[
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
    code::RAPID_COMMIT,
    code::RELAY_AGENT_INFORMATION,
    code::CLASSLESS_ROUTE,
    code::END,
]);

/// What is sent to a client without a parameter request list, where the binding has it.
const WITHOUT_A_LIST: [u8; 4] = [
    code::HOST_NAME,
    code::DOMAIN_NAME,
    code::NTP_SERVERS,
    code::DOMAIN_SEARCH,
];

/// The options that `binding` has something for, beside those that every reply has: what a client can ask for.
pub(crate) fn offered(binding: &Binding) -> Codes {
    let has = [
        (code::DOMAIN_NAME_SERVER, !binding.dns.is_empty()),
        (code::HOST_NAME, !binding.hostname.as_bytes().is_empty()),
        (code::DOMAIN_NAME, !binding.domain.as_bytes().is_empty()),
        (code::INTERFACE_MTU, binding.mtu != USUAL_MTU),
        (code::NTP_SERVERS, !binding.ntp.is_empty()),
        (
            code::TFTP_SERVER_NAME,
            !binding.server_name.as_bytes().is_empty(),
        ),
        (
            code::BOOTFILE_NAME,
            !binding.boot_file.as_bytes().is_empty(),
        ),
        (code::CLIENT_FQDN, !binding.hostname.as_bytes().is_empty()),
        (code::IPV6_ONLY_PREFERRED, binding.ipv6_only_wait != 0),
        (code::DOMAIN_SEARCH, !binding.search.as_bytes().is_empty()),
        (code::TFTP_SERVER_ADDRESS, !binding.tftp_servers.is_empty()),
        (code::MICROSOFT_ROUTE, true),
    ];
    let mut offered = Codes::of(&[]);
    for (code, _) in has.into_iter().filter(|(_, has)| *has) {
        offered.insert(code);
    }
    for option in raw_option::records(&binding.raw) {
        offered.insert(option.code);
    }
    offered.without(NOT_RAW)
}

/// Writes the options of the reply with this `outcome` to a request with the options `asked`, and END, into `field`.
/// Returns their length; `None` when not even the mandatory ones fit.
pub(crate) fn write(
    field: &mut [u8],
    outcome: Outcome,
    asked: &Options,
    binding: &Binding,
    offered: Codes,
) -> Option<usize> {
    match outcome {
        Outcome::Offer => configuration(field, OFFER, outcome, asked, binding, offered),
        Outcome::AckRapidCommit
        | Outcome::AckSelecting
        | Outcome::AckInitReboot
        | Outcome::AckRenewing
        | Outcome::AckRebinding
        | Outcome::AckInform => configuration(field, ACK, outcome, asked, binding, offered),
        Outcome::NakSelecting
        | Outcome::NakInitReboot
        | Outcome::NakRenewing
        | Outcome::NakRebinding => refusal(field, asked, binding),
    }
}

/// Bytes of an option with a value of 4 bytes.
const FOUR: usize = encoded(4);

fn refusal(field: &mut [u8], asked: &Options, binding: &Binding) -> Option<usize> {
    let mut writer = Writer::new(field)?;
    writer.reserve(encoded(1) + FOUR).then_some(())?;
    let echo = reserve_echo(&mut writer, asked);

    writer.write_array(code::MESSAGE_TYPE, [NAK]);
    writer.write_array(code::SERVER_IDENTIFIER, binding.gateway.octets());
    writer.offer(code::MESSAGE, NAK_TEXT.as_bytes());
    finish(writer, echo, asked)
}

fn configuration(
    field: &mut [u8],
    kind: u8,
    outcome: Outcome,
    asked: &Options,
    binding: &Binding,
    offered: Codes,
) -> Option<usize> {
    let with_times = outcome != Outcome::AckInform;
    let with_rapid_commit = outcome == Outcome::AckRapidCommit;
    let with_router = binding.routers == Routers::Always || !asked.ask_for(code::CLASSLESS_ROUTE);

    let mut mandatory = encoded(1) + FOUR + FOUR + encoded(route_option::BASE);
    if with_times {
        mandatory += FOUR;
    }
    if with_router {
        mandatory += FOUR;
    }
    if with_rapid_commit {
        mandatory += encoded(0);
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
    let own_routes = reserve_own_routes(&mut writer, binding);

    writer.write_array(code::MESSAGE_TYPE, [kind]);
    writer.write_array(code::SERVER_IDENTIFIER, binding.gateway.octets());
    if with_times {
        writer.write_array(code::LEASE_TIME, times::lease_time(binding).to_be_bytes());
    }
    if let Some((t1, t2)) = renewal {
        writer.write_array(code::RENEWAL_TIME, t1.to_be_bytes());
        writer.write_array(code::REBINDING_TIME, t2.to_be_bytes());
    }
    writer.write_array(code::SUBNET_MASK, mask(asked, binding).octets());
    if own_routes {
        writer.write(code::CLASSLESS_ROUTE, &route_option::value(binding));
    } else {
        writer.write_array(code::CLASSLESS_ROUTE, route_option::base(binding.gateway));
    }
    if with_router {
        writer.write_array(code::ROUTER, binding.gateway.octets());
    }
    let mut extras = Extras {
        writer,
        asked,
        binding,
        own_routes,
        left: offered,
    };
    extras.send_unasked();
    if with_rapid_commit {
        extras.writer.write_array(code::RAPID_COMMIT, []);
    }
    match asked.value(code::PARAMETER_REQUEST_LIST) {
        Some(list) if !list.is_empty() => list.iter().for_each(|code| extras.send(*code)),
        _ => WITHOUT_A_LIST
            .into_iter()
            .for_each(|code| extras.send(code)),
    }
    extras.send_unasked_last();
    finish(extras.writer, echo, asked)
}

/// Option 61, when there is one and room for it.
fn reserve_echo<'a>(writer: &mut Writer, asked: &Options<'a>) -> Option<&'a [u8]> {
    client_identifier(asked).filter(|identifier| writer.reserve(encoded(identifier.len())))
}

/// Room for the binding's own routes in option 121, beside the base ones; false when there are none, or none is left.
fn reserve_own_routes(writer: &mut Writer, binding: &Binding) -> bool {
    !binding.routes.is_empty() && {
        let all = encoded(route_option::value(binding).len());
        writer.reserve(all - encoded(route_option::BASE))
    }
}

/// Echoes options 61 (RFC 6842 §3) and 82, which is the last (RFC 3046 §2.2), and ends the options.
fn finish(mut writer: Writer, echo: Option<&[u8]>, asked: &Options) -> Option<usize> {
    if let Some(identifier) = echo {
        writer.write(code::CLIENT_IDENTIFIER, identifier);
    }
    if let Some(relay) = asked
        .value(code::RELAY_AGENT_INFORMATION)
        .filter(|relay| !relay.is_empty())
    {
        writer.offer(code::RELAY_AGENT_INFORMATION, relay);
    }
    Some(writer.finish())
}

/// Option 1. iPXE before 2024-06 computes "on the link" as `(destination ^ 255.255.255.255) & ~mask == 0`, which holds for
/// every destination when the mask has 32 bits; iPXE that asks for option 121 is newer than that.
fn mask(asked: &Options, binding: &Binding) -> Ipv4Addr {
    let is_ipxe = asked
        .value(code::USER_CLASS)
        .is_some_and(|class| class.windows(4).any(|text| text == b"iPXE"))
        || asked.value(code::IPXE).is_some();
    if is_ipxe && !asked.ask_for(code::CLASSLESS_ROUTE) && binding.netmask.is_broadcast() {
        OLD_IPXE_MASK
    } else {
        binding.netmask
    }
}

/// The options behind the mandatory ones: each is sent once, when it fits.
struct Extras<'f, 'a, 'b> {
    writer: Writer<'f>,
    asked: &'b Options<'a>,
    binding: &'b Binding,
    /// Option 121 has more than its base routes, and so has option 249.
    own_routes: bool,
    /// What the binding offers and was not tried yet.
    left: Codes,
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
        if self.asked.value(code::CLIENT_FQDN).is_some() {
            self.send(code::CLIENT_FQDN);
        }
        if self.binding.boot_file.as_bytes().len() >= message::FILE {
            self.send(code::BOOTFILE_NAME);
        }
        for option in raw_option::records(&self.binding.raw).filter(|option| option.always) {
            self.send(option.code);
        }
    }

    #[inline]
    fn send(&mut self, code: u8) {
        if self.left.remove(code) {
            self.try_to_send(code);
        }
    }

    // Most of what clients ask for is not there: then they should not pay for this.
    #[inline(never)]
    fn try_to_send(&mut self, code: u8) {
        let binding = self.binding;
        match code {
            code::DOMAIN_NAME_SERVER => self.value(code, &octets(&binding.dns)),
            code::HOST_NAME => self.value(code, binding.hostname.as_bytes()),
            code::DOMAIN_NAME => self.value(code, binding.domain.as_bytes()),
            code::INTERFACE_MTU if binding.mtu != USUAL_MTU => {
                self.value(code, &binding.mtu.to_be_bytes())
            }
            code::NTP_SERVERS => self.value(code, &octets(&binding.ntp)),
            code::TFTP_SERVER_NAME => self.value(code, binding.server_name.as_bytes()),
            code::BOOTFILE_NAME => self.value(code, binding.boot_file.as_bytes()),
            code::CLIENT_FQDN => {
                let asked = self.asked.value(code).unwrap_or_default();
                if let Some(name) = fqdn_option::value(binding, asked) {
                    self.writer.offer(code, &name);
                }
            }
            code::IPV6_ONLY_PREFERRED if binding.ipv6_only_wait != 0 => {
                self.value(code, &binding.ipv6_only_wait.to_be_bytes())
            }
            code::DOMAIN_SEARCH => self.value(code, &search_option::value(binding.search.as_str())),
            code::TFTP_SERVER_ADDRESS => self.value(code, &octets(&binding.tftp_servers)),
            code::MICROSOFT_ROUTE if self.own_routes => {
                self.value(code, &route_option::value(binding))
            }
            code::MICROSOFT_ROUTE => self.value(code, &route_option::base(binding.gateway)),
            _ => self.raw(code),
        }
    }

    /// A value of the binding; when it has none, the one that the operator wrote, if any.
    fn value(&mut self, code: u8, value: &[u8]) {
        if value.is_empty() {
            self.raw(code);
        } else {
            self.writer.offer(code, value);
        }
    }

    /// All records of one code, which are the fragments of one value, or none.
    fn raw(&mut self, code: u8) {
        let records = raw_option::records(&self.binding.raw).filter(|option| option.code == code);
        let length = records
            .clone()
            .map(|option| encoded(option.value.len()))
            .sum();
        if length > 0 && self.writer.reserve(length) {
            records.for_each(|option| self.writer.write(code, option.value));
        }
    }
}

/// Addresses as the bytes of an option.
fn octets<const N: usize>(addresses: &List<Ipv4Addr, N>) -> Bytes<32> {
    let mut bytes = List::new(0);
    for address in addresses.iter() {
        // No list of a binding has more than eight.
        let _ = bytes.extend_from_slice(&address.octets());
    }
    bytes
}
