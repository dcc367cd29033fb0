//! What the agent remembers of one VM link between two passes.

use crate::arrival::Arrival;
use crate::conversation::Fault;
use crate::history::History;
use crate::link::Link;
use crate::metrics::Remark;
use crate::moment::Moment;
use crate::occupant::Occupant;
use crate::plan::Serve;
use crate::presence::Stay;
use jiff::Timestamp;
use slash32_binding::{Generation, Ipv4Addr, MacAddr, Reason};
use slash32_control::{Port, SeenFrame, State};
use slash32_ipc::Counters;
use slash32_libvirt::Nic;
use slash32_policy::AddressSource;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::Instant;

/// A responder that is finished sooner than this after its start had a short life.
const LIVED: Duration = Duration::from_secs(10);

/// Nothing is counted yet: the same for all.
pub(crate) static ZERO: LazyLock<Arc<Counters>> = LazyLock::new(|| Arc::new(Counters::ZERO));
static NO_FAULTS: LazyLock<Arc<[u64; Fault::COUNT]>> = LazyLock::new(Arc::default);

/// One VM link.
#[derive(Debug)]
pub(crate) struct VmLink {
    pub(crate) ifindex: u32,
    pub(crate) name: String,
    pub(crate) network: Option<String>,
    pub(crate) gateway: Option<Ipv4Addr>,
    /// How far it is, apart from what the responder has acknowledged.
    pub(crate) condition: Condition,
    /// The VM's stay on the link that the current generation belongs to; without one, the stay of the last generation that an
    /// earlier agent gave.
    pub(crate) stay: Option<Stay>,
    /// The VM that is there, as libvirt tells it; `None` while none is.
    pub(crate) occupant: Option<Occupant>,
    /// The libvirt network whose own DHCP server answers on the link.
    pub(crate) dhcp: Option<String>,
    /// The last generation that was given on this link.
    pub(crate) last_generation: Generation,
    /// The generation and address in force while a VM is served.
    pub(crate) current: Option<(Generation, Ipv4Addr)>,
    /// The same with the whole binding, once policy has spoken in this run of the agent.
    pub(crate) serve: Option<Serve>,
    /// The VM has asked for its address in this generation, or has arrived with it by migration, so its route is to be there.
    pub(crate) claimed: bool,
    /// An earlier generation of the same address was acknowledged until then: its route is there without a claim.
    pub(crate) kept: Option<KeptLease>,
    /// It arrives by migration, and its route waits.
    pub(crate) arrival: Option<Arrival>,
    /// Where its address is from.
    pub(crate) source: Option<AddressSource>,
    /// On the boot-time clock: a step of the wall clock makes no lease longer or shorter.
    pub(crate) acked_at: Option<slash32_binding::Instant>,
    /// The digest of what that ACK told; 0 before one.
    pub(crate) acked_digest: u64,
    /// Of the last ACK, in seconds.
    pub(crate) lease_time: u32,
    pub(crate) released: bool,
    /// Who the VM of this generation is, if libvirt tells: [`slash32_policy::LinkFacts::vm_identity`].
    pub(crate) identity: Option<String>,
    pub(crate) route: bool,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) counters: Arc<Counters>,
    /// What the counters were when the generation began.
    pub(crate) baseline: Arc<Counters>,
    /// Why the last pass did not get through on this link.
    pub(crate) error: Option<String>,
    pub(crate) retry: Option<Retry>,
    /// When a responder was last started here, and how many before it in a row had a short life.
    pub(crate) started: Option<(Instant, u32)>,
    /// Why the last one was finished.
    pub(crate) fault: Option<Fault>,
    /// How many were, since the agent's start, by [`Fault::index`].
    pub(crate) faults: Arc<[u64; Fault::COUNT]>,
    pub(crate) history: History,
    /// The state that was last told in an event.
    pub(crate) told: Option<(State, Option<String>)>,
    pub(crate) ports: Vec<Port>,
    /// What the responder kept of the guest in this generation, when it was asked last. Nobody here reads it.
    pub(crate) seen: Option<Arc<Seen>>,
}

/// The frames that `slash32 show` decodes.
#[derive(Clone, Default, Debug)]
pub(crate) struct Seen {
    pub(crate) last_request: Option<SeenFrame>,
    pub(crate) other_server: Option<SeenFrame>,
}

