//! The operator's program, against a running agent and without one.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slash32_tests::{Agent, Host, RawClient, Tap, binary, guest_mac, static_network, vm_address};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

const BOUND: Duration = Duration::from_secs(15);

#[test]
fn list_has_every_key_of_the_contract() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let _vm = bound_vm(&host, &agent)?;
    let row = agent.row("tap1")?.expect("a row");
    let keys: BTreeSet<&str> = row
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let contract = [
        "link",
        "ifindex",
        "vm",
        "uuid",
        "mac",
        "address",
        "gateway",
        "network",
        "state",
        "reason",
        "route",
        "generation",
        "lease",
        "responder",
    ];
    let missing: Vec<_> = contract
        .iter()
        .filter(|key| !keys.contains(**key))
        .collect();
    ensure!(missing.is_empty(), "{missing:?} are not in {row}");
    ensure!(
        row["ifindex"].as_u64() > Some(1) && row["generation"].as_u64() > Some(0),
        "{row}"
    );
    ensure!(
        row["lease"]["acked_at"].is_string() && row["lease"]["expires_at"].is_string(),
        "{row}"
    );
    ensure!(
        row["responder"]["pid"].is_u64() && row["responder"]["state"].is_string(),
        "{row}"
    );
    Ok(())
}

#[test]
fn list_is_a_table_for_people() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let _vm = bound_vm(&host, &agent)?;
    let output = agent.cli(&["list"])?;
    let text = String::from_utf8(output.stdout)?;
    let heads = [
        "LINK", "VM", "MAC", "ADDRESS", "GATEWAY", "NETWORK", "STATE", "ROUTE", "LEASE",
    ];
    let first = text.lines().next().unwrap_or_default();
    ensure!(
        first.split_whitespace().collect::<Vec<_>>() == heads,
        "the head is {first}"
    );
    ensure!(
        text.lines()
            .nth(1)
            .is_some_and(|line| line.contains("tap1") && line.contains("203.0.113.1")),
        "{text}"
    );
    Ok(())
}

#[test]
fn show_finds_a_link_by_its_name_and_by_its_address() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let _vm = bound_vm(&host, &agent)?;
    for key in ["tap1", "203.0.113.1"] {
        let shown = agent.json(&["show", key])?;
        ensure!(
            shown["link"] == "tap1" && shown["state"] == "bound",
            "{shown}"
        );
        ensure!(shown["counters"]["ack_selecting"] == 1, "{shown}");
        ensure!(
            shown["history"]
                .as_array()
                .is_some_and(|history| !history.is_empty()),
            "{shown}"
        );
    }
    let output = agent.cli(&["show", "nowhere"])?;
    ensure!(
        !output.status.success()
            && one_sentence(&output.stderr).is_some_and(|said| said.contains("nowhere"))
    );
    Ok(())
}

#[test]
fn wait_returns_when_the_vm_has_its_address() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut waiting = agent
        .cli_command(&[
            "wait",
            "tap1",
            "--state",
            "bound",
            "--timeout",
            "30s",
            "--json",
        ])?
        .stdout(Stdio::piped())
        .spawn()?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    agent.wait("tap1", "ready", BOUND)?;
    ensure!(waiting.try_wait()?.is_none(), "it did not wait");
    client.bind()?;
    let output = waiting.wait_with_output()?;
    let row: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(
        output.status.success() && row["state"] == "bound" && row["address"] == "203.0.113.1",
        "{row}"
    );
    Ok(())
}

#[test]
fn wait_gives_up_after_its_timeout_with_a_sentence() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    agent.wait("virbr1", "idle", BOUND)?;
    let start = Instant::now();
    let output = agent.cli(&["wait", "virbr1", "--state", "bound", "--timeout", "300ms"])?;
    ensure!(!output.status.success() && start.elapsed() >= Duration::from_millis(300));
    let said = one_sentence(&output.stderr).context("no sentence")?;
    ensure!(
        said.contains("virbr1") && said.contains("idle"),
        "it said {said}"
    );
    Ok(())
}

