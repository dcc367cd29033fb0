//! Under systemd the journal tells the story of one VM: `journalctl LINK=virbr13`.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Entry, Host, Journal,
    dhcp::{Message, message_type},
    static_network, until, vm_address,
};
use std::{fs, os::unix::fs::MetadataExt, time::Duration};

const BOUND: Duration = Duration::from_secs(15);

#[test]
fn journalctl_link_tells_the_whole_story_of_one_vm() -> Result<()> {
    let host = Host::new()?;
    let journal = Journal::start(host.namespace())?;
    let agent = under_systemd(&host, &static_network(&[("virbr1", 1), ("virbr2", 2)], ""))?;
    host.bridge("virbr1")?;
    agent.wait("virbr1", "idle", BOUND)?;
    let (mut first, mut second) = (host.raw_vm(1)?, host.raw_vm(2)?);
    let (ack, _) = (first.bind()?, second.bind()?);
    agent.wait("virbr1", "bound", BOUND)?;
    agent.wait("virbr2", "bound", BOUND)?;
    let release = Message {
        ciaddr: ack.yiaddr,
        ..first.message(message_type::RELEASE)
    };
    first.send(&release)?;
    journal.wait("LINK", "virbr1", "gave its lease back", BOUND)?;
    drop(first);
    agent.wait("virbr1", "idle", BOUND)?;
    host.namespace().ip("link del virbr1")?;
    journal.wait("LINK", "virbr1", "no VM link any more", BOUND)?;

    let story = journal.matching("LINK", "virbr1")?;
    let ifindex = story[0].get("IFINDEX").context("no IFINDEX")?;
    for entry in &story {
        ensure!(entry.message().starts_with("virbr1: "), "{entry:?}");
        ensure!(entry.get("IFINDEX").as_ref() == Some(&ifindex), "{entry:?}");
        ensure!(
            entry.get("SYSLOG_IDENTIFIER").as_deref() == Some("slash32-agent"),
            "{entry:?}"
        );
    }
    let told = |event: &str| {
        let at = |entry: &Entry| entry.get("EVENT").as_deref() == Some(event);
        story
            .iter()
            .position(at)
            .with_context(|| format!("{event} is not in the story: {story:#?}"))
    };
    let chapters = [
        "link_appeared",
        "idle",
        "responder_started",
        "ready",
        "route_added",
        "bound",
        "released",
        "route_removed",
        "link_removed",
    ];
    let places = chapters
        .iter()
        .map(|event| told(event))
        .collect::<Result<Vec<_>>>()?;
    ensure!(places.is_sorted(), "{places:?} of {story:#?}");
    for event in ["ready", "route_added", "bound", "released", "route_removed"] {
        let entry = &story[told(event)?];
        let address = vm_address(1).to_string();
        ensure!(entry.get("ADDRESS") == Some(address), "{entry:?}");
    }
    // Nothing of it is said without the field, nothing of the other VM's is in it, and nothing goes to stderr.
    for entry in journal.entries()? {
        let is_its = entry.get("LINK").as_deref() == Some("virbr1");
        ensure!(is_its || !entry.message().contains("virbr1"), "{entry:?}");
    }
    ensure!(journal.matching("LINK", "virbr2")?.len() > 4);
    ensure!(agent.log().is_empty(), "on stderr: {}", agent.log());
    Ok(())
}

#[test]
fn what_befalls_a_responder_is_told_with_its_link() -> Result<()> {
    let host = Host::new()?;
    let journal = Journal::start(host.namespace())?;
    let mut agent = under_systemd(&host, &static_network(&[("virbr1", 1)], ""))?;
    let mut vm = host.raw_vm(1)?;
    vm.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.kill()?;
    agent.restart()?;
    let adopted = journal.wait("LINK", "virbr1", "responder adopted", BOUND)?;
    ensure!(
        adopted.get("ADDRESS") == Some(vm_address(1).to_string()),
        "{adopted:?}"
    );
    let pid = agent.responder("virbr1")?;
    host.namespace().signal(pid, "KILL")?;
    journal.wait("EVENT", "responder_lost", "virbr1: ", BOUND)?;
    // What may cost its VM something is a warning.
    let priority = |entry: Entry| entry.get("PRIORITY");
    let lost = journal.wait("LINK", "virbr1", "the responder", BOUND)?;
    ensure!(priority(lost).as_deref() == Some("4"));
    host.bridge("virbr2")?;
    host.namespace().ip("addr add 192.0.2.8/24 dev virbr2")?;
    let _refused = host.raw_vm(2)?;
    let failed = journal.wait("EVENT", "failed", "virbr2: failed", BOUND)?;
    ensure!(priority(failed).as_deref() == Some("4"));
    Ok(())
}

