use crate::{
    Assignment, Config, LinkFacts, Network, Unassigned,
    ends::Ends,
    former::Former,
    link::{is_vm, link_identity, tap_identity},
    stock::{Mark, Stock},
};
use slash32_binding::{Instant, Ipv4Addr};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// An address that an identity has: for good in an `automatic` network, for as long as its VM is there in a `dynamic` one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The network it was given in.
    pub network: String,
    /// [`LinkFacts::identity`]; of a `dynamic` tap without one, `tap:NAME`.
    pub identity: String,
    /// The address.
    pub address: Ipv4Addr,
    /// In a `dynamic` network the boot of the host it was given in: no VM outlives it. `None`: for good.
    pub boot: Option<String>,
}

/// What the store must do before anybody is told of an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Whose record it is.
    pub identity: String,
    /// The record to put in place of what is there, or `None`: the record goes.
    pub held: Option<Held>,
}

/// An address that was seen in use elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetAside {
    /// Until when; `None`: until it is restored.
    pub until: Option<Instant>,
    /// How it was seen, for people.
    pub why: String,
}

/// Who holds which address, in memory; the store keeps it on disk.
///
/// Invariants: no two identities hold one address, and no two links are assigned one; an address is free when it lies in a
/// pool, is held by nobody, assigned to no link, not reserved, bound or set aside, and no gateway; whatever is held and not
/// yet in the store is in the changes; what is held for a link by name is held for the VM there once libvirt tells which one that is.
///
/// A holding outlives its link, its pool and its network: a VM that comes back finds its address, if that may still be given.
/// Only a `dynamic` one ends: when no link is assigned it any more, and its quarantine is over ([`Allocations::sweep`]).
#[derive(Clone, Debug)]
pub struct Allocations {
    pub(crate) boot: String,
    pub(crate) held: BTreeMap<String, Held>,
    pub(crate) holders: HashMap<Ipv4Addr, String>,
    /// What operators bound to links, both ways round.
    pub(crate) bound: BTreeMap<String, Ipv4Addr>,
    pub(crate) bound_to: HashMap<Ipv4Addr, String>,
    pub(crate) set_aside: BTreeMap<Ipv4Addr, SetAside>,
    /// Of those, which end by themselves.
    pub(crate) asides_end: Ends<Ipv4Addr>,
    /// What the config reserves, and its gateways.
    pub(crate) fixed: HashSet<Ipv4Addr>,
    pub(crate) stock: Stock,
    /// The link that each address is assigned to, and the other way round.
    pub(crate) links: HashMap<Ipv4Addr, String>,
    pub(crate) assigned: HashMap<String, Given>,
    /// `dynamic` identities that no link is assigned the holding of, and that are not in quarantine yet.
    pub(crate) gone: BTreeSet<String>,
    /// Until when identities that are gone keep their addresses from others.
    pub(crate) quarantined: Ends<String>,
    /// `quarantine` of each network, in nanoseconds.
    pub(crate) quarantines: HashMap<String, u64>,
    pub(crate) former: Former,
    /// Whose records are not in the store as they are here.
    pub(crate) changes: BTreeSet<String>,
}

/// What a link is assigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Given {
    pub(crate) address: Ipv4Addr,
    /// Whose holding it is, if it is one.
    pub(crate) identity: Option<String>,
    /// The holding was made for this time of a VM on the link.
    pub(crate) made: bool,
}

impl Allocations {
    /// `held` is what the store has, and `boot` the boot of the host (`/proc/sys/kernel/random/boot_id`). Records of `dynamic`
    /// networks from another boot go; of two records for one address the first stays and the other goes.
    pub fn new(config: &Config, boot: &str, held: impl IntoIterator<Item = Held>) -> Self {
        let mut allocations = Self {
            boot: boot.to_owned(),
            held: BTreeMap::new(),
            holders: HashMap::new(),
            bound: BTreeMap::new(),
            bound_to: HashMap::new(),
            set_aside: BTreeMap::new(),
            asides_end: Ends::default(),
            fixed: HashSet::new(),
            stock: Stock::default(),
            links: HashMap::new(),
            assigned: HashMap::new(),
            gone: BTreeSet::new(),
            quarantined: Ends::default(),
            quarantines: HashMap::new(),
            former: Former::default(),
            changes: BTreeSet::new(),
        };
        for held in held {
            let outlived = held.boot.as_ref().is_some_and(|other| other != boot);
            if outlived || allocations.holders.contains_key(&held.address) {
                allocations.changes.insert(held.identity);
                continue;
            }
            let identity = held.identity.clone();
            allocations.holders.insert(held.address, identity.clone());
            allocations.held.insert(identity, held);
        }
        allocations.reload(config);
        allocations
    }

