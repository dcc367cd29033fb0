//! Another config comes into force: whole or not at all, not at the price of a VM that runs unless it is forced, and it
//! reaches the VMs with their next renewal.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal::SIGHUP;
use slash32_tests::{
    Agent, Host, POOL_NETWORK, RawClient,
    dhcp::{Message, code, message_type},
    expect, guest_mac, until,
};
use std::{net::Ipv4Addr, time::Duration};

const BOUND: Duration = Duration::from_secs(15);
const FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const SECOND: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 11);
const OLDER_OPTIONS: &str = "runs on older options";

#[test]
fn a_reload_without_a_difference_says_so() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let _client = bound_vm(&host, 1)?;
    let said = agent.succeeds(&["reload"])?;
    ensure!(
        said.trim() == "the config is in force; nothing is different for the VMs that run",
        "it said {said}"
    );
    Ok(())
}

#[test]
fn a_reload_with_errors_shows_them_all_and_changes_nothing() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    agent.configure(
        &POOL_NETWORK
            .replace("gateway =", "gatway =")
            .replace("203.0.113.7\"", "192.0.2.7\""),
    )?;
    let output = agent.cli(&["reload"])?;
    let said = String::from_utf8(output.stderr)?;
    for fact in [
        "gatway",
        "192.0.2.7",
        "slash32.toml",
        "the running one stays in force",
    ] {
        ensure!(said.contains(fact), "{fact:?} is not in:\n{said}");
    }
    ensure!(!output.status.success());
    ensure!(host.raw_vm(7)?.bind()?.yiaddr == Ipv4Addr::new(203, 0, 113, 7));
    Ok(())
}

#[test]
fn a_reload_never_takes_a_bound_vms_address_by_itself() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let (mut client, _other) = (host.raw_vm(1)?, bound_vm(&host, 7)?);
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&without_first())?;
    let said = agent.fails(&["reload"])?;
    ensure!(
        said.contains("virbr1") && said.contains(&FIRST.to_string()) && said.contains("--force"),
        "it said {said}"
    );
    ensure!(!said.contains("virbr7"), "it said {said}");
    agent.signal(SIGHUP)?;
    until(
        "the agent to refuse the signal's config, too",
        BOUND,
        || Ok(agent.log().contains("not reloaded").then_some(())),
    )?;
    ensure!(agent.log().contains("virbr1 (203.0.113.10)"));
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(
        row["address"] == FIRST.to_string() && row["route"] == true,
        "{row}"
    );
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    Ok(())
}

#[test]
fn a_forced_reload_names_who_lost_an_address_and_the_vm_is_refused_at_its_next_renewal()
-> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&without_first())?;
    let report = agent.json(&["reload", "--force"])?;
    ensure!(
        report["lost"][0]["link"] == "virbr1" && report["lost"][0]["address"] == FIRST.to_string(),
        "{report}"
    );
    moves(&mut client, &ack, SECOND)?;
    ensure!(
        host.route_to(FIRST)?.is_none(),
        "the old host route is still there"
    );
    agent.wait("virbr1", "bound", BOUND)?;
    agent.kill()?;
    agent.restart()?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(row["address"] == SECOND.to_string(), "{row}");
    Ok(())
}

#[test]
fn a_link_that_no_network_claims_any_more_needs_force_too() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let _client = bound_vm(&host, 1)?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&POOL_NETWORK.replace("\"!virbr0\"", "\"!virbr1\""))?;
    let said = agent.fails(&["reload"])?;
    ensure!(said.contains("virbr1"), "it said {said}");
    agent.succeeds(&["reload", "--force"])?;
    ensure!(agent.row("virbr1")?.is_none(), "it is still in the list");
    ensure!(host.route_to(FIRST)?.is_none(), "its route is still there");
    Ok(())
}

#[test]
fn a_reload_by_signal_serves_a_new_network() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    host.bridge("lab1")?;
    let mut client = RawClient::new(host.tap("vnet1", Some("lab1"))?, guest_mac(1));
    let lab = "[[network]]\nname = \"lab\"\nlinks = [\"lab*\"]\ngateway = \"169.254.0.1\"\nallocation = \"dynamic\"\n\
               [[network.subnet]]\nprefix = \"198.51.100.0/24\"\npools = [\"198.51.100.10-198.51.100.19\"]\n";
    agent.configure(&format!("{POOL_NETWORK}{lab}"))?;
    agent.signal(SIGHUP)?;
    ensure!(client.bind()?.yiaddr == Ipv4Addr::new(198, 51, 100, 10));
    Ok(())
}

#[test]
fn a_reload_puts_the_route_of_a_vm_that_has_not_asked_into_place_when_the_config_says_so()
-> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let _client = host.raw_vm(1)?;
    let row = agent.wait("virbr1", "ready", BOUND)?;
    ensure!(row["route"] == false, "{row}");
    agent.configure(&format!("[route]\ninstall = \"bind\"\n{POOL_NETWORK}"))?;
    agent.succeeds(&["reload"])?;
    agent.wait_row("virbr1", "its route", BOUND, |row| row["route"] == true)?;
    Ok(())
}

