//! Case f: how soon an address is free when its VM is gone. Two VMs, and one address for them.

use super::client::{PATIENCE, since};
use super::extent::Extent;
use super::figure;
use super::report::{Report, Subject};
use super::sample::Sample;
use crate::step::step;
use anyhow::{Context, Result};
use slash32_tests::{Agent, Change, Host, RouteChange, RouteMonitor, until};

/// Its VMs get their route at once, so that they need not ask.
const CONFIG: &str = r#"
[route]
install = "bind"

[[network]]
name = "bench"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "dynamic"

[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.7-203.0.113.7"]
"#;

/// How many VMs go.
fn times(extent: Extent) -> usize {
    match extent {
        Extent::Quick => 20,
        Extent::Standard | Extent::Full => 100,
    }
}

/// From RTM_DELLINK of a VM's tap to RTM_DELROUTE of its host route, and to RTM_NEWROUTE of the VM that waited for its address.
/// Errors: the address does not move.
pub(super) fn measure(extent: Extent, run: usize, report: &mut Report) -> Result<()> {
    let times = times(extent);
    step(&format!("{times} VMs that go"), || gone(times, run, report))
}

fn gone(times: usize, run: usize, report: &mut Report) -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let routes = RouteMonitor::open(host.namespace())?;
    let (mut withdrawn, mut given) = (Vec::new(), Vec::new());
    let mut holder = host.raw_vm(1)?;
    agent.wait("virbr1", "ready", PATIENCE)?;
    for time in 0..times {
        let (from, to) = if time % 2 == 0 { (1, 2) } else { (2, 1) };
        let waiting = host.raw_vm(to)?;
        agent.wait(&format!("virbr{to}"), "unassigned", PATIENCE)?;
        let tap = ifindex(&host, &format!("vnet{from}"))?;
        let bridges = [from, to].map(|number| ifindex(&host, &format!("virbr{number}")));
        let [from, to] = bridges;
        let (from, to) = (from?, to?);
        let seen = routes.changes().len();
        drop(holder);
        let change = |change, ifindex| {
            let wanted = |one: &RouteChange| one.change == change && one.ifindex == ifindex;
            until("the address to move", PATIENCE, || {
                Ok(routes.changes().into_iter().skip(seen).find(wanted))
            })
        };
        let added = change(Change::Added, to)?;
        let deleted = change(Change::Deleted, from)?;
        let gone = routes.deletion(tap).context("the tap is still there")?;
        withdrawn.push(since(gone.at, deleted.at));
        given.push(since(gone.at, added.at));
        holder = waiting;
    }
    agent.hush();
    for (durations, p50, p99) in [
        (withdrawn, figure::WITHDRAWN, figure::WITHDRAWN_P99),
        (given, figure::GIVEN, figure::GIVEN_P99),
    ] {
        Sample::new(durations).take(report, run, Subject::Slash32, [Some(p50), Some(p99)]);
    }
    Ok(())
}

fn ifindex(host: &Host, link: &str) -> Result<u32> {
    let file = format!("/sys/class/net/{link}/ifindex");
    let text = std::fs::read_to_string(host.namespace().path(&file))
        .with_context(|| format!("cannot read {file}"))?;
    Ok(text.trim().parse()?)
}
