//! Case c: from the start to the moment at which every VM is served, and what that takes of the processors.

use super::Page;
use crate::bench::cgroup::{Cgroup, Processor};
use crate::bench::crowd::{Course, Crowd};
use crate::bench::figure;
use crate::bench::lab::Lab;
use anyhow::{Result, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use slash32_tests::{Change, RouteMonitor};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

/// How long a subject has to serve all.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the kernel calls a tick in /proc/stat (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// What the processors had done at a moment.
struct Used {
    servers: Processor,
    machine: Duration,
    clients: Duration,
}

/// slash32: a VM is served when it has its ACK and its host route is in the kernel. Errors: one is not.
pub(super) fn with_routes(
    lab: &Lab,
    crowd: &mut Crowd,
    cgroup: &Cgroup,
    page: &mut Page<'_>,
    start: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let routes = RouteMonitor::open(lab.host().namespace())?;
    let before = Used::now(cgroup)?;
    let course = crowd.run(PATIENCE, start)?;
    let used = Used::now(cgroup)?;
    let added: BTreeMap<Ipv4Addr, SystemTime> = routes
        .changes()
        .into_iter()
        .filter(|change| change.change == Change::Added && change.length == 32)
        .map(|change| (change.to, change.at))
        .collect();
    let mut last = Duration::ZERO;
    let mut served = 0;
    for (ack, address) in &course.acks {
        if let Some(route) = added.get(address) {
            last = last.max(course.since_start(*ack.max(route)));
            served += 1;
        }
    }
    page.take(figure::VMS_SERVED, f64::from(served));
    ensure!(
        served == page.links,
        "{served} of {} VMs have their ACK and their route",
        page.links
    );
    page.take(figure::ALL_SERVED, last.as_secs_f64());
    costs(&course, &before, &used, page);
    Ok(())
}

/// A peer: a VM is served when it has its ACK.
pub(super) fn without_routes(
    crowd: &mut Crowd,
    cgroup: &Cgroup,
    page: &mut Page<'_>,
    start: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let before = Used::now(cgroup)?;
    let course = crowd.run(PATIENCE, start)?;
    let used = Used::now(cgroup)?;
    let served = u32::try_from(course.acks.len())?;
    page.take(figure::VMS_SERVED, f64::from(served));
    if let Some(last) = course.last_ack().filter(|_| served == page.links) {
        page.take(figure::ALL_SERVED, last.as_secs_f64());
    }
    costs(&course, &before, &used, page);
    Ok(())
}

fn costs(course: &Course, before: &Used, used: &Used, page: &mut Page<'_>) {
    if let Some(offer) = course.first_offer() {
        page.take(figure::ANY_OFFER, offer.as_secs_f64() * 1e3);
    }
    let servers = used.servers.since(before.servers);
    page.take(figure::CPU_USER, servers.user.as_secs_f64());
    page.take(figure::CPU_SYSTEM, servers.system.as_secs_f64());
    page.take(figure::CPU, servers.total().as_secs_f64());
    let machine = used.machine.saturating_sub(before.machine);
    let clients = used.clients.saturating_sub(before.clients);
    page.take(
        figure::CPU_MACHINE,
        machine.saturating_sub(clients).as_secs_f64(),
    );
    let a_link = servers.user.as_secs_f64() * 1e6 / f64::from(page.links);
    page.take(figure::USER_CPU_PER_LINK, a_link);
}

impl Used {
    fn now(cgroup: &Cgroup) -> Result<Self> {
        Ok(Self {
            servers: cgroup.processor()?,
            machine: machine(&std::fs::read_to_string("/proc/stat")?),
            clients: time(&getrusage(UsageWho::RUSAGE_SELF)?),
        })
    }
}

/// What all processors have done, of the first line of /proc/stat: all but idle, iowait, steal and what counts twice.
fn machine(stat: &str) -> Duration {
    let fields = stat.lines().next().unwrap_or_default().split_whitespace();
    let ticks: Vec<u32> = fields.skip(1).filter_map(|one| one.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|place| ticks.get(*place));
    TICK * busy.sum::<u32>()
}

fn time(usage: &Usage) -> Duration {
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| {
            let microseconds = time.tv_sec() * 1_000_000 + time.tv_usec();
            Duration::from_micros(u64::try_from(microseconds).unwrap_or_default())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_waits_does_nothing() {
        let stat = "cpu  100 10 50 9999 77 3 7 55 1 1\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(machine(stat), Duration::from_millis(1700));
        assert_eq!(machine(""), Duration::ZERO);
    }
}
