//! Who gets which address.

use crate::common::{bridge, config, tap};
use slash32_binding::{Ipv4Addr, MacAddr};
use slash32_policy::{Allocations, Assignment, Change, Config, Held, LinkFacts, Unassigned};

const AUTOMATIC: &str = r#"
    [[network]]
    name = "public"
    links = ["*"]
    gateway = "169.254.0.1"
    allocation = "automatic"
    [[network.subnet]]
    prefix = "203.0.113.0/24"
    pools = ["203.0.113.8-203.0.113.10", "203.0.113.4-203.0.113.5"]
    [[network.reservation]]
    link = "virbr9"
    address = "203.0.113.9"
    [[network.reservation]]
    vm = "db"
    address = "203.0.113.77"
    [[network.reservation]]
    vm = "db"
    mac = "52:54:00:00:00:02"
    address = "203.0.113.78"
    [[network.reservation]]
    uuid = "4DEA22B3-1D52-D8F3-2516-782E98AB3FA0"
    address = "203.0.113.79"
"#;

/// The boot of the host.
const BOOT: &str = "first";

fn statically() -> String {
    AUTOMATIC
        .replace("\"automatic\"", "\"static\"")
        .replace("pools", "# pools")
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

fn known(name: &str, uuid: u8, mac: u8) -> LinkFacts {
    let uuid = Some(format!("00000000-0000-0000-0000-0000000000{uuid:02x}"));
    LinkFacts {
        uuid,
        mac: Some(MacAddr([0x52, 0x54, 0, 0, 0, mac])),
        ..tap(name)
    }
}

/// A config with one network, and what is allocated from it.
struct Host {
    config: Config,
    allocations: Allocations,
}

impl Host {
    fn new(text: &str, held: impl IntoIterator<Item = Held>) -> Self {
        let config = config(text);
        let allocations = Allocations::new(&config, BOOT, held);
        Self {
            config,
            allocations,
        }
    }

    fn reload(&mut self, text: &str) {
        self.config = config(text);
        self.allocations.reload(&self.config);
    }

    fn ask(&mut self, link: &LinkFacts) -> Result<Assignment, Unassigned> {
        self.allocations
            .assign(&self.config, &self.config.networks[0], link)
    }

    fn get(&mut self, link: &LinkFacts) -> u8 {
        self.ask(link).unwrap().address.octets()[3]
    }

    fn refusal(&mut self, link: &LinkFacts) -> String {
        self.ask(link).unwrap_err().to_string()
    }
}

#[test]
fn a_pool_gives_its_free_addresses_in_order_and_passes_over_reserved_ones() {
    let mut host = Host::new(AUTOMATIC, []);
    let got: Vec<u8> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| host.get(&bridge(name)))
        .collect();
    assert_eq!(got, [8, 10, 4, 5]);
    assert_eq!(
        host.refusal(&bridge("e")),
        "no free address in network public"
    );
}

#[test]
fn an_assignment_names_its_scopes() {
    let mut host = Host::new(AUTOMATIC, []);
    let scopes = |a: Assignment| (a.reservation, a.subnet, a.pool);
    assert_eq!(
        scopes(host.ask(&bridge("virbr9")).unwrap()),
        (Some(0), Some(0), Some(0))
    );
    assert_eq!(
        scopes(
            host.ask(&LinkFacts {
                vm: Some("db".into()),
                ..tap("vnet1")
            })
            .unwrap()
        ),
        (Some(1), Some(0), None)
    );
    for name in ["a", "b"] {
        host.get(&bridge(name));
    }
    assert_eq!(
        scopes(host.ask(&bridge("c")).unwrap()),
        (None, Some(0), Some(1))
    );
}

#[test]
fn asking_again_changes_nothing() {
    let mut host = Host::new(AUTOMATIC, []);
    let first = host.get(&bridge("a"));
    assert_eq!(host.allocations.take_changes().len(), 1);
    assert_eq!(host.get(&bridge("a")), first);
    assert_eq!(host.allocations.take_changes(), []);
}

