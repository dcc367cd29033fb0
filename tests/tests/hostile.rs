//! What a guest can put on the wire to hurt: it is counted by reason, it gets no answer, and it stops nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, anyhow, ensure};
use slash32_binding::Reason;
use slash32_dhcp::{Action, Instant, MAX_FRAME, Responder};
use slash32_tests::{
    Agent, GATEWAY, Host, RawClient,
    dhcp::{Message, code, message_type},
    guest_mac, static_network, until, vm_address,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

const BOUND: Duration = Duration::from_secs(15);

#[test]
fn every_broken_frame_is_ignored_and_counted_by_its_reason() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    agent.wait("tap1", "ready", BOUND)?;
    let pid = agent.responder("tap1")?;
    // So that the link has an owner.
    client.bind()?;
    for (reason, what, make) in BROKEN {
        let before = counter(&agent, reason)?;
        let frame = make(&client.discover());
        client
            .is_ignored(&frame)
            .with_context(|| format!("a frame with {what}"))?;
        until(
            &format!("the counter {reason} to count {what}"),
            BOUND,
            || Ok((counter(&agent, reason)? == before + 1).then_some(())),
        )?;
    }
    ensure!(
        agent.responder("tap1")? == pid,
        "the responder was replaced"
    );
    ensure!(client.bind()?.yiaddr == vm_address(1));
    Ok(())
}

#[test]
fn a_frame_that_the_filter_drops_never_reaches_the_responder() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    agent.wait("tap1", "ready", BOUND)?;
    for (_, what, make) in FILTERED {
        let mut expected = counters(&agent)?;
        let frame = make(&client.discover());
        client
            .is_ignored(&frame)
            .with_context(|| format!("a frame with {what}"))?;
        // The DISCOVER that came behind it, and nothing else.
        *expected.entry("offer".to_owned()).or_default() += 1;
        let counted = until("the OFFER to be counted", BOUND, || {
            let now = counters(&agent)?;
            Ok((now["offer"] == expected["offer"]).then_some(now))
        })?;
        ensure!(counted == expected, "{what}: {counted:?}");
    }
    Ok(())
}

#[test]
fn every_reason_can_be_reached() -> Result<()> {
    // On the wire, in the test above; waiting for the host route, in the test below; and what the filter drops, or no
    // client can ask for, by the core alone, which would count it as well.
    let mut reached: BTreeSet<&str> = BROKEN.iter().map(|(reason, ..)| *reason).collect();
    reached.insert("held");
    let binding = slash32_binding::Binding::new(vm_address(1), GATEWAY);
    let good = Message::request(message_type::DISCOVER, guest_mac(1), 7);
    let asks =
        |frame: &[u8], out: &mut [u8]| match Responder::new(binding).handle(Instant(1), frame, out)
        {
            Action::Ignore(reason) => Ok(reason.name()),
            answer => Err(anyhow!("it became {answer:?}")),
        };
    for (reason, what, make) in FILTERED {
        let got = asks(&make(&good), &mut [0; MAX_FRAME])?;
        ensure!(got == *reason, "{what} is {got} for the core");
        reached.insert(got);
    }
    reached.insert(asks(&good.frame(), &mut [0; 300])?);
    let all: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    ensure!(reached == all, "{:?}", all.symmetric_difference(&reached));
    Ok(())
}

#[test]
fn an_ack_that_waits_for_the_route_and_is_replaced_is_counted() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    agent.wait("tap1", "ready", BOUND)?;
    agent.kill()?;
    for _ in 0..3 {
        let request = client.init_reboot(vm_address(1)).frame();
        client.is_ignored(&request)?;
    }
    agent.restart()?;
    let counted = counters(&agent)?;
    // Three, when the agent took so long that the last one was of no use any more.
    ensure!((2..=3).contains(&counted["held"]), "{counted:?}");
    Ok(())
}

#[test]
fn ten_thousand_mutated_frames_stop_nothing() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    let ack = client.bind()?;
    let pid = agent.wait("tap1", "bound", BOUND)?["responder"]["pid"].clone();
    let samples = [
        client.discover(),
        client.selecting(&ack),
        client.renewing(&ack),
    ]
    .map(|message| message.frame());
    let mut dice = Dice(0x5132);
    for round in 0..10_000 {
        let mut frame = samples[round % samples.len()].clone();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(frame.len());
            frame[at] = dice.roll(256) as u8;
        }
        if dice.roll(4) == 0 {
            frame.truncate(14 + dice.roll(frame.len() - 14));
        }
        client.wire().send(&frame)?;
    }
    ensure!(client.bind()?.yiaddr == vm_address(1));
    let row = agent.wait("tap1", "bound", BOUND)?;
    ensure!(
        row["responder"]["pid"] == pid,
        "the responder was replaced: {row}"
    );
    Ok(())
}

