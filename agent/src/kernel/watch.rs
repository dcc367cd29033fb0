//! The listening socket.

use super::listen::{Heard, Listening};
use super::message::Message;
use super::{Change, decode};
use std::io;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How much the kernel may queue while the agent is not scheduled: some ten thousand link messages.
const RECEIVE_BUFFER: usize = 16 << 20;

const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;

/// Subscribes to links, IPv4 addresses and IPv4 routes. Routes are those with `protocol` in `table`.
///
/// What comes is decoded and queued by a task of its own, so that the socket is always drained.
pub(crate) fn watch(protocol: u8, table: u32) -> io::Result<UnboundedReceiver<Change>> {
    let groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE];
    let mut socket = Listening::to(&groups, Some(RECEIVE_BUFFER))?;
    let (changes, receiver) = unbounded_channel();
    tokio::spawn(async move {
        let tell = |heard: Heard<'_>| {
            let change = match heard {
                Heard::Overrun => Some(Change::Overrun),
                Heard::Message(message) => change(&message, protocol, table),
            };
            if let Some(change) = change {
                // Nobody listening is that the agent ends.
                let _ = changes.send(change);
            }
        };
        loop {
            if let Err(error) = socket.hear(tell).await {
                tracing::error!("cannot hear what the kernel tells of links and routes: {error}");
                return;
            }
        }
    });
    Ok(receiver)
}

fn change(message: &Message<'_>, protocol: u8, table: u32) -> Option<Change> {
    let payload = message.payload;
    match message.kind {
        RTM_NEWLINK => decode::link(payload).map(Change::Link),
        // A bridge tells in the same words, but of its own family, that a port has left it.
        RTM_DELLINK if !decode::is_of_bridge(payload) => {
            decode::ifindex(payload).map(Change::LinkGone)
        }
        RTM_NEWADDR | RTM_DELADDR => {
            let (ifindex, address) = decode::address(payload, protocol)?;
            Some(Change::Address {
                ifindex,
                address,
                present: message.kind == RTM_NEWADDR,
            })
        }
        RTM_NEWROUTE | RTM_DELROUTE => {
            let present = message.kind == RTM_NEWROUTE;
            if let Some(route) = decode::host_route(payload, protocol, table) {
                return Some(Change::Route { route, present });
            }
            let route = decode::foreign_route(payload, protocol)?;
            Some(Change::Foreign { route, present })
        }
        _ => None,
    }
}