#[test]
fn a_reservation_fits_by_each_of_its_selectors() {
    let mut host = Host::new(&statically(), []);
    let upper = Some("4DEA22B3-1D52-D8F3-2516-782E98AB3FA0".to_owned());
    for (link, last) in [
        (bridge("virbr9"), 9),
        (
            LinkFacts {
                altnames: vec!["virbr9".into()],
                ..bridge("other")
            },
            9,
        ),
        (
            LinkFacts {
                vm: Some("db".into()),
                ..tap("vnet1")
            },
            77,
        ),
        (
            LinkFacts {
                vm: Some("db".into()),
                ..known("vnet1", 1, 1)
            },
            77,
        ),
        (
            LinkFacts {
                vm: Some("db".into()),
                ..known("vnet1", 1, 2)
            },
            78,
        ),
        (
            LinkFacts {
                uuid: upper.clone(),
                ..tap("vnet1")
            },
            79,
        ),
        (
            LinkFacts {
                uuid: upper.map(|uuid| uuid.to_lowercase()),
                ..tap("vnet1")
            },
            79,
        ),
    ] {
        host.allocations.retain_links(|_| false);
        assert_eq!(host.get(&link), last, "{link:?}");
    }
    assert_eq!(host.refusal(&known("vnet1", 1, 2)), "no reservation");
}

#[test]
fn of_reservations_with_as_many_selectors_the_first_in_the_config_fits() {
    let mut host = Host::new(AUTOMATIC, []);
    let both = |vm: &str, uuid: &str| LinkFacts {
        vm: Some(vm.into()),
        uuid: Some(uuid.into()),
        ..tap("vnet1")
    };
    // One fits the vm, at place 1, and one the uuid, at place 3.
    assert_eq!(
        host.get(&both("db", "4dea22b3-1d52-d8f3-2516-782e98ab3fa0")),
        77
    );
    assert_eq!(
        host.get(&both("web", "4dea22b3-1d52-d8f3-2516-782e98ab3fa0")),
        79
    );
}

#[test]
fn a_tap_of_which_nothing_is_known_has_no_identity() {
    let mut host = Host::new(AUTOMATIC, []);
    assert_eq!(host.refusal(&tap("vnet7")), "no identity");
    let only_mac = LinkFacts {
        mac: Some(MacAddr([2; 6])),
        ..tap("vnet7")
    };
    assert_eq!(host.refusal(&only_mac), "no identity");
    assert_eq!(host.get(&known("vnet7", 1, 1)), 8);
}

#[test]
fn a_tap_with_a_reservation_needs_no_identity() {
    assert_eq!(
        Host::new(AUTOMATIC, []).get(&LinkFacts {
            vm: Some("db".into()),
            ..tap("vnet7")
        }),
        77
    );
}

#[test]
fn a_known_vm_keeps_its_address_on_another_link() {
    let mut host = Host::new(AUTOMATIC, []);
    assert_eq!(host.get(&known("vnet1", 1, 1)), 8);
    assert_eq!(host.get(&known("vnet2", 2, 2)), 10);
    host.allocations.retain_links(|name| name != "vnet1");
    assert_eq!(host.get(&known("vnet3", 1, 1)), 8);
}

#[test]
fn the_second_link_of_one_reservation_is_told_the_first() {
    let mut host = Host::new(AUTOMATIC, []);
    let nic = |name| LinkFacts {
        vm: Some("db".into()),
        ..tap(name)
    };
    assert_eq!(host.get(&nic("vnet1")), 77);
    assert_eq!(
        host.refusal(&nic("vnet2")),
        "address 203.0.113.77 already given to vnet1"
    );
    assert_eq!(host.get(&nic("vnet1")), 77);
    host.allocations.retain_links(|name| name == "vnet2");
    assert_eq!(host.get(&nic("vnet2")), 77);
}

#[test]
fn a_link_that_gets_another_address_leaves_its_first_to_others() {
    let mut host = Host::new(AUTOMATIC, []);
    let nic = |name| LinkFacts {
        vm: Some("db".into()),
        ..bridge(name)
    };
    assert_eq!(host.get(&nic("virbr1")), 77);
    assert_eq!(host.get(&bridge("virbr1")), 8);
    assert_eq!(host.get(&nic("virbr2")), 77);
}

