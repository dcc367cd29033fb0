//! What one side writes the other reads, and nothing else is taken for a message.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use slash32_binding::{
    Binding, Claim, Generation, Ipv4Addr, List, MOST_OVERLAY_BYTES, MacAddr, Outcome, Prefix,
    Reason, Route, Routers, Setting, Text, Verdict,
};
use slash32_ipc::{
    Counters, Hello, Kept, KeptAs, MAX_DOWN, MAX_KEPT, MAX_UP, Malformed, State, ToAgent,
    ToResponder, VERSION,
};

fn full_binding() -> Binding {
    let mut b = Binding::new(Ipv4Addr::new(203, 0, 113, 7), Ipv4Addr::new(169, 254, 0, 1));
    b.server_mac = MacAddr([2, 0, 0, 0, 0, 1]);
    b.chaddr = Some(MacAddr([0x52, 0x54, 0, 0, 0, 0x13]));
    b.renewal_time = Some(30);
    b.rebinding_time = Some(50);
    b.rapid_commit = true;
    b.ipv6_only_wait = 1800;
    b.fuzz_seed = 0xdead_beef;
    b.routers = Routers::Rfc3442;
    b.mtu = 1400;
    b.hostname = Text::new(&"h".repeat(63)).unwrap();
    b.domain = Text::new(&"d".repeat(253)).unwrap();
    b.search = Text::new(&"s".repeat(255)).unwrap();
    b.server_name = Text::new(&"n".repeat(63)).unwrap();
    b.boot_file = Text::new(&"f".repeat(253)).unwrap();
    for i in 0..16 {
        let to = Prefix::new(Ipv4Addr::new(10, i, 0, 0), 16).unwrap();
        b.routes.push(Route { to, via: b.gateway }).unwrap();
    }
    for i in 0..8 {
        b.dns.push(Ipv4Addr::new(9, 9, 9, i)).unwrap();
        b.ntp.push(Ipv4Addr::new(8, 8, 8, i)).unwrap();
    }
    for i in 0..4 {
        b.tftp_servers.push(Ipv4Addr::new(7, 7, 7, i)).unwrap();
    }
    b.raw.extend_from_slice(&[0xee; 512]).unwrap();
    fill_overlays(&mut b);
    b
}

/// One of each setting and claim, and then as much as fits.
fn fill_overlays(b: &mut Binding) {
    let claims = [
        Claim::VendorClass("PXEClient*"),
        Claim::UserClass("iPXE"),
        Claim::Architecture(7),
    ];
    let mut raw = List::new(0);
    raw.extend_from_slice(&[224, 1, 1, 9]).unwrap();
    let settings = [
        Setting::Netmask(b.netmask),
        Setting::Routers(Routers::Rfc3442),
        Setting::Routes(b.routes),
        Setting::Dns(b.dns),
        Setting::Ntp(b.ntp),
        Setting::TftpServers(b.tftp_servers),
        Setting::Mtu(9000),
        Setting::RapidCommit(true),
        Setting::Ipv6OnlyWait(300),
        Setting::Hostname(Text::new("h").unwrap()),
        Setting::Domain(Text::new("d").unwrap()),
        Setting::Search(Text::new("s").unwrap()),
        Setting::NextServer(b.gateway),
        Setting::ServerName(Text::new("n").unwrap()),
        Setting::BootFile(Text::new("f").unwrap()),
        Setting::Raw(raw),
    ];
    b.overlays.push(&claims, &settings).unwrap();
    let overlay = b.overlays.iter().next().unwrap();
    assert!(overlay.claims().eq(claims));
    assert!(overlay.settings().eq(settings));
    let long = Setting::BootFile(Text::new(&"f".repeat(200)).unwrap());
    while b.overlays.push(&claims, &[long]).is_ok() {}
    while b.overlays.push(&[], &[]).is_ok() {}
    assert!(b.overlays.as_bytes().len() > MOST_OVERLAY_BYTES - 2);
}

#[test]
fn a_binding_is_a_page_at_most() {
    assert!(size_of::<Binding>() <= 4096, "{}", size_of::<Binding>());
}

fn down() -> impl Strategy<Value = ToResponder> {
    let plain = Binding::new(Ipv4Addr::new(203, 0, 113, 7), Ipv4Addr::new(169, 254, 0, 1));
    prop_oneof![
        (any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
            move |(generation, confirmed, full)| {
                let binding = if full { full_binding() } else { plain };
                ToResponder::Hello(Hello {
                    generation: Generation(generation),
                    confirmed,
                    binding,
                })
            }
        ),
        any::<u64>().prop_map(|g| ToResponder::Confirm(Generation(g))),
        any::<u64>().prop_map(|g| ToResponder::End(Generation(g))),
        Just(ToResponder::Inquire),
        Just(ToResponder::Quit),
    ]
}

