//! Properties over frames that no client ever meant to send: captured ones with bytes changed, cut, repeated and inserted,
//! with checksums mended so that the damage reaches the parser behind them.

use crate::answer::Answer;
use crate::captures::{CAPTURES, captured_binding, frames};
use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder};
use proptest::collection::vec;
use proptest::prelude::*;
use slash32_binding::{
    Binding, Claim, Ipv4Addr, List, MacAddr, Reason, Route, Routers, Setting, Text,
};
use slash32_dhcp::{Action, Instant, MAX_FRAME, Outcome, Responder, forget_udp_checksum};

/// One way to damage a message; offsets are taken modulo its length.
#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Cut(usize),
    /// An option in front of all others.
    Option(u8, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let interesting = prop_oneof![
        Just(0),
        Just(1),
        Just(3),
        Just(12),
        Just(50),
        Just(52),
        Just(53),
        Just(54),
        Just(55),
        Just(57),
        Just(60),
        Just(61),
        Just(77),
        Just(82),
        Just(93),
        Just(121),
        Just(175),
        Just(255),
        any::<u8>()
    ];
    prop_oneof![
        4 => (any::<usize>(), interesting.clone()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => (any::<usize>(), vec(any::<u8>(), 0..40)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<usize>(), 0..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        1 => any::<usize>().prop_map(Damage::Cut),
        4 => (interesting, prop_oneof![vec(any::<u8>(), 0..6), vec(any::<u8>(), 0..255)]).prop_map(|(code, value)| Damage::Option(code, value)),
    ]
}

impl Damage {
    fn apply(&self, message: &mut Vec<u8>) {
        let place = |at: usize, message: &Vec<u8>| at % (message.len() + 1);
        match self {
            Self::Set(at, byte) => {
                let at = place(*at, message);
                if let Some(place) = message.get_mut(at) {
                    *place = *byte;
                }
            }
            Self::Insert(at, bytes) => {
                let at = place(*at, message);
                message.splice(at..at, bytes.iter().copied());
            }
            Self::Remove(at, length) => {
                let at = place(*at, message);
                let end = (at + length).min(message.len());
                message.drain(at..end);
            }
            Self::Cut(at) => message.truncate(place(*at, message)),
            Self::Option(code, value) if message.len() >= 240 => {
                let record: Vec<u8> = [*code, value.len() as u8]
                    .into_iter()
                    .chain(value.iter().copied())
                    .collect();
                message.splice(240..240, record);
            }
            Self::Option(..) => {}
        }
    }
}

/// A captured request, damaged; headers right.
pub(crate) fn damaged_request() -> impl Strategy<Value = Vec<u8>> {
    let requests: Vec<Vec<u8>> = CAPTURES
        .iter()
        .flat_map(|(_, pcap)| frames(pcap))
        .filter(|frame| frame[12..14] == [8, 0] && frame[36..38] == [0, 67])
        .map(<[u8]>::to_vec)
        .collect();
    (proptest::sample::select(requests), vec(damage(), 0..5)).prop_map(|(frame, damages)| {
        let mut message = frame[42..].to_vec();
        for damage in &damages {
            damage.apply(&mut message);
        }
        let mut out = Vec::new();
        etherparse::PacketBuilder::ethernet2([2; 6], [0xff; 6])
            .ipv4([0; 4], [255; 4], 64)
            .udp(68, 67)
            .write(&mut out, &message)
            .unwrap();
        out
    })
}

/// A captured frame with any bytes changed, headers included.
pub(crate) fn damaged_frame() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<Vec<u8>> = CAPTURES
        .iter()
        .flat_map(|(_, pcap)| frames(pcap))
        .map(<[u8]>::to_vec)
        .collect();
    (proptest::sample::select(all), vec(damage(), 0..5)).prop_map(|(mut frame, damages)| {
        damages.iter().for_each(|damage| damage.apply(&mut frame));
        frame
    })
}

fn text<const N: usize>(pattern: &'static str) -> impl Strategy<Value = Text<N>> {
    pattern.prop_map(|text| Text::new(&text).unwrap())
}

pub(crate) fn binding() -> impl Strategy<Value = Binding> {
    let texts = (
        text::<63>("[a-z]{0,63}"),
        text::<253>("[a-z]{0,60}(\\.[a-z]{1,60}){0,2}"),
        text::<255>("([a-z]{1,8}\\.[a-z]{1,8}( [a-z]{1,8}\\.[a-z]{1,8}){0,12})?"),
    );
    let boot = (
        text::<63>("[a-z]{0,63}"),
        text::<253>("[a-z]{0,253}"),
        any::<u32>(),
    );
    let numbers = (
        4..=u32::MAX,
        any::<u32>(),
        68..=u16::MAX,
        any::<bool>(),
        any::<bool>(),
    );
    let lists = (
        vec(any::<u32>(), 0..=8),
        vec((any::<u32>(), 0..=32_u8, any::<u32>()), 0..=16),
    );
    let raw = vec((any::<u8>(), any::<bool>(), vec(any::<u8>(), 0..100)), 0..5);
    (texts, boot, numbers, lists, raw).prop_map(|(texts, boot, numbers, lists, raw)| {
        let mut binding = captured_binding();
        (binding.hostname, binding.domain, binding.search) = texts;
        (binding.server_name, binding.boot_file, binding.next_server) =
            (boot.0, boot.1, boot.2.into());
        (binding.lease_time, binding.fuzz_seed, binding.mtu) = (numbers.0, numbers.1, numbers.2);
        binding.routers = if numbers.3 {
            Routers::Always
        } else {
            Routers::Rfc3442
        };
        binding.chaddr = numbers.4.then_some(MacAddr([0x52, 0x54, 0, 0, 0, 0x13]));
        for address in lists.0 {
            binding.dns.push(address.into()).unwrap();
            binding.ntp.push(address.into()).unwrap();
        }
        for (to, length, via) in lists.1 {
            let to = slash32_binding::Prefix::new(to.into(), length).unwrap();
            binding
                .routes
                .push(Route {
                    to,
                    via: via.into(),
                })
                .unwrap();
        }
        for (code, always, value) in raw {
            let _ = binding.raw.extend_from_slice(
                &[&[code, u8::from(always), value.len() as u8], &value[..]].concat(),
            );
        }
        binding
    })
}

/// What a class may set, for clients that say something of themselves.
pub(crate) fn overlaid() -> impl Strategy<Value = Binding> {
    let claims = proptest::sample::subsequence(
        vec![
            Claim::VendorClass("*"),
            Claim::VendorClass("[a-z]*:?rch*"),
            Claim::UserClass("iPXE"),
            Claim::UserClass("*"),
            Claim::Architecture(0),
        ],
        0..=5,
    );
    let settings = (
        text::<253>("[a-z]{0,253}"),
        68..=u16::MAX,
        any::<bool>(),
        vec((1..=254_u8, vec(any::<u8>(), 0..60)), 0..4),
    );
    let overlays = vec((claims, settings), 0..4);
    (binding(), overlays).prop_map(|(mut binding, overlays)| {
        for (claims, (boot_file, mtu, always, options)) in overlays {
            let mut raw = List::new(0);
            for (code, value) in options {
                let record = [&[code, u8::from(always), value.len() as u8], &value[..]].concat();
                raw.extend_from_slice(&record).unwrap();
            }
            let settings = [
                Setting::BootFile(boot_file),
                Setting::Mtu(mtu),
                Setting::Raw(raw),
            ];
            let _ = binding.overlays.push(&claims, &settings);
        }
        binding
    })
}

/// Asks twice, with different bytes in `out`, and checks what holds for every answer.
fn handle(binding: Binding, frame: &[u8]) -> Result<Answer, Reason> {
    let mut first = [0x55; MAX_FRAME];
    let mut second = [0xaa; MAX_FRAME];
    let action = Responder::new(binding).handle(Instant(0), frame, &mut first);
    let again = Responder::new(binding).handle(Instant(u64::MAX), frame, &mut second);
    assert_eq!(action, again, "the same input, the same output");
    match action {
        Action::Ignore(reason) => {
            assert!(
                first.iter().all(|&byte| byte == 0x55),
                "written without an answer"
            );
            Err(reason)
        }
        Action::Reply { len, outcome } => {
            assert_eq!(
                first[..len],
                second[..len],
                "the same input, the same output"
            );
            assert!(
                first[len..].iter().all(|&byte| byte == 0x55),
                "written behind the reply"
            );
            Ok(Answer::decode(&first[..len], outcome))
        }
    }
}

/// The reply means what the binding says, as `dhcproto` reads it.
fn assert_means(answer: &Answer, binding: &Binding) {
    // dhcproto reads one record an option, and stops at text that is not UTF-8: joined by us, and without raw text options.
    let mut bytes = answer.message[..240].to_vec();
    for code in [53, 54, 51, 58, 59, 1, 121, 3, 6, 61] {
        if let Some(value) = answer.option(code).filter(|value| value.len() <= 255) {
            bytes.extend([code, value.len() as u8]);
            bytes.extend(value);
        }
    }
    bytes.push(255);
    let message = Message::decode(&mut Decoder::new(&bytes)).unwrap();
    let options = message.opts();
    assert_eq!(
        options.get(OptionCode::ServerIdentifier),
        Some(&DhcpOption::ServerIdentifier(binding.gateway))
    );
    assert_eq!(answer.ip.0, binding.gateway);
    assert_eq!(answer.link.0, binding.server_mac);
    let broadcast = answer.ip.1.is_broadcast();
    assert!(broadcast || answer.ip.1 == binding.address);
    assert_eq!(answer.link.1 == MacAddr::BROADCAST, broadcast);
    assert_eq!(message.giaddr(), Ipv4Addr::UNSPECIFIED);

    if answer.is_refusal() {
        assert_eq!(options.msg_type(), Some(MessageType::Nak));
        assert_eq!(message.yiaddr(), Ipv4Addr::UNSPECIFIED);
        assert!(broadcast);
        assert!(
            answer
                .codes()
                .iter()
                .all(|code| [53, 54, 56, 61, 82].contains(code))
        );
        return;
    }
    let offer = answer.outcome == Outcome::Offer;
    assert_eq!(
        options.msg_type(),
        Some(if offer {
            MessageType::Offer
        } else {
            MessageType::Ack
        })
    );
    assert_eq!(message.siaddr(), binding.next_server);
    let Some(DhcpOption::ClasslessStaticRoute(routes)) =
        options.get(OptionCode::ClasslessStaticRoute)
    else {
        panic!("no routes")
    };
    let expected = [
        (binding.gateway, 32, Ipv4Addr::UNSPECIFIED),
        (Ipv4Addr::UNSPECIFIED, 0, binding.gateway),
    ];
    let expected = expected.into_iter().chain(
        binding
            .routes
            .iter()
            .map(|route| (route.to.address(), route.to.length(), route.via)),
    );
    let routes: Vec<_> = routes
        .iter()
        .map(|(to, via)| (to.network(), to.prefix_len(), *via))
        .collect();
    assert!(routes.iter().copied().eq(expected.take(routes.len())));
    assert!(
        routes.len() == 2 || routes.len() == 2 + binding.routes.len(),
        "all of its own routes or none"
    );
    if let Some(DhcpOption::DomainNameServer(servers)) = options.get(OptionCode::DomainNameServer)
        && !binding.dns.is_empty()
    {
        assert_eq!(servers[..], binding.dns[..]);
    }

    let mut codes = answer.codes();
    codes.sort_unstable();
    let all = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), all, "an option twice");

    if answer.outcome == Outcome::AckInform {
        assert_eq!(message.yiaddr(), Ipv4Addr::UNSPECIFIED);
        assert!(
            [51, 58, 59]
                .iter()
                .all(|code| answer.option(*code).is_none())
        );
        return;
    }
    assert_eq!(message.yiaddr(), binding.address);
    assert_eq!(
        options.get(OptionCode::AddressLeaseTime),
        Some(&DhcpOption::AddressLeaseTime(binding.lease_time))
    );
    match (
        options.get(OptionCode::Renewal),
        options.get(OptionCode::Rebinding),
    ) {
        (Some(DhcpOption::Renewal(t1)), Some(DhcpOption::Rebinding(t2))) => {
            assert!(0 < *t1 && t1 < t2 && *t2 < binding.lease_time)
        }
        (t1, t2) => assert_eq!((t1, t2), (None, None)),
    }
}

