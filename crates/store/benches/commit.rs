//! What it costs to make one allocation durable: on a disk, where it is two flushes of it (redb's two phases), and in memory,
//! where it is our own work. Target for a first allocation: 2 ms, where the disk flushes that fast.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use slash32_store::{Allocation, Change, Embedded, Store};
use std::net::Ipv4Addr;
use std::path::Path;

fn commit(c: &mut Criterion) {
    for (name, place) in [("on the disk", "target"), ("in memory", "/dev/shm")] {
        let parent = if Path::new(place).is_dir() {
            place
        } else {
            "."
        };
        let folder = tempfile::tempdir_in(parent).unwrap();
        let mut store = Embedded::open(&folder.path().join("slash32.redb")).unwrap();
        let mut number = 0_u32;
        c.bench_function(&format!("one allocation made durable, {name}"), |b| {
            b.iter(|| {
                number += 1;
                let allocation = Allocation {
                    network: "public".into(),
                    identity: format!("link:virbr{number}"),
                    address: Ipv4Addr::from_bits(0x0a00_0000 + number),
                    boot: None,
                    since: Some(1_700_000_000),
                };
                store.commit(&[Change::PutAllocation(allocation)]).unwrap();
            });
        });
    }
}

criterion_group!(benches, commit);
criterion_main!(benches);
