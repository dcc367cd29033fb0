//! What a crash, a restart or a lost message costs the VMs: nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, Capture, Change, GATEWAY, Guest, Host, RouteMonitor, binary, dhcp::message_type, expect,
    netlink_drops, static_network, until, vm_address,
};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};

const BOUND: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(1);

#[test]
fn renewals_go_on_while_the_agent_is_dead() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1), ("tap2", 2)], ""))?;
    let (bridged, tapped) = (guest(&host, 1)?, host.guest_behind_tap("tap2", 2)?);
    let acks = [bridged.raw_client()?.bind()?, tapped.raw_client()?.bind()?];
    agent.wait("virbr1", "bound", BOUND)?;
    agent.wait("tap2", "bound", BOUND)?;
    agent.kill()?;
    for (guest, ack) in [&bridged, &tapped].into_iter().zip(&acks) {
        // So that the host could send what it must not: its ARP is answered.
        guest.configure(ack.yiaddr)?;
        let capture = Capture::open(guest.namespace(), "eth0")?;
        let mut client = guest.raw_client()?;
        for request in [
            client.renewing(ack),
            client.rebinding(ack),
            client.init_reboot(ack.yiaddr),
        ] {
            expect(message_type::ACK, client.ask(&request)?)?;
        }
        guest.ping(GATEWAY)?;
        let unreachable = capture.port_unreachables()?;
        ensure!(unreachable.is_empty(), "the host sent {unreachable:?}");
    }
    Ok(())
}

#[test]
fn a_new_agent_adopts_the_responders_and_no_route_blinks() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1), ("virbr2", 2)], ""))?;
    let guests = [guest(&host, 1)?, guest(&host, 2)?];
    for guest in &guests {
        guest.raw_client()?.bind()?;
    }
    let pids = [
        bound_responder(&agent, "virbr1")?,
        bound_responder(&agent, "virbr2")?,
    ];
    let monitor = RouteMonitor::open(host.namespace())?;
    for _ in 0..3 {
        agent.kill()?;
        agent.restart()?;
        let again = [
            bound_responder(&agent, "virbr1")?,
            bound_responder(&agent, "virbr2")?,
        ];
        ensure!(
            again == pids,
            "the responders were {pids:?} and are {again:?}"
        );
    }
    let changes = monitor.changes();
    ensure!(changes.is_empty(), "routes changed: {changes:?}");
    let row = agent.row("virbr1")?.unwrap();
    ensure!(
        row["route"] == true && row["lease"]["acked_at"].is_string(),
        "{row}"
    );
    Ok(())
}

#[test]
fn an_agent_that_is_told_to_stop_leaves_the_vms_alone() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest(&host, 1)?;
    let ack = guest.raw_client()?.bind()?;
    let pid = bound_responder(&agent, "virbr1")?;
    let monitor = RouteMonitor::open(host.namespace())?;
    let code = agent.stop()?;
    ensure!(code == Some(0), "it ended with {code:?}");
    ensure!(
        host.namespace().has_process(pid),
        "the responder ended with it"
    );
    let mut client = guest.raw_client()?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    agent.restart()?;
    ensure!(
        bound_responder(&agent, "virbr1")? == pid,
        "the responder was replaced"
    );
    ensure!(
        monitor.changes().is_empty(),
        "routes changed: {:?}",
        monitor.changes()
    );
    Ok(())
}

#[test]
fn a_new_claim_waits_for_the_agent_to_come_back() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest(&host, 1)?;
    agent.wait("virbr1", "ready", BOUND)?;
    agent.kill()?;
    let mut client = guest.raw_client()?;
    let discover = client.discover();
    let offer = expect(message_type::OFFER, client.ask(&discover)?)?;
    let request = client.selecting(&offer);
    client.send(&request)?;
    let early = client.answer(request.xid, SILENCE)?;
    ensure!(
        early.is_none(),
        "it was answered without the agent: {early:?}"
    );
    agent.restart()?;
    expect(message_type::ACK, client.insist(&request, BOUND)?)?;
    ensure!(
        host.route_to(vm_address(1))?.is_some(),
        "the ACK is there, and the route is not"
    );
    Ok(())
}

#[test]
fn a_link_that_came_while_the_agent_was_dead_is_served_by_the_next_one() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1), ("virbr2", 2)], ""))?;
    let first = guest(&host, 1)?;
    first.raw_client()?.bind()?;
    let pid = bound_responder(&agent, "virbr1")?;
    agent.kill()?;
    host.namespace().ip("link del virbr1")?;
    let second = guest(&host, 2)?;
    agent.restart()?;
    second.raw_client()?.bind()?;
    until("the end of the responder without a link", BOUND, || {
        Ok((!host.namespace().has_process(pid)).then_some(()))
    })?;
    ensure!(
        agent.row("virbr1")?.is_none(),
        "the link that is gone is still in the list"
    );
    Ok(())
}

