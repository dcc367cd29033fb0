//! The asking socket: dumps, and the few changes that the agent makes to the host.

use super::decode;
use crate::link::{Ipv4Settings, Link, LinkAddress};
use crate::route::{ForeignRoute, HostRoute};
use futures_util::TryStreamExt;
use netlink_packet_core::{DefaultNla, Emitable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressProtocol, AddressScope};
use netlink_packet_route::link::{AfSpecInet, AfSpecUnspec, LinkAttribute};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_sys::AsyncSocket;
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use slash32_binding::MacAddr;
use std::io;
use std::net::Ipv4Addr;

/// What the kernel answered to a request that it did not carry out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The kernel's reason.
    #[error("{0}")]
    Refused(#[from] io::Error),
    /// The conversation itself failed.
    #[error("the netlink socket failed: {0}")]
    Conversation(rtnetlink::Error),
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

impl From<rtnetlink::Error> for RequestError {
    fn from(error: rtnetlink::Error) -> Self {
        match error {
            rtnetlink::Error::NetlinkError(message) => Self::Refused(message.to_io()),
            other => Self::Conversation(other),
        }
    }
}

type Result<T> = std::result::Result<T, RequestError>;

/// Asks the kernel and changes the host. Cloning is cheap; requests of all clones share one socket.
#[derive(Clone)]
pub(crate) struct Kernel {
    handle: Handle,
}

impl Kernel {
    /// Opens the socket, with strict checks so that dumps are filtered by the kernel (`NETLINK_GET_STRICT_CHK`).
    pub(crate) fn connect() -> io::Result<Self> {
        let (mut connection, handle, _) = rtnetlink::new_connection()?;
        connection
            .socket_mut()
            .socket_mut()
            .set_netlink_get_strict_chk(true)?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// Every link (RTM_GETLINK), without addresses.
    pub(crate) async fn links(&self) -> Result<Vec<Link>> {
        let messages: Vec<_> = self.handle.link().get().execute().try_collect().await?;
        Ok(messages.into_iter().filter_map(decode::link).collect())
    }

    /// Every IPv4 address (RTM_GETADDR) with the link that it is on.
    pub(crate) async fn addresses(&self, protocol: u8) -> Result<Vec<(u32, LinkAddress)>> {
        let mut request = self.handle.address().get();
        request.message_mut().header.family = AddressFamily::Inet;
        let messages: Vec<_> = request.execute().try_collect().await?;
        Ok(messages
            .iter()
            .filter_map(|message| decode::address(message, protocol))
            .collect())
    }

    /// The routes of `protocol` in `table` (RTM_GETROUTE).
    pub(crate) async fn routes(&self, protocol: u8, table: u32) -> Result<Vec<HostRoute>> {
        let mut filter = RouteMessageBuilder::<Ipv4Addr>::new()
            .protocol(RouteProtocol::from(protocol))
            .scope(RouteScope::Universe)
            .kind(RouteType::Unspec)
            .table_id(table)
            .build();
        if table <= 255 {
            filter.header.table = table as u8;
        }
        let messages: Vec<_> = match self
            .handle
            .route()
            .get(filter)
            .execute()
            .try_collect()
            .await
        {
            Ok(messages) => messages,
            Err(error) => match RequestError::from(error) {
                // A table that has no route yet does not exist.
                error if error.number() == Some(libc_enoent()) => Vec::new(),
                error => return Err(error),
            },
        };
        Ok(messages
            .iter()
            .filter_map(|message| decode::host_route(message, protocol, table))
            .collect())
    }

    /// Everybody else's routes to single addresses, in any table.
    pub(crate) async fn foreign_routes(&self, protocol: u8) -> Result<Vec<ForeignRoute>> {
        let mut all = RouteMessageBuilder::<Ipv4Addr>::new()
            .protocol(RouteProtocol::Unspec)
            .scope(RouteScope::Universe)
            .kind(RouteType::Unspec)
            .build();
        all.header.table = 0;
        let mut routes = Vec::new();
        // A router may have a million routes, and few of them are to single addresses: none is kept that is not.
        let mut messages = std::pin::pin!(self.handle.route().get(all).execute());
        while let Some(message) = messages.try_next().await? {
            routes.extend(decode::foreign_route(&message, protocol));
        }
        Ok(routes)
    }

    /// The one MAC address that a bridge has learned on `port` (its forwarding database); `None` for none or several.
    pub(crate) async fn learned_mac(&self, port: u32) -> Result<Option<MacAddr>> {
        let learned = self.learned_macs(port).await?;
        Ok(match *learned.as_slice() {
            [first, ref others @ ..] if others.iter().all(|other| *other == first) => Some(first),
            _ => None,
        })
    }

    /// Every MAC address that a bridge has learned on `port`; one that is in several VLANs is there as often.
    pub(crate) async fn learned_macs(&self, port: u32) -> Result<Vec<MacAddr>> {
        let mut request = self.handle.neighbours().get();
        let header = &mut request.message_mut().header;
        header.family = AddressFamily::Bridge;
        header.ifindex = port;
        let messages: Vec<_> = request.execute().try_collect().await?;
        Ok(messages
            .iter()
            .filter(|message| message.header.ifindex == port)
            .filter_map(learned)
            .collect())
    }

    /// How many frames came in by a link since it was made (`rx_packets`): what the VM behind a tap has sent. Errors:
    /// `ENODEV` when it is gone.
    pub(crate) async fn received(&self, ifindex: u32) -> Result<u64> {
        let request = self.handle.link().get().match_index(ifindex);
        let messages: Vec<_> = request.execute().try_collect().await?;
        let attributes = messages.into_iter().flat_map(|message| message.attributes);
        let packets = attributes.filter_map(|attribute| match attribute {
            LinkAttribute::Stats64(stats) => Some(stats.rx_packets),
            _ => None,
        });
        Ok(packets.max().unwrap_or_default())
    }

    /// Puts `address`/32 on a link, marked as ours (`IFA_PROTO`). One that is there already is fine.
    pub(crate) async fn add_address(
        &self,
        ifindex: u32,
        address: Ipv4Addr,
        protocol: u8,
    ) -> Result<()> {
        let mut request = self.handle.address().add(ifindex, address.into(), 32);
        let message = request.message_mut();
        message.header.scope = AddressScope::Link;
        message
            .attributes
            .push(AddressAttribute::Protocol(AddressProtocol::Other(protocol)));
        accept(request.execute().await, nix::errno::Errno::EEXIST)
    }

    /// Takes `address` of `prefix_length` off a link. One that is gone already is fine.
    pub(crate) async fn remove_address(&self, ifindex: u32, address: LinkAddress) -> Result<()> {
        let mut message = netlink_packet_route::address::AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.index = ifindex;
        message.header.prefix_len = address.prefix_length;
        message
            .attributes
            .push(AddressAttribute::Local(address.address.into()));
        accept(
            self.handle.address().del(message).execute().await,
            nix::errno::Errno::EADDRNOTAVAIL,
        )
    }

    /// Sets a link's `net.ipv4.conf` (RTM_SETLINK, IFLA_INET_CONF), by ifindex, so that no rename can go astray.
    pub(crate) async fn set_ipv4(&self, ifindex: u32, settings: Ipv4Settings) -> Result<()> {
        // IPV4_DEVCONF_* of linux/ip.h. The crate's own request leaves out values of 0, which are wanted here.
        let values = [
            (1, settings.forwarding),
            (3, settings.proxy_arp),
            (4, settings.accept_redirects),
            (6, settings.send_redirects),
            (8, settings.rp_filter),
            (18, settings.arp_announce),
            (19, settings.arp_ignore),
        ];
        let nested: Vec<_> = values
            .map(|(kind, value)| DefaultNla::new(kind, value.to_ne_bytes().to_vec()))
            .into();
        let mut payload = vec![0; nested.as_slice().buffer_len()];
        nested.as_slice().emit(&mut payload);
        const IFLA_INET_CONF: u16 = 1;
        const NESTED: u16 = 0x8000;
        let conf = AfSpecInet::Other(DefaultNla::new(IFLA_INET_CONF | NESTED, payload));
        let families = LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![conf])]);
        let message = LinkUnspec::new_with_index(ifindex)
            .append_extra_attribute(families)
            .build();
        Ok(self.handle.link().set(message).execute().await?)
    }

    /// Adds a route, never in place of another one (NLM_F_CREATE | NLM_F_EXCL).
    ///
    /// Errors: `EEXIST` when a route of the same prefix, table and metric is there.
    pub(crate) async fn add_route(&self, route: &HostRoute) -> Result<()> {
        Ok(self.handle.route().add(message(route)).execute().await?)
    }

    /// Deletes exactly this route. One that is gone already is fine.
    pub(crate) async fn remove_route(&self, route: &HostRoute) -> Result<()> {
        accept(
            self.handle.route().del(message(route)).execute().await,
            nix::errno::Errno::ESRCH,
        )
    }
}

