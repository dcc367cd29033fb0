use crate::{
    AddressSource, Allocation, Assignment, Config, LinkFacts, Network, Refusal, Unassigned,
    class::{ClassNames, Membership},
    network::place_of,
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
/// yet in the store is in the changes.
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
    /// What the config reserves, and its gateways.
    fixed: HashSet<Ipv4Addr>,
    pub(crate) stock: Stock,
    /// The link that each address is assigned to, and the other way round.
    pub(crate) links: HashMap<Ipv4Addr, String>,
    pub(crate) assigned: HashMap<String, Given>,
    /// `dynamic` identities that no link is assigned the holding of, and that are not in quarantine yet.
    pub(crate) gone: BTreeSet<String>,
    /// Until when identities that are gone keep their addresses from others.
    pub(crate) quarantined: BTreeMap<String, Instant>,
    /// `quarantine` of each network, in nanoseconds.
    pub(crate) quarantines: HashMap<String, u64>,
    changes: BTreeMap<String, Option<Held>>,
}

/// What a link is assigned.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) address: Ipv4Addr,
    /// Whose holding it is, if it is one.
    pub(crate) identity: Option<String>,
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
            fixed: HashSet::new(),
            stock: Stock::default(),
            links: HashMap::new(),
            assigned: HashMap::new(),
            gone: BTreeSet::new(),
            quarantined: BTreeMap::new(),
            quarantines: HashMap::new(),
            changes: BTreeMap::new(),
        };
        for held in held {
            let outlived = held.boot.as_ref().is_some_and(|other| other != boot);
            if outlived || allocations.holders.contains_key(&held.address) {
                allocations.changes.insert(held.identity, None);
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
        let absent = dynamic.filter(|held| !self.quarantined.contains_key(&held.identity));
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
    /// is not fixed for another or set aside; else the lowest free address of the first such pool that has one.
    ///
    /// The answer is the same each time, until something changes. Errors: the reason of a link without an address, which then
    /// has none from before either.
    pub fn assign(
        &mut self,
        config: &Config,
        network: &Network,
        link: &LinkFacts,
    ) -> Result<Assignment, Unassigned> {
        let result = self.decide(config, network, link);
        let given = result.as_ref().ok().map(|(_, given)| given.clone());
        let before = self.assigned.remove(&link.name);
        if let Some(before) = before
            && given.as_ref().is_none_or(|given| {
                (given.address, &given.identity) != (before.address, &before.identity)
            })
        {
            self.end(before);
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

    /// What changed since the last call. To be made durable before anybody is told of an address.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let changes = std::mem::take(&mut self.changes);
        changes
            .into_iter()
            .map(|(identity, held)| Change { identity, held })
            .collect()
    }

    /// Every holding, by identity.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    fn decide(
        &mut self,
        config: &Config,
        network: &Network,
        link: &LinkFacts,
    ) -> Result<(Assignment, Given), Unassigned> {
        let classes = Membership::of(&config.classes, link);
        if !classes.admitted(&network.class) {
            let mut wanted = ClassNames::default();
            wanted.add(&network.class);
            return Err(Unassigned::NotOfClass { classes: wanted });
        }
        let reservation = network.reservation_of(link);
        let (address, source) = match reservation.and_then(|at| network.reservations.get(at)) {
            Some(reservation) => (reservation.address, AddressSource::Reservation),
            None => match self.fixed_for(network, link)? {
                Some(fixed) => fixed,
                None => self.allocate(network, link, &classes)?,
            },
        };
        if let Some(aside) = self.set_aside.get(&address) {
            let why = aside.why.clone();
            return Err(refused(address, source, Refusal::SetAside { why }));
        }
        if let Some(other) = self.links.get(&address)
            && *other != link.name
        {
            return Err(Unassigned::AlreadyGiven {
                address,
                link: other.clone(),
            });
        }
        let identity = match source {
            AddressSource::Automatic | AddressSource::Dynamic => {
                self.holders.get(&address).cloned()
            }
            _ => {
                self.drop_own_holding(link);
                None
            }
        };
        let (subnet, pool) = place_of(&network.subnets, address);
        let assignment = Assignment {
            address,
            source,
            reservation,
            subnet,
            pool,
        };
        Ok((assignment, Given { address, identity }))
    }

    /// What libvirt's metadata, or else an operator, fixes for a link.
    fn fixed_for(
        &self,
        network: &Network,
        link: &LinkFacts,
    ) -> Result<Option<(Ipv4Addr, AddressSource)>, Unassigned> {
        let bound = || link.names().find_map(|name| self.bound.get(name).copied());
        let (address, source) = match (link.requested, bound()) {
            (Some(address), _) => (address, AddressSource::Metadata),
            (None, Some(address)) => (address, AddressSource::Bind),
            (None, None) => return Ok(None),
        };
        match self.refusal(network, link, address, source) {
            Some(reason) => Err(refused(address, source, reason)),
            None => Ok(Some((address, source))),
        }
    }

    /// Why an address outside the config may not be fixed for a link.
    pub(crate) fn refusal(
        &self,
        network: &Network,
        link: &LinkFacts,
        address: Ipv4Addr,
        source: AddressSource,
    ) -> Option<Refusal> {
        if place_of(&network.subnets, address).0.is_none() {
            return Some(Refusal::Outside {
                network: network.name.clone(),
                prefixes: network.prefixes(),
            });
        }
        if let Some(reservation) = network.reservation_at(address) {
            return Some(Refusal::reserved(&reservation.origin));
        }
        if self.fixed.contains(&address) {
            return Some(Refusal::Gateway);
        }
        let own = |name: &String| link.names().any(|own| own == name);
        if let Some(other) = self.bound_to.get(&address).filter(|other| !own(other)) {
            let link = other.clone();
            return Some(Refusal::Bound { link });
        }
        // An operator's word moves a holder; metadata, which anybody who may define a VM writes, does not.
        let holder = self
            .holders
            .get(&address)
            .filter(|_| source != AddressSource::Bind);
        let holder = holder.filter(|holder| link.identity().as_ref() != Some(*holder))?;
        let identity = holder.clone();
        Some(Refusal::Held { identity })
    }

    fn allocate(
        &mut self,
        network: &Network,
        link: &LinkFacts,
        classes: &Membership<'_>,
    ) -> Result<(Ipv4Addr, AddressSource), Unassigned> {
        let (identity, source) = match network.allocation {
            Allocation::Static => return Err(Unassigned::NoReservation),
            Allocation::Mac => {
                return Ok((
                    self.said_by_mac(network, link, classes)?,
                    AddressSource::Mac,
                ));
            }
            Allocation::Automatic => (link.identity(), AddressSource::Automatic),
            Allocation::Dynamic => (Some(link.passing_identity()), AddressSource::Dynamic),
        };
        let identity = identity.ok_or(Unassigned::NoIdentity)?;
        Ok((self.hold(network, &identity, classes)?, source))
    }

    /// What `identity` holds in `network`, from now on if not before.
    fn hold(
        &mut self,
        network: &Network,
        identity: &str,
        classes: &Membership<'_>,
    ) -> Result<Ipv4Addr, Unassigned> {
        let boot = (network.allocation == Allocation::Dynamic).then(|| self.boot.clone());
        let address = match self.held.get(identity) {
            Some(held) if self.may_stay(network, held.address, classes) => {
                if held.network == network.name && held.boot == boot {
                    return Ok(held.address);
                }
                // The network has another name or allocation now.
                held.address
            }
            _ => self.lowest_free(network, classes)?,
        };
        self.drop_holding(identity);
        let held = Held {
            network: network.name.clone(),
            identity: identity.to_owned(),
            address,
            boot,
        };
        self.holders.insert(address, identity.to_owned());
        self.changes.insert(identity.to_owned(), Some(held.clone()));
        self.held.insert(identity.to_owned(), held);
        self.mark(address);
        Ok(address)
    }

    fn may_stay(&self, network: &Network, address: Ipv4Addr, classes: &Membership<'_>) -> bool {
        let mut blocks = network.blocks();
        blocks.any(|block| (block.first..=block.last).contains(&address) && block.admits(classes))
            && !self.fixed.contains(&address)
            && !self.bound_to.contains_key(&address)
            && !self.set_aside.contains_key(&address)
    }

    fn lowest_free(
        &self,
        network: &Network,
        classes: &Membership<'_>,
    ) -> Result<Ipv4Addr, Unassigned> {
        let mut refusing = ClassNames::default();
        let mut admitted = false;
        for block in network.blocks() {
            if !block.admits(classes) {
                block.classes_wanted(classes, &mut refusing);
                continue;
            }
            admitted = true;
            if let Some(address) = self.stock.free(block.first).next() {
                return Ok(address);
            }
        }
        if !admitted && !refusing.0.is_empty() {
            return Err(Unassigned::NotOfClass { classes: refusing });
        }
        Err(Unassigned::NoFreeAddress {
            network: network.name.clone(),
        })
    }

    fn said_by_mac(
        &self,
        network: &Network,
        link: &LinkFacts,
        classes: &Membership<'_>,
    ) -> Result<Ipv4Addr, Unassigned> {
        let tap = || link.tap_mac.and_then(|tap| network.mac_prefix?.of_tap(tap));
        let known = link.mac.or_else(tap).or(link.tap_mac);
        let mac = known.ok_or(Unassigned::NoMac)?;
        let address = network.address_of(mac);
        let address = address.ok_or_else(|| Unassigned::MacOutside {
            mac,
            network: network.name.clone(),
        })?;
        let block = network
            .blocks()
            .find(|block| (block.first..=block.last).contains(&address));
        if let Some(block) = block.filter(|block| !block.admits(classes)) {
            let mut wanted = ClassNames::default();
            block.classes_wanted(classes, &mut wanted);
            return Err(Unassigned::NotOfClass { classes: wanted });
        }
        match self.refusal(network, link, address, AddressSource::Mac) {
            Some(reason) => Err(refused(address, AddressSource::Mac, reason)),
            None => Ok(address),
        }
    }

    /// A link has an address that is no holding: what its VM held before would be lost to everybody, unless another link of the
    /// same identity has it.
    fn drop_own_holding(&mut self, link: &LinkFacts) {
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
        self.holders.remove(&held.address);
        self.gone.remove(identity);
        self.quarantined.remove(identity);
        self.changes.insert(identity.to_owned(), None);
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

    /// Tells the stock what an address is now.
    pub(crate) fn mark(&mut self, address: Ipv4Addr) {
        let holder = self.holders.get(&address);
        let mark = if self.set_aside.contains_key(&address) {
            Some(Mark::SetAside)
        } else if self.links.contains_key(&address) {
            Some(Mark::Used)
        } else if holder.is_some_and(|identity| self.quarantined.contains_key(identity)) {
            Some(Mark::Quarantined)
        } else if self.fixed.contains(&address) || self.bound_to.contains_key(&address) {
            Some(Mark::Reserved)
        } else {
            holder.map(|_| Mark::Used)
        };
        self.stock.mark(address, mark);
    }
}

fn refused(address: Ipv4Addr, by: AddressSource, reason: Refusal) -> Unassigned {
    Unassigned::Refused {
        address,
        by,
        reason,
    }
}
