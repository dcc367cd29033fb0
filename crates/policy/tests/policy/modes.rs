//! Ways of allocation, what operators and libvirt fix, and addresses that are in use elsewhere.

use crate::common::{asks_for, bridge, config, tap};
use slash32_binding::{Instant, Ipv4Addr, MacAddr};
use slash32_policy::{
    AddressSource, Allocations, Assignment, Config, Held, LinkFacts, PoolUse, Unassigned,
};

const SECOND: u64 = 1_000_000_000;

struct Host {
    config: Config,
    allocations: Allocations,
}

impl Host {
    fn new(text: &str) -> Self {
        let config = config(text);
        let allocations = Allocations::new(&config, "boot", []);
        Self {
            config,
            allocations,
        }
    }

    fn ask(&mut self, link: &LinkFacts) -> Result<Assignment, Unassigned> {
        self.allocations
            .assign(&self.config, &self.config.networks[0], link)
    }

    /// The last number of the address, and why it is this one.
    fn get(&mut self, link: &LinkFacts) -> (u8, AddressSource) {
        let assignment = self.ask(link).unwrap();
        (assignment.address.octets()[3], assignment.source)
    }

    fn refusal(&mut self, link: &LinkFacts) -> String {
        self.ask(link).unwrap_err().to_string()
    }

    fn pool(&self) -> PoolUse {
        self.allocations.pools(&self.config).remove(0)
    }

    /// `used, free, reserved, set aside, quarantined` of the first pool.
    fn counts(&self) -> [u64; 5] {
        let pool = self.pool();
        [
            pool.used,
            pool.free,
            pool.reserved,
            pool.set_aside,
            pool.quarantined,
        ]
    }
}

fn network(keys: &str, pools: &str) -> String {
    format!(
        r#"
        [[network]]
        name = "public"
        links = ["*"]
        gateway = "203.0.113.1"
        {keys}
        [[network.subnet]]
        prefix = "203.0.113.0/24"
        {pools}
        [[network.reservation]]
        vm = "db"
        address = "203.0.113.11"
        "#
    )
}

fn pooled(keys: &str) -> Host {
    Host::new(&network(keys, "pools = [\"203.0.113.10-203.0.113.13\"]"))
}

fn dynamic() -> Host {
    pooled("allocation = \"dynamic\"")
}

