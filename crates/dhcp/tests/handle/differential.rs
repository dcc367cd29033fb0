//! For any binding and any valid request: the reply, decoded by `etherparse` and `dhcproto`, means what [`crate::meant`] says.

use crate::answer::Answer;
use crate::client::{CLIENT, Client, GATEWAY, NONE, OTHER, SERVER, ask};
use crate::meant::{Class, Intent, Meaning, Options, Said, meanings};
use dhcproto::v4::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use slash32_binding::{Binding, Ipv4Addr, MacAddr};
use slash32_dhcp::Responder;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The kinds of request that a server answers (RFC 2131 §4.3), for its own address or for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Discover,
    Selecting(Asks),
    InitReboot(Asks),
    Renewing(Asks),
    Rebinding(Asks),
    Inform,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asks {
    ForOurs,
    ForAnother,
}

#[derive(Clone, Debug)]
struct Request {
    kind: Kind,
    said: Said,
    /// Option 57.
    size: Option<u16>,
    broadcast: bool,
    xid: u32,
    /// Every option in two pieces, far from each other, broken after so many bytes.
    broken_at: Option<usize>,
}

impl Request {
    fn client(&self, binding: &Binding) -> Client {
        use Kind::{Discover, Inform, InitReboot, Rebinding, Renewing, Selecting};
        let address = |asks| match asks {
            Asks::ForOurs => binding.address,
            Asks::ForAnother => OTHER,
        };
        let mut options: Vec<(u8, Vec<u8>)> = Vec::new();
        let mut say = |code: u8, value: &[u8]| options.push((code, value.to_vec()));
        let said = &self.said;
        let numbers = said.architectures.iter().flat_map(|n| n.to_be_bytes());
        let architectures: Vec<u8> = numbers.collect();
        let architectures = (!architectures.is_empty()).then_some(&architectures);
        if let Selecting(asks) | InitReboot(asks) = self.kind {
            say(50, &address(asks).octets());
        }
        if let Selecting(_) = self.kind {
            say(54, &binding.gateway.octets());
        }
        for (code, value) in [
            (82, said.relay.as_ref()),
            (55, said.list.as_ref()),
            (60, said.vendor.as_ref()),
            (77, said.user.as_ref()),
            (93, architectures),
            (61, said.identifier.as_ref()),
            (
                57,
                self.size.map(|size| size.to_be_bytes().to_vec()).as_ref(),
            ),
        ] {
            if let Some(value) = value {
                say(code, value);
            }
        }
        let message_type = match self.kind {
            Discover => 1,
            Inform => 8,
            _ => 3,
        };
        if said.rapid_commit {
            say(80, &[]);
        }
        if let Some((encoded, update)) = said.fqdn {
            say(81, &[u8::from(encoded) << 2 | u8::from(update), 0, 0]);
        }
        let mut client = Client::sends(message_type).with(4, &self.xid.to_be_bytes());
        let at = self.broken_at.unwrap_or(255);
        for (code, value) in &options {
            client = client.option(*code, &value[..at.min(value.len())]);
        }
        for (code, value) in options.iter().filter(|(_, value)| value.len() > at) {
            client = client.option(*code, &value[at..]);
        }
        client.message.push(255);
        if self.broadcast {
            client = client.flags(0x8000);
        }
        if let Renewing(asks) | Rebinding(asks) = self.kind {
            client = client.ciaddr(address(asks));
            client.ip.0 = address(asks);
        }
        if let Inform = self.kind {
            client = client.ciaddr(binding.address);
            client.ip.0 = binding.address;
        }
        if let Renewing(_) = self.kind {
            client.link.1 = SERVER;
            client.ip.1 = binding.gateway;
        }
        client
    }

    /// A DISCOVER gets its ACK at once (RFC 4039), but not who could do without IPv4 (RFC 8925 §3.3).
    fn is_committed_at_once(&self, binding: &Binding) -> bool {
        let list = self.said.list.as_deref().unwrap_or_default();
        let without = binding.ipv6_only_wait != 0 && list.contains(&108);
        let asks = self.kind == Kind::Discover && self.said.rapid_commit;
        asks && binding.rapid_commit && !without
    }

