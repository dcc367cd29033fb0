//! Rows of the checklist that hold for every kind of answer, and rows where we decided against an option.

use crate::answer::Answer;
use crate::client::{
    ADDRESS, CLIENT, Client, DECLINE, DISCOVER, GATEWAY, INFORM, NONE, OTHER, RELEASE, REQUEST,
    SERVER, ask, binding,
};
use slash32_binding::{Binding, Ipv4Addr, MacAddr, Prefix, Reason, Route, Text};
use slash32_dhcp::{Action, Instant, MAX_FRAME, Outcome, Responder};

/// Asks for everything but 0 and 255, the options that a server must not send among it.
const EVERYTHING: [u8; 254] = {
    let mut codes = [0; 254];
    let mut index = 0;
    while index < 254 {
        codes[index] = index as u8 + 1;
        index += 1;
    }
    codes
};

/// A client in each state in which it is answered.
fn answered() -> [Client; 7] {
    [
        Client::sends(DISCOVER),
        Client::sends(REQUEST).chooses(GATEWAY).asks_for(ADDRESS),
        Client::sends(REQUEST).asks_for(ADDRESS),
        Client::sends(REQUEST).ciaddr(ADDRESS).unicast(),
        Client::sends(REQUEST).ciaddr(ADDRESS),
        Client::sends(INFORM).ciaddr(ADDRESS).unicast(),
        Client::sends(REQUEST).asks_for(OTHER),
    ]
}

/// A value in every field, and more than fits.
fn full() -> Binding {
    let mut binding = binding();
    for third in 0..8 {
        let to = Prefix::new(Ipv4Addr::new(10, 0, third, 0), 24).unwrap();
        binding.routes.push(Route { to, via: GATEWAY }).unwrap();
    }
    binding.dns.push(Ipv4Addr::new(9, 9, 9, 9)).unwrap();
    binding.ntp.push(Ipv4Addr::new(192, 0, 2, 123)).unwrap();
    binding.mtu = 1400;
    binding.hostname = Text::new("web1").unwrap();
    binding.domain = Text::new(&"d".repeat(253)).unwrap();
    binding.search = Text::new(&["s"; 100].join(" ")).unwrap();
    binding.next_server = Ipv4Addr::new(192, 0, 2, 66);
    binding.server_name = Text::new("boot").unwrap();
    binding.boot_file = Text::new(&"b".repeat(253)).unwrap();
    binding
        .raw
        .extend_from_slice(&[224, 1, 2, 10, 11, 225, 0, 1, 9])
        .unwrap();
    binding
}

/// Every kind of answer, from a binding with little in it and from one with too much, to clients of every appetite.
fn answers() -> impl Iterator<Item = Answer> {
    let bindings = [binding(), full()];
    bindings.into_iter().flat_map(|binding| {
        answered().into_iter().flat_map(move |client| {
            [
                client.clone(),
                client.clone().list(&EVERYTHING),
                client
                    .list(&EVERYTHING)
                    .option(57, &[5, 220])
                    .option(61, &[1, 2, 3]),
            ]
            .map(|client| client.gets(binding))
        })
    })
}

fn position(answer: &Answer, code: u8) -> Option<usize> {
    answer.codes().iter().position(|one| *one == code)
}

#[test]
fn item_1_every_reply_is_a_bootreply_to_an_ethernet_client_without_hops_and_secs() {
    for client in answered() {
        // What the client writes there is not copied.
        let answer = client.with(3, &[9]).with(8, &[1, 2]).gets(binding());
        assert_eq!(answer.message[..4], [2, 1, 6, 0], "op, htype, hlen, hops");
        assert_eq!(answer.message[8..10], [0, 0], "secs");
    }
}

#[test]
fn item_7_the_cookie_comes_first_then_one_message_type_and_behind_the_end_only_padding() {
    for answer in answers() {
        assert_eq!(answer.message[236..240], [99, 130, 83, 99]);
        let types = answer.records.iter().filter(|(code, _)| *code == 53);
        assert_eq!(types.count(), 1);
        // `Answer::decode` refuses a field without END, and anything but PAD behind it.
        assert_eq!(answer.codes()[0], 53);
    }
}

#[test]
fn items_8_and_9_every_reply_names_the_server_and_every_grant_its_time() {
    for answer in answers() {
        assert_eq!(answer.option(54), Some(GATEWAY.octets().to_vec()));
        let grants = !answer.is_refusal() && answer.outcome != Outcome::AckInform;
        let time = answer.option(51).map(|value| {
            let seconds: [u8; 4] = value.try_into().unwrap();
            u32::from_be_bytes(seconds)
        });
        assert_eq!(time.is_some(), grants, "{:?}", answer.outcome);
        assert_ne!(time, Some(0));
    }
}

#[test]
fn item_10_what_only_a_client_sends_is_in_no_reply() {
    for answer in answers() {
        for code in [50, 55, 57] {
            assert_eq!(answer.option(code), None, "{code} in {:?}", answer.outcome);
        }
    }
}

