//! What libvirt's hooks and state files tell through the life of a VM, as they do on a host.

use crate::common::{
    Host, bridged, defined, domain, facts, mac, network, plugged, port, sample, tap_mac,
};
use slash32_binding::MacAddr;
use slash32_libvirt::{Fact, Hook, Knowledge, Nic, Place, domain_status};

const WEB: (&str, &str) = ("web", "1");

fn blue() -> String {
    network("blue", "virbr1", "")
}

fn created(number: &str) -> String {
    port(&blue(), number, WEB, mac(1), "virbr1")
}

fn prepared() -> String {
    domain("web", "1", "", &defined(mac(1), "blue"))
}

fn running(tap: &str) -> String {
    domain(
        "web",
        "1",
        "",
        &plugged(mac(1), "blue", "p1", "virbr1", tap),
    )
}

/// `web` runs with one NIC in `blue`.
fn started() -> Host {
    let mut host = Host::default();
    host.network("started", &blue())
        .qemu("prepare", &prepared());
    host.network("port-created", &created("p1"));
    host.qemu("start", &running("vnet0"));
    host.qemu("started", &running("vnet0"));
    host
}

fn web(host: &Host) -> Option<&str> {
    host.vm("virbr1", "vnet0", mac(1))
}

fn nic(host: &Host) -> Option<&Nic> {
    let port_mac = tap_mac(mac(1));
    let (link, port) = ("virbr1", "vnet0");
    host.0.nic(Place {
        link,
        port,
        port_mac,
    })
}

fn status(job: &str, domain: &str) -> Vec<Fact> {
    domain_status(&format!(
        "<domstatus state='running'>{job}{domain}</domstatus>"
    ))
    .unwrap()
}

#[test]
fn a_vm_that_stops_is_gone_though_the_xml_names_neither_bridge_nor_tap() {
    let mut host = started();
    assert_eq!(web(&host), Some("web"));
    host.qemu("stopped", &prepared());
    assert_eq!(web(&host), None);
    host.network("port-deleted", &created("p1"));
    host.qemu("release", &prepared());
    host.network("stopped", &blue());
    assert_eq!(host.0, Knowledge::default());
}

#[test]
fn a_vm_that_could_not_start_is_gone() {
    let mut host = Host::default();
    host.qemu("prepare", &prepared())
        .network("port-created", &created("p1"));
    host.qemu("stopped", &prepared());
    host.network("port-deleted", &created("p1"));
    host.qemu("release", &prepared())
        .network("stopped", &blue());
    assert_eq!(host.0, Knowledge::default());
}

#[test]
fn a_port_that_comes_and_goes_takes_no_nic_away_that_stays() {
    let mut host = started();
    for port in ["p2", "p3"] {
        host.network("port-created", &created(port));
        assert_eq!(web(&host), Some("web"));
        host.network("port-deleted", &created(port));
        assert_eq!(web(&host), Some("web"));
    }
}

#[test]
fn a_port_that_comes_and_goes_takes_no_nic_away_under_an_older_libvirt() {
    let [plugged, unplugged] = ["plugged", "unplugged"].map(|operation| {
        let xml = sample(&format!("network-old13-{operation}.xml"));
        move |host: &mut Host| {
            host.network(operation, &xml);
        }
    });
    let mut host = Host::default();
    plugged(&mut host);
    host.qemu(
        "start",
        &sample("qemu-vm13-start.xml").replace(" portid=", " other="),
    );
    plugged(&mut host);
    unplugged(&mut host);
    assert_eq!(host.vm("virbr13", "vnet0", mac(0x13)), Some("vm13"));
    host.qemu("stopped", &sample("qemu-vm13-stopped.xml"));
    unplugged(&mut host);
    assert_eq!(host.vm("virbr13", "vnet0", mac(0x13)), None);
}

