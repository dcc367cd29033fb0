//! A responder that was taken over, or is broken: it is ended, counted and told of once, and its VM keeps its address.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Host, RawClient, RouteMonitor, binary,
    dhcp::message_type,
    expect, guest_mac,
    misbehaving::{self, misbehave, order},
    static_network, until, vm_address,
};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const LIAR: &str = env!("CARGO_BIN_EXE_misbehaving-responder");
const BOUND: Duration = Duration::from_secs(60);

/// What a responder does, by the name under which that is counted, and the words in which it is told.
const FAULTS: [(&str, &str); 13] = [
    ("ended", "ended"),
    ("silent", "says nothing"),
    ("version", "speaks version"),
    (
        "malformed",
        "sent bytes that are no message of the control protocol",
    ),
    (
        "generation",
        "spoke of a generation that it was never given",
    ),
    ("claim", "claimed what it knew to be confirmed"),
    (
        "confirmed",
        "said that it was confirmed, which nobody has done",
    ),
    (
        "age",
        "told of something that happened before it was given its binding",
    ),
    ("lease", "told of a lease that it cannot have acknowledged"),
    ("counters", "told of counters that cannot be"),
    ("unasked", "answered what nobody has asked"),
    ("flood", "does not stop talking"),
    // The last one, whose options alone are changed.
    ("deaf", "does not read what it is told"),
];

#[test]
fn a_responder_that_lies_is_ended_and_its_vm_keeps_its_address_and_its_route() -> Result<()> {
    let host = Host::new()?;
    let numbers = 1..=FAULTS.len() as u16;
    let links: Vec<String> = numbers
        .clone()
        .map(|number| format!("tap{number}"))
        .collect();
    let reserved: Vec<_> = links
        .iter()
        .map(String::as_str)
        .zip(numbers.clone())
        .collect();
    let config = static_network(&reserved, "");
    let agent = misbehaving::agent(Path::new(LIAR), &host, &config)?;
    let mut clients = Vec::new();
    for (link, number) in links.iter().zip(numbers.clone()) {
        let mut client = RawClient::new(host.tap(link, None)?, guest_mac(number));
        let ack = client.bind()?;
        agent.wait(link, "bound", BOUND)?;
        clients.push((client, ack));
    }
    let monitor = RouteMonitor::open(host.namespace())?;
    for (((fault, words), link), (client, ack)) in FAULTS.iter().zip(&links).zip(&mut clients) {
        eprintln!("{fault} on {link}");
        let told = agent.log().matches(words).count();
        misbehave(&agent, link, fault)?;
        host.namespace().signal(agent.responder(link)?, "KILL")?;
        if *fault == "deaf" {
            // It finds out when it has something to say.
            until("the deaf responder to be started", BOUND, || {
                Ok((!order(&agent, link).exists()).then_some(()))
            })?;
        }
        let name = format!("responder_{fault}");
        let expected: usize = if *fault == "ended" { 2 } else { 1 };
        let mut mtu = 1400;
        until(&format!("a fault {fault} to be counted"), BOUND, || {
            if *fault == "deaf" {
                // Another large binding each time, until the socket is full.
                mtu -= 1;
                let raw = "0a".repeat(250);
                agent.configure(&format!(
                    "{config}options = {{ mtu = {mtu}, raw = [{{ code = 224, hex = \"{raw}\", always = true }}] }}"
                ))?;
                agent.succeeds(&["reload"])?;
            }
            let shown = agent.json(&["show", link])?;
            Ok((shown["counters"][&name] == expected).then_some(()))
        })
        .with_context(|| format!("the agent said:\n{}", agent.log()))?;
        let row = agent.wait_row(link, "served again", BOUND, |row| {
            row["state"] == "bound" && row["responder"]["state"] == "confirmed"
        })?;
        ensure!(row["route"] == true, "{fault}: {row}");
        let request = client.renewing(ack);
        let again = expect(message_type::ACK, client.insist(&request, BOUND)?)?;
        ensure!(again.yiaddr == ack.yiaddr, "{fault}: {again:?}");
        let more = agent.log().matches(words).count() - told;
        ensure!(
            more == expected,
            "{fault} was told {more} times: {}",
            agent.log()
        );
    }
    let changes = monitor.changes();
    ensure!(changes.is_empty(), "a route blinked: {changes:?}");
    // None of the liars is left, though each is of another user than the agent.
    until("the last of them to be gone", BOUND, || {
        Ok((liars(&host)? == 0).then_some(()))
    })
}

#[test]
fn a_responder_that_lies_before_its_vm_has_asked_is_ended_too() -> Result<()> {
    let host = Host::new()?;
    let agent = misbehaving::agent(Path::new(LIAR), &host, &static_network(&[("tap1", 1)], ""))?;
    misbehave(&agent, "tap1", "confirmed")?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    until("the lie to be counted", BOUND, || {
        Ok((counted(&agent, "tap1", "confirmed")? == 1).then_some(()))
    })?;
    ensure!(
        host.route_to(vm_address(1))?.is_none(),
        "a route without a claim"
    );
    ensure!(client.bind()?.yiaddr == vm_address(1));
    agent.wait("tap1", "bound", BOUND)?;
    Ok(())
}

