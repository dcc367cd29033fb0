//! For any binding and any valid request: the reply, decoded by `etherparse` and `dhcproto`, means what [`crate::meant`] says.

use crate::answer::Answer;
use crate::client::{CLIENT, GATEWAY, NONE, OTHER, SERVER, ask};
use crate::intent::{intent, raw_size};
use crate::meant::{Meaning, Options, meanings};
use crate::valid::{Kind, Request, request};
use dhcproto::v4::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use proptest::prelude::*;
use slash32_binding::{Binding, Ipv4Addr, MacAddr};
use slash32_dhcp::Responder;

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
