//! What one answer costs without a socket: a DISCOVER of dhclient and what it gets.
//!
//! Of `handle`, most is the frame: `floor` reads every byte of the request and writes every byte of the reply, with both
//! checksums, and does nothing else. What `handle` takes beyond that is the decision and the encoding. `dhcproto` decodes the
//! same message and encodes the same options, without a frame and without deciding.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use ipnet::Ipv4Net;
use slash32_binding::{Binding, Ipv4Addr, MacAddr, Reason};
use slash32_dhcp::{Action, Instant, MAX_FRAME, Responder};
use std::hint::black_box;

const CAPTURE: &[u8] = include_bytes!("../tests/pcaps/client-dhclient.pcap");
/// Where the DHCP message begins in a frame without IP options.
const MESSAGE: usize = 14 + 20 + 8;

/// The first frame of the capture that goes to port 67.
fn discover() -> &'static [u8] {
    let mut rest = &CAPTURE[24..];
    loop {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (frame, behind) = rest[16..].split_at(length);
        if frame[12..14] == [8, 0] && frame[36..38] == [0, 67] {
            return frame;
        }
        rest = behind;
    }
}

fn binding() -> Binding {
    let mut binding = Binding::new(Ipv4Addr::new(10, 32, 0, 13), Ipv4Addr::new(10, 32, 0, 1));
    binding.server_mac = MacAddr([0xfe, 0x54, 0, 0x12, 0x34, 0x56]);
    binding.dns.push(Ipv4Addr::new(9, 9, 9, 9)).unwrap();
    binding
}

/// The ones' complement sum of RFC 1071, as fast as it is in the core.
fn sum(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks();
    words.iter().fold(0, |sum: u64, word| {
        let (sum, carried) = sum.overflowing_add(u64::from_ne_bytes(*word));
        sum + u64::from(carried)
    })
}

fn dhcproto(request: &[u8], out: &mut Vec<u8>) {
    let request = Message::decode(&mut Decoder::new(request)).unwrap();
    let mut reply = Message::new(
        request.ciaddr(),
        Ipv4Addr::new(10, 32, 0, 13),
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::UNSPECIFIED,
        request.chaddr(),
    );
    reply
        .set_opcode(Opcode::BootReply)
        .set_xid(request.xid())
        .set_flags(request.flags());
    let gateway = Ipv4Addr::new(10, 32, 0, 1);
    let options = reply.opts_mut();
    options.insert(DhcpOption::MessageType(MessageType::Offer));
    options.insert(DhcpOption::ServerIdentifier(gateway));
    options.insert(DhcpOption::AddressLeaseTime(86_400));
    options.insert(DhcpOption::Renewal(43_200));
    options.insert(DhcpOption::Rebinding(75_600));
    options.insert(DhcpOption::SubnetMask(Ipv4Addr::BROADCAST));
    options.insert(DhcpOption::ClasslessStaticRoute(vec![
        (Ipv4Net::new(gateway, 32).unwrap(), Ipv4Addr::UNSPECIFIED),
        (Ipv4Net::new(Ipv4Addr::UNSPECIFIED, 0).unwrap(), gateway),
    ]));
    options.insert(DhcpOption::Router(vec![gateway]));
    options.insert(DhcpOption::DomainNameServer(vec![Ipv4Addr::new(
        9, 9, 9, 9,
    )]));
    out.clear();
    reply.encode(&mut Encoder::new(out)).unwrap();
}

fn answers(criterion: &mut Criterion) {
    let frame = discover();
    let mut responder = Responder::new(binding());
    let mut out = [0; MAX_FRAME];
    let Action::Reply { len, .. } = responder.handle(Instant(0), frame, &mut out) else {
        panic!("the frame is not answered")
    };
    let reply = out;

    criterion.bench_function("handle", |bench| {
        bench.iter(|| responder.handle(Instant(0), black_box(frame), black_box(&mut out)))
    });
    criterion.bench_function("floor", |bench| {
        bench.iter(|| {
            let request = sum(black_box(frame));
            let out = black_box(&mut out[..len]);
            out.copy_from_slice(black_box(&reply[..len]));
            request.wrapping_add(sum(out))
        })
    });
    // The same frame as another server's: read and judged, and not answered.
    let mut foreign = frame.to_vec();
    foreign[MESSAGE] = 2;
    // A UDP checksum of 0 is not looked at.
    foreign[40..42].fill(0);
    let ignored = responder.handle(Instant(0), &foreign, &mut out);
    assert_eq!(ignored, Action::Ignore(Reason::NotARequest));
    criterion.bench_function("ignore", |bench| {
        bench.iter(|| responder.handle(Instant(0), black_box(&foreign), black_box(&mut out)))
    });
    let mut encoded = Vec::with_capacity(1500);
    criterion.bench_function("dhcproto", |bench| {
        bench.iter(|| dhcproto(black_box(&frame[MESSAGE..]), &mut encoded))
    });
}

criterion_group!(benches, answers);
criterion_main!(benches);
