//! One address is never in two places: what other hosts announce, and what answers a probe, is not given out here.

use super::Reconciler;
use crate::link::Link;
use crate::probe::{Probed, STOCK};
use crate::route::ForeignRoute;
use crate::vm::VmLink;
use jiff::Timestamp;
use slash32_binding::Instant;
use slash32_control::EventKind;
use slash32_policy::{
    Allocations, Assignment, Config, Held, LinkFacts, Network, Refusal, Unassigned,
};
use slash32_store::{Change as Record, SetAside};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// For how long an address that answered a probe is set aside, in seconds.
const ANSWERED_FOR: i64 = 600;

const ANNOUNCED: &str = "another host announces it";
const ANSWERED: &str = "it answers a ping";

/// What was set aside before the agent started, for the rest of its time.
pub(super) fn set_aside_again(allocations: &mut Allocations, aside: &SetAside) {
    let left = aside.since + ANSWERED_FOR - Timestamp::now().as_second();
    if left > 0 {
        let until = in_seconds(left.min(ANSWERED_FOR));
        allocations.set_aside(aside.address, Some(until), aside.reason.clone());
    }
}

fn in_seconds(seconds: i64) -> Instant {
    Instant(slash32_sys::clock::boottime() + seconds as u64 * 1_000_000_000)
}

impl Reconciler {
    /// The address lies in one of our subnets, so it matters who else has it.
    fn is_ours(&self, address: Ipv4Addr) -> bool {
        let mut subnets = self
            .config
            .networks
            .iter()
            .flat_map(|network| &network.subnets);
        subnets.any(|subnet| subnet.prefix.contains(address))
    }

    /// The config, an operator, or libvirt's metadata of a VM that is there fixes the address for a VM.
    fn is_fixed(&self, address: Ipv4Addr) -> bool {
        let mut networks = self.config.networks.iter();
        let mut occupants = self.vms.values().filter_map(|vm| vm.occupant.as_ref());
        networks.any(|network| network.reservation_at(address).is_some())
            || self.allocations.bound().any(|(_, bound)| bound == address)
            || occupants.any(|occupant| occupant.is_to_have(address))
    }

    /// The route says that another machine has the address: it lies in one of our subnets, and the way to it is not one of
    /// our own links, as that of a routing daemon's copy of our route is, or that of a script which did our work before us.
    fn is_elsewhere(&self, route: &ForeignRoute) -> bool {
        self.is_ours(route.address)
            && !route
                .ifindex
                .is_some_and(|ifindex| self.is_claimed(ifindex))
    }

    /// A network of the config serves the link, or is about to.
    fn is_claimed(&self, ifindex: u32) -> bool {
        let network = |link: &Link| self.config.network_of(&link.name, &link.altnames);
        self.vms.contains_key(&ifindex)
            || self
                .table
                .get(ifindex)
                .is_some_and(|link| !matches!(network(link), Ok(None)))
    }

    /// Somebody else's route to a single address came or went.
    pub(super) fn notice_foreign(&mut self, route: ForeignRoute, present: bool) {
        let address = route.address;
        if present && !self.is_elsewhere(&route) {
            return;
        }
        let routes = self.foreign.entry(address).or_default();
        let was_empty = routes.is_empty();
        if present {
            routes.insert(route)
        } else {
            routes.remove(&route)
        };
        let is_empty = routes.is_empty();
        if is_empty {
            self.foreign.remove(&address);
        }
        if was_empty != is_empty {
            self.judge(address, !is_empty);
        }
    }

    /// A dump of all of them.
    pub(super) fn replace_foreign(&mut self, routes: Vec<ForeignRoute>) {
        let mut now: BTreeMap<Ipv4Addr, BTreeSet<ForeignRoute>> = BTreeMap::new();
        for route in routes.into_iter().filter(|route| self.is_elsewhere(route)) {
            now.entry(route.address).or_default().insert(route);
        }
        let before = std::mem::replace(&mut self.foreign, now);
        let gone: Vec<_> = before
            .into_keys()
            .filter(|address| !self.foreign.contains_key(address))
            .collect();
        for address in gone {
            self.judge(address, false);
        }
        self.judge_conflicts();
    }

    /// Sets every address aside that another host announces, unless its VM runs here.
    pub(super) fn judge_conflicts(&mut self) {
        if !self.adopted {
            return;
        }
        for address in self.foreign.keys().copied().collect::<Vec<_>>() {
            self.judge(address, true);
        }
    }

