//! The acknowledged leases, as the store has them.

use slash32_store::Lease;
use std::collections::{BTreeMap, BTreeSet};

/// At most one lease of each link, found by the link or by the VM that holds it.
#[derive(Default, Debug)]
pub(crate) struct Leases {
    by_link: BTreeMap<String, Lease>,
    /// The links of each holder.
    by_holder: BTreeMap<String, BTreeSet<String>>,
}

impl FromIterator<Lease> for Leases {
    fn from_iter<I: IntoIterator<Item = Lease>>(leases: I) -> Self {
        let mut all = Self::default();
        for lease in leases {
            all.put(lease);
        }
        all
    }
}

impl Leases {
    /// The lease of a link.
    pub(crate) fn get(&self, link: &str) -> Option<&Lease> {
        self.by_link.get(link)
    }

    /// Keeps a lease, in place of the one that its link had.
    pub(crate) fn put(&mut self, lease: Lease) {
        self.remove(&lease.link);
        if let Some(holder) = &lease.holder {
            let links = self.by_holder.entry(holder.clone()).or_default();
            links.insert(lease.link.clone());
        }
        self.by_link.insert(lease.link.clone(), lease);
    }

    /// Forgets the lease of a link, and returns it.
    pub(crate) fn remove(&mut self, link: &str) -> Option<Lease> {
        let lease = self.by_link.remove(link)?;
        if let Some(holder) = &lease.holder
            && let Some(links) = self.by_holder.get_mut(holder)
        {
            links.remove(link);
            if links.is_empty() {
                self.by_holder.remove(holder);
            }
        }
        Some(lease)
    }

    /// Every lease of a VM, by its link.
    pub(crate) fn of_holder(&self, holder: &str) -> impl Iterator<Item = &Lease> {
        let links = self.by_holder.get(holder).into_iter().flatten();
        links.filter_map(|link| self.by_link.get(link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn lease(link: &str, holder: Option<&str>) -> Lease {
        Lease {
            link: link.into(),
            address: Ipv4Addr::LOCALHOST,
            acked_at: 0,
            expires_at: None,
            holder: holder.map(str::to_owned),
        }
    }

    #[test]
    fn a_vm_is_found_on_every_link_that_it_has_a_lease_on_and_on_no_other() {
        let all = [
            ("a", Some("x")),
            ("b", Some("y")),
            ("c", Some("x")),
            ("d", None),
        ];
        let mut leases: Leases = all
            .map(|(link, holder)| lease(link, holder))
            .into_iter()
            .collect();
        let links = |leases: &Leases, holder| -> Vec<String> {
            leases
                .of_holder(holder)
                .map(|lease| lease.link.clone())
                .collect()
        };
        assert_eq!(links(&leases, "x"), ["a", "c"]);
        leases.put(lease("a", Some("y")));
        assert_eq!(links(&leases, "x"), ["c"]);
        assert_eq!(links(&leases, "y"), ["a", "b"]);
        assert_eq!(leases.remove("c"), Some(lease("c", Some("x"))));
        assert_eq!(leases.remove("c"), None);
        assert_eq!(links(&leases, "x"), [""; 0]);
        assert_eq!(leases.get("d"), Some(&lease("d", None)));
    }
}
