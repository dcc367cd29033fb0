//! What happens to a running VM of a real libvirtd, beneath it or beside it, while its guest knows nothing of it: the guest
//! sends no DHCP, and is reachable again as soon as it can be; also when the agent is away for a part of it.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use slash32_tests::{
    guest_mac,
    libvirt::{self, BOUND, Nic, Source, Stage, open_network},
    until, vm_address,
};
use std::time::Duration;

/// For what takes milliseconds, on a machine that is busy with other cases.
const AT_ONCE: Duration = Duration::from_secs(10);

/// What happens, in two halves: it is taken away, and it is there again.
struct Event {
    what: &'static str,
    /// The guest cannot be reached between the halves, and its host route is withdrawn.
    parts: bool,
    begin: fn(&mut Stage<'_>) -> Result<()>,
    end: fn(&mut Stage<'_>) -> Result<()>,
}

const EVENTS: [Event; 8] = [
    Event {
        what: "the tap leaves its bridge and is put back",
        parts: true,
        begin: |stage| ip(stage, &format!("link set {} nomaster", stage.tap()?)),
        end: |stage| ip(stage, &format!("link set {} master virbr1", stage.tap()?)),
    },
    Event {
        what: "the bridge is set down and up",
        parts: true,
        begin: |stage| ip(stage, "link set virbr1 down"),
        end: |stage| ip(stage, "link set virbr1 up"),
    },
    Event {
        what: "the tap is set down and up",
        parts: true,
        begin: |stage| ip(stage, &format!("link set {} down", stage.tap()?)),
        end: |stage| ip(stage, &format!("link set {} up", stage.tap()?)),
    },
    Event {
        what: "the guest's cable is pulled and put back (domif-setlink)",
        parts: false,
        begin: |stage| set_link(stage, "down"),
        end: |stage| set_link(stage, "up"),
    },
    Event {
        what: "the VM is suspended and resumed",
        parts: false,
        begin: |stage| stage.virsh("suspend", &[]).map(drop),
        end: |stage| stage.virsh("resume", &[]).map(drop),
    },
    Event {
        what: "libvirtd is restarted",
        parts: false,
        begin: |stage| stage.libvirtd.stop(Signal::SIGTERM),
        end: |stage| stage.libvirtd.restart(),
    },
    Event {
        what: "libvirtd is killed and started",
        parts: false,
        begin: |stage| stage.libvirtd.stop(Signal::SIGKILL),
        end: |stage| stage.libvirtd.restart(),
    },
    Event {
        what: "the VM is saved by its host and started",
        parts: true,
        begin: |stage| stage.virsh("managedsave", &[]).map(drop),
        end: |stage| stage.virsh("start", &[]).map(drop),
    },
];

#[test]
fn a_running_guest_is_back_without_dhcp_whatever_happens_beneath_it() -> Result<()> {
    let host = libvirt::host()?;
    let mut stage = Stage::set(&host)?;
    for event in &EVENTS {
        run(event, &mut stage).with_context(|| event.what)?;
    }
    Ok(())
}

fn run(event: &Event, stage: &mut Stage<'_>) -> Result<()> {
    (event.begin)(stage)?;
    if event.parts {
        until("the route to be withdrawn", AT_ONCE, || {
            Ok(stage
                .host
                .route_to(stage.address())?
                .is_none()
                .then_some(()))
        })?;
    } else {
        ensure!(stage.host.route_to(stage.address())?.is_some(), "no route");
    }
    (event.end)(stage)?;
    stage.is_back_without_dhcp()
}

#[test]
fn a_running_guest_is_back_without_dhcp_when_the_agent_is_killed_in_the_middle() -> Result<()> {
    let host = libvirt::host()?;
    let mut stage = Stage::set(&host)?;
    for event in &EVENTS {
        let middle = |stage: &mut Stage<'_>| {
            (event.begin)(stage)?;
            stage.agent.kill()?;
            (event.end)(stage)?;
            stage.agent.restart()
        };
        middle(&mut stage)
            .and_then(|()| stage.is_back_without_dhcp())
            .with_context(|| event.what)?;
    }
    Ok(())
}

#[test]
fn a_running_guest_is_back_without_dhcp_when_the_agent_misses_all_of_it() -> Result<()> {
    let host = libvirt::host()?;
    let mut stage = Stage::set(&host)?;
    for event in &EVENTS {
        let missed = |stage: &mut Stage<'_>| {
            stage.agent.kill()?;
            (event.begin)(stage)?;
            (event.end)(stage)?;
            stage.agent.restart()
        };
        missed(&mut stage)
            .and_then(|()| stage.is_back_without_dhcp())
            .with_context(|| event.what)?;
    }
    Ok(())
}

