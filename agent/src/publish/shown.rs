//! One link as it is shown: few bytes, which are put into words when somebody asks.

use crate::conversation::Fault;
use crate::encoded::EncodedBinding;
use crate::history::History;
use crate::metrics::Remark;
use crate::moment::Moment;
use crate::vm::{Condition, Seen, VmLink, rfc3339};
use slash32_binding::{Instant, Ipv4Addr, MacAddr, Outcome, Reason};
use slash32_control::{Lease, LinkDetail, LinkRow, Port, Responder, State};
use slash32_ipc::Counters;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known of a link when it is published.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) link: Box<str>,
    pub(crate) ifindex: u32,
    /// libvirt's name of the VM, and its UUID.
    pub(crate) vm: Option<Box<(String, String)>>,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) network: Option<Box<str>>,
    pub(crate) state: State,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) route: bool,
    pub(crate) generation: Option<u64>,
    /// When the last ACK left.
    pub(crate) acked_at: Option<Instant>,
    /// When the acknowledged lease ends: nobody tells the agent, so it is looked at when somebody asks.
    pub(crate) expires_at: Option<Instant>,
    /// The process that answers, and what the agent knows of it.
    pub(crate) responder: Option<(u32, &'static str)>,
    pub(crate) ports: Box<[Port]>,
    pub(crate) counters: Arc<Counters>,
    /// How many responders were finished, by [`Fault::index`].
    pub(crate) faults: Arc<[u64; Fault::COUNT]>,
    /// What the VM is told.
    pub(crate) binding: Option<EncodedBinding>,
    pub(crate) history: History,
    pub(crate) seen: Option<Arc<Seen>>,
    pub(crate) remarks: Vec<Remark>,
}

impl Shown {
    /// How a link is now; `responder` is its process.
    pub(crate) fn new(vm: &VmLink, now: Moment, responder: Option<(u32, &'static str)>) -> Self {
        let (state, reason) = vm.state(now);
        let served = matches!(vm.condition, Condition::Served(_));
        let nic = vm.nic();
        Self {
            link: (*vm.name).into(),
            ifindex: vm.ifindex,
            vm: nic.map(|nic| Box::new((nic.vm.clone(), nic.uuid.clone()))),
            mac: nic.map(|nic| nic.mac).or(vm.mac),
            address: vm.current.filter(|_| served).map(|(_, address)| address),
            gateway: vm.gateway,
            network: vm.network.as_deref().map(Into::into),
            state,
            reason: reason.map(Into::into),
            route: vm.route,
            generation: vm.current.map(|(generation, _)| generation.0),
            acked_at: vm.acked_at,
            expires_at: vm.expires_at(),
            responder,
            ports: (*vm.ports).into(),
            counters: Arc::clone(&vm.counters),
            faults: Arc::clone(&vm.faults),
            binding: vm.serve.as_ref().map(|serve| serve.binding.clone()),
            history: vm.history.clone(),
            seen: vm.seen.clone(),
            remarks: vm.remarks(now),
        }
    }

    /// How far it is; a lease that has run out since shows.
    pub(super) fn state(&self, now: Instant) -> State {
        if self.has_expired(now) {
            State::Ready
        } else {
            self.state
        }
    }

    fn has_expired(&self, now: Instant) -> bool {
        self.state == State::Bound && self.expires_at.is_some_and(|end| end <= now)
    }

    /// Its row of `slash32 list`.
    pub(super) fn row(&self, now: Moment) -> LinkRow {
        let reason = if self.has_expired(now.boot) {
            Some("the lease has expired")
        } else {
            self.reason.as_deref()
        };
        let time = |at| rfc3339(now.told(at));
        let (vm, uuid) = self.vm.as_deref().cloned().unzip();
        LinkRow {
            link: self.link.to_string(),
            ifindex: self.ifindex,
            vm,
            uuid,
            mac: self.mac.map(|mac| mac.to_string()),
            address: self.address,
            gateway: self.gateway,
            network: self.network.as_deref().map(Into::into),
            state: self.state(now.boot),
            reason: reason.map(Into::into),
            route: self.route,
            generation: self.generation,
            lease: self.acked_at.map(|acked_at| Lease {
                acked_at: time(acked_at),
                expires_at: self.expires_at.map(time),
            }),
            responder: self.responder.map(|(pid, state)| Responder {
                pid,
                state: state.to_owned(),
            }),
        }
    }

    /// The same with all that `slash32 show` tells.
    pub(super) fn detail(&self, now: Moment) -> LinkDetail {
        let seen = self.seen.as_deref().cloned().unwrap_or_default();
        let options = self.binding.as_ref().map(EncodedBinding::options);
        LinkDetail {
            row: self.row(now),
            ports: self.ports.to_vec(),
            counters: self.counters_by_name(),
            options: options.unwrap_or_default(),
            history: self.history.entries(),
            last_request: seen.last_request,
            other_server: seen.other_server,
        }
    }

    /// Every counter by its name: what became of each frame, and why responders were finished.
    fn counters_by_name(&self) -> BTreeMap<String, u64> {
        let outcomes = Outcome::ALL
            .iter()
            .map(|o| (o.name().to_owned(), self.counters.outcomes[o.index()]));
        let reasons = Reason::ALL
            .iter()
            .map(|r| (r.name().to_owned(), self.counters.reasons[r.index()]));
        let faults = Fault::NAMES
            .iter()
            .zip(*self.faults)
            .map(|(name, count)| (format!("responder_{name}"), count));
        outcomes.chain(reasons).chain(faults).collect()
    }
}
