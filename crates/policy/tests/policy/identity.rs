//! Which VM an address is kept for: before libvirt tells of it, when it begins to, and when the VM comes back.

use crate::common::{asks_for, bridge, config, tap};
use slash32_binding::{Instant, Ipv4Addr, MacAddr};
use slash32_policy::{Allocations, Change, Config, LinkFacts};
use std::collections::BTreeMap;

struct Host {
    config: Config,
    allocations: Allocations,
}

impl Host {
    fn new(allocation: &str) -> Self {
        let config = config(&format!(
            r#"
            [[network]]
            name = "public"
            links = ["virbr*", "vnet*"]
            gateway = "169.254.0.1"
            allocation = "{allocation}"
            [[network.subnet]]
            prefix = "203.0.113.0/24"
            pools = ["203.0.113.10-203.0.113.13"]
            "#
        ));
        let allocations = Allocations::new(&config, "boot", []);
        Self {
            config,
            allocations,
        }
    }

    /// The last number of the address of a link.
    fn get(&mut self, link: &LinkFacts) -> u8 {
        let network = &self.config.networks[0];
        let assigned = self.allocations.assign(&self.config, network, link);
        assigned.unwrap().address.octets()[3]
    }

    fn leave(&mut self, link: &LinkFacts) {
        self.allocations.leave(&link.name);
        self.sweep();
    }

    fn sweep(&mut self) {
        self.allocations.sweep(Instant(0));
    }

