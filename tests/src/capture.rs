use crate::{Frame, Namespace, PacketSocket, Wire, dhcp::Message};
use anyhow::Result;
use etherparse::{IpNumber, NetSlice, SlicedPacket};
use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

/// Every frame of one link since it was opened, for asserting what was on the wire and what was not.
///
/// The kernel queues the frames with their timestamps, so nothing runs in the background.
pub struct Capture {
    socket: PacketSocket,
    seen: RefCell<Vec<Frame>>,
}

impl Capture {
    /// Starts with the next frame on `link`.
    pub fn open(namespace: &Namespace, link: &str) -> Result<Self> {
        Ok(Self {
            socket: PacketSocket::open(namespace, link)?,
            seen: RefCell::default(),
        })
    }

    /// Starts with the next frame on any link of the namespace, those too that are made later. A frame that crosses several
    /// links is heard on each.
    pub fn open_all(namespace: &Namespace) -> Result<Self> {
        Ok(Self {
            socket: PacketSocket::open_all(namespace)?,
            seen: RefCell::default(),
        })
    }

    /// All frames up to now, oldest first.
    pub fn frames(&self) -> Result<Vec<Frame>> {
        while let Some(frame) = self.socket.receive(Duration::ZERO)? {
            self.seen.borrow_mut().push(frame);
        }
        Ok(self.seen.borrow().clone())
    }

    /// All DHCP messages up to now, with the frame that carried each.
    pub fn messages(&self) -> Result<Vec<(Frame, Message)>> {
        let frames = self.frames()?.into_iter();
        Ok(frames
            .filter_map(|frame| Message::read(&frame.bytes).map(|message| (frame, message)))
            .collect())
    }

    /// Waits for a DHCP message that `wanted` accepts, at most for `bound`; frames seen before count too.
    pub fn wait_for(
        &self,
        what: &str,
        bound: Duration,
        wanted: impl Fn(&Frame, &Message) -> bool,
    ) -> Result<(Frame, Message)> {
        crate::until(what, bound, || {
            Ok(self
                .messages()?
                .into_iter()
                .find(|(frame, message)| wanted(frame, message)))
        })
    }

    /// Listens for all of `time`: the proof that something did not come.
    pub fn listen(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if let Some(frame) = self.socket.receive(left)? {
                self.seen.borrow_mut().push(frame);
            }
        }
        Ok(())
    }

    /// The ICMP "port unreachable" messages (type 3, code 3: RFC 792) up to now that came in on the link: on a guest's
    /// `eth0`, those that the host has sent.
    pub fn port_unreachables(&self) -> Result<Vec<Frame>> {
        let came_in = |frame: &Frame| !frame.outgoing && is_port_unreachable(&frame.bytes);
        Ok(self.frames()?.into_iter().filter(came_in).collect())
    }
}

fn is_port_unreachable(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
        return false;
    };
    let Some(NetSlice::Ipv4(ip)) = packet.net else {
        return false;
    };
    ip.header().protocol() == IpNumber::ICMP && ip.payload().payload.starts_with(&[3, 3])
}