proptest! {
    // `PROPTEST_CASES` asks for more; a case that fails is kept in proptest-regressions/ and tried first from then on.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1024)))]

    #[test]
    fn every_answer_to_a_damaged_request_is_whole_and_means_the_binding(binding in binding(), frame in damaged_request()) {
        if let Ok(answer) = handle(binding, &frame) {
            prop_assert!(answer.packet <= 1500.min(usize::from(binding.mtu).max(576)));
            assert_means(&answer, &binding);
        }
    }

    #[test]
    fn what_a_client_says_of_itself_changes_nothing_but_options(binding in overlaid(), frame in damaged_request()) {
        let mut plain = binding;
        plain.overlays = slash32_binding::Overlays::NONE;
        let (got, without) = (handle(binding, &frame), handle(plain, &frame));
        if let (Ok(got), Ok(without)) = (&got, &without) {
            prop_assert!(got.packet <= 1500);
            assert_means(got, &binding);
            prop_assert_eq!((got.outcome, got.link, got.ip), (without.outcome, without.link, without.ip));
        } else {
            prop_assert_eq!(got.err(), without.err());
        }
    }

    #[test]
    fn no_damaged_frame_does_harm(frame in damaged_frame()) {
        let mut forgotten = frame.clone();
        forget_udp_checksum(&mut forgotten);
        for frame in [frame, forgotten] {
            if let Ok(answer) = handle(captured_binding(), &frame) {
                assert_means(&answer, &captured_binding());
            }
        }
    }

    #[test]
    fn no_bytes_at_all_do_harm(frame in vec(any::<u8>(), 0..2000), options in vec(any::<u8>(), 0..400)) {
        let _ = handle(captured_binding(), &frame);
        let client = crate::client::Client::sends_raw(&options);
        if let Ok(answer) = handle(crate::client::binding(), &client.frame()) {
            assert_means(&answer, &crate::client::binding());
        }
    }

    #[test]
    fn a_client_that_says_nothing_of_its_size_gets_at_most_576_bytes(binding in binding(), list in vec(any::<u8>(), 0..255), identifier in vec(any::<u8>(), 0..255)) {
        let client = crate::client::Client::sends(1).list(&list).option(61, &identifier);
        let mut binding = binding;
        binding.chaddr = None;
        let answer = client.gets(binding);
        prop_assert!(answer.packet <= 576);
        prop_assert_eq!(answer.option(61).unwrap_or_default(), identifier);
    }
}
