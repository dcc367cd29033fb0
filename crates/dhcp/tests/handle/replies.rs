//! What replies say: which options, in which order, with which values.

use crate::client::{ADDRESS, Client, DISCOVER, GATEWAY, INFORM, NONE, OTHER, REQUEST, binding};
use slash32_binding::{Binding, Ipv4Addr, Route, Routers, Text};

const NAMESERVER: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);

/// Every field is set; raw: 224 and 3 always, 225 and 12 when asked for.
fn full() -> Binding {
    let mut binding = binding();
    binding
        .routes
        .push(Route {
            to: "10.0.0.0/8".parse().unwrap(),
            via: GATEWAY,
        })
        .unwrap();
    binding
        .dns
        .extend_from_slice(&[NAMESERVER, Ipv4Addr::new(149, 112, 112, 112)])
        .unwrap();
    binding.ntp.push(Ipv4Addr::new(192, 0, 2, 123)).unwrap();
    binding
        .tftp_servers
        .push(Ipv4Addr::new(192, 0, 2, 150))
        .unwrap();
    binding.mtu = 1400;
    binding.hostname = Text::new("web1").unwrap();
    binding.domain = Text::new("example.com").unwrap();
    binding.search = Text::new("a.example b.example").unwrap();
    binding.next_server = Ipv4Addr::new(192, 0, 2, 66);
    binding.server_name = Text::new("boot").unwrap();
    binding.boot_file = Text::new("menu.ipxe").unwrap();
    binding
        .raw
        .extend_from_slice(&[
            224, 1, 2, 10, 11, 225, 0, 1, 9, 3, 1, 4, 8, 8, 8, 8, 12, 0, 1, b'x',
        ])
        .unwrap();
    binding
}

const MANDATORY: [u8; 8] = [53, 54, 51, 58, 59, 1, 121, 3];

fn codes_for(list: &[u8], binding: Binding) -> Vec<u8> {
    let answer = Client::sends(DISCOVER)
        .list(list)
        .option(57, &[5, 220])
        .gets(binding);
    answer
        .codes()
        .strip_prefix(&MANDATORY)
        .expect("the mandatory options come first")
        .to_vec()
}

#[test]
fn item_73_an_offer_has_the_mandatory_options_whatever_was_asked_for() {
    for client in [
        Client::sends(DISCOVER),
        Client::sends(DISCOVER).list(&[28]),
        Client::sends(DISCOVER).list(&[3, 121, 1]),
    ] {
        let answer = client.gets(binding());
        assert_eq!(answer.codes(), MANDATORY);
        assert_eq!(answer.option(53), Some(vec![2]));
        assert_eq!(answer.option(54), Some(vec![169, 254, 0, 1]));
        assert_eq!(answer.option(51), Some(86_400_u32.to_be_bytes().to_vec()));
        assert_eq!(answer.option(1), Some(vec![255; 4]));
        assert_eq!(answer.option(3), Some(vec![169, 254, 0, 1]));
        assert_eq!(
            answer.option(121),
            Some(vec![32, 169, 254, 0, 1, 0, 0, 0, 0, 0, 169, 254, 0, 1])
        );
    }
}

#[test]
fn item_12_a_short_reply_is_padded_to_300_bytes() {
    assert_eq!(Client::sends(DISCOVER).gets(binding()).message.len(), 300);
    assert_eq!(
        Client::sends(REQUEST)
            .asks_for(OTHER)
            .gets(binding())
            .message
            .len(),
        300
    );
}

