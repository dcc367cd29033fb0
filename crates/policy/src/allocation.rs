use crate::{
    Allocation, Config, LinkFacts, Network, free::FreeRuns, link::link_identity, network::place_of,
};
use slash32_binding::Ipv4Addr;
use std::collections::{BTreeMap, HashMap};

/// An address that an identity of an `automatic` network has for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The network it was given in.
    pub network: String,
    /// [`LinkFacts::identity`]
    pub identity: String,
    /// The address.
    pub address: Ipv4Addr,
}

/// What the store must do before anybody is told of an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Whose record it is.
    pub identity: String,
    /// The record to put in place of what is there, or `None`: the record goes.
    pub held: Option<Held>,
}

/// The address of one link, and the scopes that give its options; good for the config and network it was made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// The VM's address.
    pub address: Ipv4Addr,
    /// The place in [`Network::reservations`] of the reservation that gave the address.
    pub reservation: Option<usize>,
    /// The place in [`Network::subnets`] of the subnet that the address lies in.
    pub subnet: Option<usize>,
    /// The place in [`crate::Subnet::pools`] of the pool that the address lies in.
    pub pool: Option<usize>,
}

/// Why a link has no address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unassigned {
    /// The network is `static`, and no reservation fits the link.
    #[error("no reservation")]
    NoReservation,
    /// The network is `automatic`, and nothing says which VM is behind the tap.
    #[error("no identity")]
    NoIdentity,
    /// Every address of the pools is taken.
    #[error("no free address in network {network}")]
    NoFreeAddress {
        /// The network.
        network: String,
    },
    /// A reservation, or one identity, fits two links; the first has the address.
    #[error("address {address} already given to {link}")]
    AlreadyGiven {
        /// The address.
        address: Ipv4Addr,
        /// The link that has it.
        link: String,
    },
}

/// Who holds which address, in memory; the store keeps it on disk.
///
/// Invariants: no two identities hold one address, and no two links are assigned one; an address is free when it lies in a
/// pool, is not reserved and is held by nobody; whatever is held and not yet in the store is in the changes.
///
/// A holding outlives its link, its pool and its network: a VM that comes back finds its address, if that may still be given.
#[derive(Clone, Debug)]
pub struct Allocations {
    held: BTreeMap<String, Held>,
    holders: HashMap<Ipv4Addr, String>,
    /// By the pool's first address: pools share none.
    pools: BTreeMap<Ipv4Addr, FreePool>,
    /// The link that each address is assigned to, and the other way round.
    links: HashMap<Ipv4Addr, String>,
    assigned: HashMap<String, Ipv4Addr>,
    changes: BTreeMap<String, Option<Held>>,
}

#[derive(Clone, Debug)]
struct FreePool {
    last: Ipv4Addr,
    free: FreeRuns,
}

impl Allocations {
    /// `held` is what the store has. Of two records for one address the first stays and the other goes.
    pub fn new(config: &Config, held: impl IntoIterator<Item = Held>) -> Self {
        let mut allocations = Self {
            held: BTreeMap::new(),
            holders: HashMap::new(),
            pools: BTreeMap::new(),
            links: HashMap::new(),
            assigned: HashMap::new(),
            changes: BTreeMap::new(),
        };
        for held in held {
            if allocations.holders.contains_key(&held.address) {
                allocations.changes.insert(held.identity, None);
                continue;
            }
            allocations
                .holders
                .insert(held.address, held.identity.clone());
            allocations.held.insert(held.identity.clone(), held);
        }
        allocations.reload(config);
        allocations
    }

    /// Another config is in force. Holdings stay; every link is to be assigned again.
    pub fn reload(&mut self, config: &Config) {
        self.links.clear();
        self.assigned.clear();
        self.pools.clear();
        for network in &config.networks {
            for pool in network.pools() {
                let free = FreeRuns::new(pool.first.to_bits(), pool.last.to_bits());
                self.pools.insert(
                    pool.first,
                    FreePool {
                        last: pool.last,
                        free,
                    },
                );
            }
        }
        let reserved = config
            .networks
            .iter()
            .flat_map(|network| &network.reservations)
            .map(|r| r.address);
        let taken: Vec<Ipv4Addr> = reserved.chain(self.holders.keys().copied()).collect();
        for address in taken {
            if let Some(pool) = self.pool_of(address) {
                pool.free.take(address.to_bits());
            }
        }
    }

    /// The links that are there: the address of any other may be given to another link. To be called before a pass of
    /// [`Allocations::assign`], or a VM whose reservation names no link cannot move to a new one.
    pub fn retain_links(&mut self, present: impl Fn(&str) -> bool) {
        self.assigned.retain(|link, _| present(link));
        self.links.retain(|_, link| present(link));
    }

