//! A VM that arrives by live migration, as the host sees it: its host route waits until it runs here, and nowhere else.

use super::vm::{Hooks, Vm};
use super::{BOUND, wait_named};
use anyhow::{Result, ensure};
use serde_json::Value;
use slash32_tests::{
    Agent, Change, Host, MacAddr, POOL_NETWORK, RawClient, RouteMonitor, static_network, until,
};
use std::{fs, net::Ipv4Addr};

/// The VM's: its definition fixes it.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const LINK: &str = "virbr1";
/// What the agent logs when it waits no longer.
const NO_LONGER: &str = "does not wait any longer";

fn web1() -> Vm {
    Vm::new("web1", 1).asking(&format!("address='{ADDRESS}'"))
}

fn start(host: &Host) -> Result<Agent<'_>> {
    Agent::start(host, &static_network(&[], ""))
}

/// The VM's tap is there, and the VM is on its way.
fn arrive(host: &Host, agent: &Agent<'_>) -> Result<RawClient> {
    let client = migrate(&web1(), host, agent)?;
    wait_reason(agent, "waits for its first frame", false)?;
    Ok(client)
}

fn migrate(vm: &Vm, host: &Host, agent: &Agent<'_>) -> Result<RawClient> {
    let hooks = Hooks::of(agent);
    vm.migrates(&hooks)?;
    let client = vm.plug(host)?;
    vm.running(&hooks, "start")?;
    vm.running(&hooks, "started")?;
    Ok(client)
}

/// Waits for the VM's row: with its address, with this reason, and with its route or without. With it the VM is bound, as it
/// goes on with the lease that it came with.
fn wait_reason(agent: &Agent<'_>, reason: &str, route: bool) -> Result<Value> {
    wait_reason_of(agent, ADDRESS, reason, route)
}

fn wait_reason_of(
    agent: &Agent<'_>,
    address: Ipv4Addr,
    reason: &str,
    route: bool,
) -> Result<Value> {
    wait_named(agent, &web1())?;
    let state = if route { "bound" } else { "ready" };
    agent.wait_row(LINK, reason, BOUND, |row| {
        let why = row["reason"].as_str().unwrap_or_default();
        row["state"] == state
            && row["address"] == address.to_string()
            && row["route"] == route
            && why.contains(reason)
    })
}

/// What QEMU sends for the guest as soon as that runs: who has this MAC address asks for its own (RFC 903).
fn announce(client: &RawClient) -> Result<()> {
    let MacAddr(mac) = client.mac();
    let mut frame = vec![0xff; 6];
    frame.extend(mac);
    frame.extend([0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]);
    for _ in 0..2 {
        frame.extend(mac);
        frame.extend([0; 4]);
    }
    frame.resize(60, 0);
    client.wire().send(&frame)
}

/// Somebody in the host's namespace is told of every neighbour (`RTNLGRP_NEIGH` of linux/rtnetlink.h): what a host with many
/// of them pays for. The columns of the table are sk, Eth, Pid, Groups, and more.
fn hears_of_neighbours(host: &Host) -> Result<bool> {
    const ROUTE: &str = "0";
    const NEIGHBOURS: u32 = 1 << 2;
    let table = fs::read_to_string(format!("/proc/{}/net/netlink", host.namespace().pid()))?;
    let groups = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        (fields.next()? == ROUTE).then_some(())?;
        u32::from_str_radix(fields.nth(1)?, 16).ok()
    });
    Ok(groups.fold(0, |all, groups| all | groups) & NEIGHBOURS != 0)
}

#[test]
fn the_route_of_a_vm_that_arrives_waits_for_its_first_frame_whatever_lease_is_kept() -> Result<()> {
    let host = Host::new()?;
    let agent = start(&host)?;
    let hooks = Hooks::of(&agent);
    // It was here before, and its lease still runs.
    let mut before = web1().start(&host, &hooks)?;
    ensure!(before.bind()?.yiaddr == ADDRESS);
    agent.wait(LINK, "bound", BOUND)?;
    drop(before);
    web1().stopped(&hooks)?;
    agent.wait(LINK, "idle", BOUND)?;

    ensure!(!hears_of_neighbours(&host)?);
    let client = arrive(&host, &agent)?;
    ensure!(host.route_to(ADDRESS)?.is_none());
    ensure!(hears_of_neighbours(&host)?);
    announce(&client)?;
    wait_reason(&agent, "arrived by migration", true)?;
    until("the agent to listen no more", BOUND, || {
        Ok((!hears_of_neighbours(&host)?).then_some(()))
    })?;
    // From here on it is a VM like any other that is known: the route comes back with the bridge.
    for state in ["down", "up"] {
        host.namespace().ip(&format!("link set {LINK} {state}"))?;
    }
    until("the route to come back", BOUND, || host.route_to(ADDRESS))?;
    ensure!(!agent.log().contains(NO_LONGER));
    Ok(())
}

