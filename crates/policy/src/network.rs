use crate::{LinkFacts, LinkGlobs, Options, origin::Origin};
use slash32_binding::{Ipv4Addr, MacAddr, Prefix};
use std::collections::{HashMap, HashSet};

/// How the VMs of a network that have no reservation come to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Allocation {
    /// They do not.
    #[default]
    Static,
    /// The next free one of the pools, which then stays with the VM.
    Automatic,
}

/// What the host does with IPv6 on the links of a network (DESIGN.md §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ipv6 {
    /// Switched off.
    #[default]
    Off,
    /// Somebody else's: only kept from taking routes from a guest.
    Foreign,
}

/// A `[[network]]`: blocks of addresses that are served on one kind of link, with one gateway.
#[derive(Clone, Debug)]
pub struct Network {
    /// Unique in the config.
    pub name: String,
    /// Which links are this network's.
    pub links: LinkGlobs,
    /// The gateway of every VM, which is the server identifier too.
    pub gateway: Ipv4Addr,
    /// How VMs without a reservation come to an address.
    pub allocation: Allocation,
    /// IPv6 on the links.
    pub ipv6: Ipv6,
    /// What this scope sets.
    pub options: Options,
    /// The blocks, in the order of the config; none shares an address with another one of the config.
    pub subnets: Vec<Subnet>,
    /// What the operator fixed, in the order of the config; each address lies in one of the subnets, and is there once.
    pub reservations: Vec<Reservation>,
    pub(crate) index: ReservationIndex,
}

/// A `[[network.subnet]]`.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// The block.
    pub prefix: Prefix,
    /// What `automatic` gives from, in the order of the config. Without pools only reservations lie in the subnet.
    pub pools: Vec<Pool>,
    /// What this scope sets.
    pub options: Options,
    /// Where `prefix` stands.
    pub origin: Origin,
}

/// One of the `pools` of a subnet.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The first address.
    pub first: Ipv4Addr,
    /// The last address, not before `first`.
    pub last: Ipv4Addr,
    /// What this scope sets.
    pub options: Options,
    /// Where the range stands.
    pub origin: Origin,
}

/// A `[[network.reservation]]`: `address` for the VM that all of the selectors fit.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// The selectors, one to four, each of another kind.
    pub selectors: Vec<Selector>,
    /// What the VM gets.
    pub address: Ipv4Addr,
    /// What this scope sets.
    pub options: Options,
    /// Where `address` stands.
    pub origin: Origin,
}

/// A fact that a reservation asks for.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Selector {
    /// The name or an alternative name of the link.
    Link(String),
    /// The VM's name in libvirt.
    Vm(String),
    /// The VM's UUID in libvirt, in lower case.
    Uuid(String),
    /// The MAC address of the VM's NIC, as libvirt knows it.
    Mac(MacAddr),
}

impl Pool {
    /// The address lies inside.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

impl Reservation {
    fn fits(&self, facts: &HashSet<Selector>) -> bool {
        self.selectors
            .iter()
            .all(|selector| facts.contains(selector))
    }
}

impl Network {
    /// The pools of all subnets, in the order in which `automatic` empties them.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.subnets.iter().flat_map(|subnet| &subnet.pools)
    }

    /// The place in `reservations` of the one that fits a link. When several do: the one with the most selectors, then the
    /// first in the config.
    pub fn reservation_of(&self, link: &LinkFacts) -> Option<usize> {
        let facts = link.selectors();
        let candidates = facts
            .iter()
            .filter_map(|fact| self.index.by_selector.get(fact))
            .flatten()
            .copied();
        let fitting = candidates.filter(|index| {
            self.reservations
                .get(*index)
                .is_some_and(|r| r.fits(&facts))
        });
        fitting.max_by_key(|index| {
            let selectors = self
                .reservations
                .get(*index)
                .map_or(0, |r| r.selectors.len());
            (selectors, std::cmp::Reverse(*index))
        })
    }

    /// The address is fixed for somebody.
    pub fn is_reserved(&self, address: Ipv4Addr) -> bool {
        self.index.addresses.contains(&address)
    }
}

/// The places of the subnet and of the pool in it that an address lies in.
pub(crate) fn place_of(subnets: &[Subnet], address: Ipv4Addr) -> (Option<usize>, Option<usize>) {
    match subnets
        .iter()
        .enumerate()
        .find(|(_, subnet)| subnet.prefix.contains(address))
    {
        Some((index, subnet)) => (
            Some(index),
            subnet.pools.iter().position(|pool| pool.contains(address)),
        ),
        None => (None, None),
    }
}

/// Finds reservations without looking at each.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReservationIndex {
    /// Every reservation once, under its first selector.
    by_selector: HashMap<Selector, Vec<usize>>,
    addresses: HashSet<Ipv4Addr>,
}

impl ReservationIndex {
    pub(crate) fn new(reservations: &[Reservation]) -> Self {
        let mut by_selector: HashMap<Selector, Vec<usize>> = HashMap::new();
        for (index, reservation) in reservations.iter().enumerate() {
            if let Some(selector) = reservation.selectors.first() {
                by_selector.entry(selector.clone()).or_default().push(index);
            }
        }
        Self {
            by_selector,
            addresses: reservations
                .iter()
                .map(|reservation| reservation.address)
                .collect(),
        }
    }
}