#[test]
fn a_nic_that_is_put_in_and_taken_out_by_network_hooks_alone_comes_and_goes() {
    let mut host = started();
    let red = network("red", "virbr2", "");
    let created = |number| port(&red, number, WEB, mac(2), "virbr2");
    host.network("port-created", &created("q1"));
    assert_eq!(host.vm("virbr2", "vnet5", mac(2)), Some("web"));
    host.network("port-created", &created("q2"));
    host.network("port-deleted", &created("q2"));
    assert_eq!(
        host.vm("virbr2", "vnet5", mac(2)),
        Some("web"),
        "its link was set"
    );
    host.network("port-deleted", &created("q1"));
    assert_eq!(host.vm("virbr2", "vnet5", mac(2)), None);
    assert_eq!(web(&host), Some("web"));
}

#[test]
fn a_nic_of_the_domains_own_that_is_taken_out_is_gone() {
    let mut host = started();
    host.network("port-deleted", &created("p1"));
    assert_eq!(web(&host), None);
}

#[test]
fn a_nic_that_is_moved_to_another_network_is_found_there_and_goes_from_there() {
    let mut host = started();
    let moved = port(&network("red", "virbr2", ""), "q1", WEB, mac(1), "virbr2");
    host.network("port-created", &moved);
    host.network("port-deleted", &created("p1"));
    let port_mac = tap_mac(mac(1));
    let (link, port) = ("virbr2", "vnet0");
    let found = host
        .0
        .nic(Place {
            link,
            port,
            port_mac,
        })
        .unwrap();
    assert_eq!(found.network.as_deref(), Some("red"));
    host.network("port-deleted", &moved);
    assert_eq!(host.vm("virbr2", "vnet0", mac(1)), None);
}

#[test]
fn a_libvirtd_that_restarts_changes_nothing() {
    let mut host = started();
    let before = host.0.clone();
    host.network("port-created", &created("p1"));
    host.qemu("reconnect", &running("vnet0"));
    assert_eq!(host.0, before);
}

#[test]
fn a_libvirtd_that_restarts_tells_what_was_missed() {
    let mut host = Host::default();
    host.qemu("reconnect", &running("vnet0"));
    assert_eq!(web(&host), Some("web"));
    let mut host = started();
    let two = plugged(mac(1), "blue", "p1", "virbr1", "vnet0") + &bridged(mac(2), "br0", "vnet7");
    host.qemu("reconnect", &domain("web", "1", "", &two));
    assert_eq!(
        host.vm("br0", "vnet7", mac(2)),
        Some("web"),
        "put in without a hook"
    );
    host.qemu("reconnect", &running("vnet0"));
    assert_eq!(
        host.vm("br0", "vnet7", mac(2)),
        None,
        "taken out without a hook"
    );
}

#[test]
fn a_tap_that_is_left_alone_when_its_network_stops_is_found_by_its_name() {
    let mut host = started();
    host.network("stopped", &blue());
    assert_eq!(host.vm("vnet0", "vnet0", mac(1)), Some("web"));
    assert_eq!(nic(&host).unwrap().network.as_deref(), Some("blue"));
    host.qemu("stopped", &prepared())
        .qemu("release", &prepared());
    assert_eq!(host.0, Knowledge::default());
}

#[test]
fn a_tap_that_is_left_alone_before_its_name_is_known_is_found_by_its_mac_address() {
    let mut host = Host::default();
    host.network("port-created", &created("p1"))
        .network("stopped", &blue());
    assert_eq!(host.vm("vnet0", "vnet0", mac(1)), Some("web"));
}

#[test]
fn the_metadata_of_a_network_outlives_the_network_as_long_as_a_vm_is_in_it() {
    let gold = network("blue", "virbr1", "<vm xmlns='urn:slash32:1' tags='gold'/>");
    let tags = |host: &Host| nic(host).unwrap().metadata.tags.clone();
    let mut host = started();
    host.network("updated", &gold);
    assert_eq!(tags(&host), ["gold"]);
    host.network("stopped", &gold);
    assert_eq!(tags(&host), ["gold"]);
    host.network("started", &blue());
    assert_eq!(tags(&host), [""; 0]);
}

#[test]
fn an_update_of_a_network_that_does_not_run_says_nothing() {
    let mut host = Host::default();
    host.network("updated", &blue());
    assert_eq!(host.0, Knowledge::default());
}

