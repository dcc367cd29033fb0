use super::*;
use crate::link::LinkAddress;
use slash32_binding::MacAddr;
use std::collections::BTreeSet;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);
const BRIDGE: u32 = 1;

fn link(ifindex: u32, name: &str, kind: Kind) -> Link {
    Link {
        ifindex,
        name: name.into(),
        altnames: Vec::new(),
        kind,
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        controller: None,
        up: true,
        carrier: true,
        carrier_ups: 1,
        ipv4: None,
        ipv6: None,
        addresses: BTreeSet::new(),
    }
}

fn port(ifindex: u32, name: &str, kind: Kind) -> Link {
    Link {
        controller: Some(BRIDGE),
        ..link(ifindex, name, kind)
    }
}

/// The presence of a bridge with these ports.
fn of_bridge(ports: Vec<Link>, served: Served) -> Presence {
    of(link(BRIDGE, "virbr13", Kind::Bridge), ports, served)
}

fn of(link: Link, ports: Vec<Link>, served: Served) -> Presence {
    let mut table = LinkTable::default();
    table.put(link.clone());
    for port in ports {
        table.put(port);
    }
    presence(&table, &link, GATEWAY, None, served)
}

fn present(port: u32) -> Presence {
    Presence::Present {
        stay: Stay {
            port,
            carrier_ups: 1,
        },
        several: false,
        down: false,
    }
}

#[test]
fn a_vm_is_there_while_a_tap_or_veth_port_has_carrier() {
    for kind in [Kind::Tap, Kind::Veth] {
        assert_eq!(
            of_bridge(vec![port(5, "vnet0", kind)], Served::default()),
            present(5)
        );
    }
    let without = Link {
        carrier: false,
        ..port(5, "vnet0", Kind::Tap)
    };
    assert_eq!(
        of_bridge(vec![without], Served::default()),
        Presence::Idle(None)
    );
    assert_eq!(of_bridge(vec![], Served::default()), Presence::Idle(None));
}

#[test]
fn a_port_that_its_owner_left_down_is_named() {
    let down = Link {
        up: false,
        carrier: false,
        ..port(5, "vnet0", Kind::Tap)
    };
    let Presence::Idle(Some(reason)) = of_bridge(vec![down], Served::default()) else {
        panic!()
    };
    assert!(reason.contains("vnet0 is down"), "{reason}");
    let tap = Link {
        up: false,
        carrier: false,
        ..link(5, "tap0", Kind::Tap)
    };
    let Presence::Idle(Some(reason)) = of(tap, vec![], Served::default()) else {
        panic!()
    };
    assert!(reason.contains("the tap is down"), "{reason}");
}

#[test]
fn the_dummy_of_libvirt_is_no_vm() {
    let nic = port(4, "virbr13-nic", Kind::Tap);
    let dummy = port(6, "virbr13-dummy", Kind::Dummy);
    assert_eq!(
        of_bridge(vec![nic.clone(), dummy.clone()], Served::default()),
        Presence::Idle(None)
    );
    assert_eq!(
        of_bridge(
            vec![nic, dummy, port(5, "vnet0", Kind::Tap)],
            Served::default()
        ),
        present(5)
    );
}

#[test]
fn a_bare_tap_with_carrier_is_a_vm_of_its_own() {
    assert_eq!(
        of(link(5, "tap0", Kind::Tap), vec![], Served::default()),
        present(5)
    );
    let idle = Link {
        carrier: false,
        ..link(5, "tap0", Kind::Tap)
    };
    assert_eq!(of(idle, vec![], Served::default()), Presence::Idle(None));
}

#[test]
fn of_two_vms_on_one_bridge_the_first_stays_served() {
    let ports = || vec![port(5, "vnet0", Kind::Tap), port(6, "vnet1", Kind::Tap)];
    for (served, stays) in [(None, 5), (Some(5), 5), (Some(6), 6), (Some(9), 5)] {
        let presence = of_bridge(
            ports(),
            Served {
                port: served,
                bound: false,
            },
        );
        let Presence::Present { stay, several, .. } = presence else {
            panic!()
        };
        assert_eq!((stay.port, several), (stays, true), "served {served:?}");
    }
}