fn quarantined() -> Host {
    pooled("allocation = \"dynamic\"\nquarantine = \"30s\"")
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

fn known(name: &str, mac: u8) -> LinkFacts {
    LinkFacts {
        uuid: Some("00000000-0000-0000-0000-000000000001".into()),
        mac: Some(MacAddr([0x52, 0x54, 0, 0, 0, mac])),
        ..tap(name)
    }
}

#[test]
fn a_dynamic_address_is_free_when_its_vm_is_gone() {
    let mut host = dynamic();
    assert_eq!(host.get(&tap("vnet1")), (10, AddressSource::Dynamic));
    assert_eq!(host.get(&tap("vnet2")).0, 12);
    host.allocations.leave("vnet1");
    assert_eq!(host.counts(), [2, 1, 1, 0, 0], "until the sweep");
    assert_eq!(host.allocations.sweep(Instant(0)), None);
    assert_eq!(host.counts(), [1, 2, 1, 0, 0]);
    assert_eq!(host.get(&tap("vnet3")).0, 10);
}

#[test]
fn a_link_that_vanished_ends_a_dynamic_holding_too() {
    let mut host = dynamic();
    host.get(&tap("vnet1"));
    host.get(&tap("vnet2"));
    host.allocations.retain_links(|name| name == "vnet2");
    host.allocations.sweep(Instant(0));
    let held: Vec<&str> = host
        .allocations
        .held()
        .map(|held| held.identity.as_str())
        .collect();
    assert_eq!(held, ["tap:vnet2"]);
}

#[test]
fn a_quarantine_keeps_an_address_from_others_and_its_vm_finds_it_again() {
    let mut host = quarantined();
    let [first, second, third] = ["a", "b", "c"].map(bridge);
    for link in [&first, &second, &third] {
        host.get(link);
    }
    host.allocations.leave("a");
    assert_eq!(
        host.allocations.sweep(Instant(5)),
        Some(Instant(30 * SECOND + 5))
    );
    assert_eq!(host.counts(), [2, 0, 1, 0, 1]);
    assert_eq!(
        host.refusal(&bridge("d")),
        "no free address in network public"
    );
    assert_eq!(host.get(&first).0, 10);
    assert_eq!(host.counts(), [3, 0, 1, 0, 0]);
    host.allocations.leave("b");
    host.allocations.sweep(Instant(0));
    assert_eq!(
        host.allocations.sweep(Instant(30 * SECOND - 1)),
        Some(Instant(30 * SECOND))
    );
    assert_eq!(host.allocations.sweep(Instant(30 * SECOND)), None);
    assert_eq!(host.get(&bridge("d")).0, 12);
}

#[test]
fn dynamic_records_are_of_one_boot_and_begin_their_quarantine_anew_in_the_next_agent() {
    let mut host = quarantined();
    host.get(&bridge("a"));
    host.get(&bridge("b"));
    let held: Vec<Held> = host.allocations.held().cloned().collect();
    assert!(held.iter().all(|held| held.boot.as_deref() == Some("boot")));

    host.allocations = Allocations::new(&host.config, "boot", held.clone());
    assert_eq!(host.get(&bridge("b")).0, 12);
    assert_eq!(
        host.allocations.sweep(Instant(7)),
        Some(Instant(30 * SECOND + 7))
    );
    assert_eq!(host.counts(), [1, 1, 1, 0, 1]);

    host.allocations = Allocations::new(&host.config, "another boot", held);
    assert_eq!(host.counts(), [0, 3, 1, 0, 0]);
    let changes = host.allocations.take_changes();
    assert!(changes.len() == 2 && changes.iter().all(|change| change.held.is_none()));
}

#[test]
fn a_network_that_becomes_automatic_keeps_its_holdings_for_good_and_the_other_way_round() {
    let mut host = dynamic();
    assert_eq!(host.get(&bridge("a")).0, 10);
    let boot = |host: &Host| host.allocations.held().next().unwrap().boot.clone();
    for (allocation, expected) in [("automatic", None), ("dynamic", Some("boot".to_owned()))] {
        let text = network(
            &format!("allocation = \"{allocation}\""),
            "pools = [\"203.0.113.10-203.0.113.13\"]",
        );
        host.config = config(&text);
        host.allocations.reload(&host.config);
        assert_eq!(host.get(&bridge("a")).0, 10);
        host.allocations.sweep(Instant(0));
        assert_eq!(boot(&host), expected);
    }
}

#[test]
fn the_vm_that_follows_another_on_a_link_has_a_holding_of_its_own() {
    let mut host = quarantined();
    assert_eq!(host.get(&known("vnet1", 1)).0, 10);
    assert_eq!(host.get(&known("vnet1", 2)).0, 12);
    host.allocations.sweep(Instant(0));
    assert_eq!(host.counts(), [1, 1, 1, 0, 1]);
}

fn by_mac(keys: &str) -> Host {
    Host::new(&network(
        &format!("allocation = \"mac\"\nmac-prefix = \"52:54:00\"\n{keys}"),
        "",
    ))
}

fn nic(name: &str, end: [u8; 3]) -> LinkFacts {
    let [a, b, c] = end;
    LinkFacts {
        mac: Some(MacAddr([0x52, 0x54, 0, a, b, c])),
        ..tap(name)
    }
}

#[test]
fn an_address_is_what_the_end_of_the_mac_says() {
    let mut host = by_mac("");
    assert_eq!(
        host.get(&nic("vnet1", [0, 113, 77])),
        (77, AddressSource::Mac)
    );
    assert_eq!(host.get(&nic("vnet2", [0, 113, 78])).0, 78);
    assert!(
        host.allocations.take_changes().is_empty(),
        "nothing to remember"
    );
    for (link, reason) in [
        (tap("vnet3"), "no MAC address known"),
        (
            nic("vnet3", [0, 114, 1]),
            "MAC 52:54:00:00:72:01 says no address of network public",
        ),
        (
            LinkFacts {
                mac: Some(MacAddr([2, 0, 0, 0, 113, 79])),
                ..tap("vnet3")
            },
            "MAC 02:00:00:00:71:4f says no address of network public",
        ),
        (
            nic("vnet3", [0, 113, 77]),
            "address 203.0.113.77 already given to vnet1",
        ),
        (
            nic("vnet3", [0, 113, 11]),
            "address 203.0.113.11, from its MAC address, is reserved for another VM (test.toml:14)",
        ),
        (
            nic("vnet3", [0, 113, 1]),
            "address 203.0.113.1, from its MAC address, is a gateway",
        ),
    ] {
        assert_eq!(host.refusal(&link), reason);
    }
}

#[test]
fn the_mac_of_a_tap_stands_for_that_of_its_vm() {
    let mut host = by_mac("");
    let with_tap = |mac| LinkFacts {
        tap_mac: Some(MacAddr(mac)),
        ..tap("vnet1")
    };
    assert_eq!(host.get(&with_tap([0xfe, 0x54, 0, 0, 113, 80])).0, 80);
    assert_eq!(
        host.refusal(&with_tap([0xfe, 0x55, 0, 0, 113, 80])),
        "MAC fe:55:00:00:71:50 says no address of network public"
    );
}

#[test]
fn a_platform_can_ask_for_the_next_mac() {
    let mut host = by_mac("");
    let next = |host: &Host| host.allocations.next_mac(&host.config.networks[0]);
    assert_eq!(
        next(&host),
        Some((MacAddr([0x52, 0x54, 0, 0, 113, 0]), address(0)))
    );
    host.get(&nic("vnet1", [0, 113, 0]));
    // .1 is the gateway.
    let (mac, of) = next(&host).unwrap();
    assert_eq!(of, address(2));
    let network = &host.config.networks[0];
    assert_eq!(
        (network.address_of(mac), network.mac_of(of)),
        (Some(of), Some(mac))
    );
    assert_eq!(network.mac_of(Ipv4Addr::new(192, 0, 2, 1)), None);
    assert_eq!(host.counts(), [1, 253, 2, 0, 0]);
    host.allocations.leave("vnet1");
    assert_eq!(host.counts(), [0, 254, 2, 0, 0]);
}

#[test]
fn with_pools_a_mac_says_an_address_of_them() {
    let text = network(
        "allocation = \"mac\"\nmac-prefix = \"52:54:00\"",
        "pools = [\"203.0.113.10-203.0.113.13\"]",
    );
    let mut host = Host::new(&text);
    assert_eq!(host.get(&nic("vnet1", [0, 113, 12])).0, 12);
    assert!(host.ask(&nic("vnet1", [0, 113, 14])).is_err());
}

fn automatic() -> Host {
    pooled("allocation = \"automatic\"")
}

fn requesting(name: &str, last: u8) -> LinkFacts {
    LinkFacts {
        metadata: asks_for(address(last)),
        ..bridge(name)
    }
}

#[test]
fn a_reservation_goes_before_metadata_before_what_is_bound_before_allocation() {
    let mut host = automatic();
    assert_eq!(host.get(&bridge("a")), (10, AddressSource::Automatic));
    host.allocations.bind("a", address(50)).unwrap();
    assert_eq!(host.get(&bridge("a")), (50, AddressSource::Bind));
    assert_eq!(
        host.get(&requesting("a", 60)),
        (60, AddressSource::Metadata)
    );
    let reserved = LinkFacts {
        vm: Some("db".into()),
        ..requesting("a", 60)
    };
    assert_eq!(host.get(&reserved), (11, AddressSource::Reservation));
    assert_eq!(host.allocations.unbind("a"), Some(address(50)));
    assert_eq!(host.get(&bridge("a")), (10, AddressSource::Automatic));
}

#[test]
fn what_is_fixed_outside_the_config_and_may_not_be_is_told() {
    let mut host = automatic();
    assert_eq!(host.get(&bridge("a")).0, 10);
    host.allocations.bind("b", address(12)).unwrap();
    for (last, reason) in [
        (11, "is reserved for another VM (test.toml:12)"),
        (1, "is a gateway"),
        (12, "is bound to b"),
        (10, "is held by link:a"),
    ] {
        let expected = format!("address 203.0.113.{last}, from libvirt's metadata, {reason}");
        assert_eq!(host.refusal(&requesting("c", last)), expected);
    }
    let elsewhere = LinkFacts {
        metadata: asks_for("192.0.2.1"),
        ..bridge("c")
    };
    assert_eq!(
        host.refusal(&elsewhere),
        "address 192.0.2.1, from libvirt's metadata, is outside every subnet of network public, which has 203.0.113.0/24"
    );
    host.allocations.bind("d", address(11)).unwrap();
    assert_eq!(
        host.refusal(&bridge("d")),
        "address 203.0.113.11, from slash32 bind, is reserved for another VM (test.toml:12)"
    );
    let network = &host.config.networks[0];
    let told = host.allocations.may_bind(network, &bridge("e"), address(1));
    assert_eq!(told.unwrap().to_string(), "is a gateway");
    assert_eq!(
        host.allocations
            .bind("e", address(12))
            .unwrap_err()
            .to_string(),
        "is bound to b"
    );
}

#[test]
fn what_is_bound_is_given_to_nobody_else_and_moves_who_holds_it() {
    let mut host = automatic();
    assert_eq!(host.get(&bridge("a")).0, 10);
    host.allocations.bind("b", address(10)).unwrap();
    assert_eq!(
        host.refusal(&bridge("b")),
        "address 203.0.113.10 already given to a"
    );
    assert_eq!(host.get(&bridge("a")).0, 12);
    assert_eq!(host.get(&bridge("b")), (10, AddressSource::Bind));
    assert_eq!(host.counts(), [2, 1, 1, 0, 0]);
}

#[test]
fn an_address_that_is_set_aside_is_given_to_nobody_until_it_is_restored() {
    let mut host = automatic();
    assert_eq!(host.get(&bridge("a")).0, 10);
    let owner = host
        .allocations
        .set_aside(address(10), None, "announced by 198.51.100.9");
    assert_eq!(owner, Some("a"));
    assert_eq!(
        host.allocations
            .set_aside(address(12), Some(Instant(60)), "answers a probe"),
        None
    );
    assert_eq!(host.get(&bridge("a")).0, 13);
    assert_eq!(host.counts(), [1, 0, 1, 2, 0]);
    assert_eq!(
        host.refusal(&bridge("b")),
        "no free address in network public"
    );
    assert_eq!(
        host.refusal(&requesting("b", 10)),
        "address 203.0.113.10, from libvirt's metadata, is set aside: announced by 198.51.100.9"
    );
    assert_eq!(host.allocations.sweep(Instant(59)), Some(Instant(60)));
    assert_eq!(host.allocations.sweep(Instant(60)), None);
    assert_eq!(host.get(&bridge("b")).0, 12);
    assert!(host.allocations.restore(address(10)));
    assert!(!host.allocations.restore(address(10)));
    assert_eq!(host.get(&bridge("c")).0, 10);
}

#[test]
fn a_reserved_address_that_is_set_aside_is_told_and_not_given() {
    let mut host = automatic();
    let db = LinkFacts {
        vm: Some("db".into()),
        ..bridge("a")
    };
    host.allocations
        .set_aside(address(11), None, "announced by 198.51.100.9");
    assert_eq!(
        host.refusal(&db),
        "address 203.0.113.11, from its reservation, is set aside: announced by 198.51.100.9"
    );
    host.allocations.restore(address(11));
    assert_eq!(host.get(&db).0, 11);
}

#[test]
fn a_holding_is_given_back_by_its_identity_its_link_or_its_absent_link() {
    for who in ["link:a", "a"] {
        for present in [true, false] {
            let mut host = automatic();
            host.get(&bridge("a"));
            host.get(&bridge("b"));
            if !present {
                host.allocations.leave("a");
            }
            assert_eq!(host.allocations.release(who).unwrap().address, address(10));
            assert_eq!(host.allocations.release(who), None);
            assert_eq!(host.get(&bridge("c")).0, 10, "{who}");
        }
    }
}

#[test]
fn the_candidates_are_what_is_given_next() {
    let mut host = Host::new(&network(
        "allocation = \"automatic\"",
        "pools = [\"203.0.113.10-203.0.113.13\", \"203.0.113.20-203.0.113.29\"]",
    ));
    host.get(&bridge("a"));
    let next = host
        .allocations
        .next_candidates(&host.config.networks[0], 3);
    assert_eq!(next, [12, 13, 20, 21, 22].map(address));
    assert_eq!(host.get(&bridge("b")).0, 12);
}

#[test]
fn a_pool_of_millions_is_counted_without_looking_at_each() {
    let text = network(
        "allocation = \"dynamic\"",
        "pools = [\"203.0.113.10-203.0.113.13\"]",
    )
    .replace("203.0.113.0/24", "203.0.0.0/8")
    .replace("203.0.113.10-203.0.113.13", "203.1.0.0-203.99.255.255");
    let mut host = Host::new(&text);
    for round in 0..2_000u32 {
        let link = bridge(&format!("br{}", round % 7));
        host.ask(&link).unwrap();
        if round % 3 == 0 {
            host.allocations.leave(&link.name);
            host.allocations.sweep(Instant(u64::from(round)));
        }
        let pool = host.pool();
        assert_eq!(pool.total, 99 << 16);
        assert_eq!(pool.used + pool.free, pool.total);
    }
}

#[test]
fn what_is_bound_to_one_link_of_a_vm_takes_nothing_from_the_other() {
    // Two links with one NIC: a migration, or a clone.
    let mut host = automatic();
    assert_eq!(host.get(&known("vnet1", 1)).0, 10);
    host.allocations.bind("vnet2", address(50)).unwrap();
    assert_eq!(host.get(&known("vnet2", 1)).0, 50);
    host.get(&bridge("a"));
    assert_eq!(host.get(&known("vnet1", 1)).0, 10);
}

#[test]
fn what_was_bound_to_a_link_may_be_allocated_to_it() {
    let mut host = automatic();
    assert_eq!(["a", "b"].map(|name| host.get(&bridge(name)).0), [10, 12]);
    host.allocations.bind("c", address(13)).unwrap();
    assert_eq!(host.get(&bridge("c")), (13, AddressSource::Bind));
    host.allocations.unbind("c");
    assert_eq!(host.get(&bridge("c")), (13, AddressSource::Automatic));
}
