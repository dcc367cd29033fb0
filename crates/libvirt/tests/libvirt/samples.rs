//! Every sample, and all that it says.

use crate::common::{facts, interface, mac, sample, samples};
use slash32_binding::MacAddr;
use slash32_libvirt::{
    Domain, Fact, Hook, InterfaceElement, Metadata, Network, Port, Stage, VmElement, domain_status,
    network_status,
};
use std::collections::BTreeSet;

const RUNNING: Option<Stage> = Some(Stage::Running);
const PREPARE: Option<Stage> = Some(Stage::Prepare);

fn rows() -> Vec<(&'static str, Vec<Fact>)> {
    let (net13, net30) = (Fact::Network(vm13_network()), Fact::Network(hostbr30()));
    let port13 = "83e7e09c-dc4b-4cc6-aefc-250f622ae503";
    let again13 = "0083f235-8168-47dd-8079-354bb265864c";
    vec![
        ("network-vm13-start.xml", vec![net13.clone()]),
        ("network-vm13-started.xml", vec![net13.clone()]),
        (
            "network-vm13-port-created.xml",
            vec![net13.clone(), Fact::Port(vm13_port())],
        ),
        (
            "network-vm13-port-deleted.xml",
            vec![Fact::PortGone(vm13_port())],
        ),
        (
            "network-vm13-stopped.xml",
            vec![Fact::NetworkGone("vm13".into())],
        ),
        (
            "network-vm13hot-port-created.xml",
            vec![net13.clone(), Fact::Port(hot_port())],
        ),
        ("network-hostbr30-start.xml", vec![net30.clone()]),
        ("network-hostbr30-started.xml", vec![net30.clone()]),
        (
            "network-hostbr30-port-created.xml",
            vec![net30, Fact::Port(vm31_port())],
        ),
        (
            "network-hostbr30-port-deleted.xml",
            vec![Fact::PortGone(vm31_port())],
        ),
        (
            "network-v3-updated.xml",
            vec![Fact::NetworkUpdated(Network {
                name: "v3".into(),
                bridge: Some("virbr3".into()),
                dhcp: true,
                metadata: VmElement::default(),
            })],
        ),
        (
            "network-old13-plugged.xml",
            vec![Fact::Network(old13()), Fact::Port(old13_port())],
        ),
        (
            "network-old13-unplugged.xml",
            vec![Fact::PortGone(old13_port())],
        ),
        ("qemu-vm13-prepare.xml", vm13(PREPARE, None, None, None)),
        (
            "qemu-vm13-start.xml",
            vm13(RUNNING, Some(port13), Some("virbr13"), Some("vnet0")),
        ),
        (
            "qemu-vm13-started.xml",
            vm13(RUNNING, Some(port13), Some("virbr13"), Some("vnet0")),
        ),
        (
            "qemu-vm13-reconnect.xml",
            vm13(RUNNING, Some(again13), Some("virbr13"), Some("vnet0")),
        ),
        (
            "qemu-vm13-restore.xml",
            vm13(Some(Stage::Restore), None, None, None),
        ),
        ("qemu-vm13-stopped.xml", vm13(None, None, None, None)),
        ("qemu-vm13-release.xml", vm13(None, None, None, None)),
        ("qemu-vm31-prepare.xml", vm31(PREPARE, None, None, None)),
        ("qemu-vm31-start.xml", vm31_running()),
        ("qemu-vm31-started.xml", vm31_running()),
        ("qemu-vm31-stopped.xml", vm31(None, None, None, None)),
        ("qemu-vm31-release.xml", vm31(None, None, None, None)),
        ("qemu-web-prepare.xml", vec![web(Stage::Prepare, false)]),
        ("qemu-web-restore.xml", vec![web(Stage::Restore, false)]),
        ("qemu-web-started.xml", vec![web(Stage::Running, true)]),
        (
            "qemu-web-stopped.xml",
            vec![Fact::DomainGone(
                "22222222-0000-4000-8000-0000000000a1".into(),
            )],
        ),
        ("qemu-hot-reconnect.xml", vec![hot()]),
        (
            "status-web.xml",
            vec![web(Stage::Status { incoming: false }, true)],
        ),
        ("status-vm13.xml", vec![net13.clone()]),
        (
            "dom-vm13.xml",
            vm13(Some(Stage::Status { incoming: false }), None, None, None),
        ),
        ("net-vm13.xml", vec![net13]),
        ("net-iso14.xml", vec![plain("iso14", "virbr14")]),
        ("net-openip15.xml", vec![plain("openip15", "virbr15")]),
    ]
}