/// A lease of an earlier generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KeptLease {
    /// When it ends at the latest; `None` is never.
    pub(crate) until: Option<Timestamp>,
    /// Another host acknowledged it: the VM came from there.
    pub(crate) elsewhere: bool,
}

/// When a failed step is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    pub(crate) at: Instant,
    pub(crate) attempt: u32,
}

/// The part of a link's state that policy and presence decide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    Idle(Option<String>),
    Unassigned(String),
    Failed(String),
    /// A VM is served; the reason names what an operator should know all the same.
    Served(Option<String>),
}

/// Why a link is served whose bridge has more than one port with carrier.
pub(crate) const SEVERAL_PORTS: &str = "several ports";

impl VmLink {
    pub(crate) fn new(link: &Link) -> Self {
        Self {
            ifindex: link.ifindex,
            name: link.name.clone(),
            network: None,
            gateway: None,
            condition: Condition::Idle(None),
            stay: None,
            occupant: None,
            dhcp: None,
            last_generation: Generation::NONE,
            current: None,
            serve: None,
            claimed: false,
            kept: None,
            arrival: None,
            source: None,
            acked_at: None,
            acked_digest: 0,
            lease_time: 0,
            released: false,
            identity: None,
            route: false,
            mac: None,
            counters: ZERO.clone(),
            baseline: ZERO.clone(),
            error: None,
            retry: None,
            started: None,
            fault: None,
            faults: NO_FAULTS.clone(),
            history: History::default(),
            told: None,
            ports: Vec::new(),
            seen: None,
        }
    }

    /// The VM's time on the link is over.
    pub(crate) fn end_generation(&mut self) {
        self.stay = None;
        self.current = None;
        self.serve = None;
        self.claimed = false;
        self.kept = None;
        self.arrival = None;
        self.source = None;
        self.acked_at = None;
        self.acked_digest = 0;
        self.released = false;
        self.identity = None;
        self.mac = None;
        self.seen = None;
    }

    /// A VM's time on the link begins. Returns its generation.
    pub(crate) fn begin_generation(&mut self, stay: Stay, address: Ipv4Addr) -> Generation {
        self.end_generation();
        self.last_generation = self.last_generation.next();
        self.stay = Some(stay);
        self.current = Some((self.last_generation, address));
        self.baseline = Arc::clone(&self.counters);
        self.last_generation
    }

    /// When the acknowledged lease ends; `None` is never, or that nothing was acknowledged.
    pub(crate) fn expires_at(&self) -> Option<slash32_binding::Instant> {
        let acked_at = self.acked_at?;
        if self.lease_time == u32::MAX {
            return None;
        }
        let lease_time = u64::from(self.lease_time) * 1_000_000_000;
        Some(slash32_binding::Instant(acked_at.0 + lease_time))
    }

    /// Its responder is finished.
    pub(crate) fn lost_responder(&mut self, fault: Fault) {
        self.fault = Some(fault);
        Arc::make_mut(&mut self.faults)[fault.index()] += 1;
        if let Some((started, short_lives)) = &mut self.started {
            let was_short = started.elapsed() < LIVED;
            *short_lives = if was_short { *short_lives + 1 } else { 0 };
        }
    }

    /// The acknowledged lease, as it is kept for a VM that comes back without asking.
    pub(crate) fn lease(&self, now: Moment) -> Option<slash32_store::Lease> {
        let (_, address) = self.current?;
        Some(slash32_store::Lease {
            link: self.name.clone(),
            address,
            acked_at: now.told(self.acked_at?).as_second(),
            expires_at: self.expires_at().map(|end| now.told(end).as_second()),
            holder: self.identity.clone(),
        })
    }

    /// What the VM was told last is not what is in force now.
    pub(crate) fn runs_on_older(&self) -> bool {
        let tells = self.serve.as_ref().map(|serve| serve.binding.digest());
        self.acked_at.is_some() && tells.is_some_and(|tells| tells != self.acked_digest)
    }

    /// The VM has acknowledged its address, has not given it back, and its lease runs.
    pub(crate) fn is_bound(&self, now: Moment) -> bool {
        let runs = self.expires_at().is_none_or(|end| end > now.boot);
        let has_asked = self.acked_at.is_some();
        (has_asked && !self.released && runs) || (!has_asked && self.goes_on(now))
    }

    /// The guest was restored here, or has come by migration, and goes on with the lease that it had before. An agent that was
    /// restarted since knows that it did, and not for how long.
    fn goes_on(&self, now: Moment) -> bool {
        let resumed = self.nic().is_some_and(|nic| nic.resumed && !nic.incoming);
        let runs = |kept: &KeptLease| kept.until.is_none_or(|end| end > now.wall);
        resumed && self.kept.as_ref().map_or(self.claimed, runs)
    }

