//! The decision: one pure function over what a client can send (RFC 2131 §4.3), and the table that it is tested by.

use crate::request::{MessageType, Request};
use slash32_binding::{Binding, Ipv4Addr, MacAddr, Outcome, Reason};

/// Whether and how a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Ignore(Reason),
    Answer(Outcome),
}

/// The four states in which a client sends a REQUEST (RFC 2131 §4.3.2, table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Option 54 is there: the client has chosen a server.
    Selecting,
    /// Neither option 54 nor ciaddr: the client started with an address that it remembers.
    InitReboot,
    /// ciaddr, and sent to the server alone.
    Renewing,
    /// ciaddr, and sent to everybody.
    Rebinding,
}

impl State {
    fn acknowledged(self) -> Outcome {
        match self {
            Self::Selecting => Outcome::AckSelecting,
            Self::InitReboot => Outcome::AckInitReboot,
            Self::Renewing => Outcome::AckRenewing,
            Self::Rebinding => Outcome::AckRebinding,
        }
    }

    fn refused(self) -> Outcome {
        match self {
            Self::Selecting => Outcome::NakSelecting,
            Self::InitReboot => Outcome::NakInitReboot,
            Self::Renewing => Outcome::NakRenewing,
            Self::Rebinding => Outcome::NakRebinding,
        }
    }
}

/// Decides on `request`, given the binding and, when one was acknowledged already, the `owner` of the generation.
///
/// A relayed message, another client's and one to another server are ignored before anything else is looked at.
pub(crate) fn decide(request: &Request, binding: &Binding, owner: Option<MacAddr>) -> Decision {
    use Decision::{Answer, Ignore};

    if !request.giaddr.is_unspecified() {
        return Ignore(Reason::Relayed);
    }
    if binding
        .chaddr
        .or(owner)
        .is_some_and(|mac| mac != request.chaddr)
    {
        return Ignore(Reason::OtherMac);
    }
    match (request.message_type, request.server_identifier) {
        (MessageType::Discover, Some(_)) => return Ignore(Reason::ServerIdInDiscover),
        (_, Some(server)) if server != binding.gateway => return Ignore(Reason::OtherServer),
        _ => {}
    }

    match request.message_type {
        MessageType::Discover => Answer(if commits_rapidly(request, binding) {
            Outcome::AckRapidCommit
        } else {
            Outcome::Offer
        }),
        MessageType::Request => {
            let (state, claimed) = state(request);
            Answer(if claimed == Some(binding.address) {
                state.acknowledged()
            } else {
                state.refused()
            })
        }
        // Never a NAK: a client would drop its address (RFC 2131 §4.3.5).
        MessageType::Inform => {
            let own = address(request.ciaddr).unwrap_or(request.source);
            if own == binding.address {
                Answer(Outcome::AckInform)
            } else {
                Ignore(Reason::OtherAddress)
            }
        }
        MessageType::Decline if request.requested_address == Some(binding.address) => {
            Ignore(Reason::Decline)
        }
        MessageType::Release if request.ciaddr == binding.address => Ignore(Reason::Release),
        MessageType::Decline | MessageType::Release => Ignore(Reason::OtherAddress),
    }
}

/// A DISCOVER gets its ACK at once (RFC 4039 §3.1), but not from a client that may be about to do without IPv4 (RFC 8925 §3.3).
fn commits_rapidly(request: &Request, binding: &Binding) -> bool {
    let may_do_without = request.ipv6_only && binding.ipv6_only_wait != 0;
    binding.rapid_commit && request.rapid_commit && !may_do_without
}

/// The state of a client that sends a REQUEST, and the address that it claims, if any.
fn state(request: &Request) -> (State, Option<Ipv4Addr>) {
    let ciaddr = address(request.ciaddr);
    if request.server_identifier.is_some() {
        (State::Selecting, request.requested_address.or(ciaddr))
    } else if ciaddr.is_none() {
        (State::InitReboot, request.requested_address)
    } else if request.destination.is_broadcast() {
        (State::Rebinding, ciaddr)
    } else {
        (State::Renewing, ciaddr)
    }
}

