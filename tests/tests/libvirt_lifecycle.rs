//! The life of a VM of a real libvirtd: started, rebooted, saved, restored, destroyed.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Change, Host, RouteMonitor, guest_mac,
    libvirt::{self, BOUND, Domain, Libvirtd, Source, Stage, open_network},
    until,
};
use std::{fs, net::Ipv4Addr, path::Path, time::Duration};

/// For what takes milliseconds, on a machine that is busy with other cases.
const AT_ONCE: Duration = Duration::from_secs(10);
/// Of the VMs in the loop: so many, and so many at a time.
const VMS: u16 = 100;
const LANES: u16 = 4;

#[test]
fn a_vm_that_is_destroyed_takes_its_route_along_and_is_served_when_it_starts_again() -> Result<()> {
    let host = libvirt::host()?;
    let mut stage = Stage::set(&host)?;
    stage.virsh("destroy", &[])?;
    stage.is_gone()?;
    stage.virsh("start", &[])?;
    stage.guest.wait_ready(BOUND)?;
    stage.agent.wait(Stage::LINK, "bound", AT_ONCE)?;
    // The capture that finds no DHCP elsewhere does hear it.
    let messages = stage.capture.messages()?;
    ensure!(!messages.is_empty(), "nobody has heard the guest boot");
    stage.fabric.ping(stage.address())
}

#[test]
fn a_vm_that_is_destroyed_and_started_without_an_agent_is_served_when_the_agent_is_back()
-> Result<()> {
    let host = libvirt::host()?;
    let mut stage = Stage::set(&host)?;
    stage.agent.kill()?;
    stage.virsh("destroy", &[])?;
    stage.agent.restart()?;
    stage.is_gone()?;
    stage.agent.kill()?;
    stage.virsh("start", &[])?;
    stage.agent.restart()?;
    let served = |row: &serde_json::Value| row["state"] == "ready" || row["state"] == "bound";
    let row = stage
        .agent
        .wait_row(Stage::LINK, "served", AT_ONCE, served)?;
    ensure!(row["vm"] == Stage::VM, "{row}");
    stage.guest.wait_ready(BOUND)?;
    stage.agent.wait(Stage::LINK, "bound", AT_ONCE)?;
    stage.fabric.ping(stage.address())
}

#[test]
fn a_guest_that_is_reset_gets_its_address_again() -> Result<()> {
    boots_again(|stage| stage.virsh("reset", &[]).map(drop))
}

#[test]
fn a_guest_that_reboots_gets_its_address_again() -> Result<()> {
    boots_again(|stage| stage.guest.enter("reboot -f"))
}

