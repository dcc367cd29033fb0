use crate::{
    Namespace,
    packet::{Heard, PacketSocket, readable},
};
use anyhow::Result;
use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use std::{
    collections::HashMap,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, SystemTime},
};

/// The longest frame that is read whole, in bytes; what is behind that is cut off.
const LONGEST: usize = 2048;

/// One packet socket that hears every link of a namespace, and sends on each of those that were there when it was opened: for
/// more VMs than one has descriptors to wait on.
pub struct EveryLink {
    socket: PacketSocket,
    addresses: HashMap<String, LinkAddr>,
    buffer: Vec<u8>,
}

/// A frame that arrived.
pub struct Arrived<'b> {
    /// The index of the link.
    pub ifindex: usize,
    /// As in [`Frame::at`](crate::Frame::at).
    pub at: SystemTime,
    /// As in [`Frame::bytes`](crate::Frame::bytes).
    pub bytes: &'b [u8],
}

impl EveryLink {
    /// Opens one. Errors: the links of `namespace` cannot be read.
    pub fn open(namespace: &Namespace) -> Result<Self> {
        let socket = PacketSocket::open_all(namespace)?;
        let addresses = namespace.inside(|| {
            let links = nix::ifaddrs::getifaddrs()?;
            let address = |one: nix::ifaddrs::InterfaceAddress| {
                let address = one.address?.as_link_addr().copied()?;
                Some((one.interface_name, address))
            };
            Ok(links.filter_map(address).collect())
        })?;
        Ok(Self {
            socket,
            addresses,
            buffer: vec![0; LONGEST],
        })
    }

    /// Where to send for the link with this name, when it was there.
    pub fn address(&self, link: &str) -> Option<LinkAddr> {
        self.addresses.get(link).copied()
    }

    /// Puts a frame on the wire of one link. Errors: the link is down or gone.
    pub fn send(&self, to: &LinkAddr, frame: &[u8]) -> Result<()> {
        let socket = self.socket.as_fd().as_raw_fd();
        sendto(socket, frame, to, MsgFlags::empty())?;
        Ok(())
    }

    /// Waits until there is something to read, at most for `bound`, to the millisecond.
    pub fn wait(&self, bound: Duration) -> Result<bool> {
        readable(&self.socket, bound)
    }

    /// The next frame that came from elsewhere, without waiting; `None` when there is none.
    pub fn receive(&mut self) -> Result<Option<Arrived<'_>>> {
        let Heard {
            ifindex,
            length,
            at,
            ..
        } = loop {
            match self.socket.receive_into(&mut self.buffer)? {
                Some(heard) if heard.outgoing => {}
                Some(heard) => break heard,
                None => return Ok(None),
            }
        };
        Ok(Some(Arrived {
            ifindex: ifindex as usize,
            at,
            bytes: &self.buffer[..length],
        }))
    }
}
