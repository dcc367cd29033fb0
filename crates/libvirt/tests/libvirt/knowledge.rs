//! Which NIC is behind a link.

use crate::common::{
    Host, bridged, defined, domain, ethernet, mac, network, plugged, port, tap_mac,
};
use slash32_binding::MacAddr;
use slash32_libvirt::{Fact, Knowledge, network_status};

/// The MAC address of a veth, or of a tap of somebody's own.
const OTHER: MacAddr = MacAddr([0x02, 1, 2, 3, 4, 5]);

fn blue() -> String {
    network("blue", "virbr1", "")
}

#[test]
fn a_nic_is_found_before_its_tap_is_known() {
    let mut host = Host::default();
    let created = port(&blue(), "p1", ("web", "1"), mac(1), "virbr1");
    host.qemu("prepare", &domain("web", "1", "", &defined(mac(1), "blue")));
    host.network("port-created", &created);
    assert_eq!(host.vm("virbr1", "vnet0", mac(1)), Some("web"));
    assert_eq!(host.vm("virbr2", "vnet0", mac(1)), None);
}

#[test]
fn a_nic_whose_network_is_not_known_is_found_by_its_mac_address() {
    let mut host = Host::default();
    host.qemu("prepare", &domain("web", "1", "", &defined(mac(1), "blue")));
    assert_eq!(host.vm("virbr1", "vnet0", mac(1)), Some("web"));
    assert_eq!(host.vm("virbr1", "vnet0", mac(2)), None);
}

#[test]
fn a_nic_of_a_network_that_is_known_is_looked_for_on_its_bridge() {
    let mut host = Host::default();
    host.network("started", &blue());
    host.qemu("prepare", &domain("web", "1", "", &defined(mac(1), "blue")));
    assert_eq!(host.vm("virbr1", "vnet0", mac(1)), Some("web"));
    assert_eq!(host.vm("virbr2", "vnet0", mac(1)), None);
}

#[test]
fn the_only_nic_of_a_bridge_is_behind_a_port_that_libvirt_did_not_make() {
    let mut host = Host::default();
    let created = port(&blue(), "p1", ("web", "1"), mac(1), "virbr1");
    host.network("port-created", &created);
    assert_eq!(host.at("virbr1", "veth7", OTHER), Some("web"));
    assert_eq!(
        host.vm("virbr1", "vnet7", mac(7)),
        None,
        "a tap of another VM's"
    );
    let second = port(&blue(), "p2", ("db", "2"), mac(2), "virbr1");
    host.network("port-created", &second);
    assert_eq!(host.at("virbr1", "veth7", OTHER), None, "one of two");
}

#[test]
fn a_nic_with_a_tap_is_not_behind_another_port() {
    let mut host = Host::default();
    host.qemu(
        "started",
        &domain("web", "1", "", &bridged(mac(1), "br0", "vnet0")),
    );
    assert_eq!(host.at("br0", "veth7", OTHER), None);
    assert_eq!(host.vm("br0", "vnet0", mac(1)), Some("web"));
}

#[test]
fn a_tap_is_known_by_its_name_wherever_it_is() {
    let mut host = Host::default();
    host.qemu(
        "started",
        &domain("web", "1", "", &bridged(mac(1), "br0", "vnet0")),
    );
    assert_eq!(
        host.vm("br1", "vnet0", mac(1)),
        Some("web"),
        "moved by hand"
    );
    assert_eq!(
        host.vm("vnet0", "vnet0", mac(1)),
        Some("web"),
        "in no bridge"
    );
}

#[test]
fn a_name_of_libvirts_making_that_is_used_again_is_another_tap() {
    let mut host = Host::default();
    host.qemu(
        "started",
        &domain("web", "1", "", &bridged(mac(1), "br0", "vnet0")),
    );
    assert_eq!(host.vm("br0", "vnet0", mac(2)), None);
    assert_eq!(host.at("br0", "vnet0", OTHER), None);
}

#[test]
fn a_tap_of_the_owners_own_may_have_any_mac_address() {
    let mut host = Host::default();
    host.qemu(
        "started",
        &domain("web", "1", "", &ethernet(mac(1), "web0")),
    );
    assert_eq!(host.at("web0", "web0", OTHER), Some("web"), "a bare tap");
    assert_eq!(
        host.at("br0", "web0", OTHER),
        Some("web"),
        "in a bridge of the owner's"
    );
    assert_eq!(host.at("web1", "web1", OTHER), None);
}

