use crate::{Namespace, PacketSocket, Wire};
use anyhow::Result;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use std::{
    net::Ipv6Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// ICMPv6 types (RFC 4861 §4.1, §4.2).
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;

/// A router that has nothing to offer: it answers IPv6 router solicitations on a link, with a lifetime of 0 and without a
/// prefix. Without one, iPXE waits for 16 s before it goes on with IPv4.
pub struct RouterAdvertiser {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RouterAdvertiser {
    /// Answers to what comes out of `link` from now on.
    pub fn start(namespace: &Namespace, link: &str) -> Result<Self> {
        let socket = PacketSocket::open(namespace, link)?;
        let over = Arc::<AtomicBool>::default();
        let stop = over.clone();
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match socket.receive(Duration::from_millis(50)) {
                    Ok(Some(frame)) if !frame.outgoing && solicits(&frame.bytes) => {
                        // The link is down: the VM asks again.
                        drop(socket.send(&advertisement()));
                    }
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        Ok(Self {
            over,
            thread: Some(thread),
        })
    }
}

impl Drop for RouterAdvertiser {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn solicits(frame: &[u8]) -> bool {
    let packet = SlicedPacket::from_ethernet(frame);
    packet.is_ok_and(|packet| {
        matches!(packet.net, Some(NetSlice::Ipv6(_)))
            && matches!(packet.transport, Some(TransportSlice::Icmpv6(icmp)) if icmp.type_u8() == ROUTER_SOLICITATION)
    })
}

/// A frame to all nodes (RFC 4861 §4.2).
fn advertisement() -> Vec<u8> {
    let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets();
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).octets();
    // Of the router's own fields only the hop limit says something; the reachable and the retransmission time are not given.
    let (hop_limit, times) = ([64, 0, 0, 0], [0; 8]);
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1])
        .ipv6(router, all_nodes, 255)
        .icmpv6_raw(ROUTER_ADVERTISEMENT, 0, hop_limit);
    let mut frame = Vec::with_capacity(builder.size(times.len()));
    builder
        .write(&mut frame, &times)
        .expect("a Vec takes every byte");
    frame
}
