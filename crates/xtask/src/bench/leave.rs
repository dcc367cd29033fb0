//! How soon an address is free when its VM is gone: two VMs, and one address for them.

use super::{PATIENCE, since};
use crate::figures::Figures;
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

/// From RTM_DELLINK of a VM's tap to RTM_DELROUTE of its host route, and to RTM_NEWROUTE of the VM that waited for its address.
pub(super) fn measure(runs: usize) -> Result<Vec<Figures>> {
    let host = Host::new()?;
    let mut agent = step("slash32-agent", || Agent::start(&host, CONFIG))?;
    let routes = RouteMonitor::open(host.namespace())?;
    let (mut withdrawn, mut given) = (Vec::new(), Vec::new());
    step(
        &format!("{runs} VMs that go, and one that waits each time"),
        || {
            let mut holder = host.raw_vm(1)?;
            agent.wait("virbr1", "ready", PATIENCE)?;
            for run in 0..runs {
                let (from, to) = if run % 2 == 0 { (1, 2) } else { (2, 1) };
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
            Ok(())
        },
    )?;
    agent.hush();
    Ok(vec![
        Figures::new("tap gone to host route withdrawn", withdrawn),
        Figures::new("tap gone to its address given to the next VM", given),
    ])
}

fn ifindex(host: &Host, link: &str) -> Result<u32> {
    let file = format!("/sys/class/net/{link}/ifindex");
    let text = std::fs::read_to_string(host.namespace().path(&file))
        .with_context(|| format!("cannot read {file}"))?;
    Ok(text.trim().parse()?)
}
