//! The one task that changes the host.
//!
//! It is level-triggered: whatever happens only marks links dirty, and a pass brings every dirty link from what the host is
//! to what it should be. `decide` (policy and presence to [`Desired`]), [`plan`] (pure) and `apply` are apart. What a pass
//! decides is durable before anybody is told of it; what tells nobody goes on while it is written. Between steps the claims
//! of other VMs are answered, those that wait together, so that a thousand links that come up at once do not make one guest
//! wait.

mod adopt;
mod apply;
mod arrive;
mod conflict;
mod decide;
mod durable;
mod events;
mod explain;
mod leave;
mod occupy;
mod operate;
mod reload;
mod start;

pub(crate) use decide::{facts, host_route};

use crate::hypervisor::Hypervisor;
use crate::kernel::{Change, Kernel};
use crate::leases::Leases;
use crate::link::LinkTable;
use crate::metrics::Metrics;
use crate::moment::Moment;
use crate::notify::{self, Pulse};
use crate::operator::Request;
use crate::plan::{Desired, Observed, ObservedLink, ObservedResponder, Step, plan};
use crate::probe::Probes;
use crate::publish::{Published, Shown};
use crate::responders::Responders;
use crate::route::{ForeignRoute, HostRoute, by_link};
use crate::standalone::Standalone;
use crate::vm::VmLink;
use apply::Untold;
use arrive::Arrivals;
use durable::Saving;
use events::Macs;
use slash32_binding::Prefix;
use slash32_policy::{Allocations, Config};
use slash32_store::{Change as Record, Lease, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How often everything is dumped and looked at again, whatever was or was not told.
const FULL_PASS: Duration = Duration::from_secs(60);
/// How long after a lost netlink message the second dump is made: by then the queue of before is empty.
const SETTLE: Duration = Duration::from_secs(1);

/// A pass over so many links leaves memory behind that is worth giving back.
const MANY: usize = 64;

pub(crate) struct Reconciler {
    config_file: PathBuf,
    config: Arc<Config>,
    boot: String,
    kernel: Kernel,
    store: Arc<Mutex<Box<dyn Store>>>,
    allocations: Allocations,
    leases: Leases,
    /// Records that are not durable yet.
    unsaved: Vec<Record>,
    /// Leases that are not durable yet, and since when.
    unsaved_leases: BTreeMap<String, Lease>,
    save_leases_at: Option<Instant>,
    /// What is wrong with the store, as it was last told, and when it is tried again.
    store_trouble: Option<String>,
    retry_save_at: Option<Instant>,
    /// When the first of the steps that failed may be tried again, or sooner.
    retry_at: Option<Instant>,

    /// Why the store cannot be read, if so: then running responders are left alone.
    blind: Option<String>,
    left_alone: BTreeSet<u32>,
    standalone: Standalone,
    /// Links that are served without the agent, as of the last pass.
    served_alone: BTreeSet<u32>,
    table: LinkTable,
    hypervisor: Hypervisor,
    routes: BTreeSet<HostRoute>,
    /// Somebody else's routes to single addresses of our subnets.
    foreign: BTreeMap<Ipv4Addr, BTreeSet<ForeignRoute>>,
    probes: Probes,
    arrivals: Arrivals,
    macs: Macs,
    /// Addresses that the store knows to be set aside.
    saved_asides: BTreeSet<Ipv4Addr>,
    /// The responders of before are known, so it is known which VMs run here.
    adopted: bool,
    /// When a quarantine, or the time that an address is set aside, is over.
    sweep_at: Option<Instant>,
    /// The kernel may have flushed routes without a word.
    routes_stale: bool,
    responders: Responders,
    /// What was done and not told to operators yet: VMs come first.
    untold: Vec<Untold>,
    /// Links for which there is something to do when their responder has done what it was told before.
    held_up: BTreeSet<u32>,
    /// What each responder was given.
    given: BTreeMap<u32, ObservedResponder>,
    vms: BTreeMap<u32, VmLink>,
    dirty: BTreeSet<u32>,
    /// Everything is to be dumped, then.
    dump_at: Instant,
    /// And once more, then.
    dump_again: Option<Instant>,
    waiting: BTreeMap<u32, Vec<oneshot::Sender<()>>>,
    pulse: Pulse,

    published: Arc<Published>,
    metrics: Arc<Metrics>,
    changes: mpsc::UnboundedReceiver<Change>,
    requests: mpsc::Receiver<Request>,
}

/// What the task is made of.
pub(crate) struct Parts {
    pub(crate) config_file: PathBuf,
    pub(crate) config: Config,
    pub(crate) hypervisor: Hypervisor,
    pub(crate) boot: String,
    pub(crate) kernel: Kernel,
    pub(crate) store: Box<dyn Store>,
    /// Why the store cannot be read, if so.
    pub(crate) blind: Option<String>,
    pub(crate) responders: Responders,
    pub(crate) published: Arc<Published>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) changes: mpsc::UnboundedReceiver<Change>,
    pub(crate) requests: mpsc::Receiver<Request>,
}