#[test]
fn an_address_that_is_taken_from_a_vm_is_told_with_its_link() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let journal = Journal::start(host.namespace())?;
    let agent = under_systemd(&host, slash32_tests::POOL_NETWORK)?;
    let _vm = host.raw_vm(1)?;
    let row = agent.wait("virbr1", "ready", BOUND)?;
    let address = row["address"].as_str().context("no address")?.to_owned();
    let route = format!("route add {address}/32 dev uplink proto static");
    host.namespace().ip(&route)?;
    let told = journal.wait("LINK", "virbr1", "is announced by another host", BOUND)?;
    ensure!(told.get("ADDRESS") == Some(address), "{told:?}");
    Ok(())
}

#[test]
fn a_journal_that_does_not_read_keeps_no_vm_from_its_address() -> Result<()> {
    const VMS: u16 = 10;
    let host = Host::new()?;
    let journal = Journal::start(host.namespace())?;
    let config: Vec<(String, u16)> = (1..=VMS).map(|n| (format!("virbr{n}"), n)).collect();
    let links: Vec<_> = config.iter().map(|(link, n)| (&**link, *n)).collect();
    let agent = under_systemd(&host, &static_network(&links, ""))?;
    let mut vms = Vec::new();
    for number in 1..=VMS {
        // Many more lines than the journal's queue holds, which are ten (net.unix.max_dgram_qlen).
        let mut vm = host.raw_vm(number)?;
        vm.bind()?;
        vms.push(vm);
    }
    agent.wait("virbr10", "bound", BOUND)?;
    // And it gets all of them when it reads again, in their order.
    journal.wait("LINK", "virbr10", "virbr10: bound", BOUND)?;
    let entries = journal.entries()?;
    let bound = entries
        .iter()
        .filter(|entry| entry.get("EVENT").as_deref() == Some("bound"));
    let links: Vec<_> = bound.filter_map(|entry| entry.get("LINK")).collect();
    ensure!(
        links == config.into_iter().map(|(link, _)| link).collect::<Vec<_>>(),
        "{links:?}"
    );
    Ok(())
}

#[test]
fn without_a_journal_the_lines_go_to_stderr_without_a_time() -> Result<()> {
    let host = Host::new()?;
    // systemd made stderr, and its socket cannot be reached.
    let agent = under_systemd(&host, &static_network(&[("virbr1", 1)], ""))?;
    let _vm = host.raw_vm(1)?;
    let line = line_of(&agent, "virbr1: ready 203.0.113.1")?;
    ensure!(line.trim() == "INFO virbr1: ready 203.0.113.1", "{line:?}");
    Ok(())
}

#[test]
fn a_stderr_that_systemd_did_not_make_is_not_the_journal() -> Result<()> {
    let host = Host::new()?;
    let journal = Journal::start(host.namespace())?;
    let mut agent = Agent::prepare(&host, &static_network(&[("virbr1", 1)], ""))?;
    // As a shell in a service has it, whose output somebody has redirected.
    agent.set_variable("JOURNAL_STREAM", "9:12345");
    agent.restart()?;
    let _vm = host.raw_vm(1)?;
    let line = line_of(&agent, "virbr1: ready 203.0.113.1")?;
    let (time, rest) = line.split_once("  INFO ").context("no level")?;
    ensure!(time.ends_with('Z') && time.contains('T'), "{line:?}");
    // What the fields say is said once.
    ensure!(rest == "virbr1: ready 203.0.113.1", "{line:?}");
    ensure!(journal.entries()?.is_empty());
    Ok(())
}

/// An agent whose stderr is the one that systemd has made, by the only sign that there is.
fn under_systemd<'h>(host: &'h Host, config: &str) -> Result<Agent<'h>> {
    let mut agent = Agent::prepare(host, config)?;
    fs::write(agent.log_file(), "")?;
    let stderr = fs::metadata(agent.log_file())?;
    let stream = format!("{}:{}", stderr.dev(), stderr.ino());
    agent.set_variable("JOURNAL_STREAM", &stream);
    agent.restart()?;
    Ok(agent)
}

/// The line of the agent's log with this text in it, as soon as it is there.
fn line_of(agent: &Agent<'_>, text: &str) -> Result<String> {
    until(&format!("{text:?} in the log"), BOUND, || {
        let log = agent.log();
        let line = log.lines().find(|line| line.contains(text));
        Ok(line.map(str::to_owned))
    })
}
