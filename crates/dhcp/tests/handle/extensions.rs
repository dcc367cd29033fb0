//! What a client asks for beyond RFC 2131: Rapid Commit (RFC 4039), IPv6-Only Preferred (RFC 8925), Client FQDN (RFC 4702),
//! auto-configuration (RFC 2563), and raw options of any length.

use crate::client::{ADDRESS, Client, DISCOVER, INFORM, REQUEST, binding};
use slash32_binding::{Binding, Text};
use slash32_dhcp::Outcome;

const RAPID_COMMIT: u8 = 80;
const CLIENT_FQDN: u8 = 81;
const IPV6_ONLY_PREFERRED: u8 = 108;
const AUTO_CONFIGURE: u8 = 116;

fn with_rapid_commit() -> Binding {
    let mut binding = binding();
    binding.rapid_commit = true;
    binding
}

fn with_ipv6_only() -> Binding {
    let mut binding = binding();
    binding.ipv6_only_wait = 1800;
    binding
}

#[test]
fn item_107_with_rapid_commit_a_discover_gets_its_ack_at_once() {
    let answer = Client::sends(DISCOVER)
        .option(RAPID_COMMIT, &[])
        .gets(with_rapid_commit());
    assert_eq!(answer.outcome, Outcome::AckRapidCommit);
    assert!(slash32_dhcp::acknowledges(answer.outcome));
    assert_eq!(answer.option(53), Some(vec![5]));
    assert_eq!(answer.option(RAPID_COMMIT), Some(vec![]));
    assert_eq!(answer.yiaddr(), ADDRESS);
    assert!(answer.option(51).is_some() && answer.option(121).is_some());
}

#[test]
fn item_108_without_rapid_commit_a_discover_gets_an_ordinary_offer() {
    let answer = Client::sends(DISCOVER)
        .option(RAPID_COMMIT, &[])
        .list(&[1, RAPID_COMMIT])
        .gets(binding());
    assert_eq!(answer.outcome, Outcome::Offer);
    assert_eq!(answer.option(RAPID_COMMIT), None);
}

#[test]
fn item_108_a_client_that_does_not_ask_for_rapid_commit_gets_an_offer() {
    let answer = Client::sends(DISCOVER)
        .list(&[1, RAPID_COMMIT])
        .gets(with_rapid_commit());
    assert_eq!(answer.outcome, Outcome::Offer);
    assert_eq!(answer.option(RAPID_COMMIT), None);
}

#[test]
fn item_110_rapid_commit_in_a_request_or_with_a_value_says_nothing() {
    let request = Client::sends(REQUEST)
        .asks_for(ADDRESS)
        .option(RAPID_COMMIT, &[])
        .gets(with_rapid_commit());
    assert_eq!(request.outcome, Outcome::AckInitReboot);
    assert_eq!(request.option(RAPID_COMMIT), None);
    let discover = Client::sends(DISCOVER)
        .option(RAPID_COMMIT, &[1])
        .gets(with_rapid_commit());
    assert_eq!(discover.outcome, Outcome::Offer);
    assert_eq!(discover.option(RAPID_COMMIT), None);
}

#[test]
fn item_111_a_client_that_asks_is_told_that_ipv6_alone_will_do_and_keeps_its_address() {
    for client in [
        Client::sends(DISCOVER),
        Client::sends(REQUEST).asks_for(ADDRESS),
    ] {
        let answer = client
            .list(&[1, IPV6_ONLY_PREFERRED])
            .gets(with_ipv6_only());
        assert_eq!(
            answer.option(IPV6_ONLY_PREFERRED),
            Some(vec![0, 0, 0x07, 0x08])
        );
        assert_eq!(answer.yiaddr(), ADDRESS);
    }
}

