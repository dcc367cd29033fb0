use crate::{
    LinkFacts, LinkGlobs, Located, MacPrefix, Options,
    class::{ClassNames, Membership},
    origin::Origin,
};
use slash32_binding::{Ipv4Addr, MacAddr, Prefix};
use std::collections::HashMap;

/// How the VMs of a network that have no reservation come to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Allocation {
    /// They do not.
    #[default]
    Static,
    /// The next free one of the pools, which then stays with the VM.
    Automatic,
    /// The next free one of the pools, which is free again when the VM goes.
    Dynamic,
    /// The one that the end of the MAC address of its NIC says.
    Mac,
}

impl Allocation {
    /// The value of `allocation`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Automatic => "automatic",
            Self::Dynamic => "dynamic",
            Self::Mac => "mac",
        }
    }
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
    /// The classes that it is for; a VM must be in one of them. Empty: for every VM.
    pub class: Vec<Located<String>>,
    /// How VMs without a reservation come to an address.
    pub allocation: Allocation,
    /// `quarantine`: for how many seconds a `dynamic` address is given to nobody else when its VM has gone.
    pub quarantine: u32,
    /// `mac-prefix`, where the allocation is `mac`.
    pub mac_prefix: Option<MacPrefix>,
    /// IPv6 on the links.
    pub ipv6: Ipv6,
    /// What this scope sets.
    pub options: Options,
    /// The blocks, in the order of the config; none shares an address with another one of the config.
    pub subnets: Vec<Subnet>,
    /// What the operator fixed, in the order of the config; each address lies in one of the subnets, and is there once.
    pub reservations: Vec<Reservation>,
    /// Where `name` stands.
    pub origin: Origin,
    pub(crate) index: ReservationIndex,
}

/// A `[[network.subnet]]`.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// The block.
    pub prefix: Prefix,
    /// The classes of the VMs that are allocated an address in it; empty: of every VM. Who has an address fixed, has it.
    pub class: Vec<Located<String>>,
    /// What is allocated, in the order of the config. Without pools that is nothing, but everything where the allocation
    /// is `mac`.
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
    /// The classes of the VMs that are allocated an address in it; empty: of every VM. Who has an address fixed, has it.
    pub class: Vec<Located<String>>,
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

impl Selector {
    fn fits(&self, link: &LinkFacts) -> bool {
        match self {
            Self::Link(name) => link.names().any(|own| own == name),
            Self::Vm(name) => link.vm.as_ref() == Some(name),
            Self::Uuid(uuid) => link
                .uuid
                .as_ref()
                .is_some_and(|own| own.eq_ignore_ascii_case(uuid)),
            Self::Mac(mac) => link.mac == Some(*mac),
        }
    }
}

impl Pool {
    /// The address lies inside.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

impl Network {
    /// The pools of all subnets, in the order in which they are emptied.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.subnets.iter().flat_map(|subnet| &subnet.pools)
    }