    /// Option 53 of the reply: OFFER, ACK or NAK.
    fn answer(&self, binding: &Binding) -> v4::MessageType {
        use Kind::{Discover, Inform, InitReboot, Rebinding, Renewing, Selecting};
        match self.kind {
            Discover if self.is_committed_at_once(binding) => v4::MessageType::Ack,
            Discover => v4::MessageType::Offer,
            Inform => v4::MessageType::Ack,
            Selecting(asks) | InitReboot(asks) | Renewing(asks) | Rebinding(asks) => match asks {
                Asks::ForOurs => v4::MessageType::Ack,
                Asks::ForAnother => v4::MessageType::Nak,
            },
        }
    }

    /// The IP packet that the client takes, in bytes.
    fn limit(&self, mtu: u16) -> usize {
        let limit = self.size.unwrap_or(576).clamp(576, 1500);
        usize::from(limit.min(mtu.max(576)))
    }
}

fn request() -> impl Strategy<Value = Request> {
    use Kind::{Discover, Inform, InitReboot, Rebinding, Renewing, Selecting};
    let asks = || prop_oneof![3 => Just(Asks::ForOurs), 1 => Just(Asks::ForAnother)];
    let kind = prop_oneof![
        Just(Discover),
        asks().prop_map(Selecting),
        asks().prop_map(InitReboot),
        asks().prop_map(Renewing),
        asks().prop_map(Rebinding),
        Just(Inform),
    ];
    let codes = select(vec![
        1, 3, 6, 12, 15, 26, 28, 42, 43, 51, 54, 58, 59, 66, 67, 80, 81, 82, 108, 119, 121, 150,
        224, 225, 249,
    ]);
    let list = option::of(vec(prop_oneof![6 => codes, 1 => any::<u8>()], 0..40));
    let vendor = option::of(select(VENDORS.to_vec()));
    let user = option::of((vec(select(USERS.to_vec()), 1..3), any::<bool>()));
    let said = (
        list,
        option::of(vec(any::<u8>(), 1..255)),
        option::of(vec(any::<u8>(), 1..100)),
        vendor,
        user,
        vec(select(vec![0, 7, 9, 11]), 0..3),
    );
    let rest = (option::of(any::<u16>()), any::<bool>(), any::<u32>());
    let rapid = (any::<bool>(), option::of(any::<(bool, bool)>()));
    let broken_at = option::of(0..200_usize);
    (kind, said, rest, rapid, broken_at).prop_map(|(kind, said, rest, rapid, broken_at)| {
        let (user, user_classes) = said.4.map_or((None, Vec::new()), user_class);
        let said = Said {
            list: said.0,
            identifier: said.1,
            relay: said.2,
            vendor: said.3.map(|text| text.as_bytes().to_vec()),
            user,
            user_classes,
            architectures: said.5,
            rapid_commit: rapid.0,
            fqdn: rapid.1,
        };
        Request {
            kind,
            said,
            size: rest.0,
            broadcast: rest.1,
            xid: rest.2,
            broken_at,
        }
    })
}

const VENDORS: [&str; 4] = ["PXEClient:Arch:00007", "MSFT 5.0", "udhcp 1.35.0", "x"];
const USERS: [&str; 3] = ["iPXE", "lab", "gold"];
const PATTERNS: [&str; 7] = [
    "PXEClient*",
    "MSFT ?.?",
    "*",
    "udhcp*0",
    "nobody",
    "iPXE",
    "?a*",
];