    fn judge(&mut self, address: Ipv4Addr, announced: bool) {
        let holder = self
            .vms
            .values()
            .find(|vm| vm.current.is_some_and(|(_, current)| current == address));
        // A VM that runs here, or is about to, keeps its address, and so does one whose address somebody fixed: there is no
        // next one for it, and a move from another host looks like this, too. Its row says so.
        let stays = holder.is_some_and(|vm| vm.uses_its_address() || vm.is_fixed());
        let holder = holder.map(|vm| (vm.name.clone(), vm.ifindex));
        let link = holder.as_ref().map(|(name, ifindex)| (&**name, *ifindex));
        self.dirty.extend(link.map(|(_, ifindex)| ifindex));
        let is_aside = self.is_announced_aside(address);
        match (announced && !stays && !self.is_fixed(address), is_aside) {
            (true, false) => {
                self.allocations.set_aside(address, None, ANNOUNCED);
                self.tell_conflict(link, address, "is announced by another host, and set aside");
            }
            (false, true) => {
                self.allocations.restore(address);
                self.look_again();
                self.tell_conflict(link, address, "is no longer set aside");
            }
            _ => {}
        }
    }

    /// [`Allocations::assign`]; but what is fixed for a VM, and what one has that arrives by migration, is given although
    /// another host announces it, as that host may be where the VM is now.
    pub(super) fn give_address(
        &mut self,
        config: &Config,
        network: &Network,
        facts: &LinkFacts,
        ifindex: u32,
    ) -> Result<Assignment, Unassigned> {
        let arrives = self.vms.get(&ifindex).is_some_and(VmLink::is_incoming);
        if let Some(identity) = facts.identity().filter(|_| arrives) {
            let is_its = |held: &&Held| held.identity == identity;
            let held = self.allocations.held().find(is_its);
            let address = held.map(|held| held.address);
            address.map(|address| self.give_back(address));
        }
        match self.allocations.assign(config, network, facts) {
            Err(Unassigned::Refused {
                address,
                reason: Refusal::SetAside { .. },
                ..
            }) if self.give_back(address) => self.allocations.assign(config, network, facts),
            result => result,
        }
    }

    /// The address may be given although another host announces it. True when it was set aside for that.
    fn give_back(&mut self, address: Ipv4Addr) -> bool {
        let is_aside = self.is_announced_aside(address);
        if is_aside {
            self.allocations.restore(address);
        }
        is_aside
    }

    fn is_announced_aside(&self, address: Ipv4Addr) -> bool {
        let aside = self.allocations.aside(address);
        aside.is_some_and(|aside| aside.why == ANNOUNCED)
    }

    /// `link` is that of the VM which was to have the address.
    fn tell_conflict(&self, link: Option<(&str, u32)>, address: Ipv4Addr, what: &str) {
        let text = format!("{address} {what}");
        self.published.event(
            Timestamp::now(),
            link,
            EventKind::Conflict,
            Some(address),
            text,
        );
    }

    /// What an operator should know of the address of a VM that is served.
    pub(super) fn conflict(&self, address: Ipv4Addr) -> Option<String> {
        self.foreign
            .contains_key(&address)
            .then(|| format!("another host announces {address}"))
    }

    /// Keeps a stock of free addresses that nobody answers at.
    pub(super) fn probe_ahead(&mut self) {
        let config = std::sync::Arc::clone(&self.config);
        let networks = config.networks.iter();
        let candidates =
            networks.flat_map(|network| self.allocations.next_candidates(network, STOCK));
        let candidates: Vec<_> = candidates.collect();
        self.probes.ask(candidates);
    }

    /// Takes in what became of a probe.
    pub(super) fn take_probe(&mut self, probed: Probed) {
        let address = probed.address;
        // Given in the meantime: then it was our own VM that answered.
        let is_given = self.allocations.is_assigned(address);
        if probed.answered && !is_given {
            self.allocations
                .set_aside(address, Some(in_seconds(ANSWERED_FOR)), ANSWERED);
            let since = Timestamp::now().as_second();
            self.saved_asides.insert(address);
            self.unsaved.push(Record::PutSetAside(SetAside {
                address,
                reason: ANSWERED.into(),
                since,
            }));
            self.tell_conflict(
                None,
                address,
                "answers a ping, and is set aside for ten minutes",
            );
        }
        self.probe_ahead();
    }
}
