//! What one answer costs, without a socket.
#![allow(missing_docs, clippy::unwrap_used)]
use criterion::{Criterion, criterion_group, criterion_main};
use slash32_binding::{Binding, Ipv4Addr, MacAddr};
use slash32_dhcp::{Instant, MAX_FRAME, Responder};
use std::hint::black_box;

const PCAPS: [(&str, &[u8]); 2] = [
    (
        "dhclient",
        include_bytes!("../tests/pcaps/client-dhclient.pcap"),
    ),
    (
        "ipxe",
        include_bytes!("../tests/pcaps/pxe-virtio-net-pci-tcg.pcap"),
    ),
];

fn discover(pcap: &[u8]) -> Vec<u8> {
    let mut rest = &pcap[24..];
    while !rest.is_empty() {
        let n = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let f = &rest[16..16 + n];
        if f[12..14] == [8, 0] && f[36..38] == [0, 67] {
            return f.to_vec();
        }
        rest = &rest[16 + n..];
    }
    panic!()
}

fn bench(c: &mut Criterion) {
    let mut binding = Binding::new(Ipv4Addr::new(10, 32, 0, 13), Ipv4Addr::new(10, 32, 0, 1));
    binding.server_mac = MacAddr([0xfe, 0x54, 0, 0x12, 0x34, 0x56]);
    binding.dns.push(Ipv4Addr::new(9, 9, 9, 9)).unwrap();
    for (name, pcap) in PCAPS {
        let frame = discover(pcap);
        let mut r = Responder::new(binding);
        let mut out = [0; MAX_FRAME];
        eprintln!(
            "{name} {} {:?}",
            frame.len(),
            r.handle(Instant(0), &frame, &mut out)
        );
        c.bench_function(&format!("{name} whole"), |b| {
            b.iter(|| black_box(r.handle(Instant(0), black_box(&frame), &mut out)))
        });
        let mut bad = frame.clone();
        bad[42] = 2;
        bad[40] = 0;
        bad[41] = 0;
        c.bench_function(&format!("{name} ignored nochecksum"), |b| {
            b.iter(|| black_box(r.handle(Instant(0), black_box(&bad), &mut out)))
        });
        let mut nosum = frame.clone();
        nosum[40] = 0;
        nosum[41] = 0;
        c.bench_function(&format!("{name} nochecksum in"), |b| {
            b.iter(|| black_box(r.handle(Instant(0), black_box(&nosum), &mut out)))
        });
        let src = out;
        c.bench_function(&format!("{name} copy 342"), |b| {
            b.iter(|| black_box(&mut out)[..342].copy_from_slice(black_box(&src[..342])))
        });
    }
}
criterion_group!(benches, bench);
criterion_main!(benches);
