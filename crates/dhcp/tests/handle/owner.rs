//! One VM a link: who is served.

use crate::client::{
    ADDRESS, CLIENT, Client, DECLINE, DISCOVER, GATEWAY, INFORM, OTHER, RELEASE, REQUEST, ask,
    binding,
};
use slash32_binding::{MacAddr, Reason};
use slash32_dhcp::{Action, Instant, MAX_FRAME, Outcome, Responder};

const NEIGHBOUR: MacAddr = MacAddr([0x52, 0x54, 0, 0x65, 0x43, 0x21]);

fn outcome(responder: &mut Responder, client: &Client) -> Result<Outcome, Reason> {
    ask(responder, &client.frame()).map(|answer| answer.outcome)
}

#[test]
fn the_first_acknowledged_chaddr_owns_the_generation() {
    let mut responder = Responder::new(binding());
    assert_eq!(
        outcome(&mut responder, &Client::sends(REQUEST).asks_for(ADDRESS)),
        Ok(Outcome::AckInitReboot)
    );
    for message_type in [DISCOVER, REQUEST, DECLINE, RELEASE, INFORM] {
        let client = Client::sends(message_type)
            .asks_for(ADDRESS)
            .ciaddr(ADDRESS)
            .chaddr(NEIGHBOUR);
        assert_eq!(
            outcome(&mut responder, &client),
            Err(Reason::OtherMac),
            "{message_type}"
        );
    }
    assert_eq!(
        outcome(&mut responder, &Client::sends(DISCOVER)),
        Ok(Outcome::Offer)
    );
}

#[test]
fn an_answer_that_acknowledges_nothing_makes_no_owner() {
    for client in [
        Client::sends(DISCOVER),
        Client::sends(REQUEST).asks_for(OTHER),
        Client::sends(INFORM).ciaddr(ADDRESS),
        Client::sends(DECLINE).asks_for(ADDRESS),
    ] {
        let mut responder = Responder::new(binding());
        let _ = outcome(&mut responder, &client);
        assert_eq!(
            outcome(&mut responder, &Client::sends(DISCOVER).chaddr(NEIGHBOUR)),
            Ok(Outcome::Offer)
        );
    }
}

#[test]
fn an_ack_that_did_not_fit_makes_no_owner() {
    let mut responder = Responder::new(binding());
    let ack = Client::sends(REQUEST).asks_for(ADDRESS).frame();
    assert_eq!(
        responder.handle(Instant(0), &ack, &mut [0; 341]),
        Action::Ignore(Reason::ReplyTooLarge)
    );
    assert_eq!(
        outcome(&mut responder, &Client::sends(DISCOVER).chaddr(NEIGHBOUR)),
        Ok(Outcome::Offer)
    );
}

#[test]
fn a_bound_chaddr_is_the_only_one_from_the_start() {
    let mut bound = binding();
    bound.chaddr = Some(CLIENT);
    let mut responder = Responder::new(bound);
    assert_eq!(
        outcome(&mut responder, &Client::sends(DISCOVER).chaddr(NEIGHBOUR)),
        Err(Reason::OtherMac)
    );
    assert_eq!(
        outcome(
            &mut responder,
            &Client::sends(DISCOVER)
                .chaddr(MacAddr::ZERO)
                .option(61, &[1, 2])
        ),
        Err(Reason::OtherMac)
    );
    assert_eq!(
        outcome(&mut responder, &Client::sends(DISCOVER)),
        Ok(Outcome::Offer)
    );
}