    /// Another config is in force. Holdings, and what operators bound and was set aside, stay; every link is to be assigned
    /// again, before the next [`Allocations::sweep`].
    pub fn reload(&mut self, config: &Config) {
        self.links.clear();
        self.assigned.clear();
        let dynamic = self.held.values().filter(|held| held.boot.is_some());
        let absent = dynamic.filter(|held| !self.quarantined.contains(&held.identity));
        self.gone = absent.map(|held| held.identity.clone()).collect();
        let quarantine = |n: &Network| (n.name.clone(), u64::from(n.quarantine) * 1_000_000_000);
        self.quarantines = config.networks.iter().map(quarantine).collect();
        let gateways = config.networks.iter().map(|network| network.gateway);
        let reservations = config.networks.iter().flat_map(|n| &n.reservations);
        self.fixed = gateways
            .chain(reservations.map(|reservation| reservation.address))
            .collect();
        self.stock = Stock::new(&config.networks);
        let taken = self.fixed.iter().chain(self.holders.keys());
        let taken = taken
            .chain(self.bound_to.keys())
            .chain(self.set_aside.keys());
        for address in taken.copied().collect::<Vec<_>>() {
            self.mark(address);
        }
    }

    /// The address of a link: its reservation's; else what libvirt's metadata or an operator fixes; else by the network's
    /// allocation what its identity holds already, when that lies in a pool of this network that its classes admit it to and
    /// is not fixed for another or set aside; else, where the allocation is `dynamic`, what it had last, if that is free; else the
    /// lowest free address of the first such pool that has one, and of these rather one that no VM may come back for.
    ///
    /// A VM that libvirt tells of, and that holds nothing, takes over what is held for its link by name in this network and used by
    /// nobody: so a host where libvirt begins to tell moves no VM.
    ///
    /// The answer is the same each time, until something changes. Errors: the reason of a link without an address, which then
    /// has none from before either.
    pub fn assign(
        &mut self,
        config: &Config,
        network: &Network,
        link: &LinkFacts,
    ) -> Result<Assignment, Unassigned> {
        let mut before = self.assigned.remove(&link.name);
        // What nobody holds may be given to this link, too.
        if let Some(unheld) = before.take_if(|before| before.identity.is_none()) {
            self.end(unheld);
        }
        let result = self.decide(config, network, link);
        let mut given = result.as_ref().ok().map(|(_, given)| given.clone());
        match (before, &mut given) {
            (Some(before), Some(given))
                if (before.address, &before.identity) == (given.address, &given.identity) =>
            {
                given.made = before.made;
            }
            (Some(before), _) => self.end_for(link, before),
            (None, _) => {}
        }
        if let Some(given) = given {
            if let Some(identity) = &given.identity {
                self.gone.remove(identity);
                self.quarantined.remove(identity);
            }
            self.links.insert(given.address, link.name.clone());
            let address = given.address;
            self.assigned.insert(link.name.clone(), given);
            self.mark(address);
        }
        result.map(|(assignment, _)| assignment)
    }

    /// A link has another name now: what was its own under the old one is its own under the new one. Whatever an earlier
    /// link of the new name held goes: a VM that runs keeps its address.
    pub fn rename_link(&mut self, old: &str, new: &str) {
        for (from, to) in [
            (link_identity(old), link_identity(new)),
            (tap_identity(old), tap_identity(new)),
        ] {
            self.rename_identity(&from, &to);
        }
        if let Some(mut given) = self.assigned.remove(old) {
            self.leave(new);
            if given.identity.as_deref() == Some(&link_identity(old)) {
                given.identity = Some(link_identity(new));
            } else if given.identity.as_deref() == Some(&tap_identity(old)) {
                given.identity = Some(tap_identity(new));
            }
            self.links.insert(given.address, new.to_owned());
            self.assigned.insert(new.to_owned(), given);
        }
        if let Some(address) = self.bound.remove(old) {
            self.unbind(new);
            self.bound.insert(new.to_owned(), address);
            self.bound_to.insert(address, new.to_owned());
        }
    }