type Make = fn(&Message) -> Vec<u8>;

/// The reason under which each is counted, what is wrong with it, and how it is made from a DISCOVER.
const BROKEN: &[(&str, &str, Make)] = &[
    (
        "truncated",
        "a packet that is longer than its frame",
        |good| {
            let frame = good.frame();
            frame[..frame.len() - 20].to_vec()
        },
    ),
    ("truncated", "9,000 bytes", |good| {
        let mut payload = good.payload();
        payload.resize(9_000, 0);
        good.frame_around(&payload)
    }),
    ("bad_ip_header", "a wrong IPv4 header checksum", |good| {
        flipped(good.frame(), IP + 10)
    }),
    ("bad_udp_length", "a UDP length beyond the packet", |good| {
        let mut frame = good.frame();
        frame[UDP + 4..UDP + 6].copy_from_slice(&2_000u16.to_be_bytes());
        frame
    }),
    (
        "bad_udp_length",
        "a UDP length below its header's",
        |good| {
            let mut frame = good.frame();
            frame[UDP + 4..UDP + 6].copy_from_slice(&7u16.to_be_bytes());
            frame
        },
    ),
    ("bad_udp_checksum", "a wrong UDP checksum", |good| {
        flipped(good.frame(), UDP + 6)
    }),
    ("not_a_request", "op 2", |good| {
        Message {
            op: 2,
            ..good.clone()
        }
        .frame()
    }),
    ("bad_hardware_address", "hlen 17", |good| {
        Message {
            hlen: 17,
            ..good.clone()
        }
        .frame()
    }),
    ("bad_hardware_address", "htype 32", |good| {
        Message {
            htype: 32,
            ..good.clone()
        }
        .frame()
    }),
    (
        "bad_hardware_address",
        "a group address in chaddr",
        |good| {
            Message {
                chaddr: [0xff; 16],
                ..good.clone()
            }
            .frame()
        },
    ),
    ("bad_cookie", "another cookie", |good| {
        let mut payload = good.payload();
        payload[239] ^= 1;
        good.frame_around(&payload)
    }),
    (
        "malformed_options",
        "an option that runs past the end",
        |good| {
            let mut payload = good.payload();
            payload.truncate(240);
            payload.extend([53, 1, 1, 12, 200, b'x']);
            good.frame_around(&payload)
        },
    ),
    ("malformed_options", "an option 50 of three bytes", |good| {
        good.clone()
            .with(code::REQUESTED_ADDRESS, &[203, 0, 113])
            .frame()
    }),
    ("bad_message_type", "no option 53", |good| {
        Message {
            options: Vec::new(),
            ..good.clone()
        }
        .frame()
    }),
    ("bad_message_type", "message type 99", |good| {
        Message {
            options: vec![(code::MESSAGE_TYPE, vec![99])],
            ..good.clone()
        }
        .frame()
    }),
    ("bad_message_type", "message type OFFER", |good| {
        Message {
            options: vec![(code::MESSAGE_TYPE, vec![message_type::OFFER])],
            ..good.clone()
        }
        .frame()
    }),
    ("relayed", "giaddr", |good| {
        Message {
            giaddr: Ipv4Addr::new(198, 51, 100, 1),
            ..good.clone()
        }
        .frame()
    }),
    ("server_id_in_discover", "option 54 in a DISCOVER", |good| {
        good.clone()
            .with(code::SERVER_IDENTIFIER, &GATEWAY.octets())
            .frame()
    }),
    ("other_server", "a REQUEST to another server", |good| {
        Message {
            options: vec![(code::MESSAGE_TYPE, vec![message_type::REQUEST])],
            ..good.clone()
        }
        .with(code::SERVER_IDENTIFIER, &[198, 51, 100, 1])
        .with(code::REQUESTED_ADDRESS, &vm_address(1).octets())
        .frame()
    }),
    ("decline", "a DECLINE", |good| {
        Message {
            options: vec![(code::MESSAGE_TYPE, vec![message_type::DECLINE])],
            ..good.clone()
        }
        .with(code::SERVER_IDENTIFIER, &GATEWAY.octets())
        .with(code::REQUESTED_ADDRESS, &vm_address(1).octets())
        .frame()
    }),
    ("other_mac", "another chaddr", |good| {
        Message::request(message_type::DISCOVER, guest_mac(2), good.xid).frame()
    }),
    ("other_host", "another IPv4 destination", |good| {
        let mut other = good.clone();
        other.envelope.destination = Ipv4Addr::new(198, 51, 100, 9);
        other.frame()
    }),
    ("other_servers_reply", "another server's OFFER", |good| {
        reply(good, Ipv4Addr::BROADCAST).frame()
    }),
    (
        "other_servers_reply",
        "another server's OFFER to an address",
        |good| reply(good, vm_address(9)).frame(),
    ),
    ("other_address", "a RELEASE of another address", |good| {
        gives_back(good, vm_address(9)).frame()
    }),
    ("release", "a RELEASE", |good| {
        gives_back(good, vm_address(1)).frame()
    }),
];