/// Success, or the one failure that means the same.
fn accept(
    result: std::result::Result<(), rtnetlink::Error>,
    fine: nix::errno::Errno,
) -> Result<()> {
    match result.map_err(RequestError::from) {
        Err(error) if error.number() == Some(fine as i32) => Ok(()),
        result => result,
    }
}

fn libc_enoent() -> i32 {
    nix::errno::Errno::ENOENT as i32
}

fn message(route: &HostRoute) -> RouteMessage {
    let builder = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(route.prefix.address(), route.prefix.length())
        .output_interface(route.ifindex)
        .table_id(route.table)
        .protocol(RouteProtocol::from(route.protocol))
        .priority(route.metric)
        .scope(RouteScope::Link)
        .kind(RouteType::Unicast);
    match route.source {
        Some(source) => builder.pref_source(source).build(),
        None => builder.build(),
    }
}

/// The MAC address of an entry that the bridge learned from traffic, not one that somebody put there: the kernel tells a
/// link's own as permanent, and a static one (as of libvirt's `macTableManager`) as NOARP.
pub(super) fn learned(message: &NeighbourMessage) -> Option<MacAddr> {
    let state = message.header.state;
    if matches!(state, NeighbourState::Permanent | NeighbourState::Noarp) {
        return None;
    }
    message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr)
            }
            _ => None,
        })
}
