//! Whatever happens on a host, in whatever order: the promises of [`Allocations`] hold.

use crate::common::{asks_for, bridge, config, tags, tap};
use proptest::prelude::*;
use slash32_binding::{Instant, Ipv4Addr, MacAddr};
use slash32_policy::{
    AddressSource, Allocation, Allocations, Change, Config, Held, LinkFacts, Network, Unassigned,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    /// A VM is on the link, or still is, and a pass decides.
    Vm(usize),
    /// It is gone, and the link stays.
    Leave(usize),
    /// Links are gone.
    Vanish(BTreeSet<usize>),
    /// libvirt begins to tell which VM is on the link, or does so no more.
    Known(usize),
    Sweep,
    Clock(u64),
    Release(usize),
    Bind(usize, u8),
    Unbind(usize),
    Conflict(u8, Option<u64>),
    Restore(u8),
    /// Another config, and a full pass.
    Reload(usize),
    /// Another agent, and a full pass.
    Restart,
    /// Another boot of the host: no VM is there.
    Reboot,
}

fn event() -> impl Strategy<Value = Event> {
    let link = || 0usize..LINKS;
    let last = || 0u8..16;
    prop_oneof![
        12 => link().prop_map(Event::Vm),
        4 => link().prop_map(Event::Leave),
        1 => proptest::collection::btree_set(link(), 0..LINKS).prop_map(Event::Vanish),
        4 => link().prop_map(Event::Known),
        4 => Just(Event::Sweep),
        2 => (0u64..40).prop_map(Event::Clock),
        1 => link().prop_map(Event::Release),
        1 => (link(), last()).prop_map(|(link, last)| Event::Bind(link, last)),
        1 => link().prop_map(Event::Unbind),
        2 => (last(), proptest::option::of(0u64..40)).prop_map(|(last, time)| Event::Conflict(last, time)),
        1 => last().prop_map(Event::Restore),
        1 => (0usize..CONFIGS.len()).prop_map(Event::Reload),
        1 => Just(Event::Restart),
        1 => Just(Event::Reboot),
    ]
}

/// How the addresses of the network are given, and its pools.
const CONFIGS: [(&str, &str); 6] = [
    (
        "allocation = \"automatic\"",
        "\"203.0.113.4-203.0.113.7\", { range = \"203.0.113.9-203.0.113.11\", class = [\"gold\"] }",
    ),
    ("allocation = \"automatic\"", "\"203.0.113.5-203.0.113.9\""),
    (
        "allocation = \"dynamic\"",
        "\"203.0.113.4-203.0.113.7\", \"203.0.113.9-203.0.113.11\"",
    ),
    (
        "allocation = \"dynamic\"\nquarantine = 20",
        "\"203.0.113.4-203.0.113.7\", { range = \"203.0.113.9-203.0.113.11\", class = [\"gold\"] }",
    ),
    (
        "allocation = \"mac\"\nmac-prefix = \"52:54:00:00:00\"",
        "\"203.0.113.0-203.0.113.11\"",
    ),
    ("allocation = \"static\"", ""),
];

fn config_of(index: usize) -> Config {
    let (keys, pools) = CONFIGS[index];
    // The one with index 1 reserves another address.
    let reserved = if index == 1 { 5 } else { 6 };
    config(
        &format!(
            r#"
        [[class]]
        name = "gold"
        match = {{ tag = "gold" }}
        [[network]]
        name = "public"
        links = ["*"]
        gateway = "203.0.113.3"
        {keys}
        [[network.subnet]]
        prefix = "203.0.113.0/28"
        pools = [{pools}]
        [[network.reservation]]
        vm = "db"
        address = "203.0.113.{reserved}"
        "#
        )
        .replace("203.0.113.0-203.0.113.11", "203.0.113.4-203.0.113.11"),
    )
}

const LINKS: usize = 9;

