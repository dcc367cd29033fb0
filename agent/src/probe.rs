//! Whether a free address is really free: an ICMP echo ahead of need, so that a stock of tried addresses is always there
//! and no VM waits for a probe.

use slash32_sys::echo;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// So many addresses of each pool are kept tried.
pub(crate) const STOCK: usize = 4;
/// For how long a silence counts.
const FRESH: Duration = Duration::from_secs(600);
/// So many probes are under way at once.
const AT_ONCE: usize = 16;
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

/// The probes under way, and what was silent lately.
pub(crate) struct Probes {
    silent: BTreeMap<Ipv4Addr, Instant>,
    asked: BTreeSet<Ipv4Addr>,
    results: mpsc::Receiver<Probed>,
    sender: mpsc::Sender<Probed>,
}

impl Probes {
    pub(crate) fn new() -> Self {
        let (sender, results) = mpsc::channel(AT_ONCE);
        Self {
            silent: BTreeMap::new(),
            asked: BTreeSet::new(),
            results,
            sender,
        }
    }

    /// Probes those of `candidates` that were not probed lately, as far as there is room.
    pub(crate) fn ask(&mut self, candidates: impl IntoIterator<Item = Ipv4Addr>) {
        let now = Instant::now();
        self.silent
            .retain(|_, since| now.duration_since(*since) < FRESH);
        for address in candidates {
            if self.asked.len() == AT_ONCE {
                return;
            }
            if !self.silent.contains_key(&address) && self.asked.insert(address) {
                probe(address, self.sender.clone());
            }
        }
    }

    /// The next result; `None` never comes.
    pub(crate) async fn next(&mut self) -> Option<Probed> {
        let probed = self.results.recv().await?;
        self.asked.remove(&probed.address);
        if !probed.answered {
            self.silent.insert(probed.address, Instant::now());
        }
        Some(probed)
    }
}

/// Probes `address` in a task of its own. Takes at most two seconds.
///
/// An address that cannot be asked, because no route leads to it, counts as silent.
fn probe(address: Ipv4Addr, results: mpsc::Sender<Probed>) {
    tokio::spawn(async move {
        let mut answered = false;
        for attempt in 1..=TRIES {
            answered = answers(address, attempt).await;
            if answered {
                break;
            }
        }
        let _ = results.send(Probed { address, answered }).await;
    });
}

async fn answers(address: Ipv4Addr, attempt: u16) -> bool {
    // The kernel fans every answer out to all raw sockets: the identifier is this probe's own.
    let identifier = (address.to_bits() as u16)
        .wrapping_mul(TRIES + 1)
        .wrapping_add(attempt);
    let Ok(socket) = echo::request(address, identifier) else {
        return false;
    };
    // Only waited on, as a connection of a responder is: the socket's kind does not matter for that.
    let Ok(socket) = UnixDatagram::from_std(socket.into()) else {
        return false;
    };
    let ready = tokio::time::timeout(PATIENCE, socket.ready(Interest::READABLE)).await;
    ready.is_ok_and(|ready| ready.is_ok_and(|ready| ready.is_readable()))
}