#[test]
fn a_running_guest_is_back_without_dhcp_when_the_agent_misses_the_first_half() -> Result<()> {
    let host = libvirt::host()?;
    let mut stage = Stage::set(&host)?;
    for event in &EVENTS {
        let missed = |stage: &mut Stage<'_>| {
            stage.agent.kill()?;
            (event.begin)(stage)?;
            stage.agent.restart()?;
            (event.end)(stage)
        };
        missed(&mut stage)
            .and_then(|()| stage.is_back_without_dhcp())
            .with_context(|| event.what)?;
    }
    Ok(())
}

/// libvirt takes the bridge away and makes it again, but puts no tap into it before it is restarted itself.
#[test]
fn a_network_that_is_destroyed_under_its_vm_is_mended_by_a_restart_of_libvirtd() -> Result<()> {
    let host = libvirt::host()?;
    let mut stage = Stage::set(&host)?;
    stage.libvirtd.virsh(&["net-destroy", "vm1"])?;
    until("the link to be forgotten", AT_ONCE, || {
        Ok(stage.agent.row(Stage::LINK)?.is_none().then_some(()))
    })?;
    ensure!(host.route_to(stage.address())?.is_none(), "the route stays");
    stage.libvirtd.virsh(&["net-start", "vm1"])?;
    stage.agent.wait(Stage::LINK, "idle", AT_ONCE)?;
    stage.libvirtd.restart()?;
    stage.is_back_without_dhcp()
}

#[test]
fn a_vm_whose_qemu_is_killed_leaves_nothing_behind_and_starts_again() -> Result<()> {
    let host = libvirt::host()?;
    let mut stage = Stage::set(&host)?;
    kill_qemu(&stage)?;
    leaves_nothing(&stage)?;
    stage.virsh("start", &[])?;
    stage.guest.wait_ready(BOUND)?;
    stage.agent.wait(Stage::LINK, "bound", AT_ONCE)?;
    stage.fabric.ping(stage.address())?;

    stage.agent.kill()?;
    kill_qemu(&stage)?;
    stage.agent.restart()?;
    leaves_nothing(&stage)
}

fn kill_qemu(stage: &Stage<'_>) -> Result<()> {
    let pid = stage.libvirtd.qemu_pid(Stage::VM)?;
    stage.host.namespace().signal(pid, "KILL")?;
    until("libvirt to notice", AT_ONCE, || {
        Ok((stage.virsh("domstate", &[])? == "shut off").then_some(()))
    })
}

fn leaves_nothing(stage: &Stage<'_>) -> Result<()> {
    stage.is_gone()?;
    let nameless = |row: &serde_json::Value| row["vm"].is_null() && row["uuid"].is_null();
    let agent = &stage.agent;
    agent.wait_row(Stage::LINK, "nameless", AT_ONCE, nameless)?;
    Ok(())
}

#[test]
fn a_nic_that_is_plugged_into_a_running_vm_is_served_until_it_is_unplugged() -> Result<()> {
    let host = libvirt::host()?;
    let stage = Stage::set(&host)?;
    let metadata = format!(
        "<slash32:vm xmlns:slash32='urn:slash32:1' address='{}'/>",
        vm_address(2)
    );
    let network = open_network("vm2", "virbr2", &metadata);
    stage.libvirtd.start_network("vm2", &network)?;
    let nic = Nic {
        mac: guest_mac(2),
        source: Source::Network("vm2".to_owned()),
    };
    let device = |command| {
        let arguments = [command, Stage::VM, "--live", "--file"];
        stage.libvirtd.virsh_xml(&arguments, &nic.xml())
    };
    device("attach-device")?;
    let ready = stage.agent.wait("virbr2", "ready", AT_ONCE)?;
    ensure!(ready["vm"] == Stage::VM, "{ready}");
    stage.guest.run(
        "until ip link set eth1 up 2>/dev/null; do sleep 0.1; done; \
         udhcpc -i eth1 -s /etc/udhcpc.script -O staticroutes -q -n -t 20 -T 1",
        BOUND,
    )?;
    stage.agent.wait("virbr2", "bound", AT_ONCE)?;
    stage.fabric.ping(vm_address(2))?;
    device("detach-device")?;
    stage.agent.wait("virbr2", "idle", BOUND)?;
    let route = host.route_to(vm_address(2))?;
    ensure!(route.is_none(), "its route is still there: {route:?}");
    stage.agent.wait(Stage::LINK, "bound", AT_ONCE).map(drop)
}

fn ip(stage: &Stage<'_>, arguments: &str) -> Result<()> {
    stage.host.namespace().ip(arguments).map(drop)
}

fn set_link(stage: &Stage<'_>, state: &str) -> Result<()> {
    let mac = guest_mac(1).to_string();
    stage.virsh("domif-setlink", &[&mac, state]).map(drop)
}