/// Bridges by name, taps by facts, one with a reservation, one of which nothing is known, one that libvirt fixes an address for.
fn links() -> [LinkFacts; LINKS] {
    let gold = || tags(&["gold"]);
    [
        bridge("virbr1"),
        LinkFacts {
            metadata: gold(),
            ..bridge("virbr2")
        },
        LinkFacts {
            mac: mac(5),
            ..bridge("virbr3")
        },
        LinkFacts {
            vm: Some("db".into()),
            ..bridge("virbr4")
        },
        LinkFacts {
            uuid: uuid(1),
            mac: mac(9),
            ..tap("vnet1")
        },
        LinkFacts {
            uuid: uuid(2),
            mac: mac(4),
            metadata: gold(),
            ..tap("vnet2")
        },
        // The same NIC as that of vnet1: a migration, or a clone.
        LinkFacts {
            uuid: uuid(1),
            mac: mac(9),
            ..tap("vnet3")
        },
        tap("vnet4"),
        LinkFacts {
            metadata: asks_for(address(10)),
            ..bridge("virbr5")
        },
    ]
}

fn uuid(last: u8) -> Option<String> {
    Some(format!("00000000-0000-0000-0000-0000000000{last:02x}"))
}

fn mac(last: u8) -> Option<MacAddr> {
    Some(MacAddr([0x52, 0x54, 0, 0, 0, last]))
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

/// A host, and beside it what a second bookkeeper knows.
struct Host {
    config: Config,
    allocations: Allocations,
    boot: u32,
    now: u64,
    disk: BTreeMap<String, Held>,
    /// Links with a VM.
    there: BTreeSet<usize>,
    /// Links of which libvirt tells.
    known: BTreeSet<usize>,
    given: HashMap<String, Ipv4Addr>,
    bound: BTreeMap<String, Ipv4Addr>,
    aside: BTreeMap<Ipv4Addr, Option<u64>>,
    /// What each identity of an `automatic` network got since something was last taken from somebody.
    kept: HashMap<String, Ipv4Addr>,
}

impl Host {
    fn new() -> Self {
        let config = config_of(0);
        let allocations = Allocations::new(&config, "0", []);
        Self {
            config,
            allocations,
            boot: 0,
            now: 0,
            disk: BTreeMap::new(),
            there: BTreeSet::new(),
            known: BTreeSet::new(),
            given: HashMap::new(),
            bound: BTreeMap::new(),
            aside: BTreeMap::new(),
            kept: HashMap::new(),
        }
    }

    fn network(&self) -> &Network {
        &self.config.networks[0]
    }

    fn link(&self, index: usize) -> LinkFacts {
        let mut link = links()[index].clone();
        if self.known.contains(&index) && link.uuid.is_none() {
            link.uuid = uuid(0x10 + index as u8);
            link.mac = link.mac.or(mac(0x10 + index as u8));
        }
        link
    }

    fn happen(&mut self, event: &Event) {
        let links = links();
        match event {
            Event::Vm(index) => {
                self.there.insert(*index);
                self.decide(&self.link(*index));
            }
            Event::Known(index) => {
                if !self.known.insert(*index) {
                    self.known.remove(index);
                }
            }
            Event::Leave(index) => {
                self.there.remove(index);
                self.given.remove(&links[*index].name);
                self.allocations.leave(&links[*index].name);
            }
            Event::Vanish(gone) => {
                self.there.retain(|index| !gone.contains(index));
                let there: Vec<&str> = self
                    .there
                    .iter()
                    .map(|index| links[*index].name.as_str())
                    .collect();
                self.given.retain(|name, _| there.contains(&name.as_str()));
                self.allocations.retain_links(|name| there.contains(&name));
            }
            Event::Sweep => self.sweep(),
            Event::Clock(seconds) => self.now += seconds * 1_000_000_000,
            Event::Release(index) => {
                if let Some(held) = self.allocations.release(&links[*index].name) {
                    self.given.retain(|_, address| *address != held.address);
                    self.kept.clear();
                }
            }
            Event::Bind(index, last) => {
                let name = links[*index].name.clone();
                if self.allocations.bind(&name, address(*last)).is_ok() {
                    self.bound.insert(name, address(*last));
                }
                self.kept.clear();
            }
            Event::Unbind(index) => {
                let name = &links[*index].name;
                assert_eq!(self.allocations.unbind(name), self.bound.remove(name));
            }
            Event::Conflict(last, time) => {
                let until = time.map(|seconds| self.now + seconds * 1_000_000_000);
                let owner = self
                    .allocations
                    .set_aside(address(*last), until.map(Instant), "test");
                let expected = self
                    .given
                    .iter()
                    .find(|(_, given)| **given == address(*last));
                assert_eq!(owner, expected.map(|(name, _)| name.as_str()));
                self.aside.insert(address(*last), until);
                self.kept.clear();
            }
            Event::Restore(last) => {
                let was = self.aside.remove(&address(*last)).is_some();
                assert_eq!(self.allocations.restore(address(*last)), was);
            }
            Event::Reload(index) => {
                self.config = config_of(*index);
                self.allocations.reload(&self.config);
                self.kept.clear();
                self.full_pass();
            }
            Event::Restart => self.restart(),
            Event::Reboot => {
                self.boot += 1;
                self.now = 0;
                self.there.clear();
                self.aside.values_mut().for_each(|until| *until = None);
                self.restart();
            }
        }
        self.save();
        self.check();
    }

    fn restart(&mut self) {
        self.save();
        self.allocations = Allocations::new(
            &self.config,
            &self.boot.to_string(),
            self.disk.values().cloned(),
        );
        for (link, address) in &self.bound {
            self.allocations.bind(link, *address).unwrap();
        }
        for (address, until) in &self.aside {
            self.allocations
                .set_aside(*address, until.map(Instant), "test");
        }
        self.full_pass();
    }

    fn full_pass(&mut self) {
        self.given.clear();
        let links: Vec<LinkFacts> = (0..LINKS).map(|index| self.link(index)).collect();
        // Of two links with one NIC, of which one is bound: whether the other finds its address depends on who is decided first.
        let bound = links
            .iter()
            .filter(|link| self.bound.contains_key(&link.name));
        for identity in bound.filter_map(LinkFacts::identity) {
            self.kept.remove(&identity);
        }
        for index in self.there.clone() {
            self.decide(&links[index]);
        }
        self.sweep();
    }

    fn sweep(&mut self) {
        let next = self.allocations.sweep(Instant(self.now));
        assert!(
            next.is_none_or(|next| next.0 > self.now),
            "nothing is overdue"
        );
        self.aside
            .retain(|_, until| until.is_none_or(|until| until > self.now));
    }

    fn decide(&mut self, link: &LinkFacts) {
        let before: BTreeMap<String, Held> = self
            .allocations
            .held()
            .map(|held| (held.identity.clone(), held.clone()))
            .collect();
        let result = self
            .allocations
            .assign(&self.config, &self.config.networks[0], link);
        self.check_takeover(link, &before);
        let again = self
            .allocations
            .assign(&self.config, &self.config.networks[0], link);
        assert_eq!(result, again, "asking again changes nothing");
        self.given.remove(&link.name);
        let assignment = match result {
            Ok(assignment) => assignment,
            Err(reason) => return self.check_reason(link, &reason),
        };
        let address = assignment.address;
        self.given.insert(link.name.clone(), address);
        let network = self.network();
        assert!(!self.aside.contains_key(&address));
        assert_ne!(address, network.gateway);
        let reserved = network.reservation_of(link);
        assert_eq!(assignment.reservation, reserved);
        match assignment.source {
            AddressSource::Reservation => {
                assert_eq!(network.reservations[reserved.unwrap()].address, address);
                return;
            }
            AddressSource::Metadata => {
                assert_eq!(link.metadata.address, Some(address.to_string()));
            }
            AddressSource::Bind => assert_eq!(self.bound.get(&link.name), Some(&address)),
            AddressSource::Mac => assert_eq!(link.mac.unwrap().0[5], address.octets()[3]),
            AddressSource::Automatic | AddressSource::Dynamic => {
                assert!(self.bound.values().all(|bound| *bound != address));
                let gold = link.metadata.tags.contains(&"gold".to_owned());
                let mut pools = network.pools();
                assert!(
                    pools.any(|pool| pool.contains(address) && (gold || pool.class.is_empty()))
                );
            }
        }
        assert!(!network.is_reserved(address), "reserved for another");
        if assignment.source == AddressSource::Automatic {
            let identity = link.identity().unwrap();
            let first = *self.kept.entry(identity).or_insert(address);
            assert_eq!(first, address, "it stays with its VM");
        }
    }

    /// What is held for a link is held for its VM once that is known: renamed, given up with what the VM had, or still there.
    fn check_takeover(&mut self, link: &LinkFacts, before: &BTreeMap<String, Held>) {
        let Some(identity) = link.vm_identity() else {
            return;
        };
        let name = format!("link:{}", link.name);
        let names = [name.clone(), format!("tap:{}", link.name)];
        let after: BTreeMap<&str, Ipv4Addr> = self
            .allocations
            .held()
            .map(|held| (held.identity.as_str(), held.address))
            .collect();
        let others = before.values();
        for held in others.filter(|held| !names.contains(&held.identity)) {
            let own = held.identity == identity;
            assert!(
                own || after.get(held.identity.as_str()) == Some(&held.address),
                "{} lost its address to {}",
                held.identity,
                link.name
            );
        }
        if let Some(first) = self.kept.remove(&name)
            && !before.contains_key(&identity)
            && before.get(&name).is_some_and(|held| held.address == first)
        {
            self.kept.insert(identity, first);
        }
    }

    fn check_reason(&self, link: &LinkFacts, reason: &Unassigned) {
        match reason {
            Unassigned::NoReservation => assert_eq!(self.network().allocation, Allocation::Static),
            Unassigned::NoIdentity => assert_eq!(link.name, "vnet4"),
            Unassigned::NoFreeAddress { .. } => {
                let gold = link.metadata.tags.contains(&"gold".to_owned());
                for (pool, usage) in self
                    .network()
                    .pools()
                    .zip(self.allocations.pools(&self.config))
                {
                    assert!(
                        usage.free == 0 || !(gold || pool.class.is_empty()),
                        "{usage:?}"
                    );
                }
            }
            Unassigned::AlreadyGiven { address, link } => {
                assert_eq!(self.given.get(link), Some(address))
            }
            Unassigned::Refused { .. } => {
                assert!(
                    link.metadata.address.is_some()
                        || self.bound.contains_key(&link.name)
                        || link.vm.is_some()
                        || link.mac.is_some()
                );
            }
            Unassigned::Metadata { .. } => panic!("all metadata here is right"),
            Unassigned::NoMac => assert_eq!(link.mac, None),
            Unassigned::MacOutside { .. } | Unassigned::NotOfClass { .. } => {}
        }
    }

    fn save(&mut self) {
        for Change { identity, held } in self.allocations.take_changes() {
            match held {
                Some(held) => self.disk.insert(identity, held),
                None => self.disk.remove(&identity),
            };
        }
    }

    fn check(&self) {
        let held: Vec<&Held> = self.allocations.held().collect();
        assert_eq!(
            held,
            self.disk.values().collect::<Vec<_>>(),
            "the store has what is held"
        );
        let addresses: BTreeSet<Ipv4Addr> = held.iter().map(|held| held.address).collect();
        assert_eq!(addresses.len(), held.len(), "one address held twice");
        let given: BTreeSet<Ipv4Addr> = self.given.values().copied().collect();
        assert_eq!(given.len(), self.given.len(), "one address given twice");
        let boot = self.boot.to_string();
        assert!(
            held.iter()
                .all(|held| held.boot.as_ref().is_none_or(|own| *own == boot))
        );
        // Every address of the pools, looked at one by one.
        for usage in self.allocations.pools(&self.config) {
            let all = usage.first.to_bits()..=usage.last.to_bits();
            let taken = |address: &Ipv4Addr| {
                addresses.contains(address)
                    || given.contains(address)
                    || self.network().is_reserved(*address)
                    || self.bound.values().any(|bound| bound == address)
                    || self.aside.contains_key(address)
            };
            let free: Vec<Ipv4Addr> = all
                .map(Ipv4Addr::from_bits)
                .filter(|address| !taken(address))
                .collect();
            assert_eq!(usage.free, free.len() as u64, "the free count is right");
            let aside = self
                .aside
                .keys()
                .filter(|address| (usage.first..=usage.last).contains(*address));
            assert_eq!(usage.set_aside, aside.count() as u64);
            let sum =
                usage.used + usage.free + usage.reserved + usage.set_aside + usage.quarantined;
            assert_eq!(sum, usage.total);
            let next = self.allocations.next_candidates(self.network(), 99);
            let own: BTreeSet<Ipv4Addr> = next
                .into_iter()
                .filter(|a| (usage.first..=usage.last).contains(a))
                .collect();
            assert_eq!(own, free.into_iter().collect());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(512)))]

    #[test]
    fn no_sequence_of_events_breaks_the_promises(events in proptest::collection::vec(event(), 1..80)) {
        let mut host = Host::new();
        for event in &events {
            host.happen(event);
        }
    }
}
