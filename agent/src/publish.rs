//! What operators see: a snapshot that the reconcile task replaces link by link, and that the operator API reads without
//! waiting for it.

mod shown;
mod talk;

pub(crate) use shown::Shown;

use crate::access::Access;
use crate::metrics::LinkCount;
use crate::moment::Moment;
use crate::operator::Request;
use crate::vm::rfc3339;
use jiff::Timestamp;
use slash32_control::{Event, EventKind, LinkDetail, LinkRow};
use slash32_libvirt::Nic;
use slash32_policy::PoolUse;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use talk::{Say, Talk};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// How many events a slow reader may be behind.
const EVENTS: usize = 4096;

/// The published snapshot.
pub(crate) struct Published {
    links: Mutex<BTreeMap<u32, Arc<Shown>>>,
    pools: Mutex<Vec<PoolUse>>,
    talk: Mutex<Talk>,
    /// Name and UUID of the VM on each link, as events tell them: with the last one of a VM that has gone, too.
    vms: Mutex<BTreeMap<u32, (String, String)>>,
    /// What is wrong with the store.
    store: Mutex<Option<String>>,
    /// How many networks the config in force has.
    networks: AtomicUsize,
    changes: watch::Sender<u64>,
    /// A place of its ring is a pointer, as most stay empty.
    events: broadcast::Sender<Arc<Event>>,
    requests: mpsc::Sender<Request>,
    pub(crate) access: Access,
}

impl Published {
    pub(crate) fn new(requests: mpsc::Sender<Request>, access: Access) -> Self {
        Self {
            links: Mutex::new(BTreeMap::new()),
            pools: Mutex::new(Vec::new()),
            talk: Mutex::default(),
            vms: Mutex::default(),
            store: Mutex::new(None),
            networks: AtomicUsize::new(0),
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENTS),
            requests,
            access,
        }
    }

    fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn vms(&self) -> MutexGuard<'_, BTreeMap<u32, (String, String)>> {
        self.vms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events of this link are this VM's from now on.
    pub(crate) fn tell_vm(&self, ifindex: u32, nic: Option<&Nic>) {
        let mut vms = self.vms();
        match nic {
            Some(nic) => vms.insert(ifindex, (nic.vm.clone(), nic.uuid.clone())),
            None => vms.remove(&ifindex),
        };
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Shown>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what is shown of some links; `None` takes one away.
    pub(crate) fn put(&self, shown: impl IntoIterator<Item = (u32, Option<Shown>)>) {
        let mut links = self.links();
        for (ifindex, shown) in shown {
            match shown {
                Some(shown) => {
                    links.insert(ifindex, Arc::new(shown));
                }
                None => {
                    self.talk().forget(ifindex);
                    self.vms().remove(&ifindex);
                    links.remove(&ifindex);
                }
            }
        }
        drop(links);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Replaces what is shown of the pools.
    pub(crate) fn put_pools(&self, pools: Vec<PoolUse>) {
        *self.pools.lock().unwrap_or_else(PoisonError::into_inner) = pools;
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
        let say = link.map_or(Say::It, |(_, ifindex)| {
            self.talk().of(ifindex, std::time::Instant::now())
        });
        let vm = link.and_then(|(_, ifindex)| self.vms().get(&ifindex).cloned());
        let (vm, uuid) = vm.unzip();
        if say != Say::Nothing {
            log(link, vm.as_deref(), uuid.as_deref(), kind, address, &text);
        }
        if let (Some((name, ifindex)), Say::ItAtLast) = (link, say) {
            tracing::warn!(
                link = name,
                ifindex,
                "{name}: many events, so the next ones are not logged: slash32 events shows all"
            );
        }
        // Nobody listening is no fault.
        if self.events.receiver_count() == 0 {
            return;
        }
        let event = Event {
            time: rfc3339(time),
            link: link.map(|(name, _)| name.to_owned()),
            ifindex: link.map(|(_, ifindex)| ifindex),
            vm,
            uuid,
            kind,
            address,
            text,
        };
        let _ = self.events.send(Arc::new(event));
    }
}

/// The line of an event, with the fields that the journal finds it by.
fn log(
    link: Option<(&str, u32)>,
    vm: Option<&str>,
    uuid: Option<&str>,
    kind: EventKind,
    address: Option<Ipv4Addr>,
    text: &str,
) {
    let Some((name, ifindex)) = link else {
        return tracing::info!(
            event = kind.name(),
            address = address.map(display),
            "{text}"
        );
    };
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                link = name,
                ifindex,
                vm,
                uuid,
                address = address.map(display),
                event = kind.name(),
                "{name}: {text}"
            )
        };
    }
    if matches!(kind, EventKind::Failed | EventKind::ResponderLost) {
        line!(warn)
    } else {
        line!(info)
    }
}

impl Published {
    /// Every link as it is now.
    pub(crate) fn rows(&self) -> Vec<LinkRow> {
        let now = Moment::now();
        let links = self.links();
        let mut rows: Vec<LinkRow> = links.values().map(|shown| shown.row(now)).collect();
        drop(links);
        rows.sort_by(|a, b| natural(&a.link, &b.link));
        rows
    }

    /// Everything that was last known about a link.
    pub(crate) fn detail(&self, ifindex: u32) -> Option<LinkDetail> {
        let shown = self.links().get(&ifindex).cloned()?;
        Some(shown.detail(Moment::now()))
    }

    /// How many links there are of each sort.
    pub(crate) fn count(&self) -> LinkCount {
        let now = Moment::now().boot;
        let mut count = LinkCount::default();
        for shown in self.links().values() {
            count.states[shown.state(now) as usize] += 1;
            for remark in &shown.remarks {
                count.remarks[*remark as usize] += 1;
            }
            count.routes += u64::from(shown.route);
            count.responders += u64::from(shown.responder.is_some());
        }
        count
    }

    /// How far each pool is used.
    pub(crate) fn pools(&self) -> Vec<PoolUse> {
        self.pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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

    pub(crate) fn subscribe_events(&self) -> broadcast::Receiver<Arc<Event>> {
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
