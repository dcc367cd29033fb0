//! rtnetlink messages to what the agent knows. Each takes a message's payload, and only looks at what it needs.

use super::message::{attributes, half, number};
use crate::link::{Ipv4Settings, Ipv6Settings, Kind, Link, LinkAddress};
use crate::route::{ForeignRoute, HostRoute};
use slash32_binding::{MacAddr, Prefix};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

const AF_INET: u8 = 2;
const AF_BRIDGE: u8 = 7;
const AF_INET6: u16 = 10;

const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;
const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 1 << 16;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_STATS64: u16 = 23;
pub(super) const IFLA_AF_SPEC: u16 = 26;
const IFLA_CARRIER: u16 = 33;
const IFLA_CARRIER_UP_COUNT: u16 = 47;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_CONF: u16 = 2;

/// Places in IFLA_INET6_CONF (`linux/ipv6.h`).
const DEVCONF_ACCEPT_RA: usize = 3;
const DEVCONF_DISABLE_IPV6: usize = 26;

pub(super) const IFA_ADDRESS: u16 = 1;
pub(super) const IFA_LOCAL: u16 = 2;
pub(super) const IFA_PROTO: u16 = 11;

pub(super) const RTA_DST: u16 = 1;
pub(super) const RTA_OIF: u16 = 4;
pub(super) const RTA_PRIORITY: u16 = 6;
pub(super) const RTA_PREFSRC: u16 = 7;
pub(super) const RTA_TABLE: u16 = 15;
pub(super) const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;

const NDA_LLADDR: u16 = 2;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;

/// Sizes of the headers before the attributes: `struct ifinfomsg`, `ifaddrmsg`, `rtmsg`, `ndmsg`.
const LINK: usize = 16;
const ADDRESS: usize = 8;
const ROUTE: usize = 12;
const NEIGHBOUR: usize = 12;

/// A message is a bridge's own about its ports (AF_BRIDGE), not the link's.
pub(super) fn is_of_bridge(payload: &[u8]) -> bool {
    payload.first() == Some(&AF_BRIDGE)
}

/// The link that an RTM_NEWLINK or RTM_DELLINK is about.
pub(super) fn ifindex(payload: &[u8]) -> Option<u32> {
    number(payload, 4)
}

/// The link that an RTM_NEWLINK describes; `None` for a bridge's own messages about its ports.
pub(super) fn link(payload: &[u8]) -> Option<Link> {
    if is_of_bridge(payload) {
        return None;
    }
    let layer = half(payload, 2)?;
    let flags = number(payload, 8)?;
    let mut kind = match layer {
        ARPHRD_LOOPBACK => Kind::Loopback,
        _ => Kind::Physical,
    };
    let mut link = Link {
        ifindex: ifindex(payload)?,
        name: String::new(),
        altnames: Vec::new(),
        kind: Kind::Physical,
        mac: MacAddr::ZERO,
        mtu: 0,
        controller: None,
        up: flags & IFF_UP != 0,
        carrier: flags & IFF_LOWER_UP != 0,
        carrier_ups: 0,
        ipv4: None,
        ipv6: None,
        addresses: BTreeSet::new(),
    };
    for (attribute, value) in attributes(payload, LINK) {
        match attribute {
            IFLA_IFNAME => link.name = text(value),
            IFLA_PROP_LIST => {
                let names = attributes(value, 0).filter(|(kind, _)| *kind == IFLA_ALT_IFNAME);
                link.altnames = names.map(|(_, name)| text(name)).collect();
            }
            IFLA_ADDRESS => {
                if let Ok(bytes) = <[u8; 6]>::try_from(value) {
                    link.mac = MacAddr(bytes);
                }
            }
            IFLA_MTU => link.mtu = number(value, 0)?,
            IFLA_MASTER => link.controller = number(value, 0).filter(|bridge| *bridge != 0),
            IFLA_CARRIER => link.carrier = value.first() != Some(&0),
            IFLA_CARRIER_UP_COUNT => link.carrier_ups = number(value, 0)?,
            IFLA_LINKINFO => {
                let name = attributes(value, 0).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                if let Some((_, name)) = name {
                    kind = kind_of(text(name), layer == ARPHRD_ETHER);
                }
            }
            IFLA_AF_SPEC => settings(&mut link, value),
            _ => {}
        }
    }
    link.kind = kind;
    (!link.name.is_empty()).then_some(link)
}

/// A string of the kernel's, which ends at its first 0.
fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&value[..end.unwrap_or(value.len())]).into_owned()
}

fn kind_of(kind: String, is_ethernet: bool) -> Kind {
    match &*kind {
        "bridge" => Kind::Bridge,
        "tun" if is_ethernet => Kind::Tap,
        "veth" => Kind::Veth,
        "dummy" => Kind::Dummy,
        _ => Kind::Other(kind),
    }
}

/// The settings of [`Ipv4Settings`] by their numbers, IPV4_DEVCONF_* of `linux/ip.h`.
pub(super) fn ipv4_values(settings: &Ipv4Settings) -> [(u16, i32); 7] {
    [
        (1, settings.forwarding),
        (3, settings.proxy_arp),
        (4, settings.accept_redirects),
        (6, settings.send_redirects),
        (8, settings.rp_filter),
        (18, settings.arp_announce),
        (19, settings.arp_ignore),
    ]
}

fn settings(link: &mut Link, families: &[u8]) {
    for (family, value) in attributes(families, 0) {
        let is_inet = family == u16::from(AF_INET);
        let wanted = if is_inet {
            IFLA_INET_CONF
        } else {
            IFLA_INET6_CONF
        };
        let conf = attributes(value, 0).find(|(kind, _)| *kind == wanted);
        let Some((_, conf)) = conf else { continue };
        if is_inet {
            link.ipv4 = ipv4_settings(conf);
        } else if family == AF_INET6 {
            link.ipv6 = ipv6_settings(conf);
        }
    }
}