#[test]
fn item_33_offer_and_ack_say_the_same() {
    let list = [12, 119, 42, 249, 225];
    let offer = Client::sends(DISCOVER).list(&list).gets(full());
    for request in [
        Client::sends(REQUEST).chooses(GATEWAY).asks_for(ADDRESS),
        Client::sends(REQUEST).asks_for(ADDRESS),
        Client::sends(REQUEST).ciaddr(ADDRESS),
        Client::sends(REQUEST).ciaddr(ADDRESS).unicast(),
    ] {
        let ack = request.list(&list).gets(full());
        assert_eq!(ack.option(53), Some(vec![5]));
        assert_eq!(ack.records[1..], offer.records[1..]);
        assert_eq!(
            (ack.yiaddr(), ack.siaddr()),
            (offer.yiaddr(), offer.siaddr())
        );
        assert_eq!(ack.message[44..236], offer.message[44..236]);
    }
}

#[test]
fn item_18_the_rest_comes_in_the_order_of_the_list() {
    assert_eq!(
        codes_for(
            &[249, 225, 150, 12, 1, 119, 67, 3, 66, 42, 15, 6, 26],
            full()
        ),
        [6, 26, 249, 225, 150, 12, 119, 67, 66, 42, 15, 224]
    );
    assert_eq!(codes_for(&[6, 121, 1, 3], full()), [6, 26, 224]);
    assert_eq!(codes_for(&[15, 12], full()), [6, 26, 15, 12, 224]);
}

#[test]
fn item_19_without_a_list_what_is_configured_is_sent() {
    let answer = Client::sends(DISCOVER).gets(full());
    assert_eq!(
        answer.codes(),
        [53, 54, 51, 58, 59, 1, 121, 3, 6, 26, 12, 15, 42, 119, 224]
    );
}

#[test]
fn item_20_a_list_of_nonsense_adds_nothing() {
    let mut every: Vec<u8> = (0..=255).collect();
    every.pop();
    assert_eq!(codes_for(&every, binding()), [249]);
    assert_eq!(
        codes_for(
            &[
                0, 255, 52, 50, 53, 54, 55, 57, 61, 82, 51, 58, 59, 42, 33, 252, 80, 108
            ],
            binding()
        ),
        [0; 0]
    );
    assert_eq!(
        codes_for(&[12, 12, 12, 12, 12, 1, 1, 249, 249], full()),
        [6, 26, 12, 249, 224]
    );
}

#[test]
fn each_option_has_the_value_of_its_field() {
    let answer = Client::sends(DISCOVER)
        .list(&[12, 15, 42, 66, 67, 119, 150, 249, 225])
        .gets(full());
    for (code, value) in [
        (6, &[9, 9, 9, 9, 149, 112, 112, 112][..]),
        (26, &[5, 120]),
        (12, b"web1"),
        (15, b"example.com"),
        (42, &[192, 0, 2, 123]),
        (66, b"boot"),
        (67, b"menu.ipxe"),
        (119, b"\x01a\x07example\0\x01b\xc0\x02"),
        (150, &[192, 0, 2, 150]),
        (
            121,
            &[
                32, 169, 254, 0, 1, 0, 0, 0, 0, 0, 169, 254, 0, 1, 8, 10, 169, 254, 0, 1,
            ],
        ),
        (224, &[10, 11]),
        (225, &[9]),
    ] {
        assert_eq!(answer.option(code).as_deref(), Some(value), "{code}");
    }
    assert_eq!(answer.option(249), answer.option(121));
    assert_eq!(answer.siaddr(), Ipv4Addr::new(192, 0, 2, 66));
    assert_eq!(answer.message[44..49], *b"boot\0");
    assert_eq!(answer.message[108..118], *b"menu.ipxe\0");
}

#[test]
fn an_mtu_of_1500_is_not_sent() {
    let mut binding = full();
    binding.mtu = 1500;
    assert_eq!(codes_for(&[26], binding), [6, 224]);
}

#[test]
fn a_boot_file_that_does_not_fit_its_field_is_sent_unasked() {
    for (length, in_field) in [(127, true), (128, false), (253, false)] {
        let mut binding = binding();
        binding.boot_file = Text::new(&"f".repeat(length)).unwrap();
        let answer = Client::sends(DISCOVER)
            .list(&[1])
            .option(57, &[5, 220])
            .gets(binding);
        assert_eq!(answer.message[108] == b'f', in_field, "{length}");
        assert_eq!(
            answer.option(67).map(|value| value.len()),
            if in_field { None } else { Some(length) }
        );
    }
}