#[test]
fn item_11_no_option_comes_twice_but_in_adjacent_records_of_a_long_one() {
    for answer in answers() {
        let mut codes = answer.codes();
        let sent = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), sent, "{:?}", answer.records);
        for pair in answer.records.windows(2) {
            let split = pair[0].0 == pair[1].0;
            assert!(!split || pair[0].1.len() == 255, "{:?}", answer.records);
        }
    }
}

#[test]
fn item_16_options_are_never_put_into_file_and_sname() {
    for answer in answers() {
        assert_eq!(answer.option(52), None);
        let sname = &answer.message[44..108];
        assert!(sname.starts_with(b"boot\0") || sname.iter().all(|&byte| byte == 0));
        assert!(answer.message[108..236].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn item_17_the_mask_comes_before_the_router() {
    for list in [&[1, 3][..], &[3, 1], &[3], &[]] {
        let answer = Client::sends(DISCOVER).list(list).gets(full());
        assert!(
            position(&answer, 1) < position(&answer, 3),
            "{:?}",
            answer.codes()
        );
        assert!(position(&answer, 1).is_some());
    }
}

#[test]
fn item_21_what_was_not_asked_for_and_is_not_forced_is_not_sent() {
    let answer = Client::sends(DISCOVER)
        .list(&[12])
        .option(57, &[5, 220])
        .gets(full());
    for code in [15, 42, 66, 119, 150, 225, 249] {
        assert_eq!(answer.option(code), None, "{code}");
    }
    assert!(answer.option(12).is_some() && answer.option(224).is_some());
}

#[test]
fn item_25_a_lease_time_that_a_client_asks_for_changes_nothing() {
    for client in answered() {
        let plain = client.gets(binding());
        for wish in [0_u32, 1, 60, u32::MAX] {
            let wishing = client.clone().option(51, &wish.to_be_bytes());
            assert_eq!(wishing.gets(binding()), plain, "{wish}");
        }
    }
}

#[test]
fn item_29_with_a_known_mac_only_that_one_is_served_and_without_one_the_first() {
    let stranger = MacAddr([0x52, 0x54, 0, 0x65, 0x43, 0x21]);
    let mut known = binding();
    known.chaddr = Some(CLIENT);
    for message_type in [DISCOVER, REQUEST, DECLINE, RELEASE, INFORM] {
        let other = Client::sends(message_type)
            .asks_for(ADDRESS)
            .chaddr(stranger);
        assert_eq!(other.asks(known), Err(Reason::OtherMac), "{message_type}");
    }
    let other = Client::sends(DISCOVER).chaddr(stranger);
    assert_eq!(other.outcome(), Ok(Outcome::Offer), "nobody owns it yet");
}

#[test]
fn item_41_a_repeated_request_gets_the_same_ack_with_the_whole_lease_again() {
    let mut responder = Responder::new(binding());
    let request = Client::sends(REQUEST).chooses(GATEWAY).asks_for(ADDRESS);
    let first = ask(&mut responder, &request.frame()).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&mut responder, &request.frame()).as_ref(), Ok(&first));
    }
    assert_eq!(first.option(51), Some(86_400_u32.to_be_bytes().to_vec()));
}

#[test]
fn item_58_no_answer_depends_on_the_time() {
    for client in answered() {
        let frame = client.frame();
        let mut responder = Responder::new(binding());
        let mut first = [0; MAX_FRAME];
        let usual = responder.handle(Instant(1 << 50), &frame, &mut first);
        // Back, and far behind the end of the lease.
        for now in [0, 1, (1 << 50) - 3_600_000_000_000, u64::MAX] {
            let mut out = [0; MAX_FRAME];
            let action = responder.handle(Instant(now), &frame, &mut out);
            assert!(matches!(action, Action::Reply { .. }));
            assert_eq!((action, out), (usual, first), "{now}");
        }
    }
}

#[test]
fn item_61_what_cannot_be_sent_by_unicast_is_broadcast_or_not_answered() {
    let nobody = || {
        Client::sends(DISCOVER)
            .chaddr(MacAddr::ZERO)
            .option(61, &[0, 1])
    };
    let answer = nobody().gets(binding());
    assert_eq!(
        (answer.link.1, answer.ip.1),
        (MacAddr::BROADCAST, Ipv4Addr::BROADCAST)
    );
    // htype and hlen of another kind of link: there is none behind an Ethernet link.
    for [htype, hlen] in [[1, 0], [0, 6], [0, 0], [32, 6], [32, 0]] {
        assert_eq!(
            nobody().with(1, &[htype, hlen]).ignored(),
            Some(Reason::BadHardwareAddress)
        );
    }
}

