//! What is read from a message: options wherever they stand, and what is wrong with them.

use crate::client::{
    ADDRESS, Client, DECLINE, DISCOVER, GATEWAY, INFORM, OTHER, RELEASE, REQUEST, binding,
};
use slash32_binding::{MacAddr, Reason};
use slash32_dhcp::Outcome;

const SNAME: usize = 44;
const FILE: usize = 108;

#[test]
fn item_86_options_that_run_past_the_end_are_malformed() {
    for options in [
        &[53, 1, 1, 12, 5, b'a'][..],
        &[53, 1, 1, 12],
        &[53, 1, 1, 12, 1],
        &[53],
        &[53, 1],
        &[53, 1, 1, 0, 0, 61, 255],
    ] {
        assert_eq!(
            Client::sends_raw(options).ignored(),
            Some(Reason::MalformedOptions),
            "{options:?}"
        );
    }
}

#[test]
fn item_86_a_missing_end_and_bytes_behind_an_end_are_no_fault() {
    for options in [
        &[53, 1, 1][..],
        &[0, 0, 53, 1, 1, 0],
        &[53, 1, 1, 255],
        &[53, 1, 1, 255, 12, 200],
        &[53, 1, 1, 255, 53, 1, 3],
    ] {
        assert_eq!(
            Client::sends_raw(options).outcome(),
            Ok(Outcome::Offer),
            "{options:?}"
        );
    }
}

#[test]
fn item_86_a_large_message_is_read_to_its_end() {
    for length in [1_400, 8_900] {
        let mut options = vec![0; length];
        options.extend([53, 1, 1]);
        assert_eq!(Client::sends_raw(&options).outcome(), Ok(Outcome::Offer));
    }
}

#[test]
fn item_87_only_what_a_client_sends_is_a_message_type() {
    for options in [
        &[][..],
        &[255],
        &[53, 0],
        &[53, 2, 1, 1],
        &[53, 1, 1, 53, 1, 1],
        &[255, 53, 1, 1],
    ] {
        assert_eq!(
            Client::sends_raw(options).ignored(),
            Some(Reason::BadMessageType),
            "{options:?}"
        );
    }
    for message_type in 0..=255 {
        let known = [DISCOVER, REQUEST, DECLINE, RELEASE, INFORM].contains(&message_type);
        let reason = Client::sends(message_type).ignored();
        assert_eq!(
            reason == Some(Reason::BadMessageType),
            !known,
            "{message_type}"
        );
    }
}

#[test]
fn item_88_an_address_of_the_wrong_length_makes_the_options_malformed() {
    for code in [50, 54] {
        for length in [0, 3, 5, 8] {
            let client = Client::sends(REQUEST).option(code, &vec![1; length]);
            assert_eq!(
                client.ignored(),
                Some(Reason::MalformedOptions),
                "{code} {length}"
            );
        }
    }
}

#[test]
fn item_88_other_options_of_the_wrong_length_are_as_good_as_absent() {
    let plain = Client::sends(DISCOVER).gets(binding());
    for (code, value) in [
        (55, &[][..]),
        (57, &[]),
        (57, &[5]),
        (57, &[5, 220, 0]),
        (61, &[]),
        (12, &[]),
        (82, &[]),
        (77, &[]),
        (81, &[0]),
        (51, &[1]),
    ] {
        let client = Client::sends(DISCOVER).option(code, value);
        assert_eq!(client.gets(binding()), plain, "{code} {value:?}");
    }
}

#[test]
fn item_83_fragments_are_joined_wherever_they_stand() {
    let address = ADDRESS.octets();
    let client = Client::sends(REQUEST)
        .option(50, &address[..1])
        .option(12, b"vm")
        .option(50, &address[1..]);
    assert_eq!(client.outcome(), Ok(Outcome::AckInitReboot));

    let whole = Client::sends(DISCOVER).list(&[15, 12]).gets(named());
    let split = Client::sends(DISCOVER)
        .list(&[15])
        .option(61, &[1, 2])
        .list(&[])
        .list(&[12])
        .option(61, &[3])
        .gets(named());
    assert_eq!(split.option(61), Some(vec![1, 2, 3]));
    assert_eq!(
        split.records.iter().filter(|record| record.0 == 61).count(),
        1
    );
    assert_eq!(split.codes()[..split.codes().len() - 1], whole.codes()[..]);
}