#[test]
fn item_77_the_router_is_left_out_only_for_who_asked_for_routes_and_only_when_configured() {
    for (routers, list, sent) in [
        (Routers::Always, &[3, 121][..], true),
        (Routers::Always, &[3], true),
        (Routers::Rfc3442, &[3, 121], false),
        (Routers::Rfc3442, &[121], false),
        (Routers::Rfc3442, &[3], true),
        (Routers::Rfc3442, &[3, 249], true),
    ] {
        let mut binding = full();
        binding.routers = routers;
        let answer = Client::sends(DISCOVER).list(list).gets(binding);
        assert_eq!(answer.option(3).is_some(), sent, "{routers:?} {list:?}");
        assert!(answer.option(121).is_some());
    }
    // Item 80: no list at all.
    let mut binding = binding();
    binding.routers = Routers::Rfc3442;
    assert!(Client::sends(DISCOVER).gets(binding).option(3).is_some());
}

#[test]
fn item_79_option_249_goes_only_to_who_asks_for_it() {
    assert_eq!(codes_for(&[121], binding()), [0; 0]);
    assert_eq!(codes_for(&[249], binding()), [249]);
}

#[test]
fn item_98_an_inform_gets_the_configuration_without_an_address_or_times() {
    let answer = Client::sends(INFORM)
        .ciaddr(ADDRESS)
        .list(&[12])
        .gets(full());
    assert_eq!(answer.option(53), Some(vec![5]));
    assert_eq!(answer.codes(), [53, 54, 1, 121, 3, 6, 26, 12, 224]);
    assert_eq!(answer.yiaddr(), NONE);
}

#[test]
fn item_64_a_nak_says_no_and_nothing_else() {
    let client = Client::sends(REQUEST)
        .asks_for(OTHER)
        .list(&[1, 3, 6, 12])
        .option(61, &[1, 2, 3])
        .option(82, &[1, 1, 5]);
    let answer = client.gets(full());
    assert_eq!(answer.codes(), [53, 54, 56, 61, 82]);
    assert_eq!(answer.option(53), Some(vec![6]));
    assert_eq!(answer.option(54), Some(GATEWAY.octets().to_vec()));
    assert_eq!(answer.option(61), Some(vec![1, 2, 3]));
    assert_eq!(answer.option(82), Some(vec![1, 1, 5]));
    assert!(
        answer.message[12..28].iter().all(|&byte| byte == 0),
        "ciaddr, yiaddr, siaddr, giaddr"
    );
    assert!(
        answer.message[44..236].iter().all(|&byte| byte == 0),
        "sname, file"
    );
}

#[test]
fn items_103_and_104_the_client_identifier_is_echoed_where_there_is_one() {
    for length in [1, 2, 7, 19, 127, 254, 255] {
        let identifier: Vec<u8> = (0..length).map(|i| i as u8).collect();
        for client in [
            Client::sends(DISCOVER),
            Client::sends(REQUEST).asks_for(ADDRESS),
            Client::sends(REQUEST).asks_for(OTHER),
            Client::sends(INFORM).ciaddr(ADDRESS),
        ] {
            let answer = client.option(61, &identifier).gets(full());
            assert_eq!(
                answer.option(61),
                Some(identifier.clone()),
                "{length} {:?}",
                answer.outcome
            );
        }
    }
    assert_eq!(Client::sends(DISCOVER).gets(full()).option(61), None);
}

