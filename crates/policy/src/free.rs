use std::collections::BTreeMap;

/// The free addresses of a pool, as runs: first address to last. What it costs grows with the addresses that are taken,
/// not with those that are there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FreeRuns(BTreeMap<u32, u32>);

impl FreeRuns {
    /// All from `first` to `last`, both included.
    pub(crate) fn new(first: u32, last: u32) -> Self {
        Self(BTreeMap::from([(first, last)]))
    }

    /// Every free address, from the lowest up.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Takes `address` away; `false` when it was not free.
    pub(crate) fn take(&mut self, address: u32) -> bool {
        let Some((&first, &last)) = self.0.range(..=address).next_back() else {
            return false;
        };
        if address > last {
            return false;
        }
        self.0.remove(&first);
        if first < address {
            self.0.insert(first, address - 1);
        }
        if address < last {
            self.0.insert(address + 1, last);
        }
        true
    }

    /// Gives `address` back. It must be one of those that the pool began with.
    pub(crate) fn give(&mut self, address: u32) {
        let (mut first, mut last) = (address, address);
        if let Some((&start, &end)) = self.0.range(..=address).next_back() {
            if end >= address {
                return;
            }
            if end + 1 == address {
                first = start;
            }
        }
        if let Some(end) = address.checked_add(1).and_then(|next| self.0.remove(&next)) {
            last = end;
        }
        self.0.insert(first, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// The runs are all that an operation looks at, by a search among them: so these are its steps.
    #[test]
    fn a_pool_of_sixteen_million_has_no_more_runs_than_one_of_twenty() {
        let runs = |last| {
            let mut runs = FreeRuns::new(0, last);
            let mut counts = Vec::new();
            for step in 0..60 {
                let (take, address) = (step % 3 != 2, step * 7 % 20);
                if take {
                    runs.take(address);
                } else {
                    runs.give(address);
                }
                counts.push((runs.iter().next(), runs.0.len()));
            }
            counts
        };
        let (small, large) = (runs(20), runs(1 << 24));
        assert_eq!(small, large);
        assert!(small.iter().all(|(_, runs)| *runs <= 11));
    }

    proptest! {
        #[test]
        fn runs_behave_as_a_set_of_addresses(steps in proptest::collection::vec((any::<bool>(), 0u32..12), 0..60)) {
            // At the very end of the address space, where a sum could overflow.
            let base = u32::MAX - 11;
            let mut runs = FreeRuns::new(base, u32::MAX);
            let mut set: BTreeSet<u32> = (base..=u32::MAX).collect();
            for (take, offset) in steps {
                let address = base + offset;
                if take {
                    prop_assert_eq!(runs.take(address), set.remove(&address));
                } else {
                    runs.give(address);
                    set.insert(address);
                }
                prop_assert!(runs.iter().eq(set.iter().copied()));
                prop_assert_eq!(runs.0.values().zip(runs.0.keys()).map(|(last, first)| last - first + 1).sum::<u32>(), set.len() as u32);
                let adjacent = runs.0.iter().zip(runs.0.iter().skip(1)).any(|((_, last), (first, _))| last + 1 == *first);
                prop_assert!(!adjacent, "two runs that are one: {:?}", runs);
            }
        }
    }
}
