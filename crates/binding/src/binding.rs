use crate::{Bytes, List, MacAddr, Overlays, Route, Text};
use core::net::Ipv4Addr;

/// Whether option 3 (Router) is sent to a client that also gets option 121.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Routers {
    /// Always: real clients need both (DESIGN.md §8).
    #[default]
    Always,
    /// Not to a client that asked for option 121 (RFC 3442, "should not send both").
    Rfc3442,
}

/// The configuration bound to the one client of a link: everything that an answer depends on beside the request.
///
/// Each field names the header field or option that it feeds. An empty list or text, and an address of 0.0.0.0, is not sent.
///
/// The fields lie in memory in this order, those last that are long and mostly empty: a responder, of which there are
/// thousands, does not touch the pages of what is not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Binding {
    /// `yiaddr`: the VM's address.
    pub address: Ipv4Addr,
    /// Option 1, Subnet Mask: 255.255.255.255, unless `netmask` is set for a guest that cannot take a /32.
    pub netmask: Ipv4Addr,
    /// Option 54 (Server Identifier), option 3 (Router), both next hops of option 121, and the IP source of every reply.
    pub gateway: Ipv4Addr,
    /// The gateway that the VM was told before this one: its renewals still come there until it has heard of the new one.
    pub former_gateway: Option<Ipv4Addr>,
    /// The Ethernet source of every reply, and the only unicast Ethernet destination that is ours: the link's own address.
    pub server_mac: MacAddr,
    /// The only `chaddr` that is served, when the host knows it; else the first acknowledged one owns the generation.
    pub chaddr: Option<MacAddr>,
    /// Option 51, IP Address Lease Time, in seconds, 1 to 2^32-1; 2^32-1 is infinite, and then 58 and 59 are not sent.
    pub lease_time: u32,
    /// Option 58, Renewal (T1) Time Value, in seconds; `None` is half the lease time less a fuzz.
    pub renewal_time: Option<u32>,
    /// Option 59, Rebinding (T2) Time Value, in seconds; `None` is seven eighths of the lease time less a fuzz.
    pub rebinding_time: Option<u32>,
    /// A DISCOVER with option 80, Rapid Commit, gets an ACK at once (RFC 4039).
    pub rapid_commit: bool,
    /// Option 108, IPv6-Only Preferred (RFC 8925): V6ONLY_WAIT in seconds; 0 is not sent.
    pub ipv6_only_wait: u32,
    /// The seed of the fuzz on options 58 and 59 (RFC 2131 §4.4.5), the same for the life of a binding.
    pub fuzz_seed: u32,
    /// When option 3 is left out.
    pub routers: Routers,
    /// Option 121: routes beyond the on-link route to the gateway and the default route, which are always there, first.
    pub routes: List<Route, 16>,
    /// Option 6, Domain Name Server.
    pub dns: List<Ipv4Addr, 8>,
    /// Option 42, Network Time Protocol Servers.
    pub ntp: List<Ipv4Addr, 8>,
    /// Option 150, TFTP server addresses (RFC 5859).
    pub tftp_servers: List<Ipv4Addr, 4>,
    /// Option 26, Interface MTU, in bytes, 68 to 65535; 1500 is not sent.
    pub mtu: u16,
    /// Option 12, Host Name, and the name in option 81, Client FQDN, for a client that sends one (RFC 4702).
    pub hostname: Text<63>,
    /// Option 15, Domain Name.
    pub domain: Text<253>,
    /// Option 119, Domain Search (RFC 3397): the names, with one space between them.
    pub search: Text<255>,
    /// `siaddr`: the server of the next boot step.
    pub next_server: Ipv4Addr,
    /// `sname`, or option 66 when it was asked for.
    pub server_name: Text<63>,
    /// `file`, or option 67 when it was asked for or is longer than 127 bytes.
    pub boot_file: Text<253>,
    /// Options as the operator wrote them: records of code, flags (bit 0: send it unasked), length, then that many bytes.
    /// A value of more than 255 bytes is several records, one behind the other (RFC 3396).
    pub raw: Bytes<512>,
    /// What takes the place of the above for a client that says something of itself: options 60, 77 and 93.
    pub overlays: Overlays,
}

impl Binding {
    /// A binding of `address` behind `gateway` with nothing but the mandatory options and a lease of a day.
    pub const fn new(address: Ipv4Addr, gateway: Ipv4Addr) -> Self {
        Self {
            address,
            netmask: Ipv4Addr::BROADCAST,
            gateway,
            former_gateway: None,
            server_mac: MacAddr::ZERO,
            chaddr: None,
            lease_time: 86_400,
            renewal_time: None,
            rebinding_time: None,
            rapid_commit: false,
            ipv6_only_wait: 0,
            fuzz_seed: 0,
            routers: Routers::Always,
            routes: List::new(Route {
                to: crate::Prefix::DEFAULT,
                via: Ipv4Addr::UNSPECIFIED,
            }),
            dns: List::new(Ipv4Addr::UNSPECIFIED),
            ntp: List::new(Ipv4Addr::UNSPECIFIED),
            tftp_servers: List::new(Ipv4Addr::UNSPECIFIED),
            mtu: 1500,
            hostname: Text::EMPTY,
            domain: Text::EMPTY,
            search: Text::EMPTY,
            next_server: Ipv4Addr::UNSPECIFIED,
            server_name: Text::EMPTY,
            boot_file: Text::EMPTY,
            raw: List::new(0),
            overlays: Overlays::NONE,
        }
    }
}
