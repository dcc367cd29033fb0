//! VMs of a real libvirtd, from their definition to a ping from the fabric: each kind of link that libvirt makes.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::Result;
use slash32_tests::{
    Agent, BootFiles, Fabric, GATEWAY, Host, guest_mac,
    libvirt::{Domain, Libvirtd, Source, bridge_network, open_network},
    static_network, vm_address,
};
use std::time::Duration;

/// A guest boots in 3 to 6 s; the machine may be busy with other cases.
const BOUND: Duration = Duration::from_secs(90);

#[test]
fn a_vm_in_a_network_of_its_own_boots_and_is_reachable_both_ways() -> Result<()> {
    let network = |libvirtd: &Libvirtd<'_>| {
        libvirtd.start_network("vm1", &open_network("vm1", "virbr1", ""))?;
        Ok(Source::Network("vm1".to_owned()))
    };
    boots("virbr1", network)
}

#[test]
fn a_vm_in_a_bridge_of_the_host_boots_and_is_reachable_both_ways() -> Result<()> {
    let bridge = |libvirtd: &Libvirtd<'_>| {
        libvirtd.host().bridge("virbr1")?;
        Ok(Source::Bridge("virbr1".to_owned()))
    };
    boots("virbr1", bridge)
}

#[test]
fn a_vm_in_a_network_with_a_bridge_of_the_host_boots_and_is_reachable_both_ways() -> Result<()> {
    let network = |libvirtd: &Libvirtd<'_>| {
        libvirtd.host().bridge("virbr1")?;
        libvirtd.start_network("host", &bridge_network("host", "virbr1", ""))?;
        Ok(Source::Network("host".to_owned()))
    };
    boots("virbr1", network)
}

#[test]
fn a_vm_behind_a_bare_tap_boots_and_is_reachable_both_ways() -> Result<()> {
    boots("tap1", |_| Ok(Source::Ethernet("tap1".to_owned())))
}

/// A VM with one NIC, tied to what `source` makes, gets the address that is reserved for `link`.
fn boots(link: &str, source: impl FnOnce(&Libvirtd<'_>) -> Result<Source>) -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let agent = Agent::start(&host, &static_network(&[(link, 1)], ""))?;
    let libvirtd = Libvirtd::start_with_hooks(&host, &agent)?;
    let domain = Domain::new("web 1", 1)
        .boots_linux(&BootFiles::prepared()?)?
        .nic(guest_mac(1), source(&libvirtd)?);
    let mut guest = libvirtd.start_linux(&domain)?;
    guest.wait_ready(BOUND)?;
    guest.is_configured(vm_address(1), GATEWAY, BOUND)?;
    fabric.ping(vm_address(1))?;
    guest.run(&format!("ping -c 2 -W 2 {}", Fabric::ADDRESS), BOUND)?;
    agent.wait(link, "bound", BOUND).map(drop)
}