fn up() -> impl Strategy<Value = ToAgent> {
    let state = (
        any::<u64>(),
        any::<bool>(),
        any::<bool>(),
        any::<Option<u64>>(),
        any::<u64>(),
    );
    prop_oneof![
        state.prop_map(|(generation, confirmed, released, last_ack_age, count)| {
            let mut counters = Counters::ZERO;
            counters.outcomes[1] = count;
            counters.reasons[2] = count / 2;
            ToAgent::State(State {
                generation: Generation(generation),
                confirmed,
                last_ack_age,
                lease_time: 3600,
                told: 0xfeed,
                released,
                asked: confirmed != released,
                counters,
            })
        }),
        any::<u64>().prop_map(|g| ToAgent::Claim(Generation(g))),
        kept().prop_map(ToAgent::Kept),
    ]
}

fn kept() -> impl Strategy<Value = Kept> {
    let verdict = prop_oneof![
        prop::sample::select(Outcome::ALL).prop_map(Verdict::Answered),
        prop::sample::select(Reason::ALL).prop_map(Verdict::Ignored),
    ];
    let bytes = prop::collection::vec(any::<u8>(), 0..=MAX_KEPT);
    (any::<[u64; 2]>(), any::<bool>(), verdict, bytes).prop_map(
        |([generation, age], other, verdict, bytes)| {
            let mut frame = List::new(0);
            frame.extend_from_slice(&bytes).unwrap();
            Kept {
                generation: Generation(generation),
                kept_as: if other {
                    KeptAs::OtherServer
                } else {
                    KeptAs::Request
                },
                age,
                verdict,
                frame,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_the_agent_writes_the_responder_reads(message in down()) {
        let mut out = [0; MAX_DOWN];
        let length = message.encode(&mut out);
        prop_assert_eq!(ToResponder::decode(&out[..length]), Ok(message));
    }

    #[test]
    fn what_the_responder_writes_the_agent_reads(message in up()) {
        let mut out = [0; MAX_UP];
        let length = message.encode(&mut out);
        prop_assert_eq!(ToAgent::decode(&out[..length]), Ok(message));
    }

    #[test]
    fn a_cut_or_lengthened_message_is_refused(message in up(), cut in any::<prop::sample::Index>()) {
        let mut out = [0; MAX_UP];
        let length = message.encode(&mut out);
        prop_assert!(ToAgent::decode(&out[..cut.index(length)]).is_err());
        let mut longer = out[..length].to_vec();
        longer.push(0);
        prop_assert_eq!(ToAgent::decode(&longer), Err(Malformed::Message));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..MAX_DOWN)) {
        let _ = ToAgent::decode(&bytes);
        let _ = ToResponder::decode(&bytes);
        for kind in 0..8 {
            let mut headed = [VERSION.to_le_bytes(), [kind, 0]].concat();
            headed.extend(&bytes);
            let _ = ToAgent::decode(&headed);
            let _ = ToResponder::decode(&headed);
        }
    }
}

#[test]
fn a_peer_of_another_version_is_recognised_as_such() {
    let mut out = [0; MAX_UP];
    let length = ToAgent::Claim(Generation(1)).encode(&mut out);
    out[..2].copy_from_slice(&(VERSION + 1).to_le_bytes());
    assert_eq!(
        ToAgent::decode(&out[..length]),
        Err(Malformed::Version(VERSION + 1))
    );
}

#[test]
fn a_kept_frame_is_refused_when_its_length_or_its_verdict_is_none() {
    let kept = |frame: List<u8, MAX_KEPT>| {
        ToAgent::Kept(Kept {
            generation: Generation(1),
            kept_as: KeptAs::Request,
            age: 7,
            verdict: Verdict::Answered(Outcome::Offer),
            frame,
        })
    };
    let mut frame = List::new(0);
    frame.extend_from_slice(&[0xee; MAX_KEPT]).unwrap();
    let mut out = [0; MAX_UP];
    let length = kept(frame).encode(&mut out);
    assert_eq!(length, MAX_UP, "the longest message of all");
    assert!(ToAgent::decode(&out).is_ok());
    // The record says that there is a byte more, or one less, than there is.
    const COUNT: usize = 4 + 8 + 1 + 8 + 2;
    for count in [MAX_KEPT - 1, MAX_KEPT + 1, usize::from(u16::MAX)] {
        let mut other = [&out[..], &[0]].concat();
        other[COUNT..COUNT + 2].copy_from_slice(&(count as u16).to_le_bytes());
        assert_eq!(ToAgent::decode(&other), Err(Malformed::Message), "{count}");
    }
    // Neither an outcome nor a reason; neither of the two.
    for (answered, index) in [
        (1, Outcome::COUNT as u8),
        (0, Reason::COUNT as u8),
        (0, 255),
        (2, 0),
    ] {
        let mut other = out;
        other[COUNT - 2..COUNT].copy_from_slice(&[answered, index]);
        let refused = Err(Malformed::Message);
        assert_eq!(ToAgent::decode(&other), refused, "{answered} {index}");
    }
}
