//! One address is never in two places: what another host announces or answers at is not given to a VM here.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slash32_tests::{Agent, Fabric, Host, dhcp::message_type, expect, until};
use std::{
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    process::{Child, Stdio},
    sync::mpsc,
    time::Duration,
};

const BOUND: Duration = Duration::from_secs(15);
/// Well before the agent looks at everything again by itself, which it does once a minute.
const AT_ONCE: Duration = Duration::from_secs(5);

const FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const SECOND: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 11);
const THIRD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 12);
const POOL: &str = r#"[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.12"]
"#;

#[test]
fn an_address_that_another_host_announces_is_set_aside_and_the_next_one_is_used() -> Result<()> {
    for how in [
        "dev uplink proto static",
        "via 192.0.2.2 proto bird metric 32",
    ] {
        let host = Host::new()?;
        let _fabric = host.fabric()?;
        let agent = Agent::start(&host, POOL)?;
        host.namespace()
            .ip(&format!("route add {FIRST}/32 {how}"))?;
        are_set_aside(&agent, 1).with_context(|| how)?;
        let explained = agent.json(&["explain", &FIRST.to_string()])?;
        ensure!(
            explained["notes"].to_string().contains("announces"),
            "{how}: {explained}"
        );
        let got = host.raw_vm(1)?.bind()?.yiaddr;
        ensure!(got == SECOND, "{how}: the VM got {got}");
    }
    Ok(())
}

#[test]
fn an_address_that_was_announced_before_the_agent_started_is_not_given() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    host.namespace()
        .ip(&format!("route add {FIRST}/32 dev uplink proto static"))?;
    let mut client = host.raw_vm(1)?;
    let agent = Agent::start(&host, POOL)?;
    ensure!(client.bind()?.yiaddr == SECOND);
    are_set_aside(&agent, 1)
}

#[test]
fn an_address_is_restored_when_nobody_announces_it_any_more() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let agent = Agent::start(&host, POOL)?;
    // Two routes to it: it is another host's until both are gone.
    let [first, second] =
        ["proto static", "proto bird metric 32"].map(|how| format!("{FIRST}/32 dev uplink {how}"));
    host.namespace().ip(&format!("route add {first}"))?;
    host.namespace().ip(&format!("route add {second}"))?;
    are_set_aside(&agent, 1)?;
    host.namespace().ip(&format!("route del {first}"))?;
    // The agent takes netlink messages in order: when it knows of this one, it knows of the one before.
    host.namespace()
        .ip(&format!("route add {THIRD}/32 dev uplink proto static"))?;
    are_set_aside(&agent, 2)?;
    host.namespace().ip(&format!("route del {second}"))?;
    are_set_aside(&agent, 1)?;
    let got = host.raw_vm(1)?.bind()?.yiaddr;
    ensure!(got == FIRST, "the VM got {got}");
    Ok(())
}

#[test]
fn a_conflict_is_told_as_an_event_when_it_comes_and_when_it_goes() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let agent = Agent::start(&host, POOL)?;
    let events = Events::open(&agent)?;
    let route = format!("{FIRST}/32 dev uplink proto static");
    // Nothing says when the stream is open, so it comes and goes until both were told.
    let (mut came, mut went) = (false, false);
    until("both events", BOUND, || {
        host.namespace().ip(&format!("route add {route}"))?;
        are_set_aside(&agent, 1)?;
        host.namespace().ip(&format!("route del {route}"))?;
        are_set_aside(&agent, 0)?;
        for event in events.up_to_now()? {
            if event["kind"] == "conflict" && event["address"] == FIRST.to_string() {
                let text = event["text"].to_string();
                came |= text.contains("set aside");
                went |= text.contains("no longer");
            }
        }
        Ok((came && went).then_some(()))
    })
}

#[test]
fn a_default_route_and_a_route_to_a_block_change_nothing() -> Result<()> {
    let host = Host::new()?;
    // Its uplink has a default route.
    let _fabric = host.fabric()?;
    let agent = Agent::start(&host, POOL)?;
    for route in [
        "203.0.113.0/24 via 192.0.2.2 proto bird",
        "blackhole 203.0.113.0/25 proto bird",
        "203.0.113.10/31 dev uplink proto static",
        // Not ours.
        "198.51.100.10/32 dev uplink proto static",
    ] {
        host.namespace().ip(&format!("route add {route}"))?;
    }
    // The agent takes netlink messages in order: when it knows of this one, it knows of those before.
    host.namespace()
        .ip(&format!("route add {THIRD}/32 dev uplink proto static"))?;
    are_set_aside(&agent, 1)?;
    let got = host.raw_vm(1)?.bind()?.yiaddr;
    ensure!(got == FIRST, "the VM got {got}");
    are_set_aside(&agent, 1)
}

#[test]
fn a_bound_vm_whose_address_is_announced_elsewhere_keeps_it_and_its_row_says_so() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let mut agent = Agent::start(&host, POOL)?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    ensure!(ack.yiaddr == FIRST);
    agent.wait("virbr1", "bound", BOUND)?;
    let route = format!("{FIRST}/32 via 192.0.2.2 proto bird metric 32");
    host.namespace().ip(&format!("route add {route}"))?;
    is_warned(&agent)?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    agent.kill()?;
    agent.restart()?;
    is_warned(&agent)?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    host.namespace().ip(&format!("route del {route}"))?;
    agent.wait_row("virbr1", "bound without a reason", AT_ONCE, |row| {
        row["state"] == "bound" && row["address"] == FIRST.to_string() && row["reason"].is_null()
    })?;
    are_set_aside(&agent, 0)
}

