//! Who has a link where an agent runs, too.

use crate::unit::{BOUND, HOME, Unit, address, addresses, is_renewed, link_file, write_link_file};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use slash32_tests::{
    Agent, Host, RawClient, RouteMonitor, binary, static_network, until, vm_address,
};
use std::{fs, process::Command};

#[test]
fn a_link_of_a_running_agent_stays_the_agents() -> Result<()> {
    let host = Host::new()?;
    let mut client = host.raw_vm(1)?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    write_link_file(&agent, "virbr1", &address(HOME))?;
    let unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    let said = unit.fails()?;
    ensure!(
        said.contains("virbr1 is slash32-agent's, as a link of network public")
            && said.contains("\"!virbr1\""),
        "{said}"
    );
    is_renewed(&mut client, &ack)?;
    ensure!(ack.yiaddr == vm_address(1) && host.route_to(HOME)?.is_none());
    Ok(())
}

#[test]
fn a_link_that_no_network_of_a_running_agent_claims_is_served_beside_it() -> Result<()> {
    let host = Host::new()?;
    let mut own = host.raw_vm(1)?;
    host.bridge("br-lan")?;
    let tap = host.tap("vnet2", Some("br-lan"))?;
    let mut alone = RawClient::new(tap, slash32_tests::guest_mac(2));
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    write_link_file(&agent, "br-lan", &address(HOME))?;
    let unit = Unit::start(&host, &agent, "br-lan", "br/lan")?;
    unit.prepare()?;
    let (ack, own_ack) = (alone.bind()?, own.bind()?);
    let routes = RouteMonitor::open(host.namespace())?;
    // Whatever makes an agent look at every link, and at every route of ours.
    agent.json(&["reload"])?;
    agent.kill()?;
    agent.restart()?;
    agent.wait("virbr1", "bound", BOUND)?;
    is_renewed(&mut alone, &ack)?;
    is_renewed(&mut own, &own_ack)?;
    let changes = routes.changes();
    ensure!(changes.is_empty(), "{changes:?}");
    ensure!(agent.row("br-lan")?.is_none());
    ensure!(addresses(&host, "br-lan")?.contains("169.254.0.1/32"));
    Ok(())
}

#[test]
fn an_agent_that_comes_later_leaves_a_link_that_it_claims_until_its_unit_stops() -> Result<()> {
    let host = Host::new()?;
    let mut client = host.raw_vm(1)?;
    let mut agent = link_file(
        &host,
        &static_network(&[("virbr1", 1)], ""),
        "virbr1",
        &address(HOME),
    )?;
    let mut unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    unit.prepare()?;
    let ack = client.bind()?;
    agent.restart()?;
    let row = agent.wait("virbr1", "failed", BOUND)?;
    let reason = row["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains("systemctl disable --now slash32-responder@virbr1"),
        "{row}"
    );
    ensure!(row["responder"].is_null(), "{row}");
    // Also after a crash, when it is prepared once more.
    unit.prepare()?;
    is_renewed(&mut client, &ack)?;
    ensure!(host.route_to(HOME)?.is_some());
    unit.stop()?;
    agent.wait("virbr1", "ready", BOUND)?;
    let got = client.bind()?.yiaddr;
    ensure!(got == vm_address(1), "bound as {got}");
    agent.wait("virbr1", "bound", BOUND)?;
    ensure!(host.route_to(HOME)?.is_none());
    Ok(())
}

#[test]
fn what_a_unit_has_left_that_stopped_after_a_crash_is_taken_off_by_a_running_agent() -> Result<()> {
    let host = Host::new()?;
    host.bridge("br-lan")?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    write_link_file(&agent, "br-lan", &address(HOME))?;
    let mut unit = Unit::start(&host, &agent, "br-lan", "br/lan")?;
    unit.prepare()?;
    let mut responder = unit.responder.take().context("no responder")?;
    responder.signal(Signal::SIGKILL)?;
    responder.wait(BOUND)?;
    unit.withdraw("signal")?;
    agent.json(&["reload"])?;
    ensure!(host.route_to(HOME)?.is_some(), "the next responder's route");
    // systemctl stop, before the restart: the socket goes, and nothing is run.
    fs::remove_file(&unit.socket)?;
    agent.json(&["reload"])?;
    until("the route to go", BOUND, || {
        Ok(host.route_to(HOME)?.is_none().then_some(()))
    })?;
    until("the gateway's address to go", BOUND, || {
        Ok(addresses(&host, "br-lan")?.is_empty().then_some(()))
    })
}

#[test]
fn a_responder_that_an_agent_has_left_keeps_its_link() -> Result<()> {
    let host = Host::new()?;
    let mut client = host.raw_vm(1)?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.stop()?;
    write_link_file(&agent, "virbr1", &address(HOME))?;
    let unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    let said = unit.fails()?;
    ensure!(
        said.contains("run/responder/virbr1.sock: a responder that slash32-agent has left"),
        "{said}"
    );
    is_renewed(&mut client, &ack)
}

#[test]
fn withdraw_ends_what_a_stopped_agent_has_left_deaf_responders_too_and_nothing_else() -> Result<()>
{
    let host = Host::new()?;
    let mut clients = [host.raw_vm(1)?, host.raw_vm(2)?];
    host.bridge("br-lan")?;
    let tap = host.tap("vnet3", Some("br-lan"))?;
    let mut alone = RawClient::new(tap, slash32_tests::guest_mac(3));
    let network = static_network(&[("virbr1", 1), ("virbr2", 2)], "");
    let mut agent = Agent::start(&host, &network)?;
    for client in &mut clients {
        client.bind()?;
    }
    let mut responders = Vec::new();
    for link in ["virbr1", "virbr2"] {
        agent.wait(link, "bound", BOUND)?;
        responders.push(agent.responder(link)?);
    }
    write_link_file(&agent, "br-lan", &address(HOME))?;
    let unit = Unit::start(&host, &agent, "br-lan", "br/lan")?;
    unit.prepare()?;
    let ack = alone.bind()?;
    let config = agent.config_file();
    let withdraw = || {
        let mut command = Command::new(binary("slash32-agent")?);
        command.arg("--config").arg(&config).arg("--withdraw");
        host.namespace().output(&mut command)
    };
    let output = withdraw()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(
        output.status.code() == Some(1) && said.contains("systemctl stop slash32-agent"),
        "it was withdrawn under a running agent: {said}"
    );
    agent.signal(Signal::SIGTERM)?;
    agent.process()?.wait(BOUND)?;
    host.namespace().signal(responders[0], "STOP")?;
    let output = withdraw()?;
    ensure!(output.status.success(), "{output:?}");
    for (pid, number) in responders.into_iter().zip(1..) {
        until("a responder to end", BOUND, || {
            Ok((!host.namespace().has_process(pid)).then_some(()))
        })?;
        ensure!(host.route_to(vm_address(number))?.is_none());
        ensure!(addresses(&host, &format!("virbr{number}"))?.is_empty());
    }
    let left = fs::read_dir(agent.config_file().with_file_name("run/responder"))?.count();
    ensure!(left == 0, "{left} sockets are left");
    is_renewed(&mut alone, &ack)?;
    ensure!(host.route_to(HOME)?.is_some());
    Ok(())
}
