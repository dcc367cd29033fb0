use anyhow::{Result, ensure};
use slash32_tests::{
    Account, Agent, Fleet, Host, RETRANSMIT, Renewals, RouteMonitor, all_bound,
    survival::{self, Row},
};
use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

/// So many VMs are bound.
pub(crate) const VMS: u16 = 50;
pub(crate) const BOUND: Duration = Duration::from_secs(30);
/// RFC 2131 §4.1 lets a client choose its first retransmit within a second around 4 s.
const JITTER: Duration = Duration::from_secs(1);
/// An event that touches every VM may have the agent say so much of each.
const LINES_A_VM: usize = 10;

/// The lease is so long that nothing ends by itself, and so short that a clock that is stepped by an hour passes its end.
pub(crate) const CONFIG: &str = r#"[options]
lease-time = "10m"
[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.1-203.0.113.200"]
"#;

/// A host whose VMs renew while something happens to it.
pub(crate) struct Stage<'h> {
    pub(crate) host: &'h Host,
    pub(crate) agent: Agent<'h>,
    pub(crate) renewals: Renewals,
    /// By VM, as they were before the event.
    pub(crate) pids: BTreeMap<u16, u64>,
    pub(crate) addresses: BTreeMap<u16, Ipv4Addr>,
    /// VMs of whose service nothing is asked but that nobody refuses them, and that it is there at the end.
    pub(crate) excused: &'static [u16],
    routes: RouteMonitor,
    lines: usize,
}

/// What is left after the event.
pub(crate) struct After<'h> {
    pub(crate) agent: Agent<'h>,
    pub(crate) pids: BTreeMap<u16, u64>,
    pub(crate) accounts: BTreeMap<u16, Account>,
    /// The VMs are there, and renew no more.
    _vms: Renewals,
}

impl<'h> Stage<'h> {
    /// All VMs are bound, and each has been renewed.
    pub(crate) fn new(host: &'h Host) -> Result<Self> {
        Self::of(host, Agent::start(host, CONFIG)?)
    }

    /// The same with an agent that was prepared for the case.
    pub(crate) fn of(host: &'h Host, agent: Agent<'h>) -> Result<Self> {
        let numbers: Vec<u16> = (1..=VMS).collect();
        let fleet = Fleet::bind(host, &agent, &numbers)?;
        let addresses = fleet.addresses();
        let pids = all_bound(&agent, &addresses)?;
        let renewals = fleet.renew();
        // By then the leases are in the store, too, which gets them within a second.
        renewals.once_more(&[])?;
        Ok(Self {
            host,
            routes: RouteMonitor::open(host.namespace())?,
            lines: lines(&agent),
            agent,
            renewals,
            pids,
            addresses,
            excused: &[],
        })
    }

    /// The responders as they are when all VMs are bound, by VM.
    pub(crate) fn responders(&self) -> Result<BTreeMap<u16, u64>> {
        all_bound(&self.agent, &self.addresses)
    }

    /// The event is over: judges what it cost. The links of `touched` VMs were themselves part of it: their host routes may
    /// have gone and come again.
    pub(crate) fn ends(mut self, event: &str, touched: &[u16]) -> Result<After<'h>> {
        self.renewals.once_more(&[])?;
        let accounts = self.renewals.stop()?;
        let pids = self.responders()?;
        let lines = lines(&self.agent).saturating_sub(self.lines);
        let judged = || {
            let is_judged = |vm: &u16| !self.excused.contains(vm);
            accounts
                .iter()
                .filter(move |(vm, _)| is_judged(vm))
                .map(|(_, account)| account)
        };
        survival::record(&Row {
            event: event.into(),
            renewals: judged().map(|one| one.acknowledged).sum(),
            retransmitted: judged().map(|one| one.retransmitted).sum(),
            longest: judged().map(|one| one.longest).max().unwrap_or_default(),
            lines,
        })?;
        for (number, account) in &accounts {
            ensure!(account.refused == 0, "VM {number} was refused: {account:?}");
            let in_time = account.unanswered == 0 && account.longest <= RETRANSMIT + JITTER;
            ensure!(
                in_time || self.excused.contains(number),
                "VM {number} was without service for longer than one retransmit: {account:?}"
            );
        }
        let is_touched = |address| touched.iter().any(|vm| self.addresses[vm] == address);
        let blinks: Vec<_> = self
            .routes
            .changes()
            .into_iter()
            .filter(|change| self.addresses.values().any(|one| *one == change.to))
            .filter(|change| !is_touched(change.to))
            .collect();
        ensure!(blinks.is_empty(), "host routes changed: {blinks:?}");
        ensure!(
            lines <= LINES_A_VM * usize::from(VMS),
            "{lines} lines were logged"
        );
        Ok(After {
            agent: self.agent,
            pids,
            accounts,
            _vms: self.renewals,
        })
    }
}

/// How many lines it logged, but for those that VMs cause by renewing, event or no event.
fn lines(agent: &Agent<'_>) -> usize {
    let log = agent.log();
    log.lines()
        .filter(|line| !line.ends_with("the lease was renewed"))
        .count()
}
