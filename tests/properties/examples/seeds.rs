//! Writes the seeds of `tests/fuzz/seeds`: `cargo run -p slash32-properties --example seeds`.
//!
//! Frames of real clients from the captures, one message of each kind of record that agent and responder exchange, and a few
//! configs. Whoever changes a format runs this again; `tests/replay.rs` says so.
#![allow(clippy::unwrap_used)]

use slash32_binding::{Generation, List, MacAddr, Outcome, Verdict};
use slash32_ipc::{Counters, Hello, Kept, KeptAs, MAX_DOWN, MAX_UP, State, ToAgent, ToResponder};
use slash32_properties::Asked;
use slash32_properties::setup::{self, ADDRESS, GATEWAY, Setup};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Setups that a captured frame is tried with: the plain one, one with a value for everything, one with an owner.
const SETUPS: [[u8; setup::LENGTH]; 3] = [
    [0; setup::LENGTH],
    [
        0x48, 0x31, 0, 0, 16, 0x48, 0xff, 5, 63, 200, 5, 120, 0, 0xff, 0x24, 224,
    ],
    [0x05, 1, 0, 0, 2, 0x11, 0, 0, 0, 0, 0, 0, 61, 0, 0, 0],
];

fn main() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(folder.join(target)).unwrap();
        fs::write(folder.join(target).join(name), bytes).unwrap();
    };
    for (name, frame) in requests() {
        for (number, setup) in SETUPS.iter().enumerate() {
            let input = [&setup[..], &frame].concat();
            write("handle", &format!("{name}-{number}"), &input);
        }
        let input = [&[0, 0, 0, 0][..], &frame[42 + 240..]].concat();
        write("options", &name, &input);
    }
    for (name, message) in messages() {
        let input = [&SETUPS[1][..1], &[0x12], &SETUPS[1][2..], &message].concat();
        write("handle", name, &input);
        let input = [&[0, 3, 0, 0][..], &message[240..]].concat();
        write("options", name, &input);
    }
    for (name, input) in overloaded() {
        write("options", name, &input);
    }
    for (name, record) in records() {
        write("ipc", name, &record);
    }
    for (name, text) in CONFIGS {
        write("config", name, text.as_bytes());
    }
    for (name, calls) in LIVES {
        write("libvirt", name, &calls_of(calls));
    }
}

/// The DHCP requests of the captures, each kind of each client once.
fn requests() -> Vec<(String, Vec<u8>)> {
    let captures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crates/dhcp/tests/pcaps");
    let mut paths: Vec<PathBuf> = fs::read_dir(captures)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "pcap")
        })
        .collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let client = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut kinds = BTreeSet::new();
        let mut rest = &bytes[24..];
        while let Some((head, behind)) = rest.split_first_chunk::<16>() {
            let length = u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
            let (frame, behind) = behind.split_at(length);
            rest = behind;
            let is_request = frame[12..14] == [8, 0] && frame[23] == 17 && frame[36..38] == [0, 67];
            let asked = is_request.then(|| Asked::read(&frame[42..]).unwrap());
            let kind = asked.and_then(|asked| asked.get(53).map(|kind| kind[0]));
            if let Some(kind) = kind.filter(|kind| kinds.insert(*kind)) {
                found.push((format!("{client}-{kind}"), frame.to_vec()));
            }
        }
    }
    found
}

/// What no capture has: a renewal, an INFORM, a RELEASE, a DECLINE, options in pieces.
fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let message = |kind: u8, ciaddr: bool, options: &[u8]| {
        let mut message = vec![0; 240];
        message[..3].copy_from_slice(&[1, 1, 6]);
        if ciaddr {
            message[12..16].copy_from_slice(&ADDRESS.octets());
        }
        message[28..34].copy_from_slice(&setup::CLIENT.0);
        message[236..].copy_from_slice(&[99, 130, 83, 99]);
        message.extend([53, 1, kind]);
        message.extend(options);
        message.push(255);
        message
    };
    let us = [&[54, 4][..], &GATEWAY.octets()].concat();
    let wanted = [&[50, 4][..], &ADDRESS.octets()].concat();
    let pieces = [
        &[
            61, 3, 1, 2, 3, 55, 2, 121, 3, 61, 2, 4, 5, 55, 3, 6, 15, 249,
        ][..],
        &[82, 4, 1, 2, 97, 98, 57, 2, 2, 88],
        &wanted,
    ];
    vec![
        ("renewal", message(3, true, &[61, 2, 1, 1])),
        ("inform", message(8, true, &[55, 3, 6, 15, 119])),
        ("release", message(7, true, &us)),
        ("decline", message(4, false, &[&us[..], &wanted].concat())),
        ("in-pieces", message(3, false, &pieces.concat())),
        (
            "at-once",
            message(1, false, b"\x50\x00\x51\x07\x04\0\0\x03foo\x37\x03\x6c\x77\x0f"),
        ),
        (
            "network-boot",
            message(
                1,
                false,
                b"\x3c\x09PXEClient\x4d\x05\x04iPXE\x5d\x02\x00\x07\x37\x05\x42\x43\x96\x77\xe0\x39\x02\x05\xdc",
            ),
        ),
    ]
}

/// Options in `file` and `sname` (RFC 2131 §4.1): type, flags, how long those two are, they, the options field.
fn overloaded() -> Vec<(&'static str, Vec<u8>)> {
    let file = [55, 2, 121, 119, 61, 2, 3, 4, 255];
    let sname = [61, 2, 5, 6, 82, 3, 1, 1, 9, 255];
    let input = |overload: u8| {
        let lengths = [1, 0, file.len() as u8, sname.len() as u8];
        let field = [61, 2, 1, 2, 52, 1, overload, 255];
        [&lengths[..], &file, &sname, &field].concat()
    };
    vec![
        ("overload-1", input(1)),
        ("overload-2", input(2)),
        ("overload-3", input(3)),
    ]
}