/// The same QEMU boots its guest once more: its tap stays.
fn boots_again(reboot: impl FnOnce(&Stage<'_>) -> Result<()>) -> Result<()> {
    let host = libvirt::host()?;
    let mut stage = Stage::set(&host)?;
    let tap = stage.tap()?;
    reboot(&stage)?;
    stage.guest.wait_ready(BOUND)?;
    stage.fabric.ping(stage.address())?;
    ensure!(stage.tap()? == tap, "it is another tap");
    stage.agent.wait(Stage::LINK, "bound", AT_ONCE).map(drop)
}

#[test]
fn a_vm_that_is_saved_by_its_host_is_back_without_dhcp_when_it_starts() -> Result<()> {
    let host = libvirt::host()?;
    let stage = Stage::set(&host)?;
    stage.virsh("managedsave", &[])?;
    stage.is_gone()?;
    stage.virsh("start", &[])?;
    stage.is_back_without_dhcp()
}

#[test]
fn a_vm_that_is_saved_to_a_file_is_back_without_dhcp_when_it_is_restored() -> Result<()> {
    let host = libvirt::host()?;
    let stage = Stage::set(&host)?;
    stage.virsh("save", &["/run/web1.save"])?;
    stage.is_gone()?;
    stage.libvirtd.virsh(&["restore", "/run/web1.save"])?;
    // It goes on with its lease, so whoever waits for it need not wait for its next renewal.
    stage.agent.wait(Stage::LINK, "bound", AT_ONCE)?;
    stage.is_back_without_dhcp()
}

#[test]
fn a_vm_behind_a_bare_tap_that_is_saved_is_back_without_dhcp_when_it_starts() -> Result<()> {
    let host = libvirt::host()?;
    let stage = Stage::set_on(&host, "tap1", |_| Ok(Source::Ethernet("tap1".to_owned())))?;
    stage.virsh("managedsave", &[])?;
    stage.is_gone()?;
    stage.virsh("start", &[])?;
    stage.is_back_without_dhcp()
}

#[test]
fn a_vm_in_a_bridge_of_the_host_that_is_saved_is_back_without_dhcp_when_it_starts() -> Result<()> {
    let host = libvirt::host()?;
    let stage = Stage::set_on(&host, "virbr1", |libvirtd| {
        libvirtd.host().bridge("virbr1")?;
        Ok(Source::Bridge("virbr1".to_owned()))
    })?;
    stage.virsh("managedsave", &[])?;
    stage.is_gone()?;
    stage.virsh("start", &[])?;
    stage.is_back_without_dhcp()
}

#[test]
fn a_dynamic_address_is_the_waiting_vms_as_soon_as_its_vm_is_destroyed() -> Result<()> {
    let host = libvirt::host()?;
    let agent = Agent::start(&host, &dynamic("203.0.113.10-203.0.113.10"))?;
    let libvirtd = Libvirtd::start_with_hooks(&host, &agent)?;
    let routes = RouteMonitor::open(host.namespace())?;
    let address = Ipv4Addr::new(203, 0, 113, 10);
    let vms = [Vm::new(1), Vm::new(2)];
    for vm in &vms {
        vm.start(&libvirtd)?;
    }
    agent.wait("virbr2", "unassigned", AT_ONCE)?;
    for round in 0..10 {
        let [holder, waiting] = [&vms[round % 2], &vms[(round + 1) % 2]];
        let ifindexes = [holder, waiting].map(|vm| ifindex(&host, &vm.bridge));
        let [from, to] = [ifindexes[0].as_ref(), ifindexes[1].as_ref()].map(|i| *i.unwrap());
        let before = routes.changes().len();
        libvirtd.virsh(&["destroy", &holder.name])?;
        until("the waiting VM to have the address", AT_ONCE, || {
            let changes = routes.changes().split_off(before);
            let given = |one: &&slash32_tests::RouteChange| {
                one.change == Change::Added && one.ifindex == to
            };
            Ok(changes.iter().find(given).map(drop))
        })?;
        let changes: Vec<_> = routes.changes().split_off(before);
        let ours: Vec<_> = changes.iter().filter(|one| one.to == address).collect();
        let order: Vec<_> = ours.iter().map(|one| (one.change, one.ifindex)).collect();
        ensure!(
            order == [(Change::Deleted, from), (Change::Added, to)],
            "{ours:?}"
        );
        libvirtd.virsh(&["start", "--paused", &holder.name])?;
        agent.wait(&holder.bridge, "unassigned", AT_ONCE)?;
    }
    Ok(())
}

/// Also says how long after the end of a VM's tap its host route is withdrawn.
#[test]
fn a_hundred_vms_that_are_defined_started_and_destroyed_leave_nothing_behind() -> Result<()> {
    let host = libvirt::host()?;
    let agent = Agent::start(&host, &dynamic("203.0.113.10-203.0.113.19"))?;
    let libvirtd = Libvirtd::start_with_hooks(&host, &agent)?;
    let routes = RouteMonitor::open(host.namespace())?;
    let lane = |lane: u16| -> Result<Vec<Duration>> {
        let numbers = (1..=VMS).filter(|number| number % LANES == lane);
        let life = |number| Vm::new(number).live(&libvirtd, &routes);
        numbers.map(life).collect()
    };
    let mut delays = Vec::new();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|one| scope.spawn(move || lane(one)))
            .collect();
        for lane in lanes {
            delays.extend(lane.join().unwrap()?);
        }
        anyhow::Ok(())
    })?;
    delays.sort();
    eprintln!(
        "from RTM_DELLINK to RTM_DELROUTE: median {:?}, p99 {:?}, most {:?} of {VMS}",
        delays[delays.len() / 2],
        delays[delays.len() * 99 / 100 - 1],
        delays[delays.len() - 1],
    );

    until("every link to be forgotten", AT_ONCE, || {
        Ok(agent.list()?.is_empty().then_some(()))
    })?;
    let left = host.namespace().ip_json("route show table all proto 132")?;
    ensure!(left.is_empty(), "routes: {left:?}");
    let pools = agent.json(&["pools"])?;
    ensure!(pools[0]["used"] == 0 && pools[0]["free"] == 10, "{pools}");
    until("every responder to end", AT_ONCE, || {
        let running = host.namespace().run("sh", &["-c", RESPONDERS])?;
        Ok((running.trim() == "0").then_some(()))
    })?;
    let runtime = agent.runtime_dir();
    until(
        "libvirt's VMs and networks to be forgotten",
        AT_ONCE,
        || {
            let kept = fs::read_to_string(runtime.join("libvirt.json"))?;
            let is_gone = !kept.contains("virbr") && !kept.contains("22222222-");
            Ok(is_gone.then_some(()))
        },
    )?;
    for folder in ["responder", "hooks"] {
        is_empty(&runtime.join(folder))?;
    }
    Ok(())
}