#[test]
fn item_112_a_client_that_does_not_ask_hears_nothing_of_ipv6() {
    for client in [
        Client::sends(DISCOVER),
        Client::sends(DISCOVER).list(&[1, 3, 121]),
    ] {
        let answer = client.gets(with_ipv6_only());
        assert_eq!(answer.option(IPV6_ONLY_PREFERRED), None);
        assert_eq!(answer.yiaddr(), ADDRESS);
    }
    let answer = Client::sends(DISCOVER)
        .list(&[1, IPV6_ONLY_PREFERRED])
        .gets(binding());
    assert_eq!(answer.option(IPV6_ONLY_PREFERRED), None);
}

#[test]
fn item_113_a_client_that_may_do_without_ipv4_is_not_committed_rapidly() {
    let mut binding = with_ipv6_only();
    binding.rapid_commit = true;
    let client = Client::sends(DISCOVER).option(RAPID_COMMIT, &[]);
    let asking = client.clone().list(&[IPV6_ONLY_PREFERRED]).gets(binding);
    assert_eq!(asking.outcome, Outcome::Offer);
    assert!(asking.option(IPV6_ONLY_PREFERRED).is_some());
    assert_eq!(client.gets(binding).outcome, Outcome::AckRapidCommit);
}

#[test]
fn item_114_auto_configuration_changes_nothing_for_a_vm_with_an_address() {
    let answer = Client::sends(DISCOVER)
        .option(AUTO_CONFIGURE, &[1])
        .list(&[AUTO_CONFIGURE])
        .gets(binding());
    assert_eq!(answer.yiaddr(), ADDRESS);
    assert_eq!(answer.option(AUTO_CONFIGURE), None);
}

fn named() -> Binding {
    let mut binding = binding();
    binding.hostname = Text::new("web1").unwrap();
    binding.domain = Text::new("vm.example").unwrap();
    binding
}

#[test]
fn a_client_that_sends_its_fqdn_gets_its_name_in_the_same_form() {
    for (sent, expected) in [
        (&b"\x01\0\0guest"[..], &b"\x0a\xff\xffweb1.vm.example"[..]),
        (
            b"\x04\0\0\x05guest",
            b"\x0c\xff\xff\x04web1\x02vm\x07example\0",
        ),
    ] {
        let answer = Client::sends(DISCOVER)
            .option(CLIENT_FQDN, sent)
            .gets(named());
        assert_eq!(answer.option(CLIENT_FQDN).as_deref(), Some(expected));
    }
}

#[test]
fn a_client_without_an_fqdn_or_a_vm_without_a_name_gets_none() {
    let asking = Client::sends(DISCOVER).list(&[12, 15, CLIENT_FQDN]);
    assert_eq!(asking.gets(named()).option(CLIENT_FQDN), None);
    let sending = Client::sends(INFORM)
        .ciaddr(ADDRESS)
        .option(CLIENT_FQDN, b"\0\0\0guest");
    assert!(sending.gets(named()).option(CLIENT_FQDN).is_some());
    assert_eq!(sending.gets(binding()).option(CLIENT_FQDN), None);
    let broken = Client::sends(DISCOVER).option(CLIENT_FQDN, b"\0\0");
    assert_eq!(broken.gets(named()).option(CLIENT_FQDN), None);
}

#[test]
fn item_81_a_raw_option_of_more_than_255_bytes_comes_in_pieces() {
    let mut binding = binding();
    binding.raw.extend_from_slice(&[43, 0, 255]).unwrap();
    binding.raw.extend_from_slice(&[7; 255]).unwrap();
    binding.raw.extend_from_slice(&[43, 0, 45]).unwrap();
    binding.raw.extend_from_slice(&[8; 45]).unwrap();
    let client = Client::sends(DISCOVER).list(&[43]);
    let answer = client.clone().option(57, &[5, 220]).gets(binding);
    assert_eq!(
        answer.option(43),
        Some([[7; 255].as_slice(), &[8; 45]].concat())
    );
    // Whole, or not at all.
    assert_eq!(client.gets(binding).option(43), None);
}
