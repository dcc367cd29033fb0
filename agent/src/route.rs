//! Host routes: the agent's /32 towards each VM.

use slash32_binding::Prefix;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// A route with our protocol number, by everything that tells it from another one (DESIGN.md §5.1). In order, those of one link
/// stand together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HostRoute {
    pub ifindex: u32,
    pub prefix: Prefix,
    pub table: u32,
    pub protocol: u8,
    pub metric: u32,
    /// `RTA_PREFSRC`.
    pub source: Option<Ipv4Addr>,
}

/// Those of `routes` that leave by a link.
pub fn by_link(routes: &BTreeSet<HostRoute>, ifindex: u32) -> impl Iterator<Item = &HostRoute> {
    let least = HostRoute {
        ifindex,
        prefix: Prefix::DEFAULT,
        table: 0,
        protocol: 0,
        metric: 0,
        source: None,
    };
    let is_its = move |route: &&HostRoute| route.ifindex == ifindex;
    routes.range(least..).take_while(is_its)
}

/// Somebody else's exact /32: where it is, some other machine or process has the address. By everything that tells it from
/// another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ForeignRoute {
    pub address: Ipv4Addr,
    pub table: u32,
    pub protocol: u8,
    pub metric: u32,
    pub ifindex: Option<u32>,
}
