//! How long replies are, and what gives way (RFC 2131 §4.1, RFC 2132 §9.10).

use crate::client::{Client, DISCOVER, OTHER, REQUEST, binding};
use slash32_binding::{Binding, Ipv4Addr, Route, Text};
use slash32_dhcp::{Action, Instant, MAX_FRAME, Reason, Responder};

/// More than fits in 576 bytes and more than fits in 1500.
fn huge() -> Binding {
    let mut binding = binding();
    for third in 0..16 {
        let to = slash32_binding::Prefix::new(Ipv4Addr::new(10, 0, third, 0), 24).unwrap();
        binding
            .routes
            .push(Route {
                to,
                via: Ipv4Addr::new(169, 254, 0, 1),
            })
            .unwrap();
    }
    for last in 0..8 {
        binding.dns.push(Ipv4Addr::new(192, 0, 2, last)).unwrap();
        binding.ntp.push(Ipv4Addr::new(192, 0, 2, last)).unwrap();
    }
    binding.hostname = Text::new(&"h".repeat(63)).unwrap();
    binding.domain = Text::new(&"d".repeat(253)).unwrap();
    binding.search = Text::new(&["s"; 128].join(" ")).unwrap();
    binding.boot_file = Text::new(&"b".repeat(253)).unwrap();
    binding.raw.extend_from_slice(&[224, 1, 255]).unwrap();
    binding.raw.extend_from_slice(&[7; 255]).unwrap();
    binding.raw.extend_from_slice(&[225, 1, 248]).unwrap();
    binding.raw.extend_from_slice(&[8; 248]).unwrap();
    binding
}

const LIST: [u8; 8] = [1, 121, 12, 15, 42, 67, 119, 249];

#[test]
fn items_13_and_14_a_reply_is_never_longer_than_the_client_and_the_link_allow() {
    for (size, mtu, limit) in [
        (None, 1500, 576),
        (Some(&[2, 64][..]), 1500, 576),
        (Some(&[5, 220]), 1500, 1500),
        (Some(&[0xff, 0xff]), 1500, 1500),
        (Some(&[0xff, 0xff]), 9000, 1500),
        (Some(&[0, 100]), 1500, 576),
        (Some(&[0, 0]), 1500, 576),
        (Some(&[5]), 1500, 576),
        (Some(&[5, 220, 0]), 1500, 576),
        (Some(&[5, 220]), 1400, 1400),
        (Some(&[4, 0]), 1400, 1024),
        (Some(&[5, 220]), 68, 576),
    ] {
        let mut client = Client::sends(DISCOVER).list(&LIST);
        if let Some(size) = size {
            client = client.option(57, size);
        }
        let mut binding = huge();
        binding.mtu = mtu;
        let answer = client.gets(binding);
        assert!(answer.packet <= limit, "{size:?} {mtu}: {}", answer.packet);
        // Not so much shorter that something was left out which would have fit: the shortest that was left out is known.
        assert!(
            answer.packet > limit - 260,
            "{size:?} {mtu}: {}",
            answer.packet
        );
    }
}

#[test]
fn item_15_options_give_way_as_a_whole_and_the_last_first() {
    let complete = Client::sends(DISCOVER)
        .list(&LIST)
        .option(57, &[0xff, 0xff])
        .gets(huge());
    let mut previous = 0;
    for size in 576..=1500_u16 {
        let answer = Client::sends(DISCOVER)
            .list(&LIST)
            .option(57, &size.to_be_bytes())
            .gets(huge());
        assert!(answer.packet <= usize::from(size));
        assert_eq!(answer.codes()[..8], [53, 54, 51, 58, 59, 1, 121, 3]);
        for code in answer.codes() {
            let whole = complete.option(code).filter(|_| code != 224 && code != 225);
            assert!(
                whole.is_none_or(|whole| Some(whole) == answer.option(code)),
                "{code} in {size}"
            );
        }
        assert!(
            answer
                .option(121)
                .is_some_and(|routes| routes.len() == 14 + 16 * 8)
        );
        previous = previous.max(answer.packet);
    }
    assert!(previous > 1400);
}