#[test]
fn an_address_is_kept_through_a_restart_and_is_in_the_changes_once() {
    let mut host = Host::new(AUTOMATIC, []);
    host.get(&bridge("a"));
    host.get(&bridge("b"));
    let changes = host.allocations.take_changes();
    let held: Vec<Held> = changes
        .into_iter()
        .map(|change| change.held.unwrap())
        .collect();
    assert_eq!(
        held[1],
        Held {
            network: "public".into(),
            identity: "link:b".into(),
            address: address(10),
            boot: None,
        }
    );
    let mut host = Host::new(AUTOMATIC, held);
    assert_eq!((host.get(&bridge("b")), host.get(&bridge("a"))), (10, 8));
    assert_eq!(host.allocations.take_changes(), []);
}

#[test]
fn of_two_records_for_one_address_the_second_goes() {
    let held = |identity: &str| Held {
        network: "public".into(),
        identity: identity.into(),
        address: address(8),
        boot: None,
    };
    let mut host = Host::new(AUTOMATIC, [held("link:a"), held("link:b")]);
    assert_eq!(
        host.allocations.take_changes(),
        [Change {
            identity: "link:b".into(),
            held: None
        }]
    );
    assert_eq!((host.get(&bridge("b")), host.get(&bridge("a"))), (10, 8));
}

#[test]
fn a_new_reservation_of_a_held_address_moves_its_holder() {
    let mut host = Host::new(AUTOMATIC, []);
    assert_eq!(host.get(&bridge("a")), 8);
    host.allocations.take_changes();
    host.reload(&AUTOMATIC.replace("\"203.0.113.9\"", "\"203.0.113.8\""));
    // Whichever is asked first.
    assert_eq!(
        (host.get(&bridge("virbr9")), host.get(&bridge("a"))),
        (8, 9)
    );
    let put = Held {
        network: "public".into(),
        identity: "link:a".into(),
        address: address(9),
        boot: None,
    };
    assert_eq!(
        host.allocations.take_changes(),
        [Change {
            identity: "link:a".into(),
            held: Some(put)
        }]
    );
}

#[test]
fn what_a_link_held_before_its_reservation_is_free_again() {
    let mut host = Host::new(AUTOMATIC, []);
    assert_eq!(host.get(&bridge("a")), 8);
    host.reload(&AUTOMATIC.replace("link = \"virbr9\"", "link = \"a\""));
    assert_eq!(host.get(&bridge("a")), 9);
    assert_eq!(host.get(&bridge("b")), 8);
    let changes = host.allocations.take_changes();
    assert!(changes.contains(&Change {
        identity: "link:a".into(),
        held: None
    }));
}

#[test]
fn a_holding_outside_the_pools_rests_until_they_come_back() {
    let mut host = Host::new(AUTOMATIC, []);
    let names = ["a", "b", "c"];
    assert_eq!(names.map(|name| host.get(&bridge(name))), [8, 10, 4]);
    host.reload(&AUTOMATIC.replace(", \"203.0.113.4-203.0.113.5\"", ""));
    assert_eq!(
        host.refusal(&bridge("c")),
        "no free address in network public"
    );
    host.reload(AUTOMATIC);
    assert_eq!(names.map(|name| host.get(&bridge(name))), [8, 10, 4]);
}

#[test]
fn a_network_with_another_name_keeps_the_addresses() {
    let mut host = Host::new(AUTOMATIC, []);
    assert_eq!([host.get(&bridge("a")), host.get(&bridge("b"))], [8, 10]);
    host.reload(&AUTOMATIC.replace("public", "open"));
    assert_eq!(host.get(&bridge("b")), 10);
    let change = host.allocations.take_changes().pop().unwrap();
    assert_eq!(change.held.unwrap().network, "open");
}

#[test]
fn a_large_pool_costs_no_more_than_a_small_one() {
    // Six million addresses: an allocation that looked at each would not end.
    let text = AUTOMATIC
        .replace("203.0.113.0/24", "203.0.0.0/8")
        .replace("203.0.113.8-203.0.113.10", "203.1.0.0-203.99.255.255")
        .replace(", \"203.0.113.4-203.0.113.5\"", "");
    let mut host = Host::new(&text, []);
    for index in 0..20_000u32 {
        let got = host.ask(&bridge(&format!("br{index}"))).unwrap().address;
        assert_eq!(got.to_bits(), Ipv4Addr::new(203, 1, 0, 0).to_bits() + index);
    }
}
