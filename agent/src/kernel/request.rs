//! What the agent asks of the kernel: dumps, and the few changes that it makes to the host.

use super::decode;
use super::message::{Message, Writer};
use super::socket::{Asking, NLM_F_REQUEST};
use crate::link::{Ipv4Settings, Link, LinkAddress};
use crate::route::{ForeignRoute, HostRoute};
use nix::errno::Errno;
use slash32_binding::MacAddr;
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;

const RTM_SETLINK: u16 = 19;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_GETNEIGH: u16 = 30;

const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

const AF_INET: u8 = 2;
const AF_BRIDGE: u8 = 7;

/// What the kernel answered to a request that it did not carry out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The kernel's reason.
    #[error("{0}")]
    Refused(io::Error),
    /// The conversation itself failed.
    #[error("the netlink socket failed: {0}")]
    Conversation(io::Error),
}

impl RequestError {
    /// The kernel's error number, if it gave one.
    pub(crate) fn number(&self) -> Option<i32> {
        match self {
            Self::Refused(error) => error.raw_os_error(),
            Self::Conversation(_) => None,
        }
    }
}

type Result<T> = std::result::Result<T, RequestError>;

/// One change to the host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    /// Puts `address`/32 on a link, marked as ours (`IFA_PROTO`). One that is there already is fine.
    AddAddress {
        ifindex: u32,
        address: Ipv4Addr,
        protocol: u8,
    },
    /// Takes an address off a link. One that is gone already is fine.
    RemoveAddress { ifindex: u32, address: LinkAddress },
    /// Sets a link's `net.ipv4.conf` (IFLA_INET_CONF), by ifindex, so that no rename can go astray.
    SetIpv4 {
        ifindex: u32,
        settings: Ipv4Settings,
    },
    /// Adds a route, never in place of another one: `EEXIST` when one of the same prefix, table and metric is there.
    AddRoute(HostRoute),
    /// Deletes exactly this route. One that is gone already is fine.
    RemoveRoute(HostRoute),
}

impl Request {
    /// The one failure that means the same as success.
    fn fine(&self) -> Option<Errno> {
        match self {
            Self::AddAddress { .. } => Some(Errno::EEXIST),
            Self::RemoveAddress { .. } => Some(Errno::EADDRNOTAVAIL),
            Self::RemoveRoute(_) => Some(Errno::ESRCH),
            Self::SetIpv4 { .. } | Self::AddRoute(_) => None,
        }
    }

    fn write(&self, writer: &mut Writer, sequence: u32) {
        const NEW: u16 = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
        match self {
            Self::AddAddress {
                ifindex,
                address,
                protocol,
            } => {
                const LINK: u8 = 253;
                let header = address_header(*ifindex, 32, LINK);
                writer.begin(RTM_NEWADDR, NEW, sequence, &header);
                writer.attribute(decode::IFA_ADDRESS, &address.octets());
                writer.attribute(decode::IFA_LOCAL, &address.octets());
                writer.attribute(decode::IFA_PROTO, &[*protocol]);
            }
            Self::RemoveAddress { ifindex, address } => {
                let header = address_header(*ifindex, address.prefix_length, 0);
                writer.begin(RTM_DELADDR, NLM_F_REQUEST, sequence, &header);
                writer.attribute(decode::IFA_LOCAL, &address.address.octets());
            }
            Self::SetIpv4 { ifindex, settings } => {
                writer.begin(RTM_SETLINK, NLM_F_REQUEST, sequence, &link_header(*ifindex));
                writer.nest(decode::IFLA_AF_SPEC, |writer| {
                    writer.nest(u16::from(AF_INET), |writer| {
                        writer.nest(decode::IFLA_INET_CONF, |writer| {
                            for (place, value) in decode::ipv4_values(settings) {
                                writer.attribute(place, &value.to_ne_bytes());
                            }
                        });
                    });
                });
            }
            Self::AddRoute(route) => write_route(writer, RTM_NEWROUTE, NEW, sequence, route),
            Self::RemoveRoute(route) => {
                write_route(writer, RTM_DELROUTE, NLM_F_REQUEST, sequence, route);
            }
        }
    }
}

/// Asks the kernel and changes the host.
pub(crate) struct Kernel {
    socket: Asking,
}

impl Kernel {
    /// Opens the socket.
    pub(crate) fn connect() -> io::Result<Self> {
        Ok(Self {
            socket: Asking::open()?,
        })
    }

    /// Makes changes in their order, many in one call of the kernel, each whatever becomes of the others. Returns what became
    /// of each.
    pub(crate) fn change(&mut self, requests: &[Request]) -> Vec<Result<()>> {
        let mut results = self
            .socket
            .change(requests.len(), |writer, place, sequence| {
                requests[place].write(writer, sequence);
            });
        for (request, result) in requests.iter().zip(&mut results) {
            let is_fine = |error: &RequestError| {
                let fine = request.fine().map(|errno| errno as i32);
                fine.is_some() && error.number() == fine
            };
            if result.as_ref().is_err_and(is_fine) {
                *result = Ok(());
            }
        }
        results
    }

    /// Makes one change.
    pub(crate) fn change_one(&mut self, request: Request) -> Result<()> {
        self.change(&[request]).pop().unwrap_or(Ok(()))
    }

    /// Every link (RTM_GETLINK), without addresses.
    pub(crate) fn links(&mut self) -> Result<Vec<Link>> {
        const IFLA_EXT_MASK: u16 = 29;
        const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
        let mut links = Vec::new();
        let write = |writer: &mut Writer, flags, sequence| {
            writer.begin(RTM_GETLINK, flags, sequence, &link_header(0));
            writer.attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
        };
        self.socket.dump(write, |message| {
            links.extend(decode::link(message.payload));
        })?;
        Ok(links)
    }