#[test]
fn what_comes_first_in_the_list_is_kept_longest() {
    // 576 bytes leave room for one of the two long names.
    for (list, kept) in [([15, 119], 15), ([119, 15], 119)] {
        let mut binding = binding();
        binding.domain = Text::new(&"d".repeat(200)).unwrap();
        binding.search = Text::new(&["s"; 60].join(" ")).unwrap();
        let answer = Client::sends(DISCOVER).list(&list).gets(binding);
        assert_eq!(answer.codes()[8..], [kept]);
    }
}

#[test]
fn item_81_what_is_longer_than_255_bytes_is_split() {
    let mut binding = binding();
    // No two of them have anything to share.
    let names: Vec<String> = (b'a'..=b'z')
        .flat_map(|first| (b'a'..=b'z').map(move |second| [first, second]))
        .map(|name| String::from_utf8(name.to_vec()).unwrap())
        .take(85)
        .collect();
    binding.search = Text::new(&names.join(" ")).unwrap();
    let answer = Client::sends(DISCOVER)
        .list(&[119])
        .option(57, &[5, 220])
        .gets(binding);
    let lengths: Vec<usize> = answer
        .records
        .iter()
        .filter(|record| record.0 == 119)
        .map(|record| record.1.len())
        .collect();
    assert_eq!(lengths, [255, 85]);
    let expected: String = names.iter().map(|name| format!("\x02{name}\0")).collect();
    assert_eq!(answer.option(119), Some(expected.into_bytes()));
}

#[test]
fn item_103_the_client_identifier_comes_before_what_the_client_can_do_without() {
    let identifier = [7; 255];
    let answer = Client::sends(DISCOVER)
        .list(&LIST)
        .option(61, &identifier)
        .gets(huge());
    assert_eq!(answer.codes(), [53, 54, 51, 1, 121, 3, 61]);
    assert_eq!(answer.option(121).map(|routes| routes.len()), Some(14));
    assert_eq!(answer.option(61), Some(identifier.to_vec()));
}

#[test]
fn an_identifier_that_cannot_fit_is_left_out_whole_and_costs_nothing_else() {
    let with = Client::sends(DISCOVER)
        .option(61, &[7; 255])
        .option(61, &[7; 255])
        .gets(huge());
    let without = Client::sends(DISCOVER).gets(huge());
    assert_eq!(with.records, without.records);
}

#[test]
fn item_69_relay_agent_information_that_does_not_fit_is_left_out() {
    let answer = Client::sends(DISCOVER)
        .option(82, &[1; 255])
        .gets(binding());
    assert_eq!(answer.codes(), [53, 54, 51, 58, 59, 1, 121, 3]);
    let answer = Client::sends(DISCOVER)
        .option(82, &[1; 255])
        .option(57, &[5, 220])
        .gets(binding());
    assert_eq!(answer.option(82), Some(vec![1; 255]));
}

#[test]
fn a_short_buffer_costs_options_and_then_the_answer() {
    for frame in [
        Client::sends(DISCOVER).option(61, &[7; 100]).frame(),
        Client::sends(REQUEST).asks_for(OTHER).frame(),
    ] {
        for length in 0..=MAX_FRAME {
            let mut out = vec![0xaa; length];
            match Responder::new(huge()).handle(Instant(0), &frame, &mut out) {
                Action::Ignore(reason) => {
                    assert_eq!(
                        (reason, length < 342),
                        (Reason::ReplyTooLarge, true),
                        "{length}"
                    );
                    assert!(out.iter().all(|&byte| byte == 0xaa));
                }
                Action::Reply { len, .. } => {
                    assert!((342..=length).contains(&len), "{len} in {length}")
                }
            }
        }
    }
}