#[test]
fn three_nics_on_three_links_are_told_apart() {
    let mut host = Host::default();
    let nics = [
        plugged(mac(1), "blue", "p1", "virbr1", "vnet0"),
        bridged(mac(2), "br0", "vnet1"),
        ethernet(mac(3), "tap3"),
    ];
    host.qemu("started", &domain("web", "1", "", &nics.concat()));
    for (link, port, guest) in [
        ("virbr1", "vnet0", 1),
        ("br0", "vnet1", 2),
        ("tap3", "tap3", 3),
    ] {
        let place = slash32_libvirt::Place {
            link,
            port,
            port_mac: tap_mac(mac(guest)),
        };
        assert_eq!(host.0.nic(place).unwrap().mac, mac(guest));
    }
}

#[test]
fn two_nics_on_one_bridge_are_told_apart_before_and_after_their_taps_are_known() {
    let mut host = Host::default();
    let (first, second) = (defined(mac(1), "blue"), defined(mac(2), "blue"));
    host.network("started", &blue());
    host.qemu("prepare", &domain("web", "1", "", &(first + &second)));
    let mac_at = |host: &Host, guest| {
        let port_mac = tap_mac(mac(guest));
        let place = slash32_libvirt::Place {
            link: "virbr1",
            port: "vnet0",
            port_mac,
        };
        host.0.nic(place).map(|nic| nic.mac)
    };
    assert_eq!(mac_at(&host, 1), Some(mac(1)));
    assert_eq!(mac_at(&host, 2), Some(mac(2)));
    assert_eq!(mac_at(&host, 3), None);
}

#[test]
fn of_two_domains_with_one_mac_address_the_one_that_started_last_is_found() {
    let mut host = Host::default();
    host.qemu(
        "started",
        &domain("web", "1", "", &bridged(mac(1), "br0", "vnet0")),
    );
    host.qemu(
        "prepare",
        &domain(
            "copy",
            "2",
            "",
            &bridged(mac(1), "br0", "").replace("<target dev=''/>", ""),
        ),
    );
    assert_eq!(host.vm("br0", "vnet0", mac(1)), Some("web"));
    assert_eq!(
        host.vm("br0", "vnet1", mac(1)),
        Some("copy"),
        "before its tap is known"
    );
    host.qemu(
        "started",
        &domain("copy", "2", "", &bridged(mac(1), "br0", "vnet1")),
    );
    assert_eq!(host.vm("br0", "vnet0", mac(1)), Some("web"));
    assert_eq!(host.vm("br0", "vnet1", mac(1)), Some("copy"));
}

#[test]
fn a_network_is_known_by_its_bridge_while_it_runs() {
    let mut host = Host::default();
    host.network("started", &blue());
    assert_eq!(host.0.network_of("virbr1").unwrap().name, "blue");
    assert_eq!(host.0.network_of("virbr2"), None);
    host.network("stopped", &blue());
    assert_eq!(host.0.network_of("virbr1"), None);
    assert_eq!(host.0, Knowledge::default());
}

#[test]
fn of_two_networks_on_one_bridge_the_one_with_dhcp_is_named() {
    let dhcp = "<dhcp><range/></dhcp>";
    let mut host = Host::default();
    for (name, dhcp) in [("a", ""), ("b", dhcp), ("c", "")] {
        let xml =
            format!("<network><name>{name}</name><bridge name='br0'/><ip>{dhcp}</ip></network>");
        host.learn(network_status(&xml).unwrap());
    }
    assert_eq!(host.0.network_of("br0").unwrap().name, "b");
}

#[test]
fn a_fact_that_is_known_is_no_news() {
    let mut knowledge = Knowledge::default();
    let fact = || network_status(&blue()).unwrap().remove(0);
    assert!(knowledge.learn(fact()));
    assert!(!knowledge.learn(fact()));
    assert!(knowledge.learn(Fact::NetworkGone("blue".into())));
    assert!(!knowledge.learn(Fact::NetworkGone("blue".into())));
    assert!(!knowledge.learn(Fact::DomainGone("1".into())));
    assert!(!knowledge.learn(Fact::StatusGone("web".into())));
    assert!(!knowledge.arrived("1", mac(1)));
}