    /// Every IPv4 address (RTM_GETADDR) with the link that it is on.
    pub(crate) fn addresses(&mut self, protocol: u8) -> Result<Vec<(u32, LinkAddress)>> {
        let mut addresses = Vec::new();
        let write = |writer: &mut Writer, flags, sequence| {
            writer.begin(RTM_GETADDR, flags, sequence, &address_header(0, 0, 0));
        };
        self.socket.dump(write, |message| {
            addresses.extend(decode::address(message.payload, protocol));
        })?;
        Ok(addresses)
    }

    /// The routes of `protocol` in `table` (RTM_GETROUTE).
    pub(crate) fn routes(&mut self, protocol: u8, table: u32) -> Result<Vec<HostRoute>> {
        let mut routes = Vec::new();
        let write = |writer: &mut Writer, flags, sequence| {
            let header = route_header(0, table, protocol, 0, 0);
            writer.begin(RTM_GETROUTE, flags, sequence, &header);
            writer.attribute(decode::RTA_TABLE, &table.to_ne_bytes());
        };
        let dumped = self.socket.dump(write, |message| {
            routes.extend(decode::host_route(message.payload, protocol, table));
        });
        match dumped {
            // A table that has no route yet does not exist.
            Err(error) if error.number() == Some(Errno::ENOENT as i32) => Ok(Vec::new()),
            dumped => dumped.map(|()| routes),
        }
    }

    /// Everybody else's routes to single addresses, in any table. A router may have a million routes, and few of them are to
    /// single addresses: none is kept that is not.
    pub(crate) async fn foreign_routes(&mut self, protocol: u8) -> Result<Vec<ForeignRoute>> {
        let mut routes = Vec::new();
        let write = |writer: &mut Writer, flags, sequence| {
            let header = route_header(0, 0, 0, 0, 0);
            writer.begin(RTM_GETROUTE, flags, sequence, &header);
        };
        let take = |message: Message<'_>| {
            routes.extend(decode::foreign_route(message.payload, protocol));
        };
        self.socket.dump_many(write, take).await?;
        Ok(routes)
    }

    /// The MAC addresses that bridges have learned, by port (their forwarding databases); of one port, or of all. One that is
    /// in several VLANs is there as often.
    pub(crate) fn learned_macs(
        &mut self,
        port: Option<u32>,
    ) -> Result<BTreeMap<u32, Vec<MacAddr>>> {
        let mut learned = BTreeMap::<u32, Vec<MacAddr>>::new();
        let write = |writer: &mut Writer, flags, sequence| {
            let mut header = [0; 12];
            header[0] = AF_BRIDGE;
            header[4..8].copy_from_slice(&port.unwrap_or(0).to_ne_bytes());
            writer.begin(RTM_GETNEIGH, flags, sequence, &header);
        };
        self.socket.dump(write, |message| {
            if let Some((ifindex, mac)) = decode::learned(message.payload)
                && port.is_none_or(|port| port == ifindex)
            {
                learned.entry(ifindex).or_default().push(mac);
            }
        })?;
        Ok(learned)
    }

    /// How many frames came in by a link since it was made (`rx_packets`): what the VM behind a tap has sent. Errors:
    /// `ENODEV` when it is gone.
    pub(crate) fn received(&mut self, ifindex: u32) -> Result<u64> {
        let mut packets = 0;
        let write = |writer: &mut Writer, flags, sequence| {
            writer.begin(RTM_GETLINK, flags, sequence, &link_header(ifindex));
        };
        self.socket.get(write, |message| {
            packets = decode::received(message.payload).unwrap_or(packets);
        })?;
        Ok(packets)
    }
}

/// `struct ifinfomsg`.
fn link_header(ifindex: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    header
}

/// `struct ifaddrmsg` of an IPv4 address.
fn address_header(ifindex: u32, prefix_length: u8, scope: u8) -> [u8; 8] {
    let [a, b, c, d] = ifindex.to_ne_bytes();
    [AF_INET, prefix_length, 0, scope, a, b, c, d]
}

/// `struct rtmsg` of an IPv4 route.
fn route_header(prefix_length: u8, table: u32, protocol: u8, scope: u8, kind: u8) -> [u8; 12] {
    // A table with a greater number stands in an attribute.
    let table = u8::try_from(table).unwrap_or(0);
    [
        AF_INET,
        prefix_length,
        0,
        0,
        table,
        protocol,
        scope,
        kind,
        0,
        0,
        0,
        0,
    ]
}

fn write_route(writer: &mut Writer, kind: u16, flags: u16, sequence: u32, route: &HostRoute) {
    const LINK: u8 = 253;
    let length = route.prefix.length();
    let header = route_header(
        length,
        route.table,
        route.protocol,
        LINK,
        decode::RTN_UNICAST,
    );
    writer.begin(kind, flags, sequence, &header);
    writer.attribute(decode::RTA_DST, &route.prefix.address().octets());
    writer.attribute(decode::RTA_OIF, &route.ifindex.to_ne_bytes());
    writer.attribute(decode::RTA_TABLE, &route.table.to_ne_bytes());
    writer.attribute(decode::RTA_PRIORITY, &route.metric.to_ne_bytes());
    if let Some(source) = route.source {
        writer.attribute(decode::RTA_PREFSRC, &source.octets());
    }
}