#[test]
fn a_changed_binding_keeps_the_owner_and_a_new_one_forgets_it() {
    let mut responder = Responder::new(binding());
    let neighbour = Client::sends(DISCOVER).chaddr(NEIGHBOUR);
    assert_eq!(
        outcome(&mut responder, &Client::sends(REQUEST).asks_for(ADDRESS)),
        Ok(Outcome::AckInitReboot)
    );

    let mut changed = binding();
    changed.address = OTHER;
    responder.rebind(changed);
    assert_eq!(responder.binding(), &changed);
    assert_eq!(outcome(&mut responder, &neighbour), Err(Reason::OtherMac));
    assert_eq!(
        outcome(&mut responder, &Client::sends(REQUEST).asks_for(ADDRESS)),
        Ok(Outcome::NakInitReboot)
    );

    changed.chaddr = Some(NEIGHBOUR);
    responder.rebind(changed);
    assert_eq!(outcome(&mut responder, &neighbour), Ok(Outcome::Offer));
    assert_eq!(
        outcome(&mut Responder::new(binding()), &neighbour),
        Ok(Outcome::Offer)
    );
}

#[test]
fn a_client_without_chaddr_does_not_shut_out_the_one_that_has_one() {
    let mut responder = Responder::new(binding());
    let nobody = Client::sends(REQUEST)
        .asks_for(ADDRESS)
        .chaddr(MacAddr::ZERO)
        .option(61, &[1, 2]);
    assert_eq!(outcome(&mut responder, &nobody), Ok(Outcome::AckInitReboot));
    assert_eq!(
        outcome(&mut responder, &Client::sends(DISCOVER)),
        Ok(Outcome::Offer)
    );
}

#[test]
fn item_30_boot_stages_with_different_identifiers_get_the_same_address() {
    let mut responder = Responder::new(binding());
    for identifier in [
        &[0, 1, 2][..],
        &[],
        &[255, 1, 2, 3, 4, 0, 2, 0, 0, 0xab, 0x11],
    ] {
        for message in [
            Client::sends(DISCOVER),
            Client::sends(REQUEST).chooses(GATEWAY).asks_for(ADDRESS),
        ] {
            let answer = ask(&mut responder, &message.option(61, identifier).frame()).unwrap();
            assert_eq!(answer.yiaddr(), ADDRESS);
            assert_eq!(answer.option(61).unwrap_or_default(), identifier);
        }
    }
}

#[test]
fn the_same_request_gets_the_same_reply_again() {
    let mut responder = Responder::new(binding());
    for client in [
        Client::sends(DISCOVER),
        Client::sends(REQUEST).chooses(GATEWAY).asks_for(ADDRESS),
        Client::sends(REQUEST).ciaddr(ADDRESS).unicast(),
    ] {
        let mut first = [0; MAX_FRAME];
        let mut second = [0xff; MAX_FRAME];
        let Action::Reply { len, .. } = responder.handle(Instant(1), &client.frame(), &mut first)
        else {
            panic!()
        };
        let Action::Reply { len: again, .. } =
            responder.handle(Instant(1 << 40), &client.frame(), &mut second)
        else {
            panic!()
        };
        assert_eq!(first[..len], second[..again]);
    }
}

#[test]
fn item_36_another_servers_identifier_is_ignored_in_every_message() {
    for message_type in [REQUEST, DECLINE, RELEASE, INFORM] {
        let client = Client::sends(message_type)
            .asks_for(ADDRESS)
            .ciaddr(ADDRESS)
            .chooses(OTHER);
        assert_eq!(
            client.ignored(),
            Some(Reason::OtherServer),
            "{message_type}"
        );
    }
}

#[test]
fn only_an_ack_with_an_address_acknowledges() {
    for &outcome in Outcome::ALL {
        let expected = matches!(
            outcome,
            Outcome::AckRapidCommit
                | Outcome::AckSelecting
                | Outcome::AckInitReboot
                | Outcome::AckRenewing
                | Outcome::AckRebinding
        );
        assert_eq!(slash32_dhcp::acknowledges(outcome), expected, "{outcome:?}");
        assert_eq!(
            Action::Reply { len: 342, outcome }.acknowledges(),
            expected,
            "{outcome:?}"
        );
    }
    assert!(!Action::Ignore(Reason::Held).acknowledges());
}
