//! The listening socket.

use super::{Change, decode};
use futures_util::StreamExt;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::AsyncSocket;
use rtnetlink::MulticastGroup;
use std::io;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How much the kernel may queue while the agent is not scheduled: some ten thousand link messages.
const RECEIVE_BUFFER: i32 = 16 << 20;

/// Subscribes to links, IPv4 addresses and IPv4 routes. Routes are those with `protocol` in `table`.
///
/// What comes is decoded and queued by tasks of its own, so that the socket is always drained.
pub(crate) fn watch(protocol: u8, table: u32) -> io::Result<UnboundedReceiver<Change>> {
    let groups = [
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv4Route,
    ];
    let (mut connection, _, mut messages) = rtnetlink::new_multicast_connection(&groups)?;
    let socket = connection.socket_mut().socket_mut();
    // More than net.core.rmem_max where CAP_NET_ADMIN allows it; else as much as there is.
    if nix::sys::socket::setsockopt(
        socket,
        nix::sys::socket::sockopt::RcvBufForce,
        &(RECEIVE_BUFFER as usize),
    )
    .is_err()
    {
        let _ = nix::sys::socket::setsockopt(
            socket,
            nix::sys::socket::sockopt::RcvBuf,
            &(RECEIVE_BUFFER as usize),
        );
    }
    tokio::spawn(connection);
    let (changes, receiver) = unbounded_channel();
    tokio::spawn(async move {
        while let Some((message, _)) = messages.next().await {
            let change = match message.payload {
                NetlinkPayload::InnerMessage(message) => change(message, protocol, table),
                NetlinkPayload::Overrun(_) => Some(Change::Overrun),
                _ => None,
            };
            if let Some(change) = change
                && changes.send(change).is_err()
            {
                return;
            }
        }
    });
    Ok(receiver)
}

fn change(message: RouteNetlinkMessage, protocol: u8, table: u32) -> Option<Change> {
    match message {
        RouteNetlinkMessage::NewLink(message) => decode::link(message).map(Change::Link),
        // A bridge tells in the same words, but of its own family, that a port has left it.
        RouteNetlinkMessage::DelLink(message)
            if message.header.interface_family != AddressFamily::Bridge =>
        {
            Some(Change::LinkGone(message.header.index))
        }
        RouteNetlinkMessage::NewAddress(message) => address(&message, protocol, true),
        RouteNetlinkMessage::DelAddress(message) => address(&message, protocol, false),
        RouteNetlinkMessage::NewRoute(message) => route(&message, protocol, table, true),
        RouteNetlinkMessage::DelRoute(message) => route(&message, protocol, table, false),
        _ => None,
    }
}

fn address(
    message: &netlink_packet_route::address::AddressMessage,
    protocol: u8,
    present: bool,
) -> Option<Change> {
    let (ifindex, address) = decode::address(message, protocol)?;
    Some(Change::Address {
        ifindex,
        address,
        present,
    })
}

fn route(
    message: &netlink_packet_route::route::RouteMessage,
    protocol: u8,
    table: u32,
    present: bool,
) -> Option<Change> {
    if let Some(route) = decode::host_route(message, protocol, table) {
        return Some(Change::Route { route, present });
    }
    let route = decode::foreign_route(message, protocol)?;
    Some(Change::Foreign { route, present })
}