#[test]
fn an_update_of_a_network_that_has_stopped_does_not_start_it() {
    let mut host = started();
    host.network("stopped", &blue());
    host.network("updated", &network("blue", "virbr1", "<a/>"));
    assert_eq!(host.0.network_of("virbr1"), None);
}

#[test]
fn a_vm_that_is_restored_is_found_at_its_new_tap() {
    let mut host = started();
    host.qemu("stopped", &prepared());
    host.network("port-deleted", &created("p1"));
    host.qemu("release", &prepared())
        .qemu("restore", &prepared());
    host.qemu("prepare", &prepared());
    host.network("port-created", &created("p2"));
    assert_eq!(host.vm("virbr1", "vnet3", mac(1)), Some("web"));
    host.qemu("start", &running("vnet3").replace("p1", "p2"));
    assert_eq!(host.vm("virbr1", "vnet3", mac(1)), Some("web"));
    let nic = host.0.nic(Place {
        link: "virbr1",
        port: "vnet3",
        port_mac: tap_mac(mac(1)),
    });
    let nic = nic.unwrap();
    assert!(nic.resumed && !nic.incoming);
}

#[test]
fn a_vm_that_starts_anew_is_where_it_starts_now_though_its_end_was_not_told() {
    let mut host = started();
    host.qemu("prepare", &domain("web", "1", "", &defined(mac(2), "blue")));
    assert_eq!(web(&host), None);
    assert_eq!(host.vm("virbr1", "vnet1", mac(2)), Some("web"));
}

#[test]
fn of_two_domains_in_a_row_on_one_bridge_the_second_is_found() {
    let mut host = started();
    host.qemu("stopped", &prepared())
        .qemu("release", &prepared());
    host.qemu("prepare", &domain("db", "2", "", &defined(mac(2), "blue")));
    host.network(
        "port-created",
        &port(&blue(), "p2", ("db", "2"), mac(2), "virbr1"),
    );
    assert_eq!(host.vm("virbr1", "vnet1", mac(2)), Some("db"));
    assert_eq!(web(&host), None);
}

#[test]
fn a_domain_that_was_renamed_is_found_by_its_new_name() {
    let mut host = started();
    host.qemu("prepare", &prepared().replace("web", "www"));
    assert_eq!(web(&host), Some("www"));
}

#[test]
fn a_domain_of_a_name_that_another_had_takes_its_place() {
    let mut host = started();
    let other = domain("web", "2", "", &bridged(mac(2), "br0", "vnet1"));
    host.qemu("started", &other);
    assert_eq!(web(&host), None);
    assert_eq!(host.vm("br0", "vnet1", mac(2)), Some("web"));
}

#[test]
fn a_vm_that_migrates_here_is_incoming_until_its_first_frame() {
    let mut host = Host::default();
    host.qemu("migrate", &prepared())
        .qemu("prepare", &prepared());
    host.network("port-created", &created("p1"));
    assert!(nic(&host).unwrap().incoming);
    host.qemu("start", &running("vnet0"))
        .qemu("started", &running("vnet0"));
    assert!(nic(&host).unwrap().incoming);
    let uuid = nic(&host).unwrap().uuid.clone();
    assert!(
        !host.0.arrived(&uuid, mac(2)),
        "a NIC that it does not have"
    );
    assert!(host.0.arrived(&uuid, mac(1)));
    assert!(!nic(&host).unwrap().incoming);
    host.qemu("reconnect", &running("vnet0"));
    host.learn(status("<job async='migration in'/>", &running("vnet0")));
    assert!(!nic(&host).unwrap().incoming);
}

#[test]
fn a_vm_that_starts_here_after_a_migration_that_failed_is_not_incoming() {
    let mut host = Host::default();
    host.qemu("migrate", &prepared());
    host.qemu("prepare", &prepared());
    host.qemu("stopped", &prepared());
    host.qemu("release", &prepared());
    host.qemu("prepare", &prepared());
    assert!(!nic(&host).unwrap().incoming);
}

