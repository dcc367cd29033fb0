//! Whether a free address is really free: an ICMP echo ahead of need, so that no VM waits for one.

use slash32_sys::echo;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many requests are sent before an address counts as silent.
const TRIES: u16 = 2;

/// What became of a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Probed {
    pub(crate) address: Ipv4Addr,
    /// Somebody answered: the address is in use.
    pub(crate) answered: bool,
}

/// Probes `address` in a task of its own and tells the result. Takes at most two seconds.
///
/// An address that cannot be asked, because no route leads to it, counts as silent.
pub(crate) fn probe(address: Ipv4Addr, results: mpsc::Sender<Probed>) {
    tokio::spawn(async move {
        let mut answered = false;
        for identifier in 1..=TRIES {
            answered = answers(address, identifier).await;
            if answered {
                break;
            }
        }
        let _ = results.send(Probed { address, answered }).await;
    });
}

async fn answers(address: Ipv4Addr, identifier: u16) -> bool {
    let identifier = identifier | ((address.to_bits() as u16) << 2);
    let Ok(socket) = echo::request(address, identifier) else { return false };
    // Only waited on, as a connection of a responder is: the socket's kind does not matter for that.
    let Ok(socket) = UnixDatagram::from_std(socket.into()) else { return false };
    tokio::time::timeout(PATIENCE, socket.ready(Interest::READABLE)).await.is_ok_and(|ready| ready.is_ok())
}
