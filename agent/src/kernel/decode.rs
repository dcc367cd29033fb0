//! rtnetlink messages to what the agent knows.

use crate::link::{Ipv4Settings, Ipv6Settings, Kind, Link, LinkAddress};
use crate::route::{ForeignRoute, HostRoute};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, InfoKind, LinkAttribute, LinkFlags, LinkInfo,
    LinkLayerType, LinkMessage, Prop,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use slash32_binding::{MacAddr, Prefix};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// The link that an RTM_NEWLINK describes; `None` for a bridge's own messages about its ports (AF_BRIDGE).
pub(super) fn link(message: LinkMessage) -> Option<Link> {
    if message.header.interface_family == AddressFamily::Bridge {
        return None;
    }
    let flags = message.header.flags;
    let mut kind = match message.header.link_layer_type {
        LinkLayerType::Loopback => Kind::Loopback,
        _ => Kind::Physical,
    };
    let is_ethernet = message.header.link_layer_type == LinkLayerType::Ether;
    let mut link = Link {
        ifindex: message.header.index,
        name: String::new(),
        altnames: Vec::new(),
        kind: Kind::Physical,
        mac: MacAddr::ZERO,
        mtu: 0,
        controller: None,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        carrier_ups: 0,
        ipv4: None,
        ipv6: None,
        addresses: BTreeSet::new(),
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::PropList(properties) => {
                let altname = |property| {
                    if let Prop::AltIfName(name) = property {
                        Some(name)
                    } else {
                        None
                    }
                };
                link.altnames = properties.into_iter().filter_map(altname).collect();
            }
            LinkAttribute::Address(bytes) => {
                if let Ok(bytes) = <[u8; 6]>::try_from(bytes) {
                    link.mac = MacAddr(bytes);
                }
            }
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Controller(bridge) => link.controller = (bridge != 0).then_some(bridge),
            LinkAttribute::Carrier(carrier) => link.carrier = carrier != 0,
            LinkAttribute::CarrierUpCount(count) => link.carrier_ups = count,
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let LinkInfo::Kind(info_kind) = info {
                        kind = kind_of(info_kind, is_ethernet);
                    }
                }
            }
            LinkAttribute::AfSpecUnspec(families) => {
                for family in families {
                    settings(&mut link, family);
                }
            }
            _ => {}
        }
    }
    link.kind = kind;
    (!link.name.is_empty()).then_some(link)
}

fn kind_of(kind: InfoKind, is_ethernet: bool) -> Kind {
    match kind {
        InfoKind::Bridge => Kind::Bridge,
        InfoKind::Tun if is_ethernet => Kind::Tap,
        InfoKind::Veth => Kind::Veth,
        InfoKind::Dummy => Kind::Dummy,
        other => Kind::Other(other.to_string()),
    }
}

fn settings(link: &mut Link, family: AfSpecUnspec) {
    match family {
        AfSpecUnspec::Inet(attributes) => {
            for attribute in attributes {
                if let AfSpecInet::DevConf(conf) = attribute {
                    link.ipv4 = Some(Ipv4Settings {
                        forwarding: conf.forwarding,
                        rp_filter: conf.rp_filter,
                        arp_ignore: conf.arp_ignore,
                        arp_announce: conf.arp_announce,
                        accept_redirects: conf.accept_redirects,
                        send_redirects: conf.send_redirects,
                        proxy_arp: conf.proxy_arp,
                    });
                }
            }
        }
        AfSpecUnspec::Inet6(attributes) => {
            for attribute in attributes {
                if let AfSpecInet6::DevConf(conf) = attribute {
                    let (disabled, accept_ra) = (conf.disable_ipv6 != 0, conf.accept_ra != 0);
                    link.ipv6 = Some(Ipv6Settings {
                        disabled,
                        accept_ra,
                    });
                }
            }
        }
        _ => {}
    }
}

/// The link and the IPv4 address that an RTM_NEWADDR or RTM_DELADDR is about. `protocol` marks our own (`IFA_PROTO`).
pub(super) fn address(message: &AddressMessage, protocol: u8) -> Option<(u32, LinkAddress)> {
    let mut address = None;
    let mut ours = false;
    for attribute in &message.attributes {
        match attribute {
            // IFA_LOCAL is the link's own address; IFA_ADDRESS is the peer's on a point-to-point one.
            AddressAttribute::Local(IpAddr::V4(local)) => address = Some(*local),
            AddressAttribute::Protocol(AddressProtocol::Other(number)) => {
                ours = *number == protocol
            }
            _ => {}
        }
    }
    let prefix_length = message.header.prefix_len;
    Some((
        message.header.index,
        LinkAddress {
            address: address?,
            prefix_length,
            ours,
        },
    ))
}

/// What an IPv4 route message says of a route, ours or not.
struct Route {
    prefix: Prefix,
    ifindex: Option<u32>,
    table: u32,
    protocol: u8,
    metric: u32,
    source: Option<Ipv4Addr>,
    kind: RouteType,
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    if header.address_family != AddressFamily::Inet {
        return None;
    }
    let mut destination = None;
    let (mut ifindex, mut table, mut metric, mut source) = (None, u32::from(header.table), 0, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => {
                destination = Some(*address)
            }
            RouteAttribute::Oif(index) => ifindex = Some(*index),
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => source = Some(*address),
            _ => {}
        }
    }
    let prefix = Prefix::new(destination?, header.destination_prefix_length)?;
    let (protocol, kind) = (u8::from(header.protocol), header.kind);
    Some(Route {
        prefix,
        ifindex,
        table,
        protocol,
        metric,
        source,
        kind,
    })
}

/// The route that an RTM_NEWROUTE or RTM_DELROUTE is about, if it is one with `protocol` in `table` and leaves by a link.
pub(super) fn host_route(message: &RouteMessage, protocol: u8, table: u32) -> Option<HostRoute> {
    let route = read_route(message)?;
    let is_ours =
        route.protocol == protocol && route.table == table && route.kind == RouteType::Unicast;
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
pub(super) fn foreign_route(message: &RouteMessage, protocol: u8) -> Option<ForeignRoute> {
    let route = read_route(message)?;
    let is_somebody = matches!(route.kind, RouteType::Unicast | RouteType::Local);
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