impl Reconciler {
    /// Loads the store, dumps the kernel, adopts the responders that are there, and makes the first pass.
    pub(crate) async fn start(parts: Parts) -> anyhow::Result<Self> {
        let records = parts.store.load()?;
        let standalone = Standalone::new(&parts.config.agent.runtime_dir);
        let allocations = durable::allocations(&parts.config, &parts.boot, &records);
        let mut reconciler = Self {
            config_file: parts.config_file,
            config: Arc::new(parts.config),
            boot: parts.boot,
            kernel: parts.kernel,
            store: Arc::new(Mutex::new(parts.store)),
            allocations,
            leases: records.leases.into_iter().collect(),
            unsaved: Vec::new(),
            unsaved_leases: BTreeMap::new(),
            save_leases_at: None,
            store_trouble: None,
            retry_save_at: None,
            retry_at: None,
            blind: parts.blind,
            left_alone: BTreeSet::new(),
            // Before anything is adopted: these are not the agent's, whatever its store knows of them.
            served_alone: standalone.links().into_keys().collect(),
            standalone,
            table: LinkTable::default(),
            hypervisor: parts.hypervisor,
            routes: BTreeSet::new(),
            foreign: BTreeMap::new(),
            probes: Probes::new(),
            arrivals: Arrivals::default(),
            macs: Macs::default(),
            saved_asides: records
                .set_asides
                .iter()
                .map(|aside| aside.address)
                .collect(),
            adopted: false,
            sweep_at: None,
            routes_stale: false,
            responders: parts.responders,
            untold: Vec::new(),
            held_up: BTreeSet::new(),
            given: BTreeMap::new(),
            vms: BTreeMap::new(),
            dirty: BTreeSet::new(),
            dump_at: Instant::now(),
            dump_again: None,
            waiting: BTreeMap::new(),
            pulse: Pulse::new(),
            published: parts.published,
            metrics: parts.metrics,
            changes: parts.changes,
            requests: parts.requests,
        };
        reconciler.look_at_libvirt().await;
        reconciler.dump().await?;
        reconciler.adopt(records.attachments).await?;
        reconciler.adopted = true;
        reconciler.judge_conflicts();
        reconciler.pass().await;
        reconciler.publish_pools();
        Ok(reconciler)
    }