#[test]
fn the_route_waits_for_the_host_that_the_vm_comes_from_to_withdraw_its_own() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let agent = start(&host)?;
    let elsewhere = format!("{ADDRESS}/32 via 192.0.2.2 proto bird metric 32");
    host.namespace().ip(&format!("route add {elsewhere}"))?;
    let monitor = RouteMonitor::open(host.namespace())?;
    let client = arrive(&host, &agent)?;
    announce(&client)?;
    wait_reason(&agent, "waits for the host that it comes from", false)?;
    host.namespace().ip(&format!("route del {elsewhere}"))?;
    wait_reason(&agent, "arrived by migration", true)?;
    let changes: Vec<_> = monitor
        .changes()
        .iter()
        .filter(|change| change.to == ADDRESS)
        .map(|change| (change.change, change.protocol))
        .collect();
    ensure!(
        changes == [(Change::Deleted, 12), (Change::Added, 132)],
        "{changes:?}"
    );
    ensure!(!agent.log().contains(NO_LONGER));
    Ok(())
}

#[test]
fn the_route_does_not_wait_for_ever_for_a_host_that_withdraws_nothing() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let agent = start(&host)?;
    let elsewhere = format!("{ADDRESS}/32 via 192.0.2.2 proto bird metric 32");
    host.namespace().ip(&format!("route add {elsewhere}"))?;
    let client = arrive(&host, &agent)?;
    announce(&client)?;
    // The row says what there is to know: it may still be in two places.
    wait_reason(&agent, "another host announces", true)?;
    ensure!(agent.log().contains(NO_LONGER), "{}", agent.log());
    Ok(())
}

#[test]
fn a_vm_that_comes_back_has_the_address_that_it_holds_although_another_host_announces_it()
-> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let (vm, hooks) = (Vm::new("web1", 1), Hooks::of(&agent));
    let mut before = vm.start(&host, &hooks)?;
    let address = before.bind()?.yiaddr;
    agent.wait(LINK, "bound", BOUND)?;
    drop(before);
    vm.stopped(&hooks)?;
    agent.wait(LINK, "idle", BOUND)?;
    // It is on the other host, which has it from a reservation, say.
    let elsewhere = format!("{address}/32 via 192.0.2.2 proto bird metric 32");
    host.namespace().ip(&format!("route add {elsewhere}"))?;
    let set_aside = |count: u64| {
        until("the pool to be as it should be", BOUND, || {
            Ok((agent.json(&["pools"])?[0]["set_aside"] == count).then_some(()))
        })
    };
    set_aside(1)?;
    let client = migrate(&vm, &host, &agent)?;
    wait_reason_of(&agent, address, "waits for its first frame", false)?;
    set_aside(0)?;
    host.namespace().ip(&format!("route del {elsewhere}"))?;
    announce(&client)?;
    wait_reason_of(&agent, address, "arrived by migration", true).map(drop)
}

#[test]
fn a_vm_that_arrives_and_asks_gets_its_ack_and_its_route() -> Result<()> {
    let host = Host::new()?;
    let agent = start(&host)?;
    let mut client = arrive(&host, &agent)?;
    ensure!(client.bind()?.yiaddr == ADDRESS);
    agent.wait_row(LINK, "bound without a reason", BOUND, |row| {
        row["state"] == "bound" && row["route"] == true && row["reason"].is_null()
    })?;
    Ok(())
}

#[test]
fn a_first_frame_that_comes_while_the_agent_is_away_is_found_and_the_route_outlives_the_next_agent()
-> Result<()> {
    let host = Host::new()?;
    let mut agent = start(&host)?;
    let client = arrive(&host, &agent)?;
    agent.kill()?;
    announce(&client)?;
    agent.restart()?;
    wait_reason(&agent, "arrived by migration", true)?;
    let monitor = RouteMonitor::open(host.namespace())?;
    agent.kill()?;
    agent.restart()?;
    wait_named(&agent, &web1())?;
    agent.wait_row(LINK, "with its route", BOUND, |row| row["route"] == true)?;
    let removed = monitor
        .changes()
        .into_iter()
        .find(|change| change.to == ADDRESS && change.change == Change::Deleted);
    ensure!(removed.is_none(), "{removed:?}");
    Ok(())
}

#[test]
fn a_migration_that_fails_leaves_nothing_behind() -> Result<()> {
    let host = Host::new()?;
    let agent = start(&host)?;
    let hooks = Hooks::of(&agent);
    let monitor = RouteMonitor::open(host.namespace())?;
    let client = arrive(&host, &agent)?;
    drop(client);
    web1().stopped(&hooks)?;
    let row = agent.wait(LINK, "idle", BOUND)?;
    ensure!(row["vm"].is_null() && row["address"].is_null(), "{row}");
    until("the agent to forget the VM", BOUND, || {
        let known = fs::read_to_string(hooks.memory())?;
        Ok((!known.contains(&web1().uuid())).then_some(()))
    })?;
    let routes = monitor.changes();
    ensure!(
        !routes.iter().any(|change| change.to == ADDRESS),
        "{routes:?}"
    );
    // And nothing of it is held against the next one, which starts here.
    let mut next = web1().start(&host, &hooks)?;
    ensure!(next.bind()?.yiaddr == ADDRESS);
    agent.wait(LINK, "bound", BOUND)?;
    Ok(())
}
