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

    /// Item of the checklist, message type, option 54, option 50, ciaddr, IP source, IP destination, decision.
    type Row = (
        u8,
        MessageType,
        Option<Ipv4Addr>,
        Option<Ipv4Addr>,
        Ipv4Addr,
        Ipv4Addr,
        Ipv4Addr,
        Decision,
    );

    /// Each message is decided as its row says, whether or not the client was acknowledged before; and whatever the row,
    /// another client's message and a relayed one are ignored.
    fn every_row_holds(table: &[Row]) {
        let mut binding = Binding::new(OURS, US);
        binding.former_gateway = Some(OTHER);
        for &(item, message_type, server, requested, ciaddr, source, destination, expected) in table
        {
            let request = Request {
                message_type,
                chaddr: VM,
                ciaddr,
                giaddr: NONE,
                requested_address: requested,
                server_identifier: server,
                rapid_commit: false,
                ipv6_only: false,
                source,
                destination,
            };
            for owner in [None, Some(VM)] {
                let decision = decide(&request, &binding, owner);
                assert_eq!(decision, expected, "item {item}, {owner:?}: {request:?}");
            }

            let others = Ignore(Reason::OtherMac);
            let decision = decide(&request, &binding, Some(NEIGHBOUR));
            assert_eq!(decision, others, "item {item}");
            let bound = Binding {
                chaddr: Some(NEIGHBOUR),
                ..binding
            };
            let decision = decide(&request, &bound, Some(VM));
            assert_eq!(decision, others, "item {item}");

            let relayed = Request {
                giaddr: US,
                ..request
            };
            let decision = decide(&relayed, &binding, None);
            assert_eq!(decision, Ignore(Reason::Relayed), "item {item}");
        }
    }

    #[test]
    fn items_22_to_24_every_discover_is_offered_the_one_address() {
        #[rustfmt::skip]
        every_row_holds(&[
            (22, Discover, None, None, NONE, NONE, ALL, Answer(Outcome::Offer)),
            (23, Discover, None, Some(OTHER), NONE, NONE, ALL, Answer(Outcome::Offer)),
            (24, Discover, None, Some(OURS), NONE, NONE, ALL, Answer(Outcome::Offer)),
            (6, Discover, None, None, OTHER, NONE, ALL, Answer(Outcome::Offer)),
        ]);
    }

    #[test]
    fn item_26_a_discover_that_names_a_server_is_ignored() {
        #[rustfmt::skip]
        every_row_holds(&[
            (26, Discover, Some(US), None, NONE, NONE, ALL, Ignore(Reason::ServerIdInDiscover)),
            (26, Discover, Some(OTHER), None, NONE, NONE, ALL, Ignore(Reason::ServerIdInDiscover)),
        ]);
    }

    #[test]
    fn items_34_to_39_a_client_in_selecting_gets_the_address_that_was_offered_or_a_nak() {
        #[rustfmt::skip]
        every_row_holds(&[
            (34, Ask, Some(US), Some(OURS), NONE, NONE, ALL, Answer(Outcome::AckSelecting)),
            (34, Ask, Some(US), Some(OURS), NONE, NONE, US, Answer(Outcome::AckSelecting)),
            (35, Ask, Some(US), Some(OTHER), NONE, NONE, ALL, Answer(Outcome::NakSelecting)),
            (35, Ask, Some(US), Some(NONE), NONE, NONE, ALL, Answer(Outcome::NakSelecting)),
            (36, Ask, Some(NONE), Some(OURS), NONE, NONE, ALL, Ignore(Reason::OtherServer)),
            (36, Ask, Some(ALL), Some(OURS), NONE, NONE, ALL, Ignore(Reason::OtherServer)),
            // OTHER is the former gateway here: an address of this host, and still not the server identifier.
            (37, Ask, Some(OTHER), Some(OURS), NONE, NONE, ALL, Ignore(Reason::OtherServer)),
            (37, Ask, Some(OTHER), None, OURS, OURS, US, Ignore(Reason::OtherServer)),
            (38, Ask, Some(US), None, NONE, NONE, ALL, Answer(Outcome::NakSelecting)),
            (38, Ask, Some(US), None, OURS, OURS, US, Answer(Outcome::AckSelecting)),
            (38, Ask, Some(US), None, OTHER, OTHER, US, Answer(Outcome::NakSelecting)),
            (39, Ask, Some(US), Some(OURS), OURS, OURS, ALL, Answer(Outcome::AckSelecting)),
            (39, Ask, Some(US), Some(OTHER), OURS, OURS, ALL, Answer(Outcome::NakSelecting)),
            (39, Ask, Some(US), Some(OURS), OTHER, OTHER, ALL, Answer(Outcome::AckSelecting)),
        ]);
    }

    #[test]
    fn items_42_to_46_a_client_in_init_reboot_keeps_the_right_address_and_is_refused_any_other() {
        #[rustfmt::skip]
        every_row_holds(&[
            (42, Ask, None, Some(OURS), NONE, NONE, ALL, Answer(Outcome::AckInitReboot)),
            (42, Ask, None, Some(OURS), NONE, NONE, US, Answer(Outcome::AckInitReboot)),
            (43, Ask, None, Some(OTHER), NONE, NONE, ALL, Answer(Outcome::NakInitReboot)),
            (43, Ask, None, Some(NONE), NONE, NONE, ALL, Answer(Outcome::NakInitReboot)),
            // Nobody was acknowledged before: the configuration is the record.
            (44, Ask, None, Some(OURS), NONE, NONE, ALL, Answer(Outcome::AckInitReboot)),
            // It was acknowledged with another address, and has moved since.
            (45, Ask, None, Some(OTHER), NONE, OTHER, ALL, Answer(Outcome::NakInitReboot)),
            (46, Ask, None, None, NONE, NONE, ALL, Answer(Outcome::NakInitReboot)),
            (46, Ask, None, None, NONE, OURS, US, Answer(Outcome::NakInitReboot)),
        ]);
    }

    #[test]
    fn items_47_to_50_a_client_that_renews_or_rebinds_keeps_the_right_address_and_is_refused_any_other()
     {
        #[rustfmt::skip]
        every_row_holds(&[
            (47, Ask, None, None, OURS, OURS, US, Answer(Outcome::AckRenewing)),
            (48, Ask, None, None, OURS, OURS, ALL, Answer(Outcome::AckRebinding)),
            (49, Ask, None, None, OTHER, OTHER, US, Answer(Outcome::NakRenewing)),
            (50, Ask, None, None, OTHER, OTHER, ALL, Answer(Outcome::NakRebinding)),
        ]);
    }

    #[test]
    fn items_53_and_54_only_ciaddr_says_what_is_renewed() {
        #[rustfmt::skip]
        every_row_holds(&[
            (53, Ask, None, None, OURS, OTHER, US, Answer(Outcome::AckRenewing)),
            (53, Ask, None, None, OURS, NONE, ALL, Answer(Outcome::AckRebinding)),
            (54, Ask, None, Some(OURS), OURS, OURS, US, Answer(Outcome::AckRenewing)),
            (54, Ask, None, Some(OTHER), OURS, OURS, US, Answer(Outcome::AckRenewing)),
            (54, Ask, None, Some(OURS), OTHER, OTHER, US, Answer(Outcome::NakRenewing)),
        ]);
    }

    #[test]
    fn items_93_and_94_a_decline_is_never_answered_and_counts_only_for_our_address() {
        #[rustfmt::skip]
        every_row_holds(&[
            (93, Decline, Some(US), Some(OURS), NONE, NONE, ALL, Ignore(Reason::Decline)),
            (93, Decline, None, Some(OURS), NONE, NONE, ALL, Ignore(Reason::Decline)),
            (94, Decline, Some(US), Some(OTHER), NONE, NONE, ALL, Ignore(Reason::OtherAddress)),
            (94, Decline, Some(US), None, OURS, OURS, ALL, Ignore(Reason::OtherAddress)),
            (94, Decline, Some(OTHER), Some(OURS), NONE, NONE, ALL, Ignore(Reason::OtherServer)),
        ]);
    }

    #[test]
    fn items_96_and_97_a_release_is_never_answered_and_counts_only_for_our_address() {
        #[rustfmt::skip]
        every_row_holds(&[
            (96, Release, Some(US), None, OURS, OURS, US, Ignore(Reason::Release)),
            (96, Release, None, None, OURS, OURS, US, Ignore(Reason::Release)),
            (97, Release, Some(US), None, OTHER, OTHER, US, Ignore(Reason::OtherAddress)),
            (97, Release, Some(US), Some(OURS), NONE, OURS, US, Ignore(Reason::OtherAddress)),
            (97, Release, Some(OTHER), None, OURS, OURS, US, Ignore(Reason::OtherServer)),
        ]);
    }

    #[test]
    fn items_98_to_102_an_inform_is_acknowledged_for_our_address_and_never_refused() {
        #[rustfmt::skip]
        every_row_holds(&[
            (98, Inform, None, None, OURS, OURS, US, Answer(Outcome::AckInform)),
            (98, Inform, None, None, OURS, OURS, ALL, Answer(Outcome::AckInform)),
            (99, Inform, None, None, NONE, OURS, ALL, Answer(Outcome::AckInform)),
            (100, Inform, None, None, NONE, NONE, ALL, Ignore(Reason::OtherAddress)),
            (101, Inform, None, None, OTHER, OURS, US, Ignore(Reason::OtherAddress)),
            (101, Inform, None, None, NONE, OTHER, ALL, Ignore(Reason::OtherAddress)),
            (102, Inform, Some(US), Some(OTHER), OURS, OURS, US, Answer(Outcome::AckInform)),
            (102, Inform, Some(OTHER), None, OURS, OURS, US, Ignore(Reason::OtherServer)),
        ]);
    }
}
