//! What libvirt says of a VM decides what it gets, and a fault in it hurts that VM alone. The VMs are paused: their addresses
//! are decided when their links are there.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, POOL_NETWORK, guest_mac,
    libvirt::{self, Domain, Libvirtd, Source, open_network},
    static_network, vm_address,
};
use std::time::Duration;

/// For what takes milliseconds, on a machine that is busy with other cases.
const AT_ONCE: Duration = Duration::from_secs(10);

#[test]
fn a_wrong_address_in_metadata_is_told_and_leaves_its_vm_running_and_the_others_served()
-> Result<()> {
    let host = libvirt::host()?;
    let agent = Agent::start(&host, &static_network(&[], ""))?;
    let libvirtd = Libvirtd::start_with_hooks(&host, &agent)?;
    for (number, address) in [(1, "198.51.100.1"), (2, "203.0.113"), (3, "203.0.113.3")] {
        network(&libvirtd, number)?;
        let metadata = format!("<s:vm xmlns:s='urn:slash32:1' address='{address}'/>");
        libvirtd.start_paused(&vm(number, number).metadata(&metadata))?;
        let state = libvirtd.virsh(&["domstate", &format!("vm{number}")])?;
        ensure!(state == "paused", "the VM is {state}");
    }
    for (number, address) in [(1, "198.51.100.1"), (2, "203.0.113")] {
        let row = agent.wait(&format!("virbr{number}"), "unassigned", AT_ONCE)?;
        let reason = row["reason"].as_str().unwrap_or_default();
        ensure!(reason.contains(address), "{row}");
        ensure!(row["vm"] == format!("vm{number}"), "{row}");
    }
    let row = agent.wait("virbr3", "ready", AT_ONCE)?;
    ensure!(row["address"] == vm_address(3).to_string(), "{row}");
    Ok(())
}

#[test]
fn a_vm_takes_its_automatic_address_along_to_another_network() -> Result<()> {
    let host = libvirt::host()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let libvirtd = Libvirtd::start_with_hooks(&host, &agent)?;
    for number in [1, 2] {
        network(&libvirtd, number)?;
    }
    libvirtd.start_paused(&vm(1, 1))?;
    let first = agent.wait("virbr1", "ready", AT_ONCE)?["address"].clone();
    libvirtd.virsh(&["destroy", "vm1"])?;
    agent.wait("virbr1", "idle", AT_ONCE)?;

    // Another VM on the same link has another address.
    libvirtd.start_paused(&vm(2, 1))?;
    let second = agent.wait("virbr1", "ready", AT_ONCE)?["address"].clone();
    ensure!(second != first, "both have {first}");

    libvirtd.start_paused(&vm(1, 2))?;
    let row = agent.wait("virbr2", "ready", AT_ONCE)?;
    ensure!(row["address"] == first, "it had {first}, and has {row}");
    Ok(())
}

#[test]
fn a_network_on_which_libvirt_serves_dhcp_is_refused_and_named() -> Result<()> {
    let host = libvirt::host()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let libvirtd = Libvirtd::start_with_hooks(&host, &agent)?;
    let dhcp = "<network><name>with-dhcp</name><forward mode='open'/>
        <bridge name='virbr1' stp='off' delay='0'/><dns enable='no'/>
        <ip address='169.254.0.1' prefix='16'><dhcp><range start='169.254.1.1' end='169.254.1.9'/></dhcp></ip>
        </network>";
    libvirtd.start_network("with-dhcp", dhcp)?;
    let source = Source::Network("with-dhcp".to_owned());
    libvirtd.start_paused(&Domain::new("vm1", 1).nic(guest_mac(1), source))?;
    let row = agent.wait("virbr1", "failed", AT_ONCE)?;
    let reason = row["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains("with-dhcp") && reason.contains("<dhcp>"),
        "{row}"
    );
    ensure!(row["responder"]["pid"].is_null(), "{row}");
    Ok(())
}

fn network(libvirtd: &Libvirtd<'_>, number: u16) -> Result<()> {
    let (name, bridge) = (format!("net{number}"), format!("virbr{number}"));
    libvirtd.start_network(&name, &open_network(&name, &bridge, ""))
}

/// The VM with this number in the network `on`.
fn vm(number: u16, on: u16) -> Domain {
    let source = Source::Network(format!("net{on}"));
    Domain::new(&format!("vm{number}"), number).nic(guest_mac(number), source)
}
