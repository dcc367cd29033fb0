use crate::{Network, free::FreeRuns};
use slash32_binding::Ipv4Addr;
use std::collections::{BTreeMap, HashMap};

/// Why an address of a pool is not free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// A VM has it, or will find it when it comes back.
    Used,
    /// It is fixed for somebody who is not there.
    Reserved,
    /// It was seen in use elsewhere.
    SetAside,
    /// Its VM went a short while ago.
    Quarantined,
}

/// The addresses of all pools, and what became of each. What an operation costs grows with the addresses that are not free,
/// and no more than logarithmically; not with those that are there.
///
/// Invariant: an address of a pool is in the pool's free runs if and only if it has no mark, and each pool counts its marks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stock {
    /// By the pool's first address: pools share none.
    pools: BTreeMap<Ipv4Addr, PoolStock>,
    marks: HashMap<Ipv4Addr, Mark>,
}

#[derive(Clone, Debug)]
struct PoolStock {
    last: Ipv4Addr,
    free: FreeRuns,
    marked: [u64; 4],
}

impl Stock {
    /// All free.
    pub(crate) fn new<'c>(networks: impl IntoIterator<Item = &'c Network>) -> Self {
        let blocks = networks.into_iter().flat_map(Network::blocks);
        let pools = blocks.map(|block| {
            let stock = PoolStock {
                last: block.last,
                free: FreeRuns::new(block.first.to_bits(), block.last.to_bits()),
                marked: [0; 4],
            };
            (block.first, stock)
        });
        Self {
            pools: pools.collect(),
            marks: HashMap::new(),
        }
    }

    /// Says what became of an address; `None`: it is free. Nothing when it is in no pool.
    pub(crate) fn mark(&mut self, address: Ipv4Addr, mark: Option<Mark>) {
        let Some((_, pool)) = self.pools.range_mut(..=address).next_back() else {
            return;
        };
        if address > pool.last {
            return;
        }
        let before = match mark {
            Some(mark) => self.marks.insert(address, mark),
            None => self.marks.remove(&address),
        };
        if let Some(before) = before {
            pool.marked[before as usize] -= 1;
        }
        if let Some(mark) = mark {
            pool.marked[mark as usize] += 1;
        }
        match (before, mark) {
            (None, Some(_)) => {
                pool.free.take(address.to_bits());
            }
            (Some(_), None) => pool.free.give(address.to_bits()),
            _ => {}
        }
    }

    /// The free addresses of the pool that begins with `first`, from the lowest up.
    pub(crate) fn free(&self, first: Ipv4Addr) -> impl Iterator<Item = Ipv4Addr> {
        let pool = self.pools.get(&first);
        pool.into_iter()
            .flat_map(|pool| pool.free.iter())
            .map(Ipv4Addr::from_bits)
    }

    /// How many addresses of the pool that begins with `first` have this mark.
    pub(crate) fn marked(&self, first: Ipv4Addr, mark: Mark) -> u64 {
        self.pools
            .get(&first)
            .map_or(0, |pool| pool.marked[mark as usize])
    }
}
