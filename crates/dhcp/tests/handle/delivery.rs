//! Where replies go, and what their headers say (RFC 2131 §4.1, §4.3.1).

use crate::client::{
    ADDRESS, CLIENT, Client, DISCOVER, GATEWAY, INFORM, NONE, OTHER, REQUEST, SERVER, binding,
};
use slash32_binding::{Ipv4Addr, MacAddr};
use slash32_dhcp::Outcome;

const BROADCAST_FLAG: u16 = 0x8000;

#[test]
fn every_answer_goes_where_rfc_2131_sends_it() {
    let request = || Client::sends(REQUEST);
    for (name, client, outcome, broadcast) in [
        ("item 60", Client::sends(DISCOVER), Outcome::Offer, false),
        (
            "item 59",
            Client::sends(DISCOVER).flags(BROADCAST_FLAG),
            Outcome::Offer,
            true,
        ),
        (
            "item 6",
            Client::sends(DISCOVER)
                .ciaddr(ADDRESS)
                .flags(BROADCAST_FLAG),
            Outcome::Offer,
            true,
        ),
        (
            "item 60",
            request().chooses(GATEWAY).asks_for(ADDRESS),
            Outcome::AckSelecting,
            false,
        ),
        (
            "item 59",
            request()
                .chooses(GATEWAY)
                .asks_for(ADDRESS)
                .flags(BROADCAST_FLAG),
            Outcome::AckSelecting,
            true,
        ),
        (
            "item 42",
            request().asks_for(ADDRESS),
            Outcome::AckInitReboot,
            false,
        ),
        (
            "item 47",
            request().ciaddr(ADDRESS).unicast(),
            Outcome::AckRenewing,
            false,
        ),
        (
            "item 62",
            request().ciaddr(ADDRESS).unicast().flags(BROADCAST_FLAG),
            Outcome::AckRenewing,
            false,
        ),
        (
            "item 48",
            request().ciaddr(ADDRESS),
            Outcome::AckRebinding,
            false,
        ),
        (
            "item 63",
            request().ciaddr(OTHER).unicast(),
            Outcome::NakRenewing,
            true,
        ),
        (
            "item 63",
            request().ciaddr(OTHER),
            Outcome::NakRebinding,
            true,
        ),
        (
            "item 63",
            request().asks_for(OTHER),
            Outcome::NakInitReboot,
            true,
        ),
        (
            "item 63",
            request().chooses(GATEWAY).asks_for(OTHER),
            Outcome::NakSelecting,
            true,
        ),
        (
            "item 98",
            Client::sends(INFORM).ciaddr(ADDRESS).unicast(),
            Outcome::AckInform,
            false,
        ),
        (
            "item 98",
            Client::sends(INFORM).ciaddr(ADDRESS).flags(BROADCAST_FLAG),
            Outcome::AckInform,
            false,
        ),
        (
            "item 99",
            Client::sends(INFORM).unicast().flags(BROADCAST_FLAG),
            Outcome::AckInform,
            false,
        ),
    ] {
        let answer = client.gets(binding());
        assert_eq!(answer.outcome, outcome, "{name}");
        let to = if broadcast {
            (MacAddr::BROADCAST, Ipv4Addr::BROADCAST)
        } else {
            (CLIENT, ADDRESS)
        };
        assert_eq!(
            (answer.link, answer.ip),
            ((SERVER, to.0), (GATEWAY, to.1)),
            "{name} {outcome:?}"
        );
    }
}

#[test]
fn item_53_nothing_is_sent_to_the_ip_source() {
    let mut client = Client::sends(REQUEST).ciaddr(ADDRESS).unicast();
    client.ip.0 = OTHER;
    assert_eq!(client.gets(binding()).ip.1, ADDRESS);
}

#[test]
fn nothing_is_sent_to_a_ciaddr_that_is_not_ours() {
    let client = Client::sends(REQUEST)
        .chooses(GATEWAY)
        .asks_for(ADDRESS)
        .ciaddr(OTHER);
    let answer = client.gets(binding());
    assert_eq!(
        (answer.outcome, answer.ip.1, answer.ciaddr()),
        (Outcome::AckSelecting, ADDRESS, NONE)
    );
}

#[test]
fn items_2_to_5_what_is_echoed_is_byte_identical() {
    for xid in [[0; 4], [0xff; 4], [1, 2, 3, 4]] {
        for flags in [0_u16, 0x8000, 0x7fff, 0xffff] {
            let mut chaddr = [0xee; 16];
            chaddr[..6].copy_from_slice(&[0xfe, 0x01, 0x02, 0x03, 0xff, 0x04]);
            for client in [
                Client::sends(DISCOVER),
                Client::sends(REQUEST).asks_for(OTHER),
                Client::sends(INFORM).ciaddr(ADDRESS),
            ] {
                let answer = client
                    .with(4, &xid)
                    .flags(flags)
                    .with(28, &chaddr)
                    .gets(binding());
                assert_eq!(answer.message[4..8], xid);
                assert_eq!(answer.message[10..12], flags.to_be_bytes());
                assert_eq!(answer.message[28..44], chaddr);
            }
        }
    }
}

#[test]
fn item_6_what_a_client_writes_into_server_fields_is_not_copied() {
    let client = Client::sends(DISCOVER)
        .with(3, &[7])
        .with(8, &[1, 2])
        .ciaddr(Ipv4Addr::BROADCAST)
        .with(16, &[0x11; 8])
        .with(44, &[0x22; 64])
        .with(108, &[0x33; 128]);
    assert_eq!(
        client.gets(binding()),
        Client::sends(DISCOVER).gets(binding())
    );
}

#[test]
fn the_header_names_the_address_in_the_fields_of_its_kind() {
    for (client, ciaddr, yiaddr) in [
        (Client::sends(DISCOVER), NONE, ADDRESS),
        (Client::sends(DISCOVER).ciaddr(ADDRESS), NONE, ADDRESS),
        (Client::sends(REQUEST).asks_for(ADDRESS), NONE, ADDRESS),
        (Client::sends(REQUEST).ciaddr(ADDRESS), ADDRESS, ADDRESS),
        (Client::sends(REQUEST).ciaddr(OTHER), NONE, NONE),
        (Client::sends(INFORM).ciaddr(ADDRESS), ADDRESS, NONE),
        (Client::sends(INFORM).unicast(), NONE, NONE),
    ] {
        let answer = client.gets(binding());
        assert_eq!(
            (answer.ciaddr(), answer.yiaddr()),
            (ciaddr, yiaddr),
            "{:?}",
            answer.outcome
        );
    }
}
