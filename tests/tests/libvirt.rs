//! VMs of a real libvirtd, from their definition to a ping from the fabric: each kind of link that libvirt makes, and an
//! address that stands in libvirt's metadata.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use serde_json::Value;
use slash32_tests::{
    Agent, BootFiles, Fabric, GATEWAY, guest_mac,
    libvirt::{self, BOUND, Domain, Libvirtd, Source, bridge_network, open_network},
    static_network, vm_address,
};
use std::net::Ipv4Addr;

/// All that a shell, XML, JSON, a path or a table may stumble over, but for what libvirt refuses: `/`.
const ODD_NAME: &str = "web '1' <&amp;> \"ü\" $(id) %s \\n ,=";

#[test]
fn a_vm_in_a_network_of_its_own_boots_and_is_reachable_both_ways() -> Result<()> {
    let network = |libvirtd: &Libvirtd<'_>| {
        let network = open_network("vm1", "virbr1", &address_metadata(vm_address(1)));
        libvirtd.start_network("vm1", &network)?;
        Ok(Source::Network("vm1".to_owned()))
    };
    boots("virbr1", &Domain::new("web1", 1), network)
}

#[test]
fn a_vm_in_a_bridge_of_the_host_boots_and_is_reachable_both_ways() -> Result<()> {
    let domain = Domain::new("web1", 1).metadata(&address_metadata(vm_address(1)));
    let bridge = |libvirtd: &Libvirtd<'_>| {
        libvirtd.host().bridge("virbr1")?;
        Ok(Source::Bridge("virbr1".to_owned()))
    };
    boots("virbr1", &domain, bridge)
}

#[test]
fn a_vm_in_a_network_with_a_bridge_of_the_host_boots_and_is_reachable_both_ways() -> Result<()> {
    let domain = Domain::new("web1", 1).metadata(&address_metadata(vm_address(1)));
    let network = |libvirtd: &Libvirtd<'_>| {
        libvirtd.host().bridge("virbr1")?;
        libvirtd.start_network("host", &bridge_network("host", "virbr1", ""))?;
        Ok(Source::Network("host".to_owned()))
    };
    boots("virbr1", &domain, network)
}

#[test]
fn a_vm_with_an_odd_name_behind_a_bare_tap_boots_and_is_reachable_both_ways() -> Result<()> {
    let domain = Domain::new(ODD_NAME, 1).metadata(&address_metadata(vm_address(1)));
    boots("tap1", &domain, |_| Ok(Source::Ethernet("tap1".to_owned())))
}

#[test]
fn a_vm_with_two_nics_has_an_address_on_each() -> Result<()> {
    let host = libvirt::host()?;
    let fabric = host.fabric()?;
    let agent = Agent::start(&host, &static_network(&[], ""))?;
    let libvirtd = Libvirtd::start_with_hooks(&host, &agent)?;
    let nic = |number| {
        let (mac, address) = (guest_mac(number), vm_address(number));
        format!("<slash32:interface mac='{mac}' address='{address}'/>")
    };
    let mut domain = Domain::new("web1", 1)
        .boots_linux(&BootFiles::prepared()?)?
        .metadata(&format!(
            "<slash32:vm xmlns:slash32='urn:slash32:1'>{}{}</slash32:vm>",
            nic(1),
            nic(2)
        ));
    for number in [1, 2] {
        let (network, bridge) = (format!("net{number}"), format!("virbr{number}"));
        libvirtd.start_network(&network, &open_network(&network, &bridge, ""))?;
        domain = domain.nic(guest_mac(number), Source::Network(network));
    }
    let mut guest = libvirtd.start_linux(&domain)?;
    guest.wait_ready(BOUND)?;
    guest.is_configured(vm_address(1), GATEWAY, BOUND)?;
    // What comes in by the first NIC is answered by it, when the default route leads to the second.
    let first = vm_address(1);
    guest.run(
        &format!(
            "ip link set eth1 up && udhcpc -i eth1 -s /etc/udhcpc.script -O staticroutes -q -n -t 20 -T 1 &&
            ip rule add from {first} table 1 && ip route add {GATEWAY} dev eth0 table 1 &&
            ip route add default via {GATEWAY} dev eth0 table 1"
        )
        .replace('\n', " "),
        BOUND,
    )?;
    agent.json(&["wait", "web1", "--timeout", "60s"])?;
    for number in [1, 2] {
        fabric.ping(vm_address(number))?;
        let row = agent.wait(&format!("virbr{number}"), "bound", BOUND)?;
        is_row_of(&row, &domain, number)?;
    }
    Ok(())
}

/// A VM with one NIC, tied to what `source` makes, gets the address that its metadata says, on `link`.
fn boots(
    link: &str,
    domain: &Domain,
    source: impl FnOnce(&Libvirtd<'_>) -> Result<Source>,
) -> Result<()> {
    let host = libvirt::host()?;
    let fabric = host.fabric()?;
    let agent = Agent::start(&host, &static_network(&[], ""))?;
    let libvirtd = Libvirtd::start_with_hooks(&host, &agent)?;
    let domain = domain
        .clone()
        .boots_linux(&BootFiles::prepared()?)?
        .nic(guest_mac(1), source(&libvirtd)?);
    std::thread::scope(|scope| {
        // As a platform does it: it waits for a VM that is not there yet.
        let wait = || agent.json(&["wait", domain.name(), "--timeout", "90s"]);
        let bound = scope.spawn(wait);
        let mut guest = libvirtd.start_linux(&domain)?;
        let row = bound.join().unwrap()?;
        ensure!(row["state"] == "bound" && row["link"] == link, "{row}");
        is_row_of(&row, &domain, 1)?;
        guest.wait_ready(BOUND)?;
        guest.is_configured(vm_address(1), GATEWAY, BOUND)?;
        fabric.ping(vm_address(1))?;
        guest.run(&format!("ping -c 2 -W 2 {}", Fabric::ADDRESS), BOUND)?;
        is_row_of(&agent.wait(link, "bound", BOUND)?, &domain, 1)
    })
}

fn is_row_of(row: &Value, domain: &Domain, number: u16) -> Result<()> {
    let is = |key: &str, value: &str| row[key] == value;
    let mac = guest_mac(number).to_string();
    let address = vm_address(number).to_string();
    ensure!(
        is("vm", domain.name()) && is("uuid", domain.uuid()),
        "{row}"
    );
    ensure!(is("mac", &mac) && is("address", &address), "{row}");
    Ok(())
}

fn address_metadata(address: Ipv4Addr) -> String {
    format!("<slash32:vm xmlns:slash32='urn:slash32:1' address='{address}'/>")
}