    /// Every run of addresses that is allocated from: the pools, in the order in which they are emptied; where the
    /// allocation is `mac`, the whole of a subnet without pools, too.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        self.subnets.iter().flat_map(|subnet| {
            let whole = self.allocation == Allocation::Mac && subnet.pools.is_empty();
            let whole = whole.then(|| Block {
                subnet,
                pool: None,
                first: subnet.prefix.address(),
                last: subnet.prefix.last(),
            });
            let pools = subnet.pools.iter().map(move |pool| Block {
                subnet,
                pool: Some(pool),
                first: pool.first,
                last: pool.last,
            });
            whole.into_iter().chain(pools)
        })
    }

    /// The MAC address that a VM's NIC must have, so that the VM has `address`; `None` where the allocation is not `mac`, or
    /// where it gives no such address.
    pub fn mac_of(&self, address: Ipv4Addr) -> Option<MacAddr> {
        let given = self
            .blocks()
            .any(|block| (block.first..=block.last).contains(&address));
        let prefix = self.mac_prefix?;
        given.then(|| prefix.encode(address))
    }

    /// The address that a VM has when its NIC has `mac`; `None` where the allocation is not `mac`, or where it gives none.
    pub fn address_of(&self, mac: MacAddr) -> Option<Ipv4Addr> {
        let prefix = self.mac_prefix?;
        self.blocks().find_map(|block| {
            prefix
                .decode(mac, block.subnet.prefix)
                .filter(|address| (block.first..=block.last).contains(address))
        })
    }

    /// The subnets, for people: `203.0.113.0/24 or 198.51.100.0/24`.
    pub(crate) fn prefixes(&self) -> String {
        let prefixes: Vec<String> = self
            .subnets
            .iter()
            .map(|subnet| subnet.prefix.to_string())
            .collect();
        prefixes.join(" or ")
    }

    /// The place in `reservations` of the one that fits a link. When several do: the one with the most selectors, then the
    /// first in the config.
    pub fn reservation_of(&self, link: &LinkFacts) -> Option<usize> {
        if self.reservations.is_empty() {
            return None;
        }
        let fitting = self.index.candidates(link).filter_map(|index| {
            let reservation = self.reservations.get(index)?;
            let fits = reservation.selectors.iter().all(|s| s.fits(link));
            fits.then_some((reservation.selectors.len(), std::cmp::Reverse(index)))
        });
        fitting.max().map(|(_, index)| index.0)
    }

    /// The address is fixed for somebody.
    pub fn is_reserved(&self, address: Ipv4Addr) -> bool {
        self.reservation_at(address).is_some()
    }

    /// The reservation of an address.
    pub fn reservation_at(&self, address: Ipv4Addr) -> Option<&Reservation> {
        let index = self.index.addresses.get(&address)?;
        self.reservations.get(*index)
    }
}

/// A run of addresses that is allocated from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'n> {
    pub(crate) subnet: &'n Subnet,
    /// `None`: the whole subnet.
    pub(crate) pool: Option<&'n Pool>,
    pub(crate) first: Ipv4Addr,
    pub(crate) last: Ipv4Addr,
}

impl Block<'_> {
    /// A VM in these classes may be allocated an address here.
    pub(crate) fn admits(&self, classes: &Membership<'_>) -> bool {
        classes.admitted(&self.subnet.class)
            && self.pool.is_none_or(|pool| classes.admitted(&pool.class))
    }

    /// Adds the classes that a VM in these is not in, and would have to be.
    pub(crate) fn classes_wanted(&self, classes: &Membership<'_>, names: &mut ClassNames) {
        let pool = self.pool.map_or(&[][..], |pool| &pool.class);
        for wanted in [self.subnet.class.as_slice(), pool] {
            if !classes.admitted(wanted) {
                names.add(wanted);
            }
        }
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
    by_text: HashMap<String, Vec<usize>>,
    by_mac: HashMap<MacAddr, Vec<usize>>,
    addresses: HashMap<Ipv4Addr, usize>,
}

impl ReservationIndex {
    pub(crate) fn new(reservations: &[Reservation]) -> Self {
        let mut new = Self::default();
        for (index, reservation) in reservations.iter().enumerate() {
            new.addresses.insert(reservation.address, index);
            match reservation.selectors.first() {
                Some(Selector::Mac(mac)) => new.by_mac.entry(*mac).or_default().push(index),
                Some(Selector::Link(text) | Selector::Vm(text) | Selector::Uuid(text)) => {
                    new.by_text.entry(text.clone()).or_default().push(index);
                }
                None => {}
            }
        }
        new
    }

    /// The places of all that may fit a link, and few others.
    fn candidates<'i>(&'i self, link: &'i LinkFacts) -> impl Iterator<Item = usize> + 'i {
        let uuid = link.uuid.as_ref().map(|uuid| uuid.to_ascii_lowercase());
        let by_uuid = uuid.and_then(|uuid| self.by_text.get(&uuid));
        let texts = link.names().chain(link.vm.as_deref());
        let by_text = texts.filter_map(|text| self.by_text.get(text));
        let by_mac = link.mac.and_then(|mac| self.by_mac.get(&mac));
        by_text.chain(by_uuid).chain(by_mac).flatten().copied()
    }
}
