//! What bridges learn, as it happens (RTM_NEWNEIGH of AF_BRIDGE): the first frame of a VM that arrives by migration.
//!
//! A socket of its own, open only while somebody waits for such a frame: the group tells every change of every ARP entry of
//! the host, too, and a host with ten thousand of them is not to pay for that all the time.

use super::request::learned;
use futures_util::StreamExt;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::MulticastGroup;
use slash32_binding::MacAddr;
use std::io;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

/// What a bridge has learned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Learned {
    /// A frame from `mac` came in by the port with this ifindex.
    Mac { port: u32, mac: MacAddr },
    /// The kernel could not tell everything: ask.
    Overrun,
}

/// The open socket. Dropping it closes it.
pub(crate) struct LearnedMacs {
    learned: UnboundedReceiver<Learned>,
    tasks: [JoinHandle<()>; 2],
}

impl LearnedMacs {
    /// Subscribes: what is learned from now on is told.
    pub(crate) fn watch() -> io::Result<Self> {
        let (connection, _, mut messages) =
            rtnetlink::new_multicast_connection(&[MulticastGroup::Neigh])?;
        let (sender, receiver) = unbounded_channel();
        let read = async move {
            while let Some((message, _)) = messages.next().await {
                let told = match message.payload {
                    NetlinkPayload::InnerMessage(message) => told(&message),
                    NetlinkPayload::Overrun(_) => Some(Learned::Overrun),
                    _ => None,
                };
                if let Some(told) = told
                    && sender.send(told).is_err()
                {
                    return;
                }
            }
        };
        Ok(Self {
            learned: receiver,
            tasks: [tokio::spawn(connection), tokio::spawn(read)],
        })
    }

    /// The next one; `None` when the socket has failed.
    pub(crate) async fn next(&mut self) -> Option<Learned> {
        self.learned.recv().await
    }
}

impl Drop for LearnedMacs {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn told(message: &RouteNetlinkMessage) -> Option<Learned> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else {
        return None;
    };
    if message.header.family != AddressFamily::Bridge {
        return None;
    }
    Some(Learned::Mac {
        port: message.header.ifindex,
        mac: learned(message)?,
    })
}