    /// The address of a link: its reservation's; else what its identity holds already, when that lies in a pool of this
    /// network and is not reserved for another; else the lowest free address of the first pool that has one.
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
        let address = result.as_ref().ok().map(|assignment| assignment.address);
        if let Some(before) = self
            .assigned
            .remove(&link.name)
            .filter(|before| address != Some(*before))
        {
            self.links.remove(&before);
        }
        if let Some(address) = address {
            self.links.insert(address, link.name.clone());
            self.assigned.insert(link.name.clone(), address);
        }
        result
    }

    /// A link has another name now: what was its own under the old one is its own under the new one. Whatever an earlier
    /// link of the new name held goes: a VM that runs keeps its address.
    pub fn rename_link(&mut self, config: &Config, old: &str, new: &str) {
        let (from, to) = (link_identity(old), link_identity(new));
        if let Some(held) = self.held.remove(&from) {
            self.release(config, &to);
            let held = Held {
                identity: to.clone(),
                ..held
            };
            self.holders.insert(held.address, to.clone());
            self.changes.insert(from, None);
            self.changes.insert(to.clone(), Some(held.clone()));
            self.held.insert(to, held);
        }
        if let Some(address) = self.assigned.remove(old) {
            if let Some(before) = self.assigned.insert(new.to_owned(), address) {
                self.links.remove(&before);
            }
            self.links.insert(address, new.to_owned());
        }
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
    ) -> Result<Assignment, Unassigned> {
        let reservation = network.reservation_of(link);
        let identity = link.identity();
        let address = match (
            reservation.and_then(|index| network.reservations.get(index)),
            &identity,
            network.allocation,
        ) {
            (Some(reservation), ..) => reservation.address,
            (None, _, Allocation::Static) => return Err(Unassigned::NoReservation),
            (None, None, Allocation::Automatic) => return Err(Unassigned::NoIdentity),
            (None, Some(identity), Allocation::Automatic) => {
                self.hold(config, network, identity)?
            }
        };
        if let Some(other) = self
            .links
            .get(&address)
            .filter(|other| **other != link.name)
        {
            return Err(Unassigned::AlreadyGiven {
                address,
                link: other.clone(),
            });
        }
        if let (Some(_), Some(identity)) = (reservation, &identity) {
            // An address of its own, from before the reservation, would be lost to everybody.
            self.release(config, identity);
        }
        let (subnet, pool) = place_of(&network.subnets, address);
        Ok(Assignment {
            address,
            reservation,
            subnet,
            pool,
        })
    }

    /// What `identity` holds in `network`, from now on if not before.
    fn hold(
        &mut self,
        config: &Config,
        network: &Network,
        identity: &str,
    ) -> Result<Ipv4Addr, Unassigned> {
        let held = self.held.get(identity);
        let may_stay = |held: &&Held| {
            network.pools().any(|pool| pool.contains(held.address))
                && !network.is_reserved(held.address)
        };
        let address = match held.filter(may_stay) {
            Some(held) if held.network == network.name => return Ok(held.address),
            // The network has another name now.
            Some(held) => held.address,
            None => self.lowest_free(network)?,
        };
        self.release(config, identity);
        if let Some(pool) = self.pool_of(address) {
            pool.free.take(address.to_bits());
        }
        let held = Held {
            network: network.name.clone(),
            identity: identity.to_owned(),
            address,
        };
        self.holders.insert(address, identity.to_owned());
        self.changes.insert(identity.to_owned(), Some(held.clone()));
        self.held.insert(identity.to_owned(), held);
        Ok(address)
    }

    fn lowest_free(&self, network: &Network) -> Result<Ipv4Addr, Unassigned> {
        let free = network
            .pools()
            .find_map(|pool| self.pools.get(&pool.first)?.free.first());
        let none = || Unassigned::NoFreeAddress {
            network: network.name.clone(),
        };
        free.map(Ipv4Addr::from_bits).ok_or_else(none)
    }

    fn release(&mut self, config: &Config, identity: &str) {
        let Some(held) = self.held.remove(identity) else {
            return;
        };
        self.holders.remove(&held.address);
        self.changes.insert(identity.to_owned(), None);
        let reserved = config
            .networks
            .iter()
            .any(|network| network.is_reserved(held.address));
        if let Some(pool) = self.pool_of(held.address).filter(|_| !reserved) {
            pool.free.give(held.address.to_bits());
        }
    }

    fn pool_of(&mut self, address: Ipv4Addr) -> Option<&mut FreePool> {
        let (_, pool) = self.pools.range_mut(..=address).next_back()?;
        (address <= pool.last).then_some(pool)
    }
}