#[test]
fn an_incoming_vm_stays_so_when_a_call_is_read_twice() {
    let mut host = Host::default();
    host.qemu("migrate", &prepared());
    for _ in 0..2 {
        host.qemu("prepare", &prepared());
        host.qemu("start", &running("vnet0"));
        assert!(nic(&host).unwrap().incoming);
    }
}

#[test]
fn state_files_alone_tell_of_a_vm_and_of_its_end() {
    let mut host = Host::default();
    host.learn(status("", &running("vnet0")));
    assert_eq!(web(&host), Some("web"));
    assert!(!nic(&host).unwrap().incoming);
    host.learn(vec![Fact::StatusGone("web".into())]);
    assert_eq!(host.0, Knowledge::default());
    host.learn(status("<job async='migration in'/>", &running("vnet0")));
    assert!(nic(&host).unwrap().incoming);
}

#[test]
fn a_state_file_that_is_gone_is_not_that_of_the_next_start() {
    let mut host = started();
    host.learn(status("", &running("vnet0")));
    host.qemu("stopped", &prepared())
        .qemu("prepare", &prepared());
    host.learn(vec![Fact::StatusGone("web".into())]);
    assert_eq!(host.vm("virbr1", "vnet1", mac(1)), Some("web"));
}

#[test]
fn a_state_file_that_is_read_too_late_brings_nobody_back_for_long() {
    let mut host = started();
    host.qemu("stopped", &prepared());
    host.learn(status("", &running("vnet0")));
    host.learn(vec![Fact::StatusGone("web".into())]);
    assert_eq!(web(&host), None);
}

#[test]
fn a_state_file_that_is_older_than_a_hook_takes_no_nic_away() {
    let mut host = started();
    let second = port(&blue(), "p2", WEB, mac(2), "virbr1");
    host.network("port-created", &second);
    host.learn(status("", &running("vnet0")));
    assert_eq!(host.vm("virbr1", "vnet1", mac(2)), Some("web"));
}

#[test]
fn a_vm_of_which_only_network_hooks_tell_goes_with_its_last_nic() {
    let mut host = Host::default();
    host.network("port-created", &created("p1"));
    assert_eq!(web(&host), Some("web"));
    host.network("port-deleted", &created("p1"))
        .network("stopped", &blue());
    assert_eq!(host.0, Knowledge::default());
}

#[test]
fn a_hundred_vms_that_came_and_went_leave_nothing() {
    let mut host = Host::default();
    for number in 1..=100 {
        let name = format!("net{number}");
        let (vm, uuid) = (format!("vm{number}"), number.to_string());
        let own = network(&name, &format!("virbr{number}"), "");
        let bridge = format!("virbr{number}");
        let port = port(&own, "p1", (&vm, &uuid), mac(number), &bridge);
        let off = domain(&vm, &uuid, "", &defined(mac(number), &name));
        let tap = format!("vnet{number}");
        let on = plugged(mac(number), &name, "p1", &bridge, &tap);
        host.network("start", &own).network("started", &own);
        host.qemu("prepare", &off).network("port-created", &port);
        host.qemu("started", &domain(&vm, &uuid, "", &on));
        assert_eq!(host.vm(&bridge, &tap, mac(number)), Some(vm.as_str()));
        host.qemu("stopped", &off).network("port-deleted", &port);
        host.qemu("release", &off).network("stopped", &own);
    }
    assert_eq!(host.0, Knowledge::default());
}

#[test]
fn nics_and_ports_without_end_are_bounded() {
    let mut knowledge = Knowledge::default();
    let mut port_created = |number: &str, mac| {
        let xml = port(&blue(), number, WEB, mac, "virbr1");
        for fact in facts(Hook::Network, "port-created", &xml) {
            knowledge.learn(fact);
        }
    };
    for number in 0..300 {
        port_created(&format!("q{number}"), mac(1));
    }
    for number in 0..300u16 {
        let [a, b] = number.to_be_bytes();
        port_created("p1", MacAddr([0x52, 0x54, 0, 1, a, b]));
    }
    let kept = serde_json::to_string(&knowledge).unwrap();
    assert_eq!(kept.matches("\"nic\":").count(), 256);
    assert_eq!(kept.matches("\"q2").count(), 8, "{kept}");
}