#[test]
fn item_62_an_ack_to_a_client_with_an_address_goes_to_that_address() {
    for flags in [0, 0x8000] {
        for client in [
            Client::sends(REQUEST).ciaddr(ADDRESS).unicast(),
            Client::sends(REQUEST).ciaddr(ADDRESS),
        ] {
            let answer = client.flags(flags).gets(binding());
            assert_eq!(
                (answer.link, answer.ip),
                ((SERVER, CLIENT), (GATEWAY, ADDRESS))
            );
        }
    }
}

#[test]
fn item_70_empty_relay_agent_information_is_not_echoed_and_a_broken_one_not_looked_into() {
    for client in answered() {
        let answer = client.clone().option(82, &[]).gets(binding());
        assert_eq!(answer.option(82), None);
        // A sub-option that runs past the end, and half a one.
        for value in [&[1, 200, 3][..], &[1], &[0], &[5, 4, 10, 0]] {
            let answer = client.clone().option(82, value).gets(binding());
            assert_eq!(answer.option(82).as_deref(), Some(value));
        }
    }
}

#[test]
fn items_71_and_72_what_a_relay_would_say_selects_nothing() {
    for client in answered() {
        let plain = client.gets(binding());
        // Link selection, relay flags, server identifier override, relay source port.
        for value in [
            &[5, 4, 10, 0, 0, 0][..],
            &[10, 1, 0x80],
            &[11, 4, 10, 0, 0, 1],
            &[19, 0],
        ] {
            let answer = client.clone().option(82, value).gets(binding());
            assert_eq!((answer.link, answer.ip), (plain.link, plain.ip));
            assert_eq!(answer.message[..240], plain.message[..240]);
            let (last, others) = answer.records.split_last().unwrap();
            assert_eq!(others, plain.records);
            assert_eq!(*last, (82, value.to_vec()));
        }
        let subnet = client.option(118, &[10, 0, 0, 0]);
        assert_eq!(subnet.gets(binding()), plain, "subnet selection");
    }
}

#[test]
fn item_76_the_classless_routes_always_hold_the_default_route() {
    for answer in answers().filter(|answer| !answer.is_refusal()) {
        let routes = answer.option(121).unwrap();
        let base = [32, 169, 254, 0, 1, 0, 0, 0, 0, 0, 169, 254, 0, 1];
        assert!(routes.starts_with(&base), "{routes:?}");
    }
}

#[test]
fn items_78_and_80_mask_router_and_routes_go_out_whatever_is_asked_for() {
    for client in [
        Client::sends(DISCOVER),
        Client::sends(DISCOVER).list(&[3]),
        Client::sends(DISCOVER).list(&[1, 3, 6, 12, 15]),
        Client::sends(DISCOVER).list(&[121]),
        Client::sends(DISCOVER).list(&[249]),
        Client::sends(DISCOVER).list(&[12]),
    ] {
        let answer = client.gets(binding());
        assert_eq!(answer.option(1), Some(vec![255; 4]));
        assert_eq!(answer.option(3), Some(GATEWAY.octets().to_vec()));
        assert_eq!(answer.option(121).map(|routes| routes.len()), Some(14));
    }
}

#[test]
fn item_82_static_routes_of_option_33_are_not_sent() {
    assert!(answers().all(|answer| answer.option(33).is_none()));
}

#[test]
fn items_93_to_97_a_decline_or_a_release_leaves_everything_as_it_was() {
    let mut responder = Responder::new(binding());
    let request = Client::sends(REQUEST).chooses(GATEWAY).asks_for(ADDRESS);
    let renewal = Client::sends(REQUEST).ciaddr(ADDRESS).unicast();
    let before = [&request, &renewal].map(|client| ask(&mut responder, &client.frame()));
    for round in 0..1000 {
        for (client, reason) in [
            (
                Client::sends(DECLINE).chooses(GATEWAY).asks_for(ADDRESS),
                Reason::Decline,
            ),
            (
                Client::sends(RELEASE).chooses(GATEWAY).ciaddr(ADDRESS),
                Reason::Release,
            ),
            (
                Client::sends(DECLINE).chooses(GATEWAY).asks_for(OTHER),
                Reason::OtherAddress,
            ),
            (
                Client::sends(RELEASE).chooses(GATEWAY).ciaddr(OTHER),
                Reason::OtherAddress,
            ),
        ] {
            let got = ask(&mut responder, &client.frame());
            assert_eq!(got, Err(reason), "{round}");
        }
    }
    let after = [&request, &renewal].map(|client| ask(&mut responder, &client.frame()));
    assert_eq!(before, after);
}

#[test]
fn item_102_an_inform_with_an_address_and_a_time_in_it_is_answered_like_any() {
    let plain = Client::sends(INFORM).ciaddr(ADDRESS).unicast();
    let wordy = plain
        .clone()
        .asks_for(OTHER)
        .option(51, &[0, 0, 0, 60])
        .chooses(GATEWAY);
    let answer = wordy.gets(binding());
    assert_eq!(answer, plain.gets(binding()));
    assert_eq!(answer.yiaddr(), NONE);
    assert_eq!(answer.option(51), None);
}
