//! What bridges learn, as it happens (RTM_NEWNEIGH of AF_BRIDGE): the first frame of a VM that arrives by migration.
//!
//! A socket of its own, open only while somebody waits for such a frame: the group tells every change of every ARP entry of
//! the host, too, and a host with ten thousand of them is not to pay for that all the time.

use super::decode;
use super::listen::{Heard, Listening};
use slash32_binding::MacAddr;
use std::collections::VecDeque;
use std::io;

const RTM_NEWNEIGH: u16 = 28;
const RTNLGRP_NEIGH: u32 = 3;

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
    socket: Listening,
    learned: VecDeque<Learned>,
}

impl LearnedMacs {
    /// Subscribes: what is learned from now on is told.
    pub(crate) fn watch() -> io::Result<Self> {
        Ok(Self {
            socket: Listening::to(&[RTNLGRP_NEIGH], None)?,
            learned: VecDeque::new(),
        })
    }

    /// The next one; `None` when the socket has failed. Nothing is lost when it is not waited for to the end.
    pub(crate) async fn next(&mut self) -> Option<Learned> {
        loop {
            if let Some(learned) = self.learned.pop_front() {
                return Some(learned);
            }
            let learned = &mut self.learned;
            let heard = self.socket.hear(|heard| learned.extend(told(&heard)));
            heard.await.ok()?;
        }
    }
}

fn told(heard: &Heard<'_>) -> Option<Learned> {
    match heard {
        Heard::Overrun => Some(Learned::Overrun),
        Heard::Message(message) if message.kind == RTM_NEWNEIGH => {
            let (port, mac) = decode::learned(message.payload)?;
            Some(Learned::Mac { port, mac })
        }
        Heard::Message(_) => None,
    }
}
