use crate::{Allocations, Config, Network, stock::Mark};
use slash32_binding::{Ipv4Addr, MacAddr, Prefix};

/// How far a pool is used. Every address is counted once: they add up to `total`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolUse {
    /// The network.
    pub network: String,
    /// The subnet.
    pub subnet: Prefix,
    /// The pool's first address.
    pub first: Ipv4Addr,
    /// The pool's last address.
    pub last: Ipv4Addr,
    /// All of them.
    pub total: u64,
    /// A VM has it, or will find it when it comes back.
    pub used: u64,
    /// Can be given.
    pub free: u64,
    /// Fixed for somebody who is not there; or a gateway.
    pub reserved: u64,
    /// Seen in use elsewhere.
    pub set_aside: u64,
    /// Its VM went a short while ago.
    pub quarantined: u64,
}

impl Allocations {
    /// The use of each pool, in the order of the config.
    pub fn pools(&self, config: &Config) -> Vec<PoolUse> {
        let networks = config.networks.iter();
        networks
            .flat_map(|network| self.pools_of(network))
            .collect()
    }

    fn pools_of(&self, network: &Network) -> impl Iterator<Item = PoolUse> {
        network.blocks().map(move |block| {
            let marked = |mark| self.stock.marked(block.first, mark);
            let (used, reserved) = (marked(Mark::Used), marked(Mark::Reserved));
            let (set_aside, quarantined) = (marked(Mark::SetAside), marked(Mark::Quarantined));
            let total = u64::from(block.last.to_bits() - block.first.to_bits()) + 1;
            PoolUse {
                network: network.name.clone(),
                subnet: block.subnet.prefix,
                first: block.first,
                last: block.last,
                total,
                used,
                free: total - used - reserved - set_aside - quarantined,
                reserved,
                set_aside,
                quarantined,
            }
        })
    }

    /// The free addresses that would be given next, so that they can be probed ahead of need: at most `n` of each pool, as the
    /// classes of a VM choose its pool.
    pub fn next_candidates(&self, network: &Network, n: usize) -> Vec<Ipv4Addr> {
        let blocks = network.blocks();
        blocks
            .flat_map(|block| {
                let free = || self.stock.free(block.first);
                let awaited = |address: &Ipv4Addr| self.former.is_awaited(*address);
                let first = free().filter(move |address| !awaited(address));
                first.chain(free().filter(awaited)).take(n)
            })
            .collect()
    }

    /// A MAC address that says a free address of a network whose allocation is `mac`, and that address: for a VM that does not
    /// exist yet. `None`: none is free, or the allocation is another.
    pub fn next_mac(&self, network: &Network) -> Option<(MacAddr, Ipv4Addr)> {
        let prefix = network.mac_prefix?;
        let address = *self.next_candidates(network, 1).first()?;
        Some((prefix.encode(address), address))
    }
}