#[test]
fn every_sample_says_what_stands_in_its_row() {
    for (name, expected) in rows() {
        let xml = sample(name);
        let (call, _) = name.split_once('.').unwrap();
        let mut words = call.splitn(3, '-');
        let found = match (words.next(), words.next(), words.next()) {
            (Some("network"), _, Some(operation)) => facts(Hook::Network, operation, &xml),
            (Some("qemu"), _, Some(operation)) => facts(Hook::Qemu, operation, &xml),
            (Some("status"), Some("web"), None) | (Some("dom"), ..) => domain_status(&xml).unwrap(),
            _ => network_status(&xml).unwrap(),
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn every_sample_has_a_row() {
    let files = std::fs::read_dir(samples()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<_> = names.filter(|name| name.ends_with(".xml")).collect();
    let rows: BTreeSet<_> = rows().iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(files, rows);
}

/// A `<slash32:vm>` with an address and no more.
fn address(address: &str) -> VmElement {
    VmElement {
        all: Metadata {
            address: Some(address.into()),
            ..Metadata::default()
        },
        interfaces: Vec::new(),
    }
}

fn vm13_network() -> Network {
    Network {
        name: "vm13".into(),
        bridge: Some("virbr13".into()),
        dhcp: false,
        metadata: address("10.32.0.13/32"),
    }
}

fn hostbr30() -> Network {
    Network {
        name: "hostbr30".into(),
        bridge: Some("br30".into()),
        dhcp: false,
        metadata: address("10.32.0.30/32"),
    }
}

fn old13() -> Network {
    Network {
        name: "old13".into(),
        bridge: Some("virbr13".into()),
        dhcp: false,
        metadata: VmElement::default(),
    }
}

fn plain(name: &str, bridge: &str) -> Fact {
    Fact::Network(Network {
        name: name.into(),
        bridge: Some(bridge.into()),
        dhcp: false,
        metadata: VmElement::default(),
    })
}

fn vm13_port() -> Port {
    Port {
        port: Some("83e7e09c-dc4b-4cc6-aefc-250f622ae503".into()),
        network: "vm13".into(),
        bridge: Some("virbr13".into()),
        vm: "vm13".into(),
        uuid: "22222222-0000-4000-8000-000000000013".into(),
        mac: mac(0x13),
    }
}

fn old13_port() -> Port {
    Port {
        port: None,
        network: "old13".into(),
        ..vm13_port()
    }
}

fn hot_port() -> Port {
    Port {
        port: Some("49bde0ef-3dfe-47be-bf6f-1e2b0ab8de0d".into()),
        vm: "hot".into(),
        uuid: "22222222-0000-4000-8000-0000000000b1".into(),
        mac: MacAddr([0x52, 0x54, 0, 0, 0x0b, 9]),
        ..vm13_port()
    }
}

fn vm31_port() -> Port {
    Port {
        port: Some("82bc5a6f-92bd-40be-84d9-663ec17219f6".into()),
        network: "hostbr30".into(),
        bridge: Some("br30".into()),
        vm: "vm31".into(),
        uuid: "22222222-0000-4000-8000-000000000031".into(),
        mac: mac(0x31),
    }
}

fn vm13(
    stage: Option<Stage>,
    port: Option<&str>,
    bridge: Option<&str>,
    tap: Option<&str>,
) -> Vec<Fact> {
    let uuid = "22222222-0000-4000-8000-000000000013".to_owned();
    let domain = Domain {
        name: "vm13".into(),
        uuid: uuid.clone(),
        interfaces: vec![interface(mac(0x13), Some("vm13"), port, bridge, tap)],
        metadata: address("10.32.0.13/32"),
    };
    vec![match stage {
        Some(stage) => Fact::Domain(stage, domain),
        None => Fact::DomainGone(uuid),
    }]
}

fn vm31(
    stage: Option<Stage>,
    port: Option<&str>,
    bridge: Option<&str>,
    tap: Option<&str>,
) -> Vec<Fact> {
    let uuid = "22222222-0000-4000-8000-000000000031".to_owned();
    let domain = Domain {
        name: "vm31".into(),
        uuid: uuid.clone(),
        interfaces: vec![interface(mac(0x31), Some("hostbr30"), port, bridge, tap)],
        metadata: address("10.32.0.31/32"),
    };
    vec![match stage {
        Some(stage) => Fact::Domain(stage, domain),
        None => Fact::DomainGone(uuid),
    }]
}

fn vm31_running() -> Vec<Fact> {
    let port = "82bc5a6f-92bd-40be-84d9-663ec17219f6";
    vm31(RUNNING, Some(port), Some("br30"), Some("vnet4"))
}

/// Four NICs on four links, and one that is on none.
fn web(stage: Stage, running: bool) -> Fact {
    let then = |value: &'static str| running.then_some(value);
    let nic = |last| MacAddr([0x52, 0x54, 0, 0, 0x0a, last]);
    Fact::Domain(
        stage,
        Domain {
            name: "web <1> \"ü\"".into(),
            uuid: "22222222-0000-4000-8000-0000000000a1".into(),
            interfaces: vec![
                interface(
                    nic(1),
                    Some("vm13"),
                    then("a3c77293-7a7e-4b46-b155-1547d87d7e34"),
                    then("virbr13"),
                    then("vnet0"),
                ),
                interface(
                    nic(2),
                    Some("hostbr30"),
                    then("f8846700-ec0d-4739-9140-8c8e0e44dcd7"),
                    then("br30"),
                    then("vnet1"),
                ),
                interface(nic(3), None, None, Some("br31"), then("vnet2")),
                interface(nic(4), None, None, None, Some("tap-a1")),
            ],
            metadata: interfaces_of_web("52:54:00:00:0a:01"),
        },
    )
}

fn interfaces_of_web(mac: &str) -> VmElement {
    let options = [("hostname".to_owned(), "web".to_owned())];
    VmElement {
        all: Metadata {
            tags: vec!["gold".into(), "eu".into()],
            ..Metadata::default()
        },
        interfaces: vec![InterfaceElement {
            mac: mac.into(),
            metadata: Metadata {
                address: Some("10.32.0.1".into()),
                options: options.into(),
                ..Metadata::default()
            },
        }],
    }
}

/// A NIC was moved to another network, and one was put in, while it ran.
fn hot() -> Fact {
    let nic = |last| MacAddr([0x52, 0x54, 0, 0, 0x0b, last]);
    let moved = "f4776cda-6ff1-454c-8d66-de3eaae4aa6a";
    let second = "0163c923-099f-4b2e-8432-3748fb87544f";
    let put_in = "49bde0ef-3dfe-47be-bf6f-1e2b0ab8de0d";
    let (net13, net30) = (Some("vm13"), Some("hostbr30"));
    Fact::Domain(
        Stage::Running,
        Domain {
            name: "hot".into(),
            uuid: "22222222-0000-4000-8000-0000000000b1".into(),
            interfaces: vec![
                interface(nic(1), net30, Some(moved), Some("br30"), Some("vnet6")),
                interface(nic(2), net30, Some(second), Some("br30"), Some("vnet7")),
                interface(nic(3), None, None, Some("br31"), Some("vnet8")),
                interface(nic(4), None, None, None, Some("tap-b1")),
                interface(nic(9), net13, Some(put_in), Some("virbr13"), Some("vnet9")),
            ],
            metadata: interfaces_of_web("52:54:00:00:0b:01"),
        },
    )
}