#[test]
fn a_responder_that_died_is_replaced_and_the_route_stays() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest(&host, 1)?;
    let ack = guest.raw_client()?.bind()?;
    let pid = bound_responder(&agent, "virbr1")?;
    let monitor = RouteMonitor::open(host.namespace())?;
    host.namespace().signal(pid, "KILL")?;
    let mut client = guest.raw_client()?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.insist(&request, BOUND)?)?;
    ensure!(
        bound_responder(&agent, "virbr1")? != pid,
        "the list still shows the dead responder"
    );
    let deleted: Vec<_> = monitor
        .changes()
        .into_iter()
        .filter(|one| one.change == Change::Deleted)
        .collect();
    ensure!(deleted.is_empty(), "routes went away: {deleted:?}");
    Ok(())
}

#[test]
fn a_responder_that_died_with_the_agent_is_replaced_by_the_next_one() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest(&host, 1)?;
    let ack = guest.raw_client()?.bind()?;
    let pid = bound_responder(&agent, "virbr1")?;
    agent.kill()?;
    host.namespace().signal(pid, "KILL")?;
    agent.restart()?;
    let mut client = guest.raw_client()?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.insist(&request, BOUND)?)?;
    Ok(())
}

#[test]
fn a_netlink_overrun_loses_nothing() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(
        &host,
        &static_network(&[("virbr1", 1), ("virbr2", 2), ("virbr3", 3)], ""),
    )?;
    let [stays, goes] = [guest(&host, 1)?, guest(&host, 2)?];
    let ack = stays.raw_client()?.bind()?;
    goes.raw_client()?.bind()?;
    let pid = bound_responder(&agent, "virbr1")?;
    agent.wait("virbr2", "bound", BOUND)?;
    host.namespace().ip("link add noise type bridge")?;
    let monitor = RouteMonitor::open(host.namespace())?;

    agent.signal(SIGSTOP)?;
    let mut events = 0;
    while netlink_drops(&host, agent.process()?.inner_pid()?)? == 0 {
        ensure!(
            events < 200_000,
            "{events} events did not overrun the agent's socket"
        );
        host.namespace()
            .ip_batch(&"link set noise mtu 1400\nlink set noise mtu 1500\n".repeat(1_000))?;
        events += 2_000;
    }
    ensure!(events > 1_000, "only {events} events");
    // What the agent cannot hear any more: one VM goes, another one comes.
    goes.namespace().ip("link set eth0 down")?;
    let comes = guest(&host, 3)?;
    agent.signal(SIGCONT)?;

    ensure!(comes.raw_client()?.bind()?.yiaddr == vm_address(3));
    agent.wait("virbr3", "bound", BOUND)?;
    agent.wait("virbr2", "idle", BOUND)?;
    until("the end of the host route", BOUND, || {
        Ok(host.route_to(vm_address(2))?.is_none().then_some(()))
    })?;
    ensure!(
        bound_responder(&agent, "virbr1")? == pid,
        "the responder of a link that stayed was replaced"
    );
    let mut client = stays.raw_client()?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    let stayed = monitor
        .changes()
        .into_iter()
        .all(|one| one.to != vm_address(1));
    ensure!(
        stayed,
        "the route of a VM that stayed changed: {:?}",
        monitor.changes()
    );
    Ok(())
}

#[test]
fn more_links_are_served_than_the_soft_limit_of_open_files_has_room_for() -> Result<()> {
    let host = Host::new()?;
    let links: Vec<String> = (1..=30).map(|number| format!("tap{number}")).collect();
    let reserved: Vec<_> = links.iter().map(String::as_str).zip(1..).collect();
    let mut agent = Agent::prepare(&host, &static_network(&reserved, ""))?;
    let script = agent.config_file().with_file_name("few-descriptors");
    let program = binary("slash32-agent")?;
    let text = format!("#!/bin/sh\nulimit -S -n 40\nexec {program:?} \"$@\"\n");
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    agent.use_program(script);
    agent.restart()?;
    let taps = links.iter().map(|link| host.tap(link, None));
    let _vms = taps.collect::<Result<Vec<_>>>()?;
    for link in &links {
        agent.wait(link, "ready", BOUND)?;
    }
    Ok(())
}

/// The guest with this number behind the bridge with the same one.
fn guest(host: &Host, number: u16) -> Result<Guest> {
    let bridge = format!("virbr{number}");
    host.bridge(&bridge)?;
    host.guest(&bridge, number)
}

fn bound_responder(agent: &Agent<'_>, link: &str) -> Result<u64> {
    agent.wait_row(link, "bound, with a responder", BOUND, |row| {
        row["state"] == "bound" && row["responder"]["pid"].is_u64()
    })?;
    agent.responder(link)
}