    /// Who holds what, by the last number.
    fn held(&self) -> Vec<(&str, u8)> {
        let held = self.allocations.held();
        held.map(|held| (held.identity.as_str(), held.address.octets()[3]))
            .collect()
    }
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

/// The same link with a VM of this number.
fn known(link: LinkFacts, number: u8) -> LinkFacts {
    LinkFacts {
        uuid: Some(format!("00000000-0000-0000-0000-0000000000{number:02x}")),
        mac: Some(MacAddr([0x52, 0x54, 0, 0, 0, number])),
        ..link
    }
}

const VM1: &str = "vm:00000000-0000-0000-0000-000000000001/52:54:00:00:00:01";
const VM2: &str = "vm:00000000-0000-0000-0000-000000000002/52:54:00:00:00:02";

#[test]
fn a_vm_that_libvirt_begins_to_tell_of_keeps_what_its_bridge_held() {
    let mut host = Host::new("automatic");
    assert_eq!(host.get(&bridge("virbr1")), 10);
    host.leave(&bridge("virbr1"));
    host.allocations.take_changes();
    assert_eq!(host.get(&known(bridge("virbr1"), 1)), 10);
    assert_eq!(host.held(), [(VM1, 10)]);
    let changes = host.allocations.take_changes().into_iter();
    let changes: BTreeMap<String, bool> = changes
        .map(|Change { identity, held }| (identity, held.is_some()))
        .collect();
    let renamed = [("link:virbr1".to_owned(), false), (VM1.to_owned(), true)];
    assert_eq!(changes, BTreeMap::from(renamed));
    assert_eq!(host.get(&known(bridge("virbr2"), 2)), 11);
}

#[test]
fn what_another_link_uses_is_not_taken_over() {
    let mut host = Host::new("automatic");
    assert_eq!(host.get(&bridge("virbr1")), 10);
    host.leave(&bridge("virbr1"));
    host.allocations.bind("virbr2", address(10)).unwrap();
    assert_eq!(host.get(&bridge("virbr2")), 10);
    assert_eq!(host.get(&known(bridge("virbr1"), 1)), 11);
}

#[test]
fn a_vm_that_holds_an_address_leaves_what_the_bridge_held_for_another() {
    let mut host = Host::new("automatic");
    assert_eq!(host.get(&bridge("virbr1")), 10);
    host.leave(&bridge("virbr1"));
    assert_eq!(host.get(&known(tap("vnet1"), 1)), 11);
    host.leave(&tap("vnet1"));
    assert_eq!(host.get(&known(bridge("virbr1"), 1)), 11);
    assert_eq!(host.held(), [("link:virbr1", 10), (VM1, 11)]);
}

#[test]
fn what_was_made_before_libvirt_told_of_the_vm_is_left_to_nobody() {
    let mut host = Host::new("automatic");
    assert_eq!(host.get(&known(tap("vnet1"), 1)), 10);
    host.leave(&tap("vnet1"));
    assert_eq!(host.get(&bridge("virbr1")), 11);
    assert_eq!(host.get(&bridge("virbr1")), 11);
    assert_eq!(host.get(&known(bridge("virbr1"), 1)), 10);
    assert_eq!(host.held(), [(VM1, 10)]);
    // The same, when metadata fixes another address.
    assert_eq!(host.get(&bridge("virbr2")), 11);
    let fixed = LinkFacts {
        metadata: asks_for("203.0.113.50"),
        ..known(bridge("virbr2"), 2)
    };
    assert_eq!(host.get(&fixed), 50);
    assert_eq!(host.held(), [(VM1, 10)]);
}

#[test]
fn an_address_that_the_bridge_held_may_be_the_one_that_metadata_fixes() {
    let mut host = Host::new("automatic");
    assert_eq!(host.get(&bridge("virbr1")), 10);
    host.leave(&bridge("virbr1"));
    let fixed = LinkFacts {
        metadata: asks_for("203.0.113.10"),
        ..known(bridge("virbr1"), 1)
    };
    assert_eq!(host.get(&fixed), 10);
    assert_eq!(host.held(), []);
    assert_eq!(host.get(&bridge("virbr2")), 11);
}

#[test]
fn a_dynamic_vm_keeps_its_address_when_libvirt_tells_of_it_late() {
    for link in [bridge("virbr1"), tap("vnet1")] {
        let mut host = Host::new("dynamic");
        assert_eq!(host.get(&link), 10);
        assert_eq!(host.get(&known(link.clone(), 1)), 10);
        host.sweep();
        assert_eq!(host.held(), [(VM1, 10)]);
        host.leave(&link);
        assert_eq!(host.held(), []);
    }
}

#[test]
fn a_dynamic_vm_has_nothing_of_the_one_before_it_on_its_link() {
    let mut host = Host::new("dynamic");
    assert_eq!(host.get(&bridge("virbr1")), 10);
    // The next VM is there before anything was swept.
    host.allocations.leave("virbr1");
    assert_eq!(host.get(&known(bridge("virbr1"), 1)), 11);
    host.sweep();
    assert_eq!(host.held(), [(VM1, 11)]);
}

#[test]
fn a_dynamic_vm_that_is_said_to_be_another_leaves_nothing_behind() {
    let mut host = Host::new("dynamic");
    assert_eq!(host.get(&known(bridge("virbr1"), 1)), 10);
    assert_eq!(host.get(&known(bridge("virbr1"), 2)), 11);
    host.sweep();
    assert_eq!(host.held(), [(VM2, 11)]);
}

#[test]
fn a_dynamic_vm_that_comes_back_has_its_address_again() {
    let mut host = Host::new("dynamic");
    assert_eq!(host.get(&known(tap("vnet1"), 1)), 10);
    host.leave(&tap("vnet1"));
    assert_eq!(host.get(&known(tap("vnet2"), 2)), 11);
    assert_eq!(host.get(&bridge("virbr1")), 12);
    assert_eq!(host.get(&known(tap("vnet3"), 1)), 10);
}

#[test]
fn an_address_that_a_vm_may_come_back_for_is_given_when_there_is_no_other() {
    let mut host = Host::new("dynamic");
    assert_eq!(host.get(&known(tap("vnet1"), 1)), 10);
    host.leave(&tap("vnet1"));
    let network = &host.config.networks[0];
    let next = host.allocations.next_candidates(network, 4);
    assert_eq!(next, [address(11), address(12), address(13), address(10)]);
    let others: Vec<u8> = (2..=5)
        .map(|number| host.get(&known(tap(&format!("vnet{number}")), number)))
        .collect();
    assert_eq!(others, [11, 12, 13, 10]);
}

#[test]
fn what_was_released_is_not_come_back_for() {
    let mut host = Host::new("dynamic");
    assert_eq!(host.get(&known(tap("vnet1"), 1)), 10);
    assert!(host.allocations.release("vnet1").is_some());
    assert_eq!(host.get(&known(tap("vnet2"), 2)), 10);
}

#[test]
fn a_vm_that_was_saved_in_an_earlier_boot_has_its_address_again() {
    let mut host = Host::new("dynamic");
    host.allocations.remember(VM1, address(10));
    assert_eq!(host.get(&known(tap("vnet0"), 2)), 11);
    assert_eq!(host.get(&known(tap("vnet1"), 1)), 10);
}

#[test]
fn a_uuid_is_the_same_one_in_any_case() {
    let mut host = Host::new("automatic");
    let link = known(tap("vnet1"), 0xab);
    let address = host.get(&link);
    host.leave(&link);
    let upper = LinkFacts {
        uuid: link.uuid.as_ref().map(|uuid| uuid.to_ascii_uppercase()),
        ..known(tap("vnet2"), 0xab)
    };
    assert_eq!(host.get(&upper), address);
}