#[test]
fn item_69_the_relay_agent_information_comes_last() {
    let answer = Client::sends(DISCOVER)
        .option(82, &[1, 2, 3, 4])
        .option(61, &[1, 2])
        .gets(full());
    assert_eq!(
        answer.records[answer.records.len() - 2..],
        [(61, vec![1, 2]), (82, vec![1, 2, 3, 4])]
    );
}

#[test]
fn old_ipxe_gets_a_mask_that_lets_it_use_the_router() {
    let narrow = vec![255, 255, 255, 252];
    let wide = vec![255, 255, 255, 255];
    let discover = || Client::sends(DISCOVER);
    for (name, client, mask) in [
        (
            "raw user class",
            discover().list(&[1, 3]).option(77, b"iPXE"),
            &narrow,
        ),
        (
            "RFC 3004 user class",
            discover().list(&[1, 3]).option(77, b"\x01x\x04iPXE"),
            &narrow,
        ),
        (
            "fragmented",
            discover().list(&[1, 3]).option(77, b"iP").option(77, b"XE"),
            &narrow,
        ),
        (
            "option 175",
            discover().list(&[1, 3]).option(175, &[0xb1, 1, 5]),
            &narrow,
        ),
        (
            "new: asks for 121",
            discover()
                .list(&[1, 3, 121])
                .option(77, b"iPXE")
                .option(175, &[1]),
            &wide,
        ),
        ("no list", discover().option(77, b"iPXE"), &narrow),
        (
            "another class",
            discover().list(&[1, 3]).option(77, b"iPX"),
            &wide,
        ),
        ("nothing", discover().list(&[1, 3]), &wide),
    ] {
        assert_eq!(
            client.gets(binding()).option(1).as_ref(),
            Some(mask),
            "{name}"
        );
    }
    let mut wider = binding();
    wider.netmask = Ipv4Addr::new(255, 255, 255, 0);
    let answer = discover().list(&[1, 3]).option(77, b"iPXE").gets(wider);
    assert_eq!(answer.option(1), Some(vec![255, 255, 255, 0]));
}

#[test]
fn what_the_operator_writes_replaces_nothing_that_is_sent_anyway() {
    for code in [
        0, 1, 3, 50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 82, 121, 255,
    ] {
        let mut binding = binding();
        binding.lease_time = u32::MAX;
        binding.routers = Routers::Rfc3442;
        binding
            .raw
            .extend_from_slice(&[code, 1, 4, 6, 6, 6, 6])
            .unwrap();
        let answer = Client::sends(INFORM)
            .ciaddr(ADDRESS)
            .list(&[code, 121])
            .gets(binding);
        assert!(
            answer.records.iter().all(|(_, value)| *value != [6; 4]),
            "{code}"
        );
    }
    // What it does not flag is not sent unasked, whatever would be sent unasked had the binding a value for it.
    let mut quiet = binding();
    quiet
        .raw
        .extend_from_slice(&[6, 0, 4, 6, 6, 6, 6, 26, 0, 2, 6, 6])
        .unwrap();
    assert_eq!(codes_for(&[1], quiet), [0; 0]);
    assert_eq!(codes_for(&[26, 6], quiet), [26, 6]);
    // A field that is set comes before a raw option of the same code, one that is not set leaves it the place.
    let mut both = binding();
    both.raw.extend_from_slice(&[12, 0, 1, b'r']).unwrap();
    assert_eq!(
        Client::sends(DISCOVER).list(&[12]).gets(both).option(12),
        Some(b"r".to_vec())
    );
    assert_eq!(
        Client::sends(DISCOVER).list(&[12]).gets(full()).option(12),
        Some(b"web1".to_vec())
    );
}

#[test]
fn item_56_an_infinite_lease_has_no_times() {
    let mut binding = binding();
    binding.lease_time = u32::MAX;
    let answer = Client::sends(DISCOVER).gets(binding);
    assert_eq!(answer.codes(), [53, 54, 51, 1, 121, 3]);
    assert_eq!(answer.option(51), Some(vec![0xff; 4]));
}
