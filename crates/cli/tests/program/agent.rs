//! An agent in a thread of its own.

use slash32_control::{
    Done, Event, EventKind, ExplainedAddress, ExplainedNetwork, ExplainedOption, Explanation,
    HistoryEntry, Lease, LinkDetail, LinkRow, NextMac, NotPermitted, Operator, OverriddenOption,
    PROTOCOL, PoolRow, Port, Refused, ReloadError, ReloadReport, Responder, SeenFrame, ShowError,
    State, Version, resolve, serve,
};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
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
    rows: Mutex<Vec<LinkRow>>,
    store: Mutex<String>,
    /// Of every link: the last request, and what tells of another server.
    seen: Mutex<[Option<SeenFrame>; 2]>,
    changes: watch::Sender<u64>,
    events: broadcast::Sender<Arc<Event>>,
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
            rows: Mutex::new(rows),
            store: Mutex::new("{\n  \"slash32-store\": 1\n}\n".into()),
            seen: Mutex::default(),
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

    /// Has these links from now on.
    pub fn publish(&self, rows: Vec<LinkRow>) {
        *self.snapshot.rows.lock().unwrap() = rows;
        self.snapshot.changes.send_modify(|tick| *tick += 1);
    }

    /// Has seen these frames on every link.
    pub fn see(&self, last_request: Option<SeenFrame>, other_server: Option<SeenFrame>) {
        *self.snapshot.seen.lock().unwrap() = [last_request, other_server];
    }

    /// What was imported last.
    pub fn store(&self) -> String {
        self.snapshot.store.lock().unwrap().clone()
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
        let _ = self.snapshot.events.send(Arc::new(event.clone()));
    }

    /// Tells `event` to whoever listens, once somebody does.
    pub fn happen(&self, event: &Event) {
        self.until_listeners(1);
        self.snapshot.events.send(Arc::new(event.clone())).unwrap();
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
    fn may_change(&self, _: BorrowedFd<'_>) -> Result<(), NotPermitted> {
        Ok(())
    }

    fn list(&self) -> Vec<LinkRow> {
        self.rows.lock().unwrap().clone()
    }

    async fn show(&self, key: &str) -> Result<LinkDetail, ShowError> {
        let [last_request, other_server] = self.seen.lock().unwrap().clone();
        Ok(LinkDetail {
            row: resolve(&self.list(), key)?.clone(),
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
            last_request,
            other_server,
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    fn version(&self) -> Version {
        Version {
            version: "1.2.3".into(),
            protocol: PROTOCOL,
        }
    }

    async fn explain(&self, key: &str) -> Result<Explanation, ShowError> {
        if key == "203.0.113.99" {
            return Ok(unexplained());
        }
        resolve(&self.list(), key).map(|row| explained(&row.link))
    }

    async fn pools(&self) -> Vec<PoolRow> {
        vec![pool()]
    }

    async fn bind(&self, link: &str, address: Ipv4Addr) -> Result<Done, Refused> {
        if !address.is_documentation() {
            let reason = format!("{address} is in no subnet of the network public");
            return Err(Refused { reason });
        }
        Ok(Done {
            done: format!("{address} is reserved for {link}"),
            link: resolve(&self.list(), link).ok().cloned(),
        })
    }

    async fn unbind(&self, link: &str) -> Result<Done, Refused> {
        Err(Refused {
            reason: format!("nothing is bound to {link}"),
        })
    }

    async fn release(&self, key: &str) -> Result<Done, Refused> {
        let row = resolve(&self.list(), key)?.clone();
        Ok(Done {
            done: format!("{key} gave its address back"),
            link: Some(row),
        })
    }

    /// Takes the address of every bound link; the config is wrong while there is no link at all.
    async fn reload(&self, force: bool) -> Result<ReloadReport, ReloadError> {
        let mut links = self.list();
        if links.is_empty() {
            let text = "slash32.toml:1:1: unknown key \u{1b}[2J\n  limks = 1\n  ^\n".into();
            return Err(ReloadError::Config { text });
        }
        links.retain(|link| link.state == State::Bound);
        if links.is_empty() {
            return Ok(ReloadReport {
                changed: Vec::new(),
                lost: Vec::new(),
            });
        }
        if !force {
            return Err(ReloadError::WouldLose { links });
        }
        Ok(ReloadReport {
            changed: vec!["the network public is gone".into()],
            lost: links,
        })
    }

    async fn mac_next(&self, network: Option<&str>) -> Result<NextMac, Refused> {
        match network {
            None | Some("ci") => Ok(NextMac {
                mac: "52:54:cb:00:71:09".into(),
                address: "203.0.113.9".parse().unwrap(),
            }),
            Some(name) => Err(Refused {
                reason: format!("there is no network {name}"),
            }),
        }
    }

    async fn export(&self) -> Result<String, Refused> {
        Ok(self.store.lock().unwrap().clone())
    }

    async fn import(&self, document: String) -> Result<String, Refused> {
        if !document.starts_with('{') {
            return Err(Refused {
                reason: "the document is no JSON object".into(),
            });
        }
        *self.store.lock().unwrap() = document;
        Ok("the store has 2 allocations".into())
    }
}

pub fn pool() -> PoolRow {
    PoolRow {
        network: "public".into(),
        subnet: "203.0.113.0/24".into(),
        pool: "203.0.113.10-203.0.113.99".into(),
        total: 90,
        used: 40,
        free: 45,
        reserved: 2,
        set_aside: 1,
        quarantined: 2,
    }
}

/// All is well, and one option is overridden.
pub fn explained(link: &str) -> Explanation {
    let option = |key: &str, value: &str, scope: &str, line: u32| ExplainedOption {
        key: key.into(),
        value: value.into(),
        scope: scope.into(),
        origin: (line > 0).then(|| format!("/etc/slash32/slash32.toml:{line}")),
        overrides: Vec::new(),
    };
    let overrides = vec![OverriddenOption {
        value: "24h".into(),
        scope: "global".into(),
        origin: Some("/etc/slash32/slash32.toml:9".into()),
    }];
    Explanation {
        link: Some(link.into()),
        network: ExplainedNetwork {
            name: Some("public".into()),
            why: "\"virbr*\" matches the link".into(),
            origin: Some("/etc/slash32/slash32.toml:21".into()),
        },
        address: ExplainedAddress {
            value: Some("203.0.113.7".parse().unwrap()),
            why: "it is reserved for the link".into(),
            origin: Some("/etc/slash32/slash32.toml:31".into()),
        },
        options: vec![
            ExplainedOption {
                overrides,
                ..option("lease-time", "12h", "network", 24)
            },
            option("dns", "9.9.9.9, 149.112.112.112", "global", 10),
            option("mtu", "1500", "default", 0),
        ],
        refused: None,
        notes: Vec::new(),
    }
}

/// Of an address that no VM has.
pub fn unexplained() -> Explanation {
    Explanation {
        link: None,
        address: ExplainedAddress {
            value: Some("203.0.113.99".parse().unwrap()),
            why: "no VM has it".into(),
            origin: None,
        },
        options: Vec::new(),
        refused: Some("another host announces it".into()),
        notes: vec![
            "it is in the pool 203.0.113.10-203.0.113.99".into(),
            "it is set aside since 2026-11-22T10:00:00Z".into(),
        ],
        ..explained("")
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
        vm: Some("web1".into()),
        uuid: None,
        kind,
        address: Some("203.0.113.7".parse().unwrap()),
        text: "web1 has 203.0.113.7".into(),
    }
}