#[test]
fn changed_options_reach_a_vm_at_its_next_renewal_and_until_then_its_row_says_so() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let (mut client, _untouched) = (host.raw_vm(1)?, bound_vm(&host, 7)?);
    let ack = client.bind()?;
    ensure!(
        ack.option(code::DNS) == Some(&[9, 9, 9, 9]) && ack.option(code::MTU).is_none(),
        "{ack:?}"
    );
    for link in ["virbr1", "virbr7"] {
        agent.wait(link, "bound", BOUND)?;
    }
    agent.configure(&POOL_NETWORK.replace("dns = [\"9.9.9.9\"]", "dns = [\"9.9.9.10\"]"))?;
    let said = agent.succeeds(&["reload"])?;
    ensure!(
        said.contains("virbr1") && !said.contains("virbr7"),
        "it said {said}"
    );
    is_on_older_options(&agent, "virbr1")?;
    let row = agent.row("virbr7")?.context("no row")?;
    ensure!(row["reason"].is_null(), "{row}");
    let shown = agent.json(&["show", "virbr1"])?;
    ensure!(
        shown["reason"].to_string().contains(OLDER_OPTIONS),
        "{shown}"
    );

    renews_to(&agent, &mut client, &ack, |renewed| {
        renewed.option(code::DNS) == Some(&[9, 9, 9, 10]) && renewed.yiaddr == FIRST
    })
}

#[test]
fn a_changed_mtu_reaches_a_vm_at_its_next_renewal() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&POOL_NETWORK.replace("dns = [\"9.9.9.9\"]", "mtu = 1400"))?;
    agent.succeeds(&["reload"])?;
    is_on_older_options(&agent, "virbr1")?;
    renews_to(&agent, &mut client, &ack, |renewed| {
        renewed.option(code::MTU) == Some(&1400u16.to_be_bytes())
            && renewed.option(code::DNS).is_none()
    })
}

#[test]
fn a_changed_gateway_reaches_a_vm_at_its_next_renewal() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&other_gateway())?;
    agent.succeeds(&["reload"])?;
    is_on_older_options(&agent, "virbr1")?;
    renews_to(&agent, &mut client, &ack, has_other_gateway)
}

#[test]
fn a_changed_gateway_reaches_a_vm_that_rebinds() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&other_gateway())?;
    agent.succeeds(&["reload"])?;
    let request = client.rebinding(&ack);
    let renewed = expect(message_type::ACK, client.ask(&request)?)?;
    ensure!(has_other_gateway(&renewed), "{renewed:?}");
    ensure!(
        host.route_to(FIRST)?.is_some(),
        "the host route is not there any more"
    );
    Ok(())
}

#[test]
fn who_runs_on_older_options_is_known_to_the_next_agent_too() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&POOL_NETWORK.replace("dns = [\"9.9.9.9\"]", "dns = [\"9.9.9.10\"]"))?;
    agent.kill()?;
    agent.restart()?;
    is_on_older_options(&agent, "virbr1")?;
    renews_to(&agent, &mut client, &ack, |renewed| {
        renewed.option(code::DNS) == Some(&[9, 9, 9, 10])
    })
}

/// The config with a pool that begins one later.
fn without_first() -> String {
    POOL_NETWORK.replace("203.0.113.10-", "203.0.113.11-")
}

fn bound_vm(host: &Host, number: u16) -> Result<RawClient> {
    let mut client = host.raw_vm(number)?;
    client.bind()?;
    Ok(client)
}

/// The VM of virbr1 renews, is acknowledged what is `wanted`, and its row says that it is up to date.
///
/// It renews until then: an agent takes two acknowledgements within half a second for one.
fn renews_to(
    agent: &Agent<'_>,
    client: &mut RawClient,
    ack: &Message,
    wanted: impl Fn(&Message) -> bool,
) -> Result<()> {
    until("the VM to be up to date", BOUND, || {
        let request = client.renewing(ack);
        let renewed = expect(message_type::ACK, client.ask(&request)?)?;
        ensure!(wanted(&renewed), "it was acknowledged {renewed:?}");
        let row = agent.row("virbr1")?.context("no row")?;
        Ok((row["state"] == "bound" && row["reason"].is_null()).then_some(()))
    })
}

/// [`POOL_NETWORK`] with the gateway 169.254.0.2.
fn other_gateway() -> String {
    POOL_NETWORK.replace("169.254.0.1", "169.254.0.2")
}

fn has_other_gateway(ack: &Message) -> bool {
    let gateway = Some(Ipv4Addr::new(169, 254, 0, 2));
    ack.address(code::ROUTER) == gateway
        && ack.address(code::SERVER_IDENTIFIER) == gateway
        && ack.yiaddr == FIRST
}

/// The VM is refused (DHCPNAK) when it renews what `ack` gave it, begins anew, and gets `address`.
fn moves(client: &mut RawClient, ack: &Message, address: Ipv4Addr) -> Result<()> {
    let request = client.renewing(ack);
    expect(message_type::NAK, client.ask(&request)?)?;
    let got = client.bind()?.yiaddr;
    ensure!(got == address, "it got {got}");
    Ok(())
}

fn is_on_older_options(agent: &Agent<'_>, link: &str) -> Result<()> {
    agent
        .wait_row(link, "bound, on older options", BOUND, |row| {
            let reason = row["reason"].as_str().unwrap_or_default();
            row["state"] == "bound" && reason.contains(OLDER_OPTIONS)
        })
        .map(drop)
}