fn named() -> slash32_binding::Binding {
    let mut binding = binding();
    binding.hostname = slash32_binding::Text::new("web1").unwrap();
    binding.domain = slash32_binding::Text::new("example.com").unwrap();
    binding
}

#[test]
fn item_84_options_in_file_and_sname_are_read_where_option_52_says_so() {
    let [a, b, c, d] = ADDRESS.octets();
    let record = [50, 4, a, b, c, d, 255];
    for (overload, at, read) in [
        (1, FILE, true),
        (2, SNAME, true),
        (3, FILE, true),
        (3, SNAME, true),
        (1, SNAME, false),
        (2, FILE, false),
    ] {
        // What is not read may be anything, as long as nobody claims that it is options.
        let client = Client::sends(REQUEST)
            .option(52, &[overload])
            .with(at, &record);
        let expected = if read {
            Outcome::AckInitReboot
        } else {
            Outcome::NakInitReboot
        };
        assert_eq!(client.outcome(), Ok(expected), "{overload} {at}");
    }
}

#[test]
fn item_84_fragments_join_in_the_order_options_file_sname() {
    let [a, b, c, d] = ADDRESS.octets();
    let client = Client::sends(REQUEST)
        .option(52, &[3])
        .option(50, &[a])
        .with(FILE, &[50, 2, b, c, 255])
        .with(SNAME, &[50, 1, d, 255]);
    assert_eq!(client.outcome(), Ok(Outcome::AckInitReboot));
}

#[test]
fn item_84_options_in_file_that_run_past_it_are_malformed() {
    let client = Client::sends(DISCOVER)
        .option(52, &[1])
        .with(FILE + 126, &[12, 5]);
    assert_eq!(client.ignored(), Some(Reason::MalformedOptions));
}

#[test]
fn item_85_an_option_52_that_makes_no_sense_says_nothing() {
    let [a, b, c, d] = ADDRESS.octets();
    let record = [50, 4, a, b, c, d, 255];
    for value in [&[0][..], &[4], &[255], &[], &[1, 1]] {
        let client = Client::sends(REQUEST)
            .option(52, value)
            .with(FILE, &record)
            .with(SNAME, &record);
        assert_eq!(client.outcome(), Ok(Outcome::NakInitReboot), "{value:?}");
    }
}

#[test]
fn item_85_an_option_52_inside_file_says_nothing() {
    let [a, b, c, d] = ADDRESS.octets();
    let client = Client::sends(REQUEST)
        .option(52, &[1])
        .with(FILE, &[52, 1, 2, 255])
        .with(SNAME, &[50, 4, a, b, c, d, 255]);
    assert_eq!(client.outcome(), Ok(Outcome::NakInitReboot));
}

#[test]
fn item_106_a_client_without_chaddr_needs_a_client_identifier_and_is_answered_by_broadcast() {
    let client = Client::sends(DISCOVER).chaddr(MacAddr::ZERO);
    assert_eq!(client.ignored(), Some(Reason::BadHardwareAddress));
    let answer = client.option(61, &[0, 1, 2]).gets(binding());
    assert_eq!(answer.link.1, MacAddr::BROADCAST);
    assert!(answer.ip.1.is_broadcast());
    assert_eq!(answer.option(61), Some(vec![0, 1, 2]));
}

#[test]
fn item_23_what_a_discover_asks_for_selects_nothing() {
    let plain = Client::sends(DISCOVER).gets(binding());
    for client in [
        Client::sends(DISCOVER).asks_for(OTHER),
        Client::sends(DISCOVER).asks_for(ADDRESS),
        Client::sends(DISCOVER).option(51, &[0, 0, 0, 0]),
        Client::sends(DISCOVER).option(51, &[0xff; 4]),
        Client::sends(DISCOVER).option(80, &[]),
        Client::sends(DISCOVER).option(116, &[1]),
        Client::sends(DISCOVER).option(118, &[10, 0, 0, 0]),
    ] {
        assert_eq!(client.gets(binding()), plain);
    }
}

#[test]
fn item_67_a_relayed_message_is_dropped() {
    for message_type in [DISCOVER, REQUEST, DECLINE, RELEASE, INFORM] {
        let client = Client::sends(message_type)
            .asks_for(ADDRESS)
            .with(24, &GATEWAY.octets());
        assert_eq!(client.ignored(), Some(Reason::Relayed), "{message_type}");
    }
}