/// Option 77 as RFC 3004 writes it, or the first class alone as iPXE does.
fn user_class(
    (classes, by_rfc): (Vec<&'static str>, bool),
) -> (Option<Vec<u8>>, Vec<&'static str>) {
    if !by_rfc {
        return (Some(classes[0].as_bytes().to_vec()), Vec::new());
    }
    let class = |text: &&str| [&[text.len() as u8], text.as_bytes()].concat();
    (Some(classes.iter().flat_map(class).collect()), classes)
}

fn address() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

/// So many letters in the order of the alphabet: cheap, and no two places next to each other are the same.
fn letters(length: RangeInclusive<usize>) -> impl Strategy<Value = String> {
    (length, 0..26_usize).prop_map(|(length, first)| {
        let letters = (b'a'..=b'z').cycle().skip(first).take(length);
        letters.map(char::from).collect()
    })
}

fn options() -> impl Strategy<Value = Options> {
    let lists = (
        vec((address(), 0..=32_u8, address()), 0..=16),
        vec(address(), 0..=8),
        vec(address(), 0..=8),
        vec(address(), 0..=4),
    );
    let domain = vec(letters(1..=60), 0..=3).prop_map(|labels| labels.join("."));
    let searched = vec(letters(1..=9), 1..=3).prop_map(|labels| labels.join("."));
    let names = (
        letters(0..=63),
        domain,
        vec(searched, 0..8),
        letters(0..=63),
        prop_oneof![letters(0..=100), letters(0..=253)],
    );
    let masks = prop_oneof![2 => Just(Ipv4Addr::BROADCAST), 1 => address()];
    let mtu = prop_oneof![1 => Just(1500), 2 => 68..=u16::MAX];
    let value = prop_oneof![12 => vec(any::<u8>(), 0..30), 1 => vec(any::<u8>(), 254..300)];
    let raw = btree_map(any::<u8>(), (any::<bool>(), value), 0..5);
    let raw = raw.prop_filter("what fits", |raw: &BTreeMap<_, _>| raw_size(raw) <= 512);
    let wait = prop_oneof![Just(0), Just(1800)];
    let rest = (masks, any::<bool>(), mtu, address(), raw, wait);
    (lists, names, rest).prop_map(|(lists, names, rest)| Options {
        netmask: rest.0,
        rfc3442: rest.1,
        routes: lists.0,
        dns: lists.1,
        ntp: lists.2,
        tftp: lists.3,
        mtu: rest.2,
        hostname: names.0,
        domain: names.1,
        search: names.2,
        next_server: rest.3,
        server_name: names.3,
        boot_file: names.4,
        raw: rest.4,
        ipv6_only_wait: rest.5,
    })
}

/// The bytes that raw options take in a binding, at most.
fn raw_size(raw: &BTreeMap<u8, (bool, Vec<u8>)>) -> usize {
    raw.values().map(|(_, value)| value.len() + 6).sum()
}

fn intent() -> impl Strategy<Value = Intent> {
    let class = (
        option::of(select(PATTERNS.to_vec())),
        option::of(select(PATTERNS.to_vec())),
        vec(select(vec![0, 7, 11]), 0..3),
        options(),
        any::<u16>(),
    );
    let class = class.prop_map(|(vendor, user, architectures, options, which)| Class {
        vendor,
        user,
        architectures,
        options,
        which,
    });
    let times = (
        prop_oneof![1..=10_u32, 1000..=u32::MAX, Just(u32::MAX)],
        option::of(1..2000_u32),
        option::of(1..4000_u32),
        any::<u32>(),
    );
    let fixed = (address(), times, any::<bool>(), any::<bool>());
    (fixed, options(), vec(class, 0..4)).prop_map(
        |((address, times, known, rapid), options, classes)| {
            let mut fixed = Binding::new(address, GATEWAY);
            fixed.server_mac = SERVER;
            fixed.chaddr = known.then_some(CLIENT);
            fixed.rapid_commit = rapid;
            fixed.lease_time = times.0;
            (fixed.renewal_time, fixed.rebinding_time) = (times.1, times.2);
            fixed.fuzz_seed = times.3;
            Intent {
                fixed,
                options,
                classes,
            }
        },
    )
}

/// One option of the reply as `dhcproto` reads it: alone, since it stops at the first that it does not like.
fn decoded(answer: &Answer, code: u8) -> Option<DhcpOption> {
    let mut bytes = answer.message[..240].to_vec();
    for (_, value) in answer.records.iter().filter(|record| record.0 == code) {
        bytes.extend([code, value.len() as u8]);
        bytes.extend(value);
    }
    bytes.push(255);
    let message = v4::Message::decode(&mut Decoder::new(&bytes)).unwrap();
    message.opts().get(OptionCode::from(code)).cloned()
}

fn assert_means(answer: &Answer, code: u8, meaning: &Meaning) {
    match meaning {
        Meaning::Is(option) => assert_eq!(decoded(answer, code).as_ref(), Some(option)),
        Meaning::OneOf(options) => {
            let option = decoded(answer, code).unwrap();
            assert!(options.contains(&option), "{option:?}");
        }
        Meaning::Names(names) => {
            let Some(DhcpOption::DomainSearch(found)) = decoded(answer, code) else {
                panic!("no names")
            };
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            let found: Vec<&str> = found
                .iter()
                .map(|name| name.trim_end_matches('.'))
                .collect();
            assert_eq!(&found, names);
        }
        Meaning::Bytes(bytes) => assert_eq!(answer.option(code).as_ref(), Some(bytes), "{code}"),
    }
}

/// The bytes that an option takes, its records' heads included.
fn room(meaning: &Meaning) -> usize {
    let with_heads = |length: usize| length + 2 * length.div_ceil(255).max(1);
    match meaning {
        Meaning::Is(option) => {
            let mut bytes = Vec::new();
            option.encode(&mut Encoder::new(&mut bytes)).unwrap();
            bytes.len()
        }
        Meaning::OneOf(_) => with_heads(4),
        Meaning::Names(names) => with_heads(names.iter().map(|name| name.len() + 2).sum()),
        Meaning::Bytes(bytes) => with_heads(bytes.len()),
    }
}

/// What stands in the header, and where the reply goes (RFC 2131 §4.1, table 3).
fn assert_header(answer: &Answer, request: &Request, binding: &Binding, options: &Options) {
    let message = v4::Message::decode(&mut Decoder::new(&answer.message[..240])).unwrap();
    let refused = request.answer(binding) == v4::MessageType::Nak;
    let inform = request.kind == Kind::Inform;
    let renews = inform || matches!(request.kind, Kind::Renewing(_) | Kind::Rebinding(_));
    let when = |condition: bool, address: Ipv4Addr| if condition { address } else { NONE };
    assert_eq!(message.opcode(), v4::Opcode::BootReply);
    assert_eq!(message.xid(), request.xid);
    assert_eq!(message.flags().broadcast(), request.broadcast);
    assert_eq!(message.chaddr(), CLIENT.0);
    assert_eq!(message.ciaddr(), when(renews && !refused, binding.address));
    assert_eq!(message.yiaddr(), when(!refused && !inform, binding.address));
    assert_eq!(message.siaddr(), when(!refused, options.next_server));
    let name = |field: Option<&[u8]>| {
        let field = field.unwrap_or_default();
        let end = field.iter().position(|byte| *byte == 0);
        String::from_utf8(field[..end.unwrap_or(field.len())].to_vec()).unwrap()
    };
    let (sname, file) = (name(message.sname()), name(message.fname()));
    let boot_file = Some(&options.boot_file).filter(|name| name.len() < 128 && !refused);
    let server_name = Some(&options.server_name).filter(|_| !refused);
    assert_eq!(sname, server_name.map_or("", String::as_str));
    assert_eq!(file, boot_file.map_or("", String::as_str));

    let to_all = refused || (request.broadcast && !renews);
    let (link, ip) = if to_all {
        (MacAddr::BROADCAST, Ipv4Addr::BROADCAST)
    } else {
        (CLIENT, binding.address)
    };
    assert_eq!((answer.link, answer.ip), ((SERVER, link), (GATEWAY, ip)));
}

/// Options 51, 58 and 59 (RFC 2131 §4.4.5).
fn assert_times(answer: &Answer, binding: &Binding) {
    let seconds = |code| match decoded(answer, code) {
        Some(
            DhcpOption::AddressLeaseTime(n) | DhcpOption::Renewal(n) | DhcpOption::Rebinding(n),
        ) => Some(n),
        other => {
            assert_eq!(other, None);
            None
        }
    };
    let lease = binding.lease_time;
    assert_eq!(seconds(51), Some(lease));
    let (t1, t2) = (seconds(58), seconds(59));
    assert_eq!(t1.is_some(), t2.is_some());
    let Some((t1, t2)) = t1.zip(t2) else { return };
    assert_ne!(lease, u32::MAX, "no end, no T1");
    assert!(0 < t1 && t1 < t2 && t2 < lease, "{t1} {t2} {lease}");
    assert!(binding.renewal_time.is_none_or(|own| own == t1));
    assert!(binding.rebinding_time.is_none_or(|own| own == t2));
    if binding.renewal_time.is_none() && binding.rebinding_time.is_none() {
        assert!((lease / 2 - lease / 20..=lease / 2).contains(&t1), "{t1}");
        let latest = (u64::from(lease) * 7 / 8) as u32;
        assert!((latest - lease / 40..=latest).contains(&t2), "{t2}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(512)))]

    #[test]
    fn every_reply_to_a_valid_request_means_what_the_operator_meant(intent in intent(), request in request()) {
        let mut intent = intent;
        let binding = intent.binding();
        // Policy hands out no raw options that do not fit beside each other.
        let of_classes = intent.classes.iter().map(|class| raw_size(&class.options.raw));
        prop_assume!(raw_size(&intent.options.raw) + of_classes.sum::<usize>() <= 512);
        prop_assume!(binding.address != OTHER && !binding.address.is_unspecified());
        let options = intent.options_for(&request.said);
        let answer = ask(&mut Responder::new(binding), &request.client(&binding).frame()).unwrap();
        let kind = request.answer(&binding);
        assert_header(&answer, &request, &binding, &options);
        assert_means(&answer, 53, &Meaning::Is(DhcpOption::MessageType(kind)));
        assert!(answer.packet <= request.limit(options.mtu));
        if let Some(place) = answer.codes().iter().position(|code| *code == 82) {
            assert_eq!(place + 1, answer.codes().len(), "82 is the last");
        }

        let mut meant = meanings(&binding, &options, &request.said);
        if request.is_committed_at_once(&binding) {
            meant.insert(80, Meaning::Bytes(Vec::new()));
        }
        let mut times = vec![51, 58, 59];
        if kind == v4::MessageType::Nak {
            meant.retain(|code, _| [54, 61, 82].contains(code));
            let text = DhcpOption::Message("not the address of this link".into());
            meant.insert(56, Meaning::Is(text));
        }
        if kind == v4::MessageType::Nak || request.kind == Kind::Inform {
            times.clear();
        } else {
            assert_times(&answer, &binding);
        }
        // Nothing but what was meant; and of that only what the client could not have taken is not there.
        for code in answer.codes() {
            let known = code == 53 || times.contains(&code) || meant.contains_key(&code);
            assert!(known, "{code} was not meant");
        }
        let end = answer.message.iter().rposition(|byte| *byte == 255).unwrap();
        let left = request.limit(options.mtu) - (end + 1 + 28);
        for (code, meaning) in &meant {
            let base = [&[32][..], &GATEWAY.octets(), &[0; 5], &GATEWAY.octets()].concat();
            let base = Meaning::Bytes(base);
            match answer.option(*code) {
                None => {
                    assert!(![1, 3, 54, 80, 121].contains(code), "{code} is missing");
                    assert!(room(meaning) > left, "{code} is missing");
                }
                // The routes of the binding's own are the first to give way.
                Some(routes) if *code == 121 && Meaning::Bytes(routes.clone()) == base => {
                    assert!(*meaning == base || room(meaning) - room(&base) > left);
                }
                Some(routes) if *code == 249 => assert_eq!(Some(routes), answer.option(121)),
                Some(_) => assert_means(&answer, *code, meaning),
            }
        }
    }
}
