//! What operators mean, at random: an address, times, options and classes.

use crate::client::{CLIENT, GATEWAY, SERVER};
use crate::meant::{Class, Intent, Options};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use slash32_binding::{Binding, Ipv4Addr};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

const PATTERNS: [&str; 7] = [
    "PXEClient*",
    "MSFT ?.?",
    "*",
    "udhcp*0",
    "nobody",
    "iPXE",
    "?a*",
];

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
pub(crate) fn raw_size(raw: &BTreeMap<u8, (bool, Vec<u8>)>) -> usize {
    raw.values().map(|(_, value)| value.len() + 6).sum()
}

pub(crate) fn intent() -> impl Strategy<Value = Intent> {
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