    /// Runs until the process ends.
    pub(crate) async fn run(mut self, mut reload: Signal) {
        loop {
            self.pulse.beat();
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                message = self.responders.next() => self.hear_all(Some(message)).await,
                Some(change) = self.changes.recv() => {
                    self.notice(change);
                    while let Ok(change) = self.changes.try_recv() {
                        self.notice(change);
                    }
                }
                Some(request) = self.requests.recv() => self.obey(request).await,
                woken = self.hypervisor.woken() => self.heed(woken).await,
                learned = self.arrivals.next() => self.take_learned(learned),
                Some(probed) = self.probes.next() => self.take_probe(probed),
                Some(()) = reload.recv() => {
                    notify::reloading();
                    self.reload_on_signal().await;
                    notify::ready();
                }
                () = tokio::time::sleep_until(deadline) => self.tick().await,
            }
            self.pass().await;
            self.publish_pools();
        }
    }

    fn next_deadline(&self) -> Instant {
        if !self.dirty.is_empty() {
            // A pass has found out that something changed for other links.
            return Instant::now();
        }
        let others = [
            self.retry_at,
            self.save_leases_at,
            self.sweep_at,
            self.retry_save_at,
            self.hypervisor.save_at(),
            self.arrivals.due(),
            self.macs.ask_at,
            self.responders.next_deadline(),
        ];
        others
            .into_iter()
            .flatten()
            .fold(self.dump_at, Instant::min)
    }

    /// Something is due.
    async fn tick(&mut self) {
        let now = Instant::now();
        if self.dump_at <= now {
            self.look_at_libvirt().await;
            if let Err(error) = self.dump().await {
                self.metrics.kernel_dumps.count(false);
                tracing::warn!("cannot read the host's links and routes, trying again: {error}");
                self.dump_at = now + SETTLE;
            }
        }
        if self.retry_at.take_if(|at| *at <= now).is_some() {
            let retries = self.vms.values().filter_map(|vm| Some((vm, vm.retry?.at)));
            let (due, later): (Vec<_>, Vec<_>) = retries.partition(|(_, at)| *at <= now);
            self.retry_at = later.into_iter().map(|(_, at)| at).min();
            self.dirty.extend(due.into_iter().map(|(vm, _)| vm.ifindex));
        }
        self.look_for_arrivals();
        self.learn_macs();
        for (ifindex, fault) in self.responders.silent() {
            self.lose_responder(ifindex, fault);
        }
        if self.retry_save_at.take_if(|at| *at <= now).is_some()
            || self.save_leases_at.is_some_and(|at| at <= now)
        {
            self.save().await;
        }
        self.hypervisor.save();
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep();
            self.save().await;
        }
    }

    /// Reads everything from the kernel anew, and marks every link dirty.
    async fn dump(&mut self) -> Result<(), crate::kernel::RequestError> {
        let (protocol, table) = (self.config.route.protocol, self.config.route.table);
        let links = self.kernel.links()?;
        let addresses = self.kernel.addresses(protocol)?;
        let routes = self.kernel.routes(protocol, table)?;
        let foreign = self.kernel.foreign_routes(protocol).await?;
        self.dirty.extend(self.table.replace(links, &addresses));
        self.replace_foreign(foreign);
        self.dirty
            .extend(self.table.iter().map(|link| link.ifindex));
        self.dirty.extend(self.vms.keys());
        let table = &self.table;
        self.hypervisor
            .retain_links(|ifindex| table.get(ifindex).is_some());
        self.routes = routes.into_iter().collect();
        self.dirty
            .extend(self.routes.iter().map(|route| route.ifindex));
        self.routes_stale = false;
        self.dump_at = self.dump_again.take().unwrap_or(Instant::now() + FULL_PASS);
        self.metrics.kernel_dumps.count(true);
        Ok(())
    }

    /// Brings every dirty link to what it should be.
    async fn pass(&mut self) {
        self.drain().await;
        if self.dirty.is_empty() {
            return;
        }
        let start = Instant::now();
        if self.routes_stale {
            self.dump_routes();
        }
        let mut scope = std::mem::take(&mut self.dirty);
        // A link that is left alone is so while it is there.
        self.left_alone
            .retain(|ifindex| self.table.get(*ifindex).is_some());
        scope.retain(|ifindex| !self.left_alone.contains(ifindex));
        self.leave_standalone(&mut scope);
        // Before anything is given: a VM may move to another link.
        let is_gone = |ifindex: &&u32| self.table.get(**ifindex).is_none();
        for ifindex in scope.iter().filter(is_gone) {
            if let Some(vm) = self.vms.get(ifindex) {
                self.allocations.leave(&vm.name);
            }
        }
        let (steps, saving) = self.settle(&scope);
        let failed = self.apply(&scope, &steps, saving).await;
        self.conclude(&scope, &failed);
        self.probe_ahead();
        if scope.len() >= MANY {
            slash32_sys::memory::give_back();
        }
        self.metrics.count_pass(start.elapsed());
    }

    /// Brings a few links to what they should be at once, maybe in the middle of a pass over others.
    async fn pass_over(&mut self, scope: &BTreeSet<u32>) {
        let (steps, saving) = self.settle(scope);
        let failed = self.apply_at_once(scope, &steps, saving).await;
        self.conclude(scope, &failed);
    }

    /// Decides about the links in `scope`, begins to make that durable, and plans.
    fn settle(&mut self, scope: &BTreeSet<u32>) -> (Vec<Step>, Saving) {
        let mut desired = Desired::default();
        for ifindex in scope {
            if let Some(link) = self.decide(*ifindex) {
                desired.links.insert(*ifindex, link);
            }
        }
        self.sweep();
        self.hypervisor.save();
        let saving = self.begin_save();
        let steps = plan(&desired, &self.observe(scope));
        (steps, saving)
    }

    /// Forgets old errors, and shows how things are.
    fn conclude(&mut self, scope: &BTreeSet<u32>, failed: &BTreeSet<u32>) {
        for ifindex in scope.difference(failed) {
            if let Some(vm) = self.vms.get_mut(ifindex) {
                // Its responder was asked for in this pass, and could not be started: known already, and tried again.
                if vm.serve.is_some() && !self.given.contains_key(ifindex) {
                    continue;
                }
                // Whether its responder can be started this time is not known yet.
                if !self.responders.is_starting(*ifindex) {
                    vm.error = None;
                }
                vm.retry = None;
            }
        }
        for ifindex in self.responders.outdated() {
            let is_served = |vm: &VmLink| vm.serve.is_some();
            if !self.vms.get(&ifindex).is_some_and(is_served) {
                self.responders.end_outdated(ifindex);
            }
        }
        self.follow_arrivals();
        self.tell_all();
        self.publish(scope);
    }

    /// What is known of the links in `scope`.
    fn observe(&self, scope: &BTreeSet<u32>) -> Observed {
        let link = |ifindex: &u32| {
            let link = self.table.get(*ifindex)?;
            let observed = ObservedLink {
                up: link.up,
                addresses: link.addresses.clone(),
                ipv4: link.ipv4,
                ipv6: link.ipv6,
            };
            Some((*ifindex, observed))
        };
        let responder = |ifindex: &u32| Some((*ifindex, self.given.get(ifindex)?.clone()));
        Observed {
            links: scope.iter().filter_map(link).collect(),
            routes: scope
                .iter()
                .flat_map(|ifindex| by_link(&self.routes, *ifindex))
                .copied()
                .collect(),
            responders: scope.iter().filter_map(responder).collect(),
        }
    }

    /// Shows operators how the links in `scope` are now, and tells what has changed.
    fn publish(&mut self, scope: &BTreeSet<u32>) {
        let now = Moment::now();
        let mut shown = Vec::new();
        for ifindex in scope {
            if let Some(vm) = self.vms.get_mut(ifindex) {
                vm.route = by_link(&self.routes, *ifindex).any(|route| is_route_of(route, vm));
            }
            let nic = self.vms.get(ifindex).and_then(VmLink::nic);
            // A VM that comes is named from its first event on, one that goes until its last.
            if nic.is_some() {
                self.published.tell_vm(*ifindex, nic);
            }
            self.tell_state(*ifindex, now);
            let nic = self.vms.get(ifindex).and_then(VmLink::nic);
            self.published.tell_vm(*ifindex, nic);
            let responder = self.responder_row(*ifindex);
            let vm = self.vms.get(ifindex);
            let entry = vm.map(|vm| Shown::new(vm, now, responder));
            shown.push((*ifindex, entry));
        }
        self.published.put(shown);
    }

    /// Shows how far each pool is used.
    fn publish_pools(&self) {
        self.published
            .put_pools(self.allocations.pools(&self.config));
    }

    /// The process of a link's responder, and what is known of it in a word.
    fn responder_row(&self, ifindex: u32) -> Option<(u32, &'static str)> {
        let given = self.given.get(&ifindex)?;
        let pid = self.responders.pid(ifindex)?;
        let state = if given.generation == slash32_binding::Generation::NONE {
            "waiting"
        } else if given.confirmed {
            "confirmed"
        } else {
            "serving"
        };
        Some((pid, state))
    }
}

/// The route, which leaves by the VM's link, is its host route.
fn is_route_of(route: &HostRoute, vm: &VmLink) -> bool {
    let current = vm.current.map(|(_, address)| Prefix::host(address));
    current == Some(route.prefix)
}