    pub(crate) fn rename_identity(&mut self, from: &str, to: &str) {
        let Some(held) = self.held.remove(from) else {
            return;
        };
        self.drop_holding(to);
        let identity = to.to_owned();
        let held = Held { identity, ..held };
        self.holders.insert(held.address, to.to_owned());
        if self.gone.remove(from) {
            self.gone.insert(to.to_owned());
        }
        if let Some(until) = self.quarantined.remove(from) {
            self.quarantined.put(to.to_owned(), until);
        }
        self.changes.insert(from.to_owned());
        self.changes.insert(to.to_owned());
        self.held.insert(to.to_owned(), held);
    }

    /// What changed since the last call. To be made durable before anybody is told of an address.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let changes = std::mem::take(&mut self.changes);
        changes
            .into_iter()
            .map(|identity| Change {
                held: self.held.get(&identity).cloned(),
                identity,
            })
            .collect()
    }

    /// Every holding, by identity.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    /// The address is set aside, and why.
    pub fn aside(&self, address: Ipv4Addr) -> Option<&SetAside> {
        self.set_aside.get(&address)
    }

    /// A link has the address.
    pub fn is_assigned(&self, address: Ipv4Addr) -> bool {
        self.links.contains_key(&address)
    }

    /// A link has an address that is no holding: what its VM held before would be lost to everybody, unless another link of the
    /// same identity has it.
    pub(crate) fn drop_own_holding(&mut self, link: &LinkFacts) {
        let Some(identity) = link.identity() else {
            return;
        };
        let held = self.held.get(&identity);
        let owner = held.and_then(|held| self.links.get(&held.address));
        if owner.is_none_or(|owner| *owner == link.name) {
            self.drop_holding(&identity);
        }
    }

    /// `identity` has its address no more.
    pub(crate) fn drop_holding(&mut self, identity: &str) -> Option<Held> {
        let held = self.held.remove(identity)?;
        if held.boot.is_some() && is_vm(identity) {
            self.former.remember(identity, held.address);
        }
        self.holders.remove(&held.address);
        self.gone.remove(identity);
        self.quarantined.remove(identity);
        self.changes.insert(identity.to_owned());
        self.mark(held.address);
        Some(held)
    }

    /// A link has its address no more; whoever holds that may go on doing so.
    pub(crate) fn end(&mut self, given: Given) {
        self.links.remove(&given.address);
        let held = given.identity.and_then(|identity| self.held.get(&identity));
        if let Some(held) = held.filter(|held| held.boot.is_some()) {
            self.gone.insert(held.identity.clone());
        }
        self.mark(given.address);
    }

    /// The same, when the link goes on with something else. What was made for a VM of which nothing was known but its link, and
    /// libvirt says now which one it is, is left to nobody.
    fn end_for(&mut self, link: &LinkFacts, given: Given) {
        let name = link.name_identity();
        let is_left =
            given.made && given.identity.as_ref() == Some(&name) && link.passing_identity() != name;
        self.end(given);
        if is_left {
            self.drop_holding(&name);
        }
    }

    /// An address that a VM had that libvirt knows by this identity ([`LinkFacts::vm_identity`]): in a `dynamic` network it has it
    /// again when it comes back, if it is still free. To be told after [`Allocations::new`] of what leases in the store say, those
    /// that were acknowledged last at the end; a bounded number is remembered.
    pub fn remember(&mut self, identity: &str, address: Ipv4Addr) {
        self.former.remember(identity, address);
    }

    /// Tells the stock what an address is now.
    pub(crate) fn mark(&mut self, address: Ipv4Addr) {
        let holder = self.holders.get(&address);
        let mark = if self.set_aside.contains_key(&address) {
            Some(Mark::SetAside)
        } else if self.links.contains_key(&address) {
            Some(Mark::Used)
        } else if holder.is_some_and(|identity| self.quarantined.contains(identity)) {
            Some(Mark::Quarantined)
        } else if self.fixed.contains(&address) || self.bound_to.contains_key(&address) {
            Some(Mark::Reserved)
        } else {
            holder.map(|_| Mark::Used)
        };
        self.stock.mark(address, mark);
    }
}