#[test]
fn a_bridge_that_is_down_keeps_its_vm() {
    let down = Link {
        up: false,
        ..link(BRIDGE, "virbr13", Kind::Bridge)
    };
    let presence = of(
        down.clone(),
        vec![port(5, "vnet0", Kind::Tap)],
        Served::default(),
    );
    let stay = Stay {
        port: 5,
        carrier_ups: 1,
    };
    assert_eq!(
        presence,
        Presence::Present {
            stay,
            several: false,
            down: true
        }
    );
    let Presence::Idle(Some(reason)) = of(down, vec![], Served::default()) else {
        panic!()
    };
    assert_eq!(reason, "the bridge is down");
}

#[test]
fn a_bridge_with_any_port_but_taps_and_veths_is_refused_even_while_a_vm_is_bound() {
    for (kind, named) in [
        (Kind::Physical, "physical port eth0"),
        (Kind::Other("vlan".into()), "eth0, a vlan link"),
        (Kind::Other("bond".into()), "eth0, a bond link"),
        (Kind::Other("vxlan".into()), "eth0, a vxlan link"),
    ] {
        for bound in [false, true] {
            let ports = vec![port(3, "eth0", kind.clone()), port(5, "vnet0", Kind::Tap)];
            let Presence::Refused(reason) = of_bridge(
                ports,
                Served {
                    port: Some(5),
                    bound,
                },
            ) else {
                panic!()
            };
            assert!(reason.contains(named), "{reason}");
        }
    }
}

#[test]
fn only_bridges_and_bare_taps_are_vm_links() {
    for kind in [
        Kind::Physical,
        Kind::Veth,
        Kind::Dummy,
        Kind::Other("vlan".into()),
    ] {
        let presence = of(link(5, "eth0", kind.clone()), vec![], Served::default());
        assert!(
            matches!(presence, Presence::Refused(_)),
            "{kind:?} {presence:?}"
        );
    }
}

#[test]
fn a_foreign_address_refuses_a_link_unless_its_vm_is_bound_already() {
    let address = |address: [u8; 4], prefix_length, ours| LinkAddress {
        address: address.into(),
        prefix_length,
        ours,
    };
    for (address, foreign) in [
        (address([169, 254, 0, 1], 32, false), false),
        (address([169, 254, 0, 1], 32, true), false),
        (address([169, 254, 0, 1], 16, false), true),
        (address([192, 168, 122, 1], 24, false), true),
        // Of an earlier config: ours to take away.
        (address([172, 31, 1, 1], 32, true), false),
    ] {
        let bridge = Link {
            addresses: BTreeSet::from([address]),
            ..link(BRIDGE, "virbr13", Kind::Bridge)
        };
        let mut table = LinkTable::default();
        table.put(bridge.clone());
        table.put(port(5, "vnet0", Kind::Tap));
        for bound in [false, true] {
            let presence = presence(&table, &bridge, GATEWAY, None, Served { port: None, bound });
            let refused = matches!(&presence, Presence::Refused(reason) if reason.contains("foreign address"));
            assert_eq!(refused, foreign && !bound, "{address:?} bound: {bound}");
        }
    }
}

#[test]
fn a_dhcp_server_of_libvirts_refuses_a_link_unless_its_vm_is_bound_already() {
    let bridge = link(BRIDGE, "virbr13", Kind::Bridge);
    let mut table = LinkTable::default();
    table.put(bridge.clone());
    let of = |network, bound| {
        let served = Served { port: None, bound };
        presence(&table, &bridge, GATEWAY, Some(network), served)
    };
    let says = |network| match of(network, false) {
        Presence::Refused(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        says("default"),
        "libvirt's network default has <dhcp>, so its dnsmasq answers here: take <dhcp> out (virsh net-edit default), then virsh net-destroy default and virsh net-start default"
    );
    // What is to be typed is a word for the shell, whatever the network is called.
    assert!(says("a'b c").contains(r"(virsh net-edit 'a'\''b c')"));
    assert_eq!(of("default", true), Presence::Idle(None));
}

#[test]
fn a_port_and_the_loopback_device_are_nobodys_vm_link() {
    assert!(is_port_or_loopback(&port(5, "vnet0", Kind::Tap)));
    assert!(is_port_or_loopback(&link(1, "lo", Kind::Loopback)));
    assert!(!is_port_or_loopback(&link(5, "tap0", Kind::Tap)));
}
