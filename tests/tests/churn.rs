//! Links and VMs that come, go, move and change places, some of it behind the agent's back.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
use slash32_tests::{
    Agent, Guest, Host, RawClient, Wire, guest_mac, static_network, until, vm_address,
};
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(20);

#[test]
fn a_bridge_made_anew_while_the_agent_slept_is_served() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest(&host, 1)?;
    guest.raw_client()?.bind()?;
    let before = agent.wait("virbr1", "bound", BOUND)?;
    agent.signal(SIGSTOP)?;
    host.namespace().ip("link del virbr1")?;
    host.bridge("virbr1")?;
    host.namespace().ip("link set vnet1 master virbr1")?;
    agent.signal(SIGCONT)?;
    ensure!(guest.raw_client()?.bind()?.yiaddr == vm_address(1));
    let after = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(after["ifindex"] != before["ifindex"], "{after}");
    ensure!(
        host.route_to(vm_address(1))?.is_some(),
        "there is no host route"
    );
    Ok(())
}

#[test]
fn another_vm_that_took_the_place_while_the_agent_was_dead_is_served() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let first = guest(&host, 1)?;
    first.raw_client()?.bind()?;
    let before = agent.wait("virbr1", "bound", BOUND)?;
    agent.kill()?;
    host.namespace().ip("link del vnet1")?;
    let second = host.guest("virbr1", 2)?;
    agent.restart()?;
    ensure!(second.raw_client()?.bind()?.yiaddr == vm_address(1));
    let after = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(
        after["generation"].as_u64() > before["generation"].as_u64(),
        "{before} became {after}"
    );
    Ok(())
}

#[test]
fn another_vm_that_takes_the_place_is_served_with_its_own_mac() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let first = guest(&host, 1)?;
    first.raw_client()?.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    // At once, so that both changes may be seen as one.
    host.namespace().ip("link set vnet1 nomaster")?;
    let second = host.guest("virbr1", 2)?;
    ensure!(second.raw_client()?.bind()?.yiaddr == vm_address(1));
    Ok(())
}

#[test]
fn a_vm_that_moves_to_another_bridge_gets_the_address_of_that_one() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1), ("virbr2", 2)], ""))?;
    let guest = guest(&host, 1)?;
    host.bridge("virbr2")?;
    ensure!(guest.raw_client()?.bind()?.yiaddr == vm_address(1));
    host.namespace().ip("link set vnet1 master virbr2")?;
    agent.wait("virbr1", "idle", BOUND)?;
    agent.wait("virbr2", "ready", BOUND)?;
    ensure!(guest.raw_client()?.bind()?.yiaddr == vm_address(2));
    ensure!(
        host.route_to(vm_address(1))?.is_none(),
        "the old host route is still there"
    );
    ensure!(
        host.route_to(vm_address(2))?.is_some(),
        "the new host route is missing"
    );
    Ok(())
}

#[test]
fn a_port_that_flaps_a_hundred_times_ends_served() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest(&host, 1)?;
    guest.raw_client()?.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    host.namespace()
        .ip_batch(&"link set vnet1 down\nlink set vnet1 up\n".repeat(100))?;
    ensure!(guest.raw_client()?.bind()?.yiaddr == vm_address(1));
    // The agent may still be busy with the flaps when the responder has answered already.
    until("the host route", BOUND, || host.route_to(vm_address(1)))?;
    ensure!(guest.raw_client()?.bind()?.yiaddr == vm_address(1));
    agent.wait("virbr1", "bound", BOUND)?;
    Ok(())
}

#[test]
fn a_bridge_that_is_renamed_is_the_same_link() -> Result<()> {
    let host = Host::new()?;
    let config = static_network(&[], "")
        .replace("\"static\"", "\"automatic\"")
        .replace(
            "prefix = \"203.0.113.0/24\"",
            "prefix = \"203.0.113.0/24\"\npools = [\"203.0.113.1-203.0.113.9\"]",
        );
    let agent = Agent::start(&host, &config)?;
    let guest = guest(&host, 1)?;
    let address = guest.raw_client()?.bind()?.yiaddr;
    let before = agent.wait("virbr1", "bound", BOUND)?;
    host.namespace().ip("link set virbr1 down")?;
    host.namespace().ip("link set virbr1 name virbr8")?;
    host.namespace().ip("link set virbr8 up")?;
    let after = agent.wait("virbr8", "bound", BOUND)?;
    ensure!(
        after["ifindex"] == before["ifindex"] && after["responder"] == before["responder"],
        "{after}"
    );
    ensure!(after["address"] == address.to_string(), "{after}");
    ensure!(
        agent.row("virbr1")?.is_none(),
        "the old name is still in the list"
    );
    until("the host route", BOUND, || host.route_to(address))?;
    Ok(())
}

#[test]
fn load_a_vm_that_floods_disturbs_no_other() -> Result<()> {
    const FLOOD: Duration = Duration::from_secs(10);
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1), ("tap2", 2)], ""))?;
    let noisy = host.tap("tap1", None)?;
    agent.wait("tap1", "ready", BOUND)?;
    let frames: Vec<Vec<u8>> = (0..64)
        .map(|xid| {
            slash32_tests::dhcp::Message::request(3, guest_mac(1), xid)
                .with(50, &[203, 0, 113, 1])
                .frame()
        })
        .collect();
    let end = Instant::now() + FLOOD;
    let flood = std::thread::spawn(move || {
        let mut sent = 0u64;
        while Instant::now() < end {
            for frame in &frames {
                noisy.send(frame).unwrap();
                sent += 1;
            }
            while noisy.receive(Duration::ZERO).unwrap().is_some() {}
        }
        sent
    });
    let mut client = RawClient::new(host.tap("tap2", None)?, guest_mac(2));
    let (mut rounds, mut slowest) = (0, Duration::ZERO);
    while !flood.is_finished() {
        let asked = Instant::now();
        ensure!(client.bind()?.yiaddr == vm_address(2));
        agent.list()?;
        slowest = slowest.max(asked.elapsed());
        rounds += 1;
    }
    let sent = flood.join().unwrap();
    println!("{sent} frames, {rounds} rounds, the slowest in {slowest:?}");
    ensure!(
        rounds > 10,
        "only {rounds} rounds while {sent} frames were sent; the slowest took {slowest:?}"
    );
    Ok(())
}

/// The guest with this number behind the bridge with the same one.
fn guest(host: &Host, number: u16) -> Result<Guest> {
    let bridge = format!("virbr{number}");
    host.bridge(&bridge)?;
    host.guest(&bridge, number)
}
