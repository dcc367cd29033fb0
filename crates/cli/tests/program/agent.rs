//! An agent in a thread of its own.

use slash32_control::{
    Event, EventKind, HistoryEntry, Lease, LinkDetail, LinkRow, Operator, PROTOCOL, Port,
    Responder, ShowError, State, Version, resolve, serve,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::UnixListener;
use tokio::sync::{broadcast, oneshot, watch};

pub struct Agent {
    folder: tempfile::TempDir,
    path: PathBuf,
    snapshot: Arc<Snapshot>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Snapshot {
    rows: Vec<LinkRow>,
    changes: watch::Sender<u64>,
    events: broadcast::Sender<Event>,
}

impl Agent {
    /// virbr1 (web1) is bound, virbr2 (web2) is refused, virbr3 and virbr4 are both links of db, and idle.
    pub fn start() -> Self {
        Self::with(vec![bound(), failed(), idle("virbr3"), idle("virbr4")])
    }

    pub fn with(rows: Vec<LinkRow>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        // Bound before the thread starts, so that a client can connect at once.
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let snapshot = Arc::new(Snapshot {
            rows,
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(16),
        });
        let operator = Arc::clone(&snapshot);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server =
                    tokio::spawn(serve(UnixListener::from_std(listener).unwrap(), operator));
                let _ = stopped.await;
                server.abort();
            });
        });
        Self {
            folder,
            path,
            snapshot,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn path(&self) -> &Path {
        assert!(self.folder.path().exists());
        &self.path
    }

    /// Returns when `count` clients listen for events.
    pub fn until_listeners(&self, count: usize) {
        let started = Instant::now();
        while self.snapshot.events.receiver_count() < count {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "nobody listens for events"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Tells `event` to whoever listens, if anybody does.
    pub fn happen_to_whom_it_may_concern(&self, event: &Event) {
        let _ = self.snapshot.events.send(event.clone());
    }

    /// Tells `event` to whoever listens, once somebody does.
    pub fn happen(&self, event: &Event) {
        self.until_listeners(1);
        self.snapshot.events.send(event.clone()).unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Operator for Snapshot {
    fn list(&self) -> Vec<LinkRow> {
        self.rows.clone()
    }

    async fn show(&self, key: &str) -> Result<LinkDetail, ShowError> {
        Ok(LinkDetail {
            row: resolve(&self.rows, key)?.clone(),
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
        })
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

pub fn bound() -> LinkRow {
    LinkRow {
        vm: Some("web1".into()),
        uuid: Some("4dea22b3-1d52-d8f3-2516-782e98ab3fa0".into()),
        mac: Some("52:54:00:12:34:56".into()),
        address: Some("203.0.113.7".parse().unwrap()),
        gateway: Some("169.254.0.1".parse().unwrap()),
        network: Some("public".into()),
        state: State::Bound,
        route: true,
        generation: Some(1),
        lease: Some(Lease {
            acked_at: "2026-11-22T10:41:00Z".into(),
            expires_at: None,
        }),
        responder: Some(Responder {
            pid: 4711,
            state: "serving".into(),
        }),
        ..idle("virbr1")
    }
}

pub fn failed() -> LinkRow {
    LinkRow {
        vm: Some("web2".into()),
        state: State::Failed,
        reason: Some("foreign address".into()),
        ..idle("virbr2")
    }
}

pub fn idle(link: &str) -> LinkRow {
    LinkRow {
        link: link.into(),
        ifindex: 7,
        vm: Some("db".into()),
        uuid: None,
        mac: None,
        address: None,
        gateway: None,
        network: None,
        state: State::Idle,
        reason: None,
        route: false,
        generation: None,
        lease: None,
        responder: None,
    }
}

pub fn event(kind: EventKind) -> Event {
    Event {
        time: "2026-11-22T10:41:00Z".into(),
        link: Some("virbr1".into()),
        ifindex: Some(7),
        kind,
        address: Some("203.0.113.7".parse().unwrap()),
        text: "web1 has 203.0.113.7".into(),
    }
}
