//! What planning costs, by the number of links: a host where nothing is done yet, one where all is, and one claim among all.
//!
//! `cargo bench -p slash32-agent --bench plan`
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use slash32_agent::encoded::EncodedBinding;
use slash32_agent::link::{Ipv4Settings, Ipv6Settings, LinkAddress};
use slash32_agent::plan::{
    Desired, DesiredLink, Observed, ObservedLink, ObservedResponder, Serve, plan,
};
use slash32_agent::route::{HostRoute, by_link};
use slash32_binding::{Binding, Generation, Ipv4Addr, Prefix};
use std::collections::BTreeSet;
use std::hint::black_box;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
const LINKS: [u32; 3] = [1_000, 10_000, 100_000];

fn address(ifindex: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + ifindex)
}

fn route(ifindex: u32) -> HostRoute {
    HostRoute {
        ifindex,
        prefix: Prefix::host(address(ifindex)),
        table: 254,
        protocol: 132,
        metric: 1,
        source: None,
    }
}

/// Every VM is to be served, with its route.
fn desired(ifindexes: impl Iterator<Item = u32>) -> Desired {
    let link = |ifindex| {
        let serve = Serve {
            generation: Generation(1),
            binding: EncodedBinding::new(&Binding::new(address(ifindex), GATEWAY)),
        };
        let link = DesiredLink {
            gateway: GATEWAY,
            keep_addresses: false,
            ipv6_disabled: true,
            serve: Some(serve),
            route: Some(route(ifindex)),
        };
        (ifindex, link)
    };
    Desired {
        links: ifindexes.map(link).collect(),
    }
}

fn bare_link() -> ObservedLink {
    ObservedLink {
        up: true,
        addresses: BTreeSet::new(),
        ipv4: None,
        ipv6: None,
    }
}

fn prepared_link() -> ObservedLink {
    let gateway = LinkAddress {
        address: GATEWAY,
        prefix_length: 32,
        ours: true,
    };
    ObservedLink {
        up: true,
        addresses: BTreeSet::from([gateway]),
        ipv4: Some(Ipv4Settings::VM_LINK),
        ipv6: Some(Ipv6Settings {
            disabled: true,
            accept_ra: false,
        }),
    }
}

/// The host, when all that is desired is so.
fn settled(desired: &Desired) -> Observed {
    let responder = |(ifindex, link): (&u32, &DesiredLink)| {
        let responder = ObservedResponder {
            generation: Generation(1),
            binding: link.serve.as_ref().map(|serve| serve.binding.clone()),
            confirmed: true,
        };
        (*ifindex, responder)
    };
    Observed {
        links: desired
            .links
            .keys()
            .map(|ifindex| (*ifindex, prepared_link()))
            .collect(),
        routes: desired
            .links
            .keys()
            .map(|ifindex| route(*ifindex))
            .collect(),
        responders: desired.links.iter().map(responder).collect(),
    }
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for links in LINKS {
        let desired = desired(1..=links);
        let bare = Observed {
            links: (1..=links).map(|ifindex| (ifindex, bare_link())).collect(),
            ..Observed::default()
        };
        assert_eq!(plan(&desired, &bare).len(), 6 * links as usize);
        group.bench_function(BenchmarkId::new("all", links), |b| {
            b.iter(|| black_box(plan(&desired, &bare)));
        });
        let settled = settled(&desired);
        assert_eq!(plan(&desired, &settled), []);
        group.bench_function(BenchmarkId::new("nothing", links), |b| {
            b.iter(|| black_box(plan(&desired, &settled)));
        });
        group.bench_function(BenchmarkId::new("one", links), |b| {
            let ifindex = links / 2;
            let one = self::desired(std::iter::once(ifindex));
            b.iter(|| {
                let observed = Observed {
                    links: [(ifindex, settled.links[&ifindex].clone())].into(),
                    routes: by_link(&settled.routes, ifindex).copied().collect(),
                    responders: [(ifindex, settled.responders[&ifindex].clone())].into(),
                };
                black_box(plan(&one, &observed))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