/// What another server sends to port 68.
fn reply(good: &Message, destination: Ipv4Addr) -> Message {
    let mut reply = Message {
        op: 2,
        yiaddr: vm_address(9),
        options: vec![(code::MESSAGE_TYPE, vec![message_type::OFFER])],
        ..good.clone()
    }
    .with(code::SERVER_IDENTIFIER, &[198, 51, 100, 1]);
    reply.envelope.source = Ipv4Addr::new(198, 51, 100, 1);
    reply.envelope.destination = destination;
    reply.envelope.source_port = 67;
    reply.envelope.destination_port = 68;
    reply
}

fn gives_back(good: &Message, address: Ipv4Addr) -> Message {
    Message {
        ciaddr: address,
        options: vec![(code::MESSAGE_TYPE, vec![message_type::RELEASE])],
        ..good.clone()
    }
}

/// What the core would say to a frame that never reaches it, what is wrong with the frame, and how it is made from a DISCOVER.
const FILTERED: &[(&str, &str, Make)] = &[
    ("not_ipv4", "another EtherType", |good| {
        let mut frame = good.frame();
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        frame
    }),
    ("fragment", "a first fragment's flag", |good| {
        with_ip_bytes(good, 6, [0x20, 0])
    }),
    ("fragment", "a fragment's offset", |good| {
        with_ip_bytes(good, 6, [0, 5])
    }),
    ("not_dhcp", "TCP", |good| with_ip_bytes(good, 8, [64, 6])),
    ("not_dhcp", "another port", |good| to_port(good, 68, 4011)),
    ("not_dhcp", "a client's port, from a client", |good| {
        to_port(good, 68, 68)
    }),
    ("not_dhcp", "another port, from a server", |good| {
        to_port(good, 67, 69)
    }),
    ("truncated", "an Ethernet header only", |good| {
        good.frame()[..14].to_vec()
    }),
    ("truncated", "half an IPv4 header", |good| {
        good.frame()[..24].to_vec()
    }),
    ("truncated", "half a UDP header", |good| {
        good.frame()[..34 + 3].to_vec()
    }),
    ("truncated", "a server's UDP header, cut", |good| {
        to_port(good, 67, 68)[..34 + 3].to_vec()
    }),
];

fn to_port(good: &Message, source: u16, destination: u16) -> Vec<u8> {
    let mut other = good.clone();
    other.envelope.source_port = source;
    other.envelope.destination_port = destination;
    other.frame()
}

/// Where the headers start in a frame of [`Message::frame`].
const IP: usize = 14;
const UDP: usize = 34;

fn flipped(mut frame: Vec<u8>, at: usize) -> Vec<u8> {
    frame[at] ^= 0x55;
    frame
}

/// The frame with two bytes of its IPv4 header changed, and the header's checksum made right again.
fn with_ip_bytes(good: &Message, at: usize, bytes: [u8; 2]) -> Vec<u8> {
    let mut frame = good.frame();
    frame[IP + at..IP + at + 2].copy_from_slice(&bytes);
    frame[IP + 10..IP + 12].fill(0);
    let words = frame[IP..UDP]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
    frame[IP + 10..IP + 12].copy_from_slice(&checksum.to_be_bytes());
    frame
}

fn counter(agent: &Agent<'_>, name: &str) -> Result<u64> {
    Ok(counters(agent)?.get(name).copied().unwrap_or(0))
}

fn counters(agent: &Agent<'_>) -> Result<BTreeMap<String, u64>> {
    let mut shown = agent.json(&["show", "tap1"])?;
    Ok(serde_json::from_value(shown["counters"].take())?)
}

/// A xorshift generator: the same frames in every run.
struct Dice(u64);

impl Dice {
    /// 0 to `sides` - 1.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}
