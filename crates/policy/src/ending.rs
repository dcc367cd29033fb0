//! What ends, and what is taken out of use, between two passes of [`Allocations::assign`].
use crate::{AddressSource, Allocations, Held, LinkFacts, Network, Refusal, SetAside};
use slash32_binding::{Instant, Ipv4Addr};

impl Allocations {
    /// The VM on this link is gone: its address may be given to another link.
    pub fn leave(&mut self, link: &str) {
        if let Some(given) = self.assigned.remove(link) {
            self.end(given);
        }
    }

    /// The links that are there: the VM of any other is gone. To be called before a pass of [`Allocations::assign`], or a VM
    /// whose reservation names no link cannot move to a new one.
    pub fn retain_links(&mut self, present: impl Fn(&str) -> bool) {
        let absent = self.assigned.keys().filter(|link| !present(link));
        for link in absent.cloned().collect::<Vec<_>>() {
            self.leave(&link);
        }
    }

    /// Ends what time ends: a `dynamic` holding that no link is assigned begins its quarantine, or is free when there is none;
    /// a quarantine that is over is, too; so is a time for which an address was set aside.
    ///
    /// To be called after passes of [`Allocations::assign`]: after [`Allocations::new`] and [`Allocations::reload`] only when
    /// every link was assigned again, or VMs that are there lose what they have. What is returned is when to call it next;
    /// `None`: when something changes. A link without an address is worth another try after each call.
    pub fn sweep(&mut self, now: Instant) -> Option<Instant> {
        for identity in std::mem::take(&mut self.gone) {
            let Some(held) = self.held.get(&identity) else {
                continue;
            };
            let address = held.address;
            match self.quarantines.get(&held.network).copied().unwrap_or(0) {
                0 => {
                    self.drop_holding(&identity);
                }
                nanoseconds => {
                    let until = Instant(now.0.saturating_add(nanoseconds));
                    self.quarantined.put(identity, until);
                    self.mark(address);
                }
            }
        }
        for identity in self.quarantined.over(now) {
            self.drop_holding(&identity);
        }
        for address in self.asides_end.over(now) {
            self.restore(address);
        }
        let ends = [self.quarantined.next(), self.asides_end.next()];
        ends.into_iter().flatten().min()
    }

    /// Gives back what an identity holds, or what the VM on a link, or an absent one known by its link, does. A VM that is
    /// there gets an address again when its link is assigned next.
    pub fn release(&mut self, identity_or_link: &str) -> Option<Held> {
        let given = self.assigned.get(identity_or_link);
        let identity = match given.and_then(|given| given.identity.clone()) {
            Some(identity) => identity,
            None if self.held.contains_key(identity_or_link) => identity_or_link.to_owned(),
            None => format!("link:{identity_or_link}"),
        };
        let address = self.held.get(&identity)?.address;
        if let Some(link) = self.links.get(&address).cloned() {
            self.leave(&link);
        }
        let held = self.drop_holding(&identity);
        self.former.forget(&identity);
        held
    }

    /// An operator fixes `address` for a link. It is never given to another from now on, and the link has it when it is assigned
    /// next, unless the config or libvirt's metadata fixes another. The caller keeps it in the store, and says it again after
    /// [`Allocations::new`].
    ///
    /// Errors: another link has the address bound, and keeps it.
    pub fn bind(&mut self, link: &str, address: Ipv4Addr) -> Result<(), Refusal> {
        if let Some(other) = self.bound_to.get(&address).filter(|other| *other != link) {
            let link = other.clone();
            return Err(Refusal::Bound { link });
        }
        self.unbind(link);
        self.bound.insert(link.to_owned(), address);
        self.bound_to.insert(address, link.to_owned());
        self.mark(address);
        Ok(())
    }

    /// Why `address` may not be bound to a link; `None`: it may. To be asked before [`Allocations::bind`], so that an operator
    /// is told at once; what is bound already is judged again whenever the link is assigned.
    pub fn may_bind(
        &self,
        network: &Network,
        link: &LinkFacts,
        address: Ipv4Addr,
    ) -> Option<Refusal> {
        let by = AddressSource::Bind;
        self.refusal(network, link, address, by).or_else(|| {
            let why = self.set_aside.get(&address)?.why.clone();
            Some(Refusal::SetAside { why })
        })
    }

    /// Takes back what an operator bound to a link.
    pub fn unbind(&mut self, link: &str) -> Option<Ipv4Addr> {
        let address = self.bound.remove(link)?;
        self.bound_to.remove(&address);
        self.mark(address);
        Some(address)
    }

    /// What operators bound, by link.
    pub fn bound(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        self.bound
            .iter()
            .map(|(link, address)| (link.as_str(), *address))
    }

    /// The address was seen in use elsewhere: nobody is given it, until then or (`None`) until it is restored. Returns the link
    /// that it is assigned to, which must be assigned again.
    pub fn set_aside(
        &mut self,
        address: Ipv4Addr,
        until: Option<Instant>,
        why: impl Into<String>,
    ) -> Option<&str> {
        let why = why.into();
        match until {
            Some(until) => self.asides_end.put(address, until),
            None => _ = self.asides_end.remove(&address),
        }
        self.set_aside.insert(address, SetAside { until, why });
        self.mark(address);
        self.links.get(&address).map(String::as_str)
    }

    /// The address may be given again. `false`: it was not set aside.
    pub fn restore(&mut self, address: Ipv4Addr) -> bool {
        let was = self.set_aside.remove(&address).is_some();
        self.asides_end.remove(&address);
        self.mark(address);
        was
    }

    /// Every address that is set aside, in order.
    pub fn set_asides(&self) -> impl Iterator<Item = (Ipv4Addr, &SetAside)> {
        self.set_aside
            .iter()
            .map(|(address, aside)| (*address, aside))
    }
}
