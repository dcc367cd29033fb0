use slash32_binding::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// What ends at some time, by whose it is and in the order of time: what is over is found without looking at the rest.
#[derive(Clone, Debug)]
pub(crate) struct Ends<K> {
    at: BTreeMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
}

impl<K> Default for Ends<K> {
    fn default() -> Self {
        Self {
            at: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Clone> Ends<K> {
    /// It ends at `at`, whatever was said before.
    pub(crate) fn put(&mut self, key: K, at: Instant) {
        if let Some(before) = self.at.insert(key.clone(), at) {
            self.order.remove(&(before, key.clone()));
        }
        self.order.insert((at, key));
    }

    /// It does not end by itself. Returns when it would have.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<Instant>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (key, at) = self.at.remove_entry(key)?;
        self.order.remove(&(at, key));
        Some(at)
    }

    pub(crate) fn contains<Q>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.at.contains_key(key)
    }

    /// What is over, the first one first.
    pub(crate) fn over(&self, now: Instant) -> Vec<K> {
        let is_over = |(at, _): &&(Instant, K)| *at <= now;
        let over = self.order.iter().take_while(is_over);
        over.map(|(_, key)| key.clone()).collect()
    }

    /// When the next one ends.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_comes_in_its_order_and_what_was_put_off_comes_later() {
        let mut ends = Ends::default();
        for (key, at) in [("a", 3), ("b", 1), ("c", 2), ("b", 5)] {
            ends.put(key, Instant(at));
        }
        assert_eq!(ends.next(), Some(Instant(2)));
        assert_eq!(ends.over(Instant(3)), ["c", "a"]);
        assert_eq!(ends.remove("c"), Some(Instant(2)));
        assert_eq!(ends.remove("c"), None);
        assert_eq!(ends.over(Instant(9)), ["a", "b"]);
        assert!(ends.contains("b") && !ends.contains("c"));
    }
}
