//! What operators see: a snapshot that the reconcile task replaces link by link, and that the operator API reads without
//! waiting for it.

use crate::operator::Request;
use crate::vm::rfc3339;
use jiff::Timestamp;
use slash32_control::{Event, EventKind, LinkDetail, LinkRow, State};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// How many events a slow reader may be behind.
const EVENTS: usize = 4096;

/// One link as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) detail: LinkDetail,
    /// When the acknowledged lease ends: nobody tells the agent, so it is looked at when somebody asks.
    pub(crate) expires_at: Option<Timestamp>,
}

/// The published snapshot.
pub(crate) struct Published {
    links: Mutex<BTreeMap<u32, Shown>>,
    /// What is wrong with the store.
    store: Mutex<Option<String>>,
    /// How many networks the config in force has.
    networks: AtomicUsize,
    changes: watch::Sender<u64>,
    events: broadcast::Sender<Event>,
    requests: mpsc::Sender<Request>,
}

impl Published {
    pub(crate) fn new(requests: mpsc::Sender<Request>) -> Self {
        Self {
            links: Mutex::new(BTreeMap::new()),
            store: Mutex::new(None),
            networks: AtomicUsize::new(0),
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENTS),
            requests,
        }
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<u32, Shown>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what is shown of some links; `None` takes one away.
    pub(crate) fn put(&self, shown: impl IntoIterator<Item = (u32, Option<Shown>)>) {
        let mut links = self.links();
        for (ifindex, shown) in shown {
            match shown {
                Some(shown) => {
                    links.insert(ifindex, shown);
                }
                None => {
                    links.remove(&ifindex);
                }
            }
        }
        drop(links);
        self.changes.send_modify(|count| *count += 1);
    }

    /// The store has this trouble from now on, or none.
    pub(crate) fn tell_store(&self, trouble: Option<&str>) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = trouble.map(str::to_owned);
        self.changes.send_modify(|count| *count += 1);
    }

    /// What is wrong with the store, if anything.
    pub(crate) fn store_trouble(&self) -> Option<String> {
        let trouble = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone()
    }

    /// The config that is in force from now on has so many networks.
    pub(crate) fn tell_networks(&self, count: usize) {
        self.networks.store(count, Ordering::Relaxed);
        self.changes.send_modify(|count| *count += 1);
    }

    /// How many networks the config in force has.
    pub(crate) fn networks(&self) -> usize {
        self.networks.load(Ordering::Relaxed)
    }

    /// Tells whoever listens, and the log.
    pub(crate) fn event(
        &self,
        time: Timestamp,
        link: Option<(&str, u32)>,
        kind: EventKind,
        address: Option<Ipv4Addr>,
        text: String,
    ) {
        match link {
            Some((name, _)) if kind == EventKind::Failed => tracing::warn!("{name}: {text}"),
            Some((name, _)) => tracing::info!("{name}: {text}"),
            None => tracing::info!("{text}"),
        }
        let event = Event {
            time: rfc3339(time),
            link: link.map(|(name, _)| name.to_owned()),
            ifindex: link.map(|(_, ifindex)| ifindex),
            kind,
            address,
            text,
        };
        // Nobody listening is no fault.
        let _ = self.events.send(event);
    }
}

/// A lease that has run out since the row was made shows.
fn aged(mut row: LinkRow, expires_at: Option<Timestamp>) -> LinkRow {
    if row.state == State::Bound && expires_at.is_some_and(|end| end <= Timestamp::now()) {
        row.state = State::Ready;
        row.reason = Some("the lease has expired".into());
    }
    row
}

impl Published {
    /// Every link as it is now.
    pub(crate) fn rows(&self) -> Vec<LinkRow> {
        let links = self.links();
        let mut rows: Vec<LinkRow> = links
            .values()
            .map(|shown| aged(shown.detail.row.clone(), shown.expires_at))
            .collect();
        drop(links);
        rows.sort_by(|a, b| natural(&a.link, &b.link));
        rows
    }

    /// Everything that was last known about a link.
    pub(crate) fn detail(&self, ifindex: u32) -> Option<LinkDetail> {
        let mut shown = self.links().get(&ifindex).cloned()?;
        shown.detail.row = aged(shown.detail.row, shown.expires_at);
        Some(shown.detail)
    }

    /// Asks the reconcile task for something; `None` when it does not answer, because the agent ends.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.ok()?;
        answer.await.ok()
    }

    pub(crate) fn subscribe_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn subscribe_events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

/// virbr2 before virbr10.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let split = |name: &str| {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (stem, number) = name.split_at(name.len() - digits);
        (
            stem.to_owned(),
            number.parse::<u64>().ok(),
            number.to_owned(),
        )
    };
    split(a).cmp(&split(b))
}