#[test]
fn a_responder_that_is_taken_over_again_and_again_does_not_fill_the_log() -> Result<()> {
    let host = Host::new()?;
    let agent = misbehaving::agent(Path::new(LIAR), &host, &static_network(&[("tap1", 1)], ""))?;
    misbehave(&agent, "tap1", "malformed always")?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    let row = agent.wait("tap1", "failed", BOUND)?;
    let reason = row["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains("the responder keeps ending (malformed)"),
        "{row}"
    );
    // The pauses double: 0.5 s, 1 s, 2 s.
    until("three pauses", BOUND, || {
        Ok((counted(&agent, "tap1", "malformed")? >= 9).then_some(()))
    })?;
    let lines = agent
        .log()
        .lines()
        .filter(|line| line.contains("tap1"))
        .count();
    ensure!(lines <= 50, "{lines} lines: {}", agent.log());
    // The first that is honest is served by, without anybody's help.
    fs::remove_file(order(&agent, "tap1"))?;
    ensure!(client.bind()?.yiaddr == vm_address(1));
    agent.wait("tap1", "bound", BOUND)?;
    Ok(())
}

#[test]
fn the_last_words_of_a_responder_are_one_harmless_line_of_the_log() -> Result<()> {
    let host = Host::new()?;
    let agent = misbehaving::agent(Path::new(LIAR), &host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    client.bind()?;
    agent.wait("tap1", "bound", BOUND)?;
    let garbage = format!(
        "tap1: the responder ended: \"{}\": it is replaced",
        "?".repeat(512)
    );
    for (mode, told) in [
        (
            "panic",
            "tap1: the responder ended: \"thread 'main' panicked at ?[2J'here': no room\": it is replaced",
        ),
        ("garbage", &garbage),
    ] {
        misbehave(&agent, "tap1", mode)?;
        host.namespace().signal(agent.responder("tap1")?, "KILL")?;
        until(&format!("the last words of {mode}"), BOUND, || {
            Ok(agent.log().contains(told).then_some(()))
        })
        .with_context(|| format!("the agent said:\n{}", agent.log()))?;
        agent.wait_row("tap1", "served again", BOUND, |row| {
            row["state"] == "bound" && row["responder"]["state"] == "confirmed"
        })?;
    }
    let shown = agent.json(&["show", "tap1"])?;
    ensure!(shown["history"].to_string().contains("no room"), "{shown}");
    Ok(())
}

#[test]
fn a_responder_that_cannot_be_started_is_told_of_and_tried_again() -> Result<()> {
    let host = Host::new()?;
    let agent = misbehaving::agent(Path::new(LIAR), &host, &static_network(&[("tap1", 1)], ""))?;
    let program = agent
        .config_file()
        .with_file_name("bin")
        .join("misbehaving-responder");
    let aside = program.with_extension("aside");
    fs::rename(&program, &aside)?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    let row = agent.wait("tap1", "failed", BOUND)?;
    let reason = row["reason"].as_str().unwrap_or_default();
    let expected = format!("cannot start {}: No such file", program.display());
    ensure!(reason.contains(&expected), "{row}");
    fs::rename(&aside, &program)?;
    ensure!(client.bind()?.yiaddr == vm_address(1));
    agent.wait("tap1", "bound", BOUND)?;
    // It is one line, however often it was tried.
    let log = agent.log();
    ensure!(log.matches("cannot start").count() == 1, "{log}");
    Ok(())
}

#[test]
fn a_new_agent_does_not_adopt_a_responder_that_lies() -> Result<()> {
    let host = Host::new()?;
    let mut agent = misbehaving::agent(
        Path::new(LIAR),
        &host,
        &static_network(&[("virbr1", 1)], ""),
    )?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.kill()?;
    // A store in which every generation was given before: the responder's own is then one that nobody has given.
    let store = agent.state_dir().join("slash32.redb");
    let older = agent.state_dir().join("older");
    fs::copy(&store, &older)?;
    agent.restart()?;
    drop(client);
    agent.wait("virbr1", "idle", BOUND)?;
    let mut client = host.raw_vm(1)?;
    client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.kill()?;
    fs::rename(&older, &store)?;
    agent.restart()?;
    let told = "virbr1: responder not adopted: it spoke of a generation that it was never given";
    until("the refusal", BOUND, || {
        Ok(agent.log().contains(told).then_some(()))
    })?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.insist(&request, BOUND)?)?;
    Ok(())
}

/// Why the agent keeps CAP_KILL: the counter-proof of the first case.
#[test]
fn without_cap_kill_a_responder_that_lies_would_go_on() -> Result<()> {
    let host = Host::new()?;
    let mut agent =
        misbehaving::agent(Path::new(LIAR), &host, &static_network(&[("tap1", 1)], ""))?;
    agent.kill()?;
    misbehave(&agent, "tap1", "malformed")?;
    let mut command = Command::new("setpriv");
    command
        .arg("--bounding-set=-kill")
        .arg(binary("slash32-agent")?)
        .arg("--config")
        .arg(agent.config_file())
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let _without = host.namespace().spawn(&mut command)?;
    let _tap = host.tap("tap1", None)?;
    until("the lie to be counted", BOUND, || {
        Ok((agent.list().is_ok() && counted(&agent, "tap1", "malformed")? == 1).then_some(()))
    })?;
    ensure!(liars(&host)? == 1, "it was ended all the same");
    Ok(())
}

/// How many misbehaving responders live.
fn liars(host: &Host) -> Result<usize> {
    let names = host
        .namespace()
        .run("sh", &["-c", "cat /proc/[0-9]*/comm 2>/dev/null || true"])?;
    Ok(names.matches("misbehaving-res").count())
}

fn counted(agent: &Agent<'_>, link: &str, fault: &str) -> Result<u64> {
    if agent.row(link)?.is_none() {
        return Ok(0);
    }
    let shown = agent.json(&["show", link])?;
    Ok(shown["counters"][format!("responder_{fault}")]
        .as_u64()
        .unwrap_or(0))
}