    /// How far the link is, and why.
    pub(crate) fn state(&self, now: Moment) -> (State, Option<String>) {
        match &self.condition {
            Condition::Idle(reason) => (State::Idle, reason.clone()),
            Condition::Unassigned(reason) => (State::Unassigned, Some(reason.clone())),
            Condition::Failed(reason) => (State::Failed, Some(reason.clone())),
            Condition::Served(reason) => {
                let bound = self.is_bound(now);
                let reason = self
                    .error
                    .clone()
                    .or_else(|| reason.clone())
                    .or_else(|| self.remark(bound));
                match (bound, &self.error) {
                    (true, _) => (State::Bound, reason),
                    (false, Some(_)) => (State::Failed, reason),
                    (false, None) => (State::Ready, reason),
                }
            }
        }
    }

    /// A frame of this generation was ignored for this reason.
    fn has_ignored(&self, reason: Reason) -> bool {
        self.counters.reasons[reason.index()] > self.baseline.reasons[reason.index()]
    }

    fn remark(&self, bound: bool) -> Option<String> {
        if self.has_ignored(Reason::OtherMac) {
            return Some("a second MAC is ignored".into());
        }
        let other_server = || {
            self.has_other_server()
                .then(|| "another DHCP server is on the link: slash32 show tells which".into())
        };
        self.own_remark(bound).or_else(other_server)
    }

    fn has_other_server(&self) -> bool {
        self.has_ignored(Reason::OtherServersReply) || self.has_ignored(Reason::OtherServer)
    }

    /// Everything that is to be said of the link beside its state, of which [`Self::state`] gives one reason.
    pub(crate) fn remarks(&self, now: Moment) -> Vec<Remark> {
        let reason = match &self.condition {
            Condition::Served(reason) => reason,
            // Refused for it.
            Condition::Failed(_) if self.dhcp.is_some() => return vec![Remark::LibvirtDhcp],
            _ => return Vec::new(),
        };
        let is_true = |remark: &Remark| match remark {
            Remark::SeveralPorts => reason.as_deref() == Some(SEVERAL_PORTS),
            Remark::SecondMac => self.has_ignored(Reason::OtherMac),
            Remark::OtherDhcpServer => self.has_other_server(),
            Remark::LibvirtDhcp => self.dhcp.is_some(),
            Remark::OlderOptions => self.is_bound(now) && self.runs_on_older(),
        };
        Remark::ALL.into_iter().filter(is_true).collect()
    }

    /// What is to be said of the VM's own lease.
    fn own_remark(&self, bound: bool) -> Option<String> {
        if self.runs_on_older() && bound {
            Some("runs on older options until it renews".into())
        } else if self.acked_at.is_some() {
            if bound {
                None
            } else if self.released {
                Some("released by the VM".into())
            } else {
                Some("the lease has expired".into())
            }
        } else {
            let kept = self.kept?;
            let text = if kept.elsewhere {
                "arrived by migration: it uses the lease that it came with"
            } else {
                "the route is kept: an earlier lease still runs"
            };
            Some(text.into())
        }
    }

    /// The NIC of the VM that is there, as libvirt tells it.
    pub(crate) fn nic(&self) -> Option<&Nic> {
        self.occupant.as_ref()?.nic()
    }

    /// The VM has been told its address in this stay, so what counts for it is settled.
    pub(crate) fn is_settled(&self, stay: Stay) -> bool {
        self.stay == Some(stay) && (self.claimed || self.acked_at.is_some())
    }

    /// libvirt says that the VM migrates to this host, and it was not seen to run here yet.
    pub(crate) fn is_incoming(&self) -> bool {
        self.nic().is_some_and(|nic| nic.incoming)
    }

    /// The VM runs here with its address, or is about to: whoever else announces that is not to have it instead.
    pub(crate) fn uses_its_address(&self) -> bool {
        self.claimed || self.acked_at.is_some() || self.arrival.is_some()
    }

    /// Its address is fixed for it: there is no next one that it could have instead.
    pub(crate) fn is_fixed(&self) -> bool {
        self.source.is_some_and(|source| {
            !matches!(source, AddressSource::Automatic | AddressSource::Dynamic)
        })
    }
}

/// A time as RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
