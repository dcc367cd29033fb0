//! Which address a link is to have, and why not.
use crate::{
    AddressSource, Allocation, Allocations, Assignment, Config, Held, LinkFacts, Network, Refusal,
    Unassigned,
    allocation::Given,
    class::{ClassNames, Membership},
    network::place_of,
};
use slash32_binding::Ipv4Addr;

impl Allocations {
    /// What [`Allocations::assign`] is to give, and to write down.
    pub(crate) fn decide(
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
        self.take_over(network, link);
        let reservation = network.reservation_of(link);
        let (address, source, made) = match reservation.and_then(|at| network.reservations.get(at))
        {
            Some(reservation) => (reservation.address, AddressSource::Reservation, false),
            None => match self.fixed_for(network, link)? {
                Some((address, source)) => (address, source, false),
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
        let given = Given {
            address,
            identity,
            made,
        };
        Ok((assignment, given))
    }

    /// A VM that libvirt tells of, and that holds nothing, has what is held for its link by name, unless another link uses that. A
    /// `dynamic` holding is another VM's, when this one was not there all the time.
    fn take_over(&mut self, network: &Network, link: &LinkFacts) {
        let Some(identity) = link.vm_identity() else {
            return;
        };
        let name = link.name_identity();
        let held = self.held.get(&name);
        let held = held.filter(|held| held.network == network.name);
        let is_its_own = held.is_some_and(|held| match self.links.get(&held.address) {
            Some(user) => *user == link.name,
            None => held.boot.is_none(),
        });
        if is_its_own && !self.held.contains_key(&identity) {
            self.rename_identity(&name, &identity);
        }
    }

    /// What libvirt's metadata, or else an operator, fixes for a link.
    fn fixed_for(
        &self,
        network: &Network,
        link: &LinkFacts,
    ) -> Result<Option<(Ipv4Addr, AddressSource)>, Unassigned> {
        let bound = || link.names().find_map(|name| self.bound.get(name).copied());
        let (address, source) = match (link.metadata.address()?, bound()) {
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
    ) -> Result<(Ipv4Addr, AddressSource, bool), Unassigned> {
        let (identity, source) = match network.allocation {
            Allocation::Static => return Err(Unassigned::NoReservation),
            Allocation::Mac => {
                let address = self.said_by_mac(network, link, classes)?;
                return Ok((address, AddressSource::Mac, false));
            }
            Allocation::Automatic => (link.identity(), AddressSource::Automatic),
            Allocation::Dynamic => (Some(link.passing_identity()), AddressSource::Dynamic),
        };
        let identity = identity.ok_or(Unassigned::NoIdentity)?;
        let is_new = !self.held.contains_key(&identity);
        Ok((self.hold(network, &identity, classes)?, source, is_new))
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
            _ => match self.had_last(network, identity, classes) {
                Some(address) => address,
                None => self.lowest_free(network, classes)?,
            },
        };
        self.drop_holding(identity);
        let held = Held {
            network: network.name.clone(),
            identity: identity.to_owned(),
            address,
            boot,
        };
        self.holders.insert(address, identity.to_owned());
        self.changes.insert(identity.to_owned());
        self.held.insert(identity.to_owned(), held);
        self.mark(address);
        Ok(address)
    }

    /// What a `dynamic` identity had before it went, if it may have that again.
    fn had_last(
        &self,
        network: &Network,
        identity: &str,
        classes: &Membership<'_>,
    ) -> Option<Ipv4Addr> {
        let is_dynamic = network.allocation == Allocation::Dynamic;
        let address = self.former.address_of(identity).filter(|_| is_dynamic)?;
        let is_free = !self.links.contains_key(&address) && !self.holders.contains_key(&address);
        (is_free && self.may_stay(network, address, classes)).then_some(address)
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
            let mut free = self.stock.free(block.first);
            let unawaited = free.find(|address| !self.former.is_awaited(*address));
            let address = unawaited.or_else(|| self.stock.free(block.first).next());
            if let Some(address) = address {
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
}

fn refused(address: Ipv4Addr, by: AddressSource, reason: Refusal) -> Unassigned {
    Unassigned::Refused {
        address,
        by,
        reason,
    }
}
