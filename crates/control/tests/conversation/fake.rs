//! An agent that says what the test told it to say.

use slash32_control::{
    Event, EventKind, HistoryEntry, Lease, LinkDetail, LinkRow, Operator, PROTOCOL, Port,
    Responder, ShowError, State, Version, resolve, serve,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

/// How many events the channel holds for a client that does not read.
pub const EVENTS_KEPT: usize = 64;

pub struct FakeAgent {
    folder: tempfile::TempDir,
    path: PathBuf,
    snapshot: Arc<Snapshot>,
    server: JoinHandle<std::io::Result<()>>,
}

struct Snapshot {
    rows: Mutex<Vec<LinkRow>>,
    changes: watch::Sender<u64>,
    events: broadcast::Sender<Event>,
}

impl FakeAgent {
    pub fn start(rows: Vec<LinkRow>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let snapshot = Arc::new(Snapshot {
            rows: Mutex::new(rows),
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENTS_KEPT),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&snapshot)));
        Self {
            folder,
            path,
            snapshot,
            server,
        }
    }

    pub fn path(&self) -> &Path {
        assert!(self.folder.path().exists());
        &self.path
    }

    pub fn rows(&self) -> Vec<LinkRow> {
        self.snapshot.list()
    }

    pub fn publish(&self, rows: Vec<LinkRow>) {
        *self.snapshot.rows.lock().unwrap() = rows;
        self.snapshot.changes.send_modify(|tick| *tick += 1);
    }

    pub fn happen(&self, kind: EventKind) {
        let _ = self.snapshot.events.send(event(kind));
    }

    /// Returns when a `Wait` is under way.
    pub async fn somebody_waits(&self) {
        self.until(|receivers| receivers > 0).await;
    }

    /// Returns when no `Wait` is under way.
    pub async fn nobody_waits(&self) {
        self.until(|receivers| receivers == 0).await;
    }

    async fn until(&self, reached: impl Fn(usize) -> bool) {
        let poll = async {
            while !reached(self.snapshot.changes.receiver_count()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), poll)
            .await
            .unwrap();
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Operator for Snapshot {
    fn list(&self) -> Vec<LinkRow> {
        self.rows.lock().unwrap().clone()
    }

    async fn show(&self, key: &str) -> Result<LinkDetail, ShowError> {
        resolve(&self.list(), key).cloned().map(detail)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn version(&self) -> Version {
        Version {
            version: "1.2.3".into(),
            protocol: PROTOCOL,
        }
    }
}

/// A row with everything known; only virbr1 has the address and the UUID.
pub fn row(link: &str, vm: &str, state: State) -> LinkRow {
    let first = link == "virbr1";
    LinkRow {
        link: link.into(),
        ifindex: 7,
        vm: Some(vm.into()),
        uuid: first.then(|| "4dea22b3-1d52-d8f3-2516-782e98ab3fa0".into()),
        mac: Some("52:54:00:12:34:56".into()),
        address: first.then(|| "203.0.113.7".parse().unwrap()),
        gateway: Some("169.254.0.1".parse().unwrap()),
        network: Some("public".into()),
        state,
        reason: None,
        route: state == State::Bound,
        generation: Some(1),
        lease: Some(Lease {
            acked_at: "2026-11-22T10:41:00Z".into(),
            expires_at: None,
        }),
        responder: Some(Responder {
            pid: 4711,
            state: "serving".into(),
        }),
    }
}

pub fn detail(row: LinkRow) -> LinkDetail {
    LinkDetail {
        row,
        ports: vec![Port {
            name: "vnet3".into(),
            carrier: true,
        }],
        counters: BTreeMap::from([("offer".into(), 3), ("other_mac".into(), 0)]),
        options: BTreeMap::from([("dns".into(), "9.9.9.9".into())]),
        history: vec![HistoryEntry {
            time: "2026-11-22T10:40:59Z".into(),
            event: "the link appeared".into(),
        }],
    }
}

pub fn event(kind: EventKind) -> Event {
    Event {
        time: "2026-11-22T10:41:00Z".into(),
        link: Some("virbr1".into()),
        ifindex: Some(7),
        kind,
        address: Some("203.0.113.7".parse().unwrap()),
        text: "something happened".into(),
    }
}