#[test]
fn events_tell_the_way_of_a_vm_to_its_address() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut watching = agent
        .cli_command(&["events", "--json"])?
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = watching.stdout.take().context("no stdout")?;
    let (told, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| told.send(line))
    });
    // Nothing says when the stream is open, so VMs come and go until one was told from its first event to its last.
    let wanted = BTreeSet::from(["link_appeared", "route_added", "bound"].map(str::to_owned));
    let mut kinds = BTreeSet::new();
    let deadline = Instant::now() + BOUND;
    while !kinds.is_superset(&wanted) {
        ensure!(Instant::now() < deadline, "only {kinds:?} were told");
        let _vm = bound_vm(&host, &agent)?;
        while let Ok(line) = lines.recv_timeout(Duration::from_millis(500)) {
            let event: Value = serde_json::from_str(&line)?;
            ensure!(
                event["time"].is_string() && event["text"].is_string(),
                "{event}"
            );
            if event["link"] == "tap1" {
                kinds.insert(event["kind"].as_str().context("no kind")?.to_owned());
            }
        }
    }
    watching.kill()?;
    watching.wait()?;
    Ok(())
}

#[test]
fn version_names_program_and_agent() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[], ""))?;
    let version = agent.json(&["version"])?;
    ensure!(
        version.to_string().contains(env!("CARGO_PKG_VERSION")),
        "{version}"
    );
    Ok(())
}

#[test]
fn without_an_agent_every_question_gets_one_clear_sentence() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("agent.sock");
    for question in [
        &["list"][..],
        &["show", "virbr1"],
        &["wait", "virbr1"],
        &["events"],
    ] {
        let output = Command::new(binary("slash32")?)
            .arg("--socket")
            .arg(&socket)
            .args(question)
            .output()?;
        let said =
            one_sentence(&output.stderr).with_context(|| format!("{question:?}: {output:?}"))?;
        ensure!(
            !output.status.success() && output.stdout.is_empty(),
            "{question:?}: {output:?}"
        );
        ensure!(
            said.contains("agent.sock") && said.contains("agent"),
            "{question:?}: {said}"
        );
    }
    Ok(())
}

#[test]
fn load_list_answers_while_two_hundred_links_appear() -> Result<()> {
    const LINKS: u16 = 200;
    let host = Host::new()?;
    let names: Vec<String> = (1..=LINKS).map(|number| format!("tap{number}")).collect();
    let reservations: Vec<(&str, u16)> = names.iter().map(String::as_str).zip(1..).collect();
    let agent = Agent::start(&host, &static_network(&reservations, ""))?;
    let _taps: Vec<Tap> = names
        .iter()
        .map(|name| Tap::open(host.namespace(), name))
        .collect::<Result<_>>()?;
    let up: Vec<String> = names
        .iter()
        .map(|name| format!("link set {name} up\n"))
        .collect();
    host.namespace().ip_batch(&up.concat())?;
    let (start, mut slowest, mut answers) = (Instant::now(), Duration::ZERO, 0);
    loop {
        let asked = Instant::now();
        let rows = agent.list()?;
        slowest = slowest.max(asked.elapsed());
        answers += 1;
        let ready = rows.iter().filter(|row| row["state"] == "ready").count();
        if ready == usize::from(LINKS) {
            break;
        }
        ensure!(
            start.elapsed() < Duration::from_secs(60),
            "{ready} of {LINKS} links are ready after a minute"
        );
    }
    ensure!(
        slowest < Duration::from_secs(2),
        "an answer took {slowest:?}"
    );
    println!(
        "{answers} answers in {:?}, the slowest in {slowest:?}",
        start.elapsed()
    );
    Ok(())
}

fn bound_vm(host: &Host, agent: &Agent<'_>) -> Result<RawClient> {
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    ensure!(client.bind()?.yiaddr == vm_address(1));
    agent.wait("tap1", "bound", BOUND)?;
    Ok(client)
}

/// What it said, when that is one line and no backtrace.
fn one_sentence(stderr: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(stderr).ok()?.trim_end();
    (!text.is_empty() && text.lines().count() == 1).then_some(text)
}
