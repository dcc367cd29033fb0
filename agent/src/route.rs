//! Host routes: the agent's /32 towards each VM.

use slash32_binding::Prefix;
use std::net::Ipv4Addr;

/// A route with our protocol number, by everything that tells it from another one (DESIGN.md §5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct HostRoute {
    pub(crate) prefix: Prefix,
    pub(crate) ifindex: u32,
    pub(crate) table: u32,
    pub(crate) protocol: u8,
    pub(crate) metric: u32,
    /// `RTA_PREFSRC`.
    pub(crate) source: Option<Ipv4Addr>,
}

/// Somebody else's exact /32: where it is, some other machine or process has the address. By everything that tells it from
/// another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ForeignRoute {
    pub(crate) address: Ipv4Addr,
    pub(crate) table: u32,
    pub(crate) protocol: u8,
    pub(crate) metric: u32,
    pub(crate) ifindex: Option<u32>,
}