#[test]
fn a_vm_that_has_not_asked_yet_gets_another_address_when_its_own_is_announced_elsewhere()
-> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let agent = Agent::start(&host, POOL)?;
    let mut client = host.raw_vm(1)?;
    let row = agent.wait("virbr1", "ready", BOUND)?;
    ensure!(row["address"] == FIRST.to_string(), "{row}");
    host.namespace()
        .ip(&format!("route add {FIRST}/32 dev uplink proto static"))?;
    agent.wait_row("virbr1", "ready with another address", AT_ONCE, |row| {
        row["state"] == "ready" && row["address"] == SECOND.to_string()
    })?;
    ensure!(client.bind()?.yiaddr == SECOND);
    Ok(())
}

#[test]
fn a_vm_without_an_address_has_one_as_soon_as_the_conflict_is_over() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let agent = Agent::start(&host, POOL)?;
    for address in [FIRST, SECOND, THIRD] {
        host.namespace()
            .ip(&format!("route add {address}/32 dev uplink proto static"))?;
    }
    are_set_aside(&agent, 3)?;
    let _client = host.raw_vm(1)?;
    agent.wait("virbr1", "unassigned", BOUND)?;
    host.namespace()
        .ip(&format!("route del {SECOND}/32 dev uplink"))?;
    agent.wait_row("virbr1", "given the address", AT_ONCE, |row| {
        row["address"] == SECOND.to_string()
    })?;
    Ok(())
}

#[test]
fn a_reserved_address_is_given_although_another_host_announces_it_and_the_row_says_so() -> Result<()>
{
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let reservation =
        format!("[[network.reservation]]\nlink = \"virbr1\"\naddress = \"{FIRST}\"\n");
    let agent = Agent::start(&host, &format!("{POOL}{reservation}"))?;
    // As when a VM moves from one host to another: for a while both have it.
    let route = format!("{FIRST}/32 via 192.0.2.2 proto bird metric 32");
    host.namespace().ip(&format!("route add {route}"))?;
    let mut client = host.raw_vm(1)?;
    ensure!(client.bind()?.yiaddr == FIRST);
    is_warned(&agent)?;
    are_set_aside(&agent, 0)?;
    host.namespace().ip(&format!("route del {route}"))?;
    agent.wait_row("virbr1", "bound without a reason", AT_ONCE, |row| {
        row["state"] == "bound" && row["reason"].is_null()
    })?;
    Ok(())
}

#[test]
fn a_free_address_that_answers_a_ping_is_set_aside_before_a_vm_gets_it() -> Result<()> {
    let host = Host::new()?;
    let fabric = somebody_has(&host, FIRST)?;
    let mut agent = Agent::start(&host, POOL)?;
    are_set_aside(&agent, 1)?;
    let explained = agent.json(&["explain", &FIRST.to_string()])?;
    ensure!(
        explained["notes"].to_string().contains("answers a ping"),
        "{explained}"
    );
    let mut client = host.raw_vm(1)?;
    let got = client.bind()?.yiaddr;
    ensure!(got == SECOND, "the VM got {got}");
    // And so it stays for the next agent, without another probe: nobody answers any more.
    drop(fabric);
    agent.kill()?;
    agent.restart()?;
    are_set_aside(&agent, 1)
}

#[test]
fn a_reserved_address_is_given_whoever_answers_at_it() -> Result<()> {
    let host = Host::new()?;
    let _fabric = somebody_has(&host, THIRD)?;
    let reservation =
        format!("[[network.reservation]]\nlink = \"virbr1\"\naddress = \"{THIRD}\"\n");
    let agent = Agent::start(&host, &format!("{POOL}{reservation}"))?;
    let got = host.raw_vm(1)?.bind()?.yiaddr;
    ensure!(got == THIRD, "the VM got {got}");
    are_set_aside(&agent, 0)
}

/// A fabric on which a machine has `address` already.
fn somebody_has(host: &Host, address: Ipv4Addr) -> Result<Fabric> {
    let fabric = host.fabric()?;
    fabric
        .namespace()
        .ip(&format!("addr add {address}/32 dev lo"))?;
    Ok(fabric)
}

/// So many addresses of the pool are set aside, soon, and the numbers of the pool add up.
fn are_set_aside(agent: &Agent<'_>, count: u64) -> Result<()> {
    let mut last = Value::Null;
    until(
        &format!("{count} addresses to be set aside"),
        AT_ONCE,
        || {
            last = agent.json(&["pools"])?[0].take();
            Ok((last["set_aside"] == count).then_some(()))
        },
    )
    .with_context(|| format!("the pool is {last}"))?;
    let parts = ["used", "free", "reserved", "set_aside", "quarantined"];
    let sum: u64 = parts.iter().filter_map(|part| last[part].as_u64()).sum();
    ensure!(last["total"] == sum && sum == 3, "{last}");
    Ok(())
}

/// The row of virbr1 says that its address is somewhere else, too.
fn is_warned(agent: &Agent<'_>) -> Result<()> {
    agent
        .wait_row("virbr1", "bound, and warned of", BOUND, |row| {
            let reason = row["reason"].as_str().unwrap_or_default();
            row["state"] == "bound"
                && row["address"] == FIRST.to_string()
                && row["route"] == true
                && reason.contains("another host announces")
        })
        .map(drop)
}

/// `slash32 events --json`, read along.
struct Events {
    program: Child,
    lines: mpsc::Receiver<String>,
}

impl Events {
    fn open(agent: &Agent<'_>) -> Result<Self> {
        let mut program = agent
            .cli_command(&["events", "--json"])?
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = program.stdout.take().context("no stdout")?;
        let (told, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| told.send(line))
        });
        Ok(Self { program, lines })
    }

    /// What was told since the last call.
    fn up_to_now(&self) -> Result<Vec<Value>> {
        self.lines
            .try_iter()
            .map(|line| Ok(serde_json::from_str(&line)?))
            .collect()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
