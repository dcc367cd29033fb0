//! An agent that says what the test told it to say.

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
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, broadcast, watch};
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
    events: broadcast::Sender<Arc<Event>>,
    /// What `unbind` waits for: a permit each.
    slow: Semaphore,
    store: Mutex<String>,
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
            slow: Semaphore::new(0),
            store: Mutex::new("{}".into()),
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
        let _ = self.snapshot.events.send(Arc::new(event(kind)));
    }

    /// Lets one `unbind` go on.
    pub fn let_a_change_go_on(&self) {
        self.snapshot.slow.add_permits(1);
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
    fn may_change(&self, _: BorrowedFd<'_>) -> Result<(), NotPermitted> {
        Ok(())
    }

    fn list(&self) -> Vec<LinkRow> {
        self.rows.lock().unwrap().clone()
    }

    async fn show(&self, key: &str) -> Result<LinkDetail, ShowError> {
        resolve(&self.list(), key).cloned().map(detail)
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
        match key.parse() {
            Ok(address) => Ok(explanation(None, address)),
            Err(_) => resolve(&self.list(), key).map(|row| {
                explanation(
                    Some(&row.link),
                    row.address.unwrap_or(Ipv4Addr::UNSPECIFIED),
                )
            }),
        }
    }

    async fn pools(&self) -> Vec<PoolRow> {
        vec![pool()]
    }

    /// Takes any address of 203.0.113.0/24, at once.
    async fn bind(&self, link: &str, address: Ipv4Addr) -> Result<Done, Refused> {
        if address.octets()[..3] != [203, 0, 113] {
            let reason = format!("{address} is in no subnet of the network public");
            return Err(Refused { reason });
        }
        let mut rows = self.rows.lock().unwrap();
        let row = rows.iter_mut().find(|row| row.link == link);
        if let Some(row) = row {
            row.address = Some(address);
        }
        Ok(Done {
            done: format!("{address} is reserved for {link}"),
            link: rows.iter().find(|row| row.link == link).cloned(),
        })
    }

    /// Takes until the test lets it go on; the link is then gone.
    async fn unbind(&self, link: &str) -> Result<Done, Refused> {
        self.changes.send_modify(|tick| *tick += 1);
        self.slow.acquire().await.unwrap().forget();
        self.rows.lock().unwrap().retain(|row| row.link != link);
        self.changes.send_modify(|tick| *tick += 1);
        Ok(Done {
            done: format!("nothing is reserved for {link} any more"),
            link: None,
        })
    }

    async fn release(&self, key: &str) -> Result<Done, Refused> {
        let row = resolve(&self.list(), key)?.clone();
        Ok(Done {
            done: format!("{} gave its address back", row.link),
            link: Some(row),
        })
    }

    /// The config has an error while the store says so, and takes the address of every link there is.
    async fn reload(&self, force: bool) -> Result<ReloadReport, ReloadError> {
        let links = self.list();
        if *self.store.lock().unwrap() == "bad config" {
            let text = "slash32.toml:1:1: unknown key\n  limks = 1\n  ^\n".into();
            return Err(ReloadError::Config { text });
        }
        if !force && !links.is_empty() {
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
        let done = format!("{} bytes are in the store", document.len());
        *self.store.lock().unwrap() = document;
        Ok(done)
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

pub fn explanation(link: Option<&str>, address: Ipv4Addr) -> Explanation {
    Explanation {
        link: link.map(str::to_owned),
        network: ExplainedNetwork {
            name: Some("public".into()),
            why: "\"virbr*\" matches the link".into(),
            origin: Some("slash32.toml:21".into()),
        },
        address: ExplainedAddress {
            value: Some(address),
            why: "it is reserved for the link".into(),
            origin: Some("slash32.toml:31".into()),
        },
        options: vec![ExplainedOption {
            key: "lease-time".into(),
            value: "12h".into(),
            scope: "network".into(),
            origin: Some("slash32.toml:24".into()),
            overrides: vec![OverriddenOption {
                value: "24h".into(),
                scope: "global".into(),
                origin: Some("slash32.toml:9".into()),
            }],
        }],
        refused: None,
        notes: Vec::new(),
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
        last_request: Some(SeenFrame {
            at: "2026-11-22T10:41:00Z".into(),
            outcome: Some("offer".into()),
            reason: None,
            frame: "ffffffffffff".into(),
        }),
        other_server: None,
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
        text: "something happened".into(),
    }
}
