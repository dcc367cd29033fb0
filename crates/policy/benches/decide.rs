//! What deciding costs, by the number of links: all of them from scratch, one of them again, and one that leaves and comes back.
//! Targets at 10,000: 50 ms for all, and 1 ms for one.
//!
//! `cargo bench -p slash32-policy --bench decide`
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use slash32_binding::{Binding, MacAddr};
use slash32_policy::{Allocations, Config, LinkFacts, LinkKind, Metadata, Source};
use std::hint::black_box;

/// Two networks, of which one has classes, a subnet of its own for one of them, and seven hundred reservations.
fn config() -> Config {
    let mut text = String::from(
        r#"
        [options]
        dns = ["9.9.9.9", "149.112.112.112"]
        mtu = "auto"
        [[class]]
        name = "gold"
        match = { tag = "gold" }
        options = { mtu = 9000 }
        [[class]]
        name = "bios"
        match = { vendor-class = "PXEClient*", architecture = "bios" }
        options = { next-server = "gateway", boot-file = "undionly.kpxe" }
        [[class]]
        name = "ipxe"
        match = { user-class = "iPXE" }
        options = { boot-file = "http://boot.example/menu.ipxe" }
        [[network]]
        name = "other"
        links = ["vnet*"]
        gateway = "169.254.0.1"
        [[network.subnet]]
        prefix = "192.0.2.0/24"
        [[network]]
        name = "public"
        links = ["virbr*", "!virbr0"]
        gateway = "169.254.0.1"
        allocation = "automatic"
        options = { domain = "vm.example" }
        [[network.subnet]]
        prefix = "10.0.0.0/16"
        pools = [{ range = "10.0.0.0-10.0.255.255", class = ["gold"] }]
        [[network.subnet]]
        prefix = "10.64.0.0/10"
        pools = ["10.64.0.0-10.127.255.255"]
        "#,
    );
    for index in 1..=700 {
        let (high, low) = (index / 256, index % 256);
        text += &format!(
            "[[network.reservation]]\nlink = \"virbr{index}\"\naddress = \"10.127.{high}.{low}\"\n"
        );
    }
    let name = "bench.toml".into();
    Config::parse(&[Source { name, text }]).unwrap()
}

const LINKS: [u32; 3] = [1_000, 10_000, 100_000];

fn links(count: u32) -> Vec<LinkFacts> {
    let link = |index: u32| {
        let [_, a, b, c] = index.to_be_bytes();
        LinkFacts {
            vm: Some(format!("vm-{index}")),
            uuid: Some(format!("4dea22b3-1d52-d8f3-2516-{index:012x}")),
            mac: Some(MacAddr([0x52, 0x54, 0, a, b, c])),
            metadata: Metadata {
                tags: if index.is_multiple_of(10) {
                    vec!["gold".into()]
                } else {
                    Vec::new()
                },
                ..Metadata::default()
            },
            ..LinkFacts::new(format!("virbr{index}"), LinkKind::Bridge)
        }
    };
    (1..=count).map(link).collect()
}

fn decide(config: &Config, allocations: &mut Allocations, link: &LinkFacts) -> Binding {
    let network = config
        .network_of(&link.name, &link.altnames)
        .unwrap()
        .unwrap();
    let assignment = allocations.assign(config, network, link).unwrap();
    config.binding(network, &assignment, link)
}

fn bench(c: &mut Criterion) {
    let config = config();
    let mut group = c.benchmark_group("decide");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for count in LINKS {
        let links = links(count);
        group.bench_function(BenchmarkId::new("all", count), |b| {
            b.iter(|| {
                let mut allocations = Allocations::new(&config, "boot", []);
                for link in &links {
                    black_box(decide(&config, &mut allocations, link));
                }
            });
        });
        let mut allocations = Allocations::new(&config, "boot", []);
        for link in &links {
            decide(&config, &mut allocations, link);
        }
        // Beyond the reservations.
        let one = &links[links.len() - 223];
        assert_eq!(config.networks[1].reservation_of(one), None);
        group.bench_function(BenchmarkId::new("again", count), |b| {
            b.iter(|| black_box(decide(&config, &mut allocations, one)));
        });
        group.bench_function(BenchmarkId::new("returns", count), |b| {
            b.iter(|| {
                allocations.leave(&one.name);
                allocations.sweep(slash32_binding::Instant(1));
                black_box(decide(&config, &mut allocations, one))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