/// So many processes of the namespace are responders. `/proc` is the namespace's own.
const RESPONDERS: &str = "cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^slash32-respond' || true";

/// A paused VM in a network of its own.
struct Vm {
    name: String,
    network: String,
    bridge: String,
    number: u16,
}

impl Vm {
    fn new(number: u16) -> Self {
        Self {
            name: format!("vm {number}"),
            network: format!("net{number}"),
            bridge: format!("virbr{number}"),
            number,
        }
    }

    fn start(&self, libvirtd: &Libvirtd<'_>) -> Result<()> {
        let network = open_network(&self.network, &self.bridge, "");
        libvirtd.start_network(&self.network, &network)?;
        let source = Source::Network(self.network.clone());
        let domain = Domain::new(&self.name, self.number).nic(guest_mac(self.number), source);
        libvirtd.start_paused(&domain)
    }

    /// From its definition to its end. Returns how long after the end of its tap its host route was withdrawn.
    fn live(&self, libvirtd: &Libvirtd<'_>, routes: &RouteMonitor) -> Result<Duration> {
        let host = libvirtd.host();
        self.start(libvirtd)?;
        let bridge = ifindex(host, &self.bridge)?;
        let tap = until("the VM's tap", AT_ONCE, || port(host, &self.bridge))?;
        let tap = ifindex(host, &tap)?;
        let change = |change| {
            until(
                &format!("the route of {} to be {change:?}", self.name),
                AT_ONCE,
                || {
                    let wanted = |one: &slash32_tests::RouteChange| {
                        one.change == change && one.ifindex == bridge && one.protocol == 132
                    };
                    Ok(routes.changes().into_iter().find(wanted))
                },
            )
        };
        change(Change::Added)?;
        libvirtd.virsh(&["destroy", &self.name])?;
        let withdrawn = change(Change::Deleted)?;
        let gone = routes.deletion(tap).context("its tap is still there")?;
        libvirtd.virsh(&["undefine", &self.name])?;
        libvirtd.virsh(&["net-destroy", &self.network])?;
        libvirtd.virsh(&["net-undefine", &self.network])?;
        // The VM is gone for the agent when its carrier is, which is just before its tap is.
        Ok(withdrawn.at.duration_since(gone.at).unwrap_or_default())
    }
}

/// A network that gives each VM an address of `pool` while it is there, and its route at once: these VMs ask for nothing.
fn dynamic(pool: &str) -> String {
    format!(
        r#"[route]
install = "bind"
[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "dynamic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["{pool}"]
"#
    )
}

fn ifindex(host: &Host, link: &str) -> Result<u32> {
    let file = format!("/sys/class/net/{link}/ifindex");
    let text = fs::read_to_string(host.namespace().path(&file))
        .with_context(|| format!("cannot read {file}"))?;
    Ok(text.trim().parse()?)
}

/// The only port of a bridge.
fn port(host: &Host, bridge: &str) -> Result<Option<String>> {
    let folder = host
        .namespace()
        .path(format!("/sys/class/net/{bridge}/brif"));
    let port = fs::read_dir(folder)?.next().transpose()?;
    Ok(port.map(|port| port.file_name().to_string_lossy().into_owned()))
}

fn is_empty(folder: &Path) -> Result<()> {
    let left: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    ensure!(left.is_empty(), "{} holds {left:?}", folder.display());
    Ok(())
}
