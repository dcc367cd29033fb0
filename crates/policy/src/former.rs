use slash32_binding::Ipv4Addr;
use std::collections::{BTreeMap, HashMap};

/// How many VMs that went are remembered.
const MOST: usize = 1024;

/// The last address of `dynamic` VMs that libvirt knew and that went. One that was saved and is restored uses it without asking,
/// so it is to get the same one again, and others are given another while there is one. It is no holding: when nothing else is
/// free, anybody is given it. Whoever went first is forgotten first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Former {
    addresses: HashMap<String, (u64, Ipv4Addr)>,
    owners: HashMap<Ipv4Addr, String>,
    /// Who went when, as a count.
    order: BTreeMap<u64, String>,
    count: u64,
}

impl Former {
    pub(crate) fn remember(&mut self, identity: &str, address: Ipv4Addr) {
        self.forget(identity);
        if let Some(other) = self.owners.get(&address).cloned() {
            self.forget(&other);
        }
        if self.order.len() == MOST
            && let Some((_, first)) = self.order.first_key_value()
        {
            self.forget(&first.clone());
        }
        self.count += 1;
        self.order.insert(self.count, identity.to_owned());
        self.owners.insert(address, identity.to_owned());
        self.addresses
            .insert(identity.to_owned(), (self.count, address));
    }

    pub(crate) fn forget(&mut self, identity: &str) {
        if let Some((count, address)) = self.addresses.remove(identity) {
            self.order.remove(&count);
            self.owners.remove(&address);
        }
    }

    pub(crate) fn address_of(&self, identity: &str) -> Option<Ipv4Addr> {
        self.addresses.get(identity).map(|(_, address)| *address)
    }

    /// Somebody who went may come back for it.
    pub(crate) fn is_awaited(&self, address: Ipv4Addr) -> bool {
        self.owners.contains_key(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_went_first_is_forgotten_first_and_what_comes_back_is_the_newest() {
        let mut former = Former::default();
        let address = |index: usize| Ipv4Addr::from_bits(index as u32);
        for index in 0..MOST {
            former.remember(&index.to_string(), address(index));
        }
        former.remember("0", address(0));
        former.remember("new", address(MOST));
        assert_eq!(former.address_of("0"), Some(address(0)));
        assert_eq!(former.address_of("1"), None);
        assert!(!former.is_awaited(address(1)));
        assert_eq!(former.order.len(), MOST);
        assert_eq!(former.addresses.len(), MOST);
        assert_eq!(former.owners.len(), MOST);
    }

    #[test]
    fn an_address_is_awaited_by_whoever_had_it_last() {
        let mut former = Former::default();
        former.remember("a", Ipv4Addr::LOCALHOST);
        former.remember("b", Ipv4Addr::LOCALHOST);
        assert_eq!(former.address_of("a"), None);
        assert_eq!(former.address_of("b"), Some(Ipv4Addr::LOCALHOST));
        former.forget("b");
        assert!(!former.is_awaited(Ipv4Addr::LOCALHOST));
    }
}
