//! Calls that come out of their order.

use crate::common::{defined, domain, facts, mac, network, plugged, port, tap_mac};
use proptest::prelude::*;
use slash32_libvirt::{Hook, Knowledge, Nic, Place, Recent};

/// A host to which calls come with their times.
#[derive(Default)]
struct Host {
    knowledge: Knowledge,
    recent: Recent,
}

/// What libvirt tells: hook, operation, XML.
type Told = (Hook, &'static str, String);

impl Host {
    fn tell(&mut self, made: u64, told: &Told) {
        let (hook, operation, xml) = told;
        for fact in facts(*hook, operation, xml) {
            self.recent.learn(&mut self.knowledge, Some(made), fact);
        }
    }

    fn nic(&self) -> Option<&Nic> {
        self.knowledge.nic(Place {
            link: "virbr1",
            port: "vnet0",
            port_mac: tap_mac(mac(1)),
        })
    }

    fn vm(&self) -> Option<&str> {
        self.nic().map(|nic| nic.vm.as_str())
    }
}

fn qemu(operation: &'static str) -> Told {
    let interface = match operation {
        "start" | "started" => plugged(mac(1), "blue", "p1", "virbr1", "vnet0"),
        _ => defined(mac(1), "blue"),
    };
    let metadata = "<slash32:vm xmlns:slash32='urn:slash32:1' hostname='web'/>";
    (
        Hook::Qemu,
        operation,
        domain("web", "1", metadata, &interface),
    )
}

fn net(operation: &'static str) -> Told {
    let blue = network("blue", "virbr1", "");
    let xml = match operation {
        "port-created" | "port-deleted" => port(&blue, "p1", ("web", "1"), mac(1), "virbr1"),
        _ => blue,
    };
    (Hook::Network, operation, xml)
}

/// A VM that migrates here, runs, and ends with its network.
fn life() -> Vec<Told> {
    vec![
        net("started"),
        qemu("migrate"),
        qemu("prepare"),
        net("port-created"),
        qemu("start"),
        qemu("started"),
        qemu("stopped"),
        net("port-deleted"),
        qemu("release"),
        net("stopped"),
    ]
}

#[test]
fn a_start_that_is_told_after_its_end_revives_no_vm() {
    for late in ["prepare", "start", "started"] {
        let mut host = Host::default();
        host.tell(3, &qemu("stopped"));
        host.tell(4, &qemu("release"));
        host.tell(2, &qemu(late));
        assert_eq!(host.vm(), None, "{late}");
        assert_eq!(host.knowledge, Knowledge::default());
        // Its next start is one.
        host.tell(5, &qemu("started"));
        assert_eq!(host.vm(), Some("web"), "{late}");
    }
}

#[test]
fn a_vm_is_restored_by_the_start_that_follows_at_once_and_by_no_other() {
    const SECOND: u64 = 1_000_000_000;
    for (pause, resumed) in [(SECOND, true), (20 * SECOND, false), (90 * SECOND, false)] {
        let mut host = Host::default();
        host.tell(SECOND, &qemu("restore"));
        // libvirt may refuse it after that, without another word.
        host.tell(SECOND + pause, &qemu("prepare"));
        host.tell(SECOND + pause + 1, &qemu("started"));
        assert_eq!(host.nic().map(|nic| nic.resumed), Some(resumed), "{pause}");
    }
}

#[test]
fn an_end_that_is_told_after_the_next_start_ends_no_vm() {
    let mut host = Host::default();
    host.tell(1, &qemu("started"));
    host.tell(4, &qemu("prepare"));
    host.tell(5, &qemu("started"));
    host.tell(2, &qemu("stopped"));
    host.tell(3, &qemu("release"));
    assert_eq!(host.vm(), Some("web"));
}

#[test]
fn a_migration_that_is_told_late_is_one_until_the_guests_first_frame() {
    let mut host = Host::default();
    host.tell(2, &qemu("prepare"));
    host.tell(3, &net("port-created"));
    host.tell(4, &qemu("started"));
    assert!(!host.nic().unwrap().incoming);
    let uuid = host.nic().unwrap().uuid.clone();
    host.tell(1, &qemu("migrate"));
    assert!(host.nic().unwrap().incoming);
    assert!(host.recent.arrived(&mut host.knowledge, &uuid, mac(1)));
    host.tell(1, &qemu("migrate"));
    assert!(!host.nic().unwrap().incoming);
}

#[test]
fn a_network_that_has_stopped_is_not_started_by_an_earlier_call() {
    let mut host = Host::default();
    host.tell(1, &net("start"));
    host.tell(3, &net("stopped"));
    host.tell(2, &net("started"));
    assert!(host.knowledge.network_of("virbr1").is_none());
}

#[test]
fn calls_of_different_vms_are_not_late_for_each_other() {
    let mut host = Host::default();
    let other = domain("db", "2", "", &defined(mac(2), "blue"));
    host.tell(2, &(Hook::Qemu, "started", other));
    for fact in facts(Hook::Qemu, "started", &qemu("started").2) {
        assert!(!host.recent.is_late(Some(1), &fact));
    }
}

#[test]
fn what_a_state_file_tells_last_stays_though_a_call_comes_late() {
    let mut host = Host::default();
    host.tell(3, &qemu("started"));
    let (_, _, running) = qemu("started");
    let xml = format!("<domstatus>{running}</domstatus>");
    for fact in slash32_libvirt::domain_status(&xml).unwrap() {
        host.recent.learn(&mut host.knowledge, None, fact);
    }
    let gone = slash32_libvirt::Fact::StatusGone("web".into());
    host.recent.learn(&mut host.knowledge, None, gone);
    host.tell(2, &qemu("start"));
    assert_eq!(host.vm(), None);
}

#[test]
fn very_many_calls_of_one_vm_are_not_all_remembered() {
    let mut host = Host::default();
    for made in 1..=1000 {
        host.tell(made * 2, &qemu("started"));
    }
    // As old as nobody remembers.
    host.tell(1, &qemu("stopped"));
    assert_eq!(host.vm(), Some("web"));
    host.tell(1999, &qemu("stopped"));
    assert_eq!(host.vm(), Some("web"));
    host.tell(2001, &qemu("stopped"));
    assert_eq!(host.vm(), None);
}

proptest! {
    /// Whatever order the calls come in, the host knows in the end what it would if they had come in theirs.
    #[test]
    fn the_order_in_which_calls_come_does_not_count(
        length in 1..=life().len(),
        seeds in prop::collection::vec(any::<u32>(), life().len()),
    ) {
        let life = &life()[..length];
        let mut order: Vec<usize> = (0..length).collect();
        order.sort_by_key(|call| seeds[*call]);
        let (mut right, mut shuffled) = (Host::default(), Host::default());
        for (made, told) in (1..).zip(life) {
            right.tell(made, told);
        }
        for call in order {
            shuffled.tell(call as u64 + 1, &life[call]);
        }
        prop_assert_eq!(shuffled.nic(), right.nic());
        let is_running = |host: &Host| host.knowledge.network_of("virbr1").is_some();
        prop_assert_eq!(is_running(&shuffled), is_running(&right));
        if length == self::life().len() {
            prop_assert_eq!(shuffled.knowledge, Knowledge::default());
        }
    }
}