/// `None` for 0.0.0.0, which stands for "no address" in a header field.
fn address(field: Ipv4Addr) -> Option<Ipv4Addr> {
    (!field.is_unspecified()).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Answer, Ignore};
    use MessageType::{Decline, Discover, Inform, Release, Request as Ask};

    const OURS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
    const OTHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 8);
    const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
    const US: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
    const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;
    const VM: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
    const NEIGHBOUR: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 2]);

    #[test]
    fn every_message_is_decided_by_its_row() {
        let binding = Binding::new(OURS, US);
        // checklist item, type, option 54, option 50, ciaddr, IP source, IP destination, decision
        type Row = (
            &'static str,
            MessageType,
            Option<Ipv4Addr>,
            Option<Ipv4Addr>,
            Ipv4Addr,
            Ipv4Addr,
            Ipv4Addr,
            Decision,
        );
        #[rustfmt::skip]
        let table: &[Row] = &[
            ("22", Discover, None, None, NONE, NONE, ALL, Answer(Outcome::Offer)),
            ("23", Discover, None, Some(OTHER), NONE, NONE, ALL, Answer(Outcome::Offer)),
            ("24", Discover, None, Some(OURS), NONE, NONE, ALL, Answer(Outcome::Offer)),
            ("6", Discover, None, None, OTHER, NONE, ALL, Answer(Outcome::Offer)),
            ("26", Discover, Some(US), None, NONE, NONE, ALL, Ignore(Reason::ServerIdInDiscover)),
            ("26", Discover, Some(OTHER), None, NONE, NONE, ALL, Ignore(Reason::ServerIdInDiscover)),
            ("34", Ask, Some(US), Some(OURS), NONE, NONE, ALL, Answer(Outcome::AckSelecting)),
            ("34", Ask, Some(US), Some(OURS), NONE, NONE, US, Answer(Outcome::AckSelecting)),
            ("35", Ask, Some(US), Some(OTHER), NONE, NONE, ALL, Answer(Outcome::NakSelecting)),
            ("36", Ask, Some(OTHER), Some(OURS), NONE, NONE, ALL, Ignore(Reason::OtherServer)),
            ("36", Ask, Some(NONE), Some(OURS), NONE, NONE, ALL, Ignore(Reason::OtherServer)),
            ("36", Ask, Some(OTHER), None, OURS, OURS, US, Ignore(Reason::OtherServer)),
            ("38", Ask, Some(US), None, NONE, NONE, ALL, Answer(Outcome::NakSelecting)),
            ("38", Ask, Some(US), None, OURS, OURS, US, Answer(Outcome::AckSelecting)),
            ("38", Ask, Some(US), None, OTHER, OTHER, US, Answer(Outcome::NakSelecting)),
            ("39", Ask, Some(US), Some(OURS), OURS, OURS, ALL, Answer(Outcome::AckSelecting)),
            ("39", Ask, Some(US), Some(OTHER), OURS, OURS, ALL, Answer(Outcome::NakSelecting)),
            ("39", Ask, Some(US), Some(OURS), OTHER, OTHER, ALL, Answer(Outcome::AckSelecting)),
            ("42", Ask, None, Some(OURS), NONE, NONE, ALL, Answer(Outcome::AckInitReboot)),
            ("42", Ask, None, Some(OURS), NONE, NONE, US, Answer(Outcome::AckInitReboot)),
            ("43", Ask, None, Some(OTHER), NONE, NONE, ALL, Answer(Outcome::NakInitReboot)),
            ("43", Ask, None, Some(NONE), NONE, NONE, ALL, Answer(Outcome::NakInitReboot)),
            ("46", Ask, None, None, NONE, NONE, ALL, Answer(Outcome::NakInitReboot)),
            ("46", Ask, None, None, NONE, OURS, US, Answer(Outcome::NakInitReboot)),
            ("47", Ask, None, None, OURS, OURS, US, Answer(Outcome::AckRenewing)),
            ("48", Ask, None, None, OURS, OURS, ALL, Answer(Outcome::AckRebinding)),
            ("49", Ask, None, None, OTHER, OTHER, US, Answer(Outcome::NakRenewing)),
            ("50", Ask, None, None, OTHER, OTHER, ALL, Answer(Outcome::NakRebinding)),
            ("53", Ask, None, None, OURS, OTHER, US, Answer(Outcome::AckRenewing)),
            ("54", Ask, None, Some(OURS), OURS, OURS, US, Answer(Outcome::AckRenewing)),
            ("54", Ask, None, Some(OTHER), OURS, OURS, US, Answer(Outcome::AckRenewing)),
            ("54", Ask, None, Some(OURS), OTHER, OTHER, US, Answer(Outcome::NakRenewing)),
            ("93", Decline, Some(US), Some(OURS), NONE, NONE, ALL, Ignore(Reason::Decline)),
            ("93", Decline, None, Some(OURS), NONE, NONE, ALL, Ignore(Reason::Decline)),
            ("94", Decline, Some(US), Some(OTHER), NONE, NONE, ALL, Ignore(Reason::OtherAddress)),
            ("94", Decline, Some(US), None, OURS, OURS, ALL, Ignore(Reason::OtherAddress)),
            ("94", Decline, Some(OTHER), Some(OURS), NONE, NONE, ALL, Ignore(Reason::OtherServer)),
            ("96", Release, Some(US), None, OURS, OURS, US, Ignore(Reason::Release)),
            ("96", Release, None, None, OURS, OURS, US, Ignore(Reason::Release)),
            ("97", Release, Some(US), None, OTHER, OTHER, US, Ignore(Reason::OtherAddress)),
            ("97", Release, Some(US), Some(OURS), NONE, OURS, US, Ignore(Reason::OtherAddress)),
            ("97", Release, Some(OTHER), None, OURS, OURS, US, Ignore(Reason::OtherServer)),
            ("98", Inform, None, None, OURS, OURS, US, Answer(Outcome::AckInform)),
            ("98", Inform, None, None, OURS, OURS, ALL, Answer(Outcome::AckInform)),
            ("99", Inform, None, None, NONE, OURS, ALL, Answer(Outcome::AckInform)),
            ("100", Inform, None, None, NONE, NONE, ALL, Ignore(Reason::OtherAddress)),
            ("101", Inform, None, None, OTHER, OURS, US, Ignore(Reason::OtherAddress)),
            ("101", Inform, None, None, NONE, OTHER, ALL, Ignore(Reason::OtherAddress)),
            ("102", Inform, Some(US), Some(OTHER), OURS, OURS, US, Answer(Outcome::AckInform)),
            ("102", Inform, Some(OTHER), None, OURS, OURS, US, Ignore(Reason::OtherServer)),
        ];
        for &(
            item,
            message_type,
            server_identifier,
            requested_address,
            ciaddr,
            source,
            destination,
            expected,
        ) in table
        {
            let request = Request {
                message_type,
                chaddr: VM,
                ciaddr,
                giaddr: NONE,
                requested_address,
                server_identifier,
                rapid_commit: false,
                ipv6_only: false,
                source,
                destination,
            };
            assert_eq!(
                decide(&request, &binding, None),
                expected,
                "item {item}: {request:?}"
            );
            assert_eq!(
                decide(&request, &binding, Some(VM)),
                expected,
                "item {item}, owned: {request:?}"
            );

            // Whatever the row: another client's and a relayed message are ignored first.
            assert_eq!(
                decide(&request, &binding, Some(NEIGHBOUR)),
                Ignore(Reason::OtherMac),
                "item {item}"
            );
            let bound = Binding {
                chaddr: Some(NEIGHBOUR),
                ..binding
            };
            assert_eq!(
                decide(&request, &bound, Some(VM)),
                Ignore(Reason::OtherMac),
                "item {item}"
            );
            let relayed = Request {
                giaddr: US,
                ..request
            };
            assert_eq!(
                decide(&relayed, &binding, None),
                Ignore(Reason::Relayed),
                "item {item}"
            );
        }
    }
}