/// One record of each kind.
fn records() -> Vec<(&'static str, Vec<u8>)> {
    let down = |message: ToResponder| {
        let mut out = [0; MAX_DOWN];
        let length = message.encode(&mut out);
        out[..length].to_vec()
    };
    let up = |message: ToAgent| {
        let mut out = [0; MAX_UP];
        let length = message.encode(&mut out);
        out[..length].to_vec()
    };
    let hello = |setup: &[u8]| {
        let (setup, _) = Setup::split(setup);
        let mut binding = setup.binding;
        binding.chaddr = Some(MacAddr([0x52, 0x54, 0, 0, 0, 1]));
        down(ToResponder::Hello(Hello {
            generation: Generation(7),
            confirmed: true,
            binding,
        }))
    };
    let state = State {
        generation: Generation(7),
        confirmed: true,
        last_ack_age: Some(5),
        lease_time: 3600,
        told: 0xfeed,
        released: false,
        asked: true,
        counters: Counters::ZERO,
    };
    let mut frame = List::new(0);
    frame.extend_from_slice(&requests()[0].1).unwrap();
    let kept = Kept {
        generation: Generation(7),
        kept_as: KeptAs::Request,
        age: 5,
        verdict: Verdict::Answered(Outcome::Offer),
        frame,
    };
    vec![
        ("hello-plain", hello(&SETUPS[0])),
        ("hello-full", hello(&SETUPS[1])),
        ("confirm", down(ToResponder::Confirm(Generation(7)))),
        ("end", down(ToResponder::End(Generation(7)))),
        ("inquire", down(ToResponder::Inquire)),
        ("quit", down(ToResponder::Quit)),
        ("state", up(ToAgent::State(state))),
        ("kept", up(ToAgent::Kept(kept))),
        ("claim", up(ToAgent::Claim(Generation(7)))),
    ]
}

/// The hook calls of a VM's life, and state files, as samples and the byte that chooses what each is.
const LIVES: [(&str, &[(u8, &str)]); 6] = [
    (
        "one-nic",
        &[
            (1, "network-vm13-started"),
            (8, "qemu-vm13-prepare"),
            (4, "network-vm13-port-created"),
            (9, "qemu-vm13-started"),
            (10, "qemu-vm13-stopped"),
            (5, "network-vm13-port-deleted"),
            (2, "network-vm13-stopped"),
        ],
    ),
    (
        "host-bridge",
        &[
            (17, "network-hostbr30-start"),
            (11, "qemu-vm31-prepare"),
            (4, "network-hostbr30-port-created"),
            (9, "qemu-vm31-start"),
        ],
    ),
    (
        "four-nics",
        &[
            (13, "status-web"),
            (14, "status-vm13"),
            (10, "qemu-web-stopped"),
        ],
    ),
    (
        "put-in",
        &[
            (4, "network-vm13hot-port-created"),
            (9, "qemu-hot-reconnect"),
            (5, "network-vm13hot-port-created"),
        ],
    ),
    (
        "without-ports",
        &[(6, "network-old13-plugged"), (7, "network-old13-unplugged")],
    ),
    (
        "with-dhcp",
        &[
            (14, "network-v3-updated"),
            (3, "network-v3-updated"),
            (14, "net-iso14"),
        ],
    ),
];

/// The calls, with what has no meaning here taken out.
fn calls_of(calls: &[(u8, &str)]) -> Vec<u8> {
    let samples =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crates/libvirt/tests/samples");
    let read = |(kind, name): &(u8, &str)| {
        let xml = fs::read_to_string(samples.join(format!("{name}.xml"))).unwrap();
        let telling = [
            "name",
            "uuid",
            "mac",
            "interface",
            "source",
            "target",
            "actual",
            "network",
            "domain",
            "devices",
        ];
        let telling = telling.into_iter().chain([
            "hookData",
            "owner",
            "plug",
            "bridge",
            "ip",
            "dhcp",
            "range",
            "host",
            "metadata",
            "slash32",
            "s:",
            "domstatus",
        ]);
        let telling: Vec<String> = telling
            .flat_map(|tag| [format!("<{tag}"), format!("</{tag}")])
            .collect();
        let lines = xml
            .lines()
            .map(str::trim)
            .filter(|line| telling.iter().any(|tag| line.starts_with(tag)));
        [&[*kind][..], lines.collect::<String>().as_bytes()].concat()
    };
    calls.iter().map(read).collect::<Vec<_>>().join(&0)
}

/// What the shipped examples, which are seeds too, have not.
const CONFIGS: [(&str, &str); 4] = [
    ("empty", ""),
    (
        "two-files.toml",
        "[options]\ndns = [\"gateway\"]\n\0[[network]]\nname = \"a\"\nlinks = [\"v*\", \"!virbr[0-4]\"]\n\
         gateway = \"10.0.0.1\"\nallocation = \"dynamic\"\nquarantine = \"5s\"\n[[network.subnet]]\nprefix = \"10.1.0.0/16\"\npools = [\"10.1.0.0/20\"]\n",
    ),
    (
        "everything-wrong.toml",
        "[agent]\nruntime-dir = \"x\"\n[options]\nmtu = 1\nraw = [{ code = 1, hex = \"0\" }]\nlease-time = \"1x\"\nroutes = [{ to = \"10.0.0.1/8\" }]\n",
    ),
    ("no-toml.toml", "[[network]\nname = \"\n"),
];