/// All values in a row; IPV4_DEVCONF_* count from 1.
fn ipv4_settings(conf: &[u8]) -> Option<Ipv4Settings> {
    let value = |place: usize| number(conf, (place - 1) * 4).map(u32::cast_signed);
    Some(Ipv4Settings {
        forwarding: value(1)?,
        proxy_arp: value(3)?,
        accept_redirects: value(4)?,
        send_redirects: value(6)?,
        rp_filter: value(8)?,
        arp_announce: value(18)?,
        arp_ignore: value(19)?,
    })
}

fn ipv6_settings(conf: &[u8]) -> Option<Ipv6Settings> {
    Some(Ipv6Settings {
        disabled: number(conf, DEVCONF_DISABLE_IPV6 * 4)? != 0,
        accept_ra: number(conf, DEVCONF_ACCEPT_RA * 4)? != 0,
    })
}

/// The frames that a link has received, of `struct rtnl_link_stats64`.
pub(super) fn received(payload: &[u8]) -> Option<u64> {
    let (_, stats) = attributes(payload, LINK).find(|(kind, _)| *kind == IFLA_STATS64)?;
    Some(u64::from_ne_bytes(*stats.first_chunk()?))
}

fn address_in(value: &[u8]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from_octets(<[u8; 4]>::try_from(value).ok()?))
}

/// The link and the IPv4 address that an RTM_NEWADDR or RTM_DELADDR is about. `protocol` marks our own (`IFA_PROTO`).
pub(super) fn address(payload: &[u8], protocol: u8) -> Option<(u32, LinkAddress)> {
    let [AF_INET, prefix_length, ..] = *payload else {
        return None;
    };
    let ifindex = number(payload, 4)?;
    let mut address = None;
    let mut ours = false;
    for (attribute, value) in attributes(payload, ADDRESS) {
        match attribute {
            // IFA_LOCAL is the link's own address; IFA_ADDRESS is the peer's on a point-to-point one.
            IFA_LOCAL => address = address_in(value),
            IFA_PROTO => ours = value.first() == Some(&protocol),
            _ => {}
        }
    }
    let address = LinkAddress {
        address: address?,
        prefix_length,
        ours,
    };
    Some((ifindex, address))
}

/// What an IPv4 route message says of a route, ours or not.
struct Route {
    prefix: Prefix,
    ifindex: Option<u32>,
    table: u32,
    protocol: u8,
    metric: u32,
    source: Option<Ipv4Addr>,
    /// `RTN_*`.
    kind: u8,
}

fn read_route(payload: &[u8]) -> Option<Route> {
    let [AF_INET, prefix_length, _, _, table, protocol, _, kind, ..] = *payload else {
        return None;
    };
    let mut destination = None;
    let (mut ifindex, mut table, mut metric, mut source) = (None, u32::from(table), 0, None);
    for (attribute, value) in attributes(payload, ROUTE) {
        match attribute {
            RTA_DST => destination = address_in(value),
            RTA_OIF => ifindex = number(value, 0),
            RTA_TABLE => table = number(value, 0)?,
            RTA_PRIORITY => metric = number(value, 0)?,
            RTA_PREFSRC => source = address_in(value),
            _ => {}
        }
    }
    Some(Route {
        prefix: Prefix::new(destination?, prefix_length)?,
        ifindex,
        table,
        protocol,
        metric,
        source,
        kind,
    })
}

/// The route that an RTM_NEWROUTE or RTM_DELROUTE is about, if it is one with `protocol` in `table` and leaves by a link.
pub(super) fn host_route(payload: &[u8], protocol: u8, table: u32) -> Option<HostRoute> {
    let route = read_route(payload)?;
    let is_ours = route.protocol == protocol && route.table == table && route.kind == RTN_UNICAST;
    let Route {
        prefix,
        metric,
        source,
        ..
    } = route;
    Some(HostRoute {
        prefix,
        ifindex: route.ifindex?,
        table,
        protocol,
        metric,
        source,
    })
    .filter(|_| is_ours)
}

/// The same for somebody else's route to one address: over the network, or to the host itself. Not an aggregate, not a
/// default: those say nothing of the address.
pub(super) fn foreign_route(payload: &[u8], protocol: u8) -> Option<ForeignRoute> {
    let route = read_route(payload)?;
    let is_somebody = matches!(route.kind, RTN_UNICAST | RTN_LOCAL);
    let is_foreign = route.protocol != protocol && route.prefix.length() == 32 && is_somebody;
    let Route {
        table,
        protocol,
        metric,
        ifindex,
        ..
    } = route;
    is_foreign.then_some(ForeignRoute {
        address: route.prefix.address(),
        table,
        protocol,
        metric,
        ifindex,
    })
}

/// The port and the MAC address of an RTM_NEWNEIGH of a bridge that it learned from traffic, not of one that somebody put
/// there: the kernel tells a link's own as permanent, and a static one (as of libvirt's `macTableManager`) as NOARP.
pub(super) fn learned(payload: &[u8]) -> Option<(u32, MacAddr)> {
    let state = half(payload, 8)?;
    if !is_of_bridge(payload) || matches!(state, NUD_PERMANENT | NUD_NOARP) {
        return None;
    }
    let (_, mac) = attributes(payload, NEIGHBOUR).find(|(kind, _)| *kind == NDA_LLADDR)?;
    let mac = MacAddr(<[u8; 6]>::try_from(mac).ok()?);
    Some((number(payload, 4)?, mac))
}

#[cfg(test)]
mod tests;
