//! What a responder is left with, seen from outside.

use crate::{BOUND, responder::Responder};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use slash32_tests::{
    Agent, Host, RawClient, binary, dhcp::message_type, expect, guest_mac, static_network, until,
};
use std::{
    collections::BTreeMap,
    fs,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
};

#[test]
fn a_responder_has_no_privilege_left() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    client.bind()?;
    let pid = agent.wait("tap1", "bound", BOUND)?["responder"]["pid"]
        .as_u64()
        .context("no responder")?;
    let status = fs::read_to_string(host.namespace().path(format!("/proc/{pid}/status")))?;
    let fields: BTreeMap<&str, &str> = status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key, value.trim()))
        .collect();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        ensure!(
            fields[set] == "0000000000000000",
            "{set} is {}",
            fields[set]
        );
    }
    ensure!(
        fields["NoNewPrivs"] == "1",
        "NoNewPrivs is {}",
        fields["NoNewPrivs"]
    );
    ensure!(fields["Seccomp"] == "2", "Seccomp is {}", fields["Seccomp"]);
    ensure!(
        fields["Threads"] == "1",
        "it has {} threads",
        fields["Threads"]
    );
    for ids in ["Uid", "Gid"] {
        ensure!(
            fields[ids].split_whitespace().all(|id| id != "0"),
            "{ids} is {}",
            fields[ids]
        );
    }
    ensure!(
        fields["Groups"].is_empty(),
        "its groups are {}",
        fields["Groups"]
    );
    Ok(())
}

#[test]
fn a_responder_holds_its_four_sockets_and_no_file() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    client.bind()?;
    let pid = agent.wait("tap1", "bound", BOUND)?["responder"]["pid"]
        .as_u64()
        .context("no responder")?;
    let folder = host.namespace().path(format!("/proc/{pid}/fd"));
    let mut held = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number: u32 = path
            .file_name()
            .and_then(|name| name.to_str())
            .context("a number")?
            .parse()?;
        held.insert(number, fs::read_link(path)?.to_string_lossy().into_owned());
    }
    // stdout and stderr are the agent's own.
    let given: Vec<_> = held
        .iter()
        .filter(|(number, _)| ![1, 2].contains(*number))
        .collect();
    let sockets = given
        .iter()
        .filter(|(_, target)| target.starts_with("socket:"))
        .count();
    // The listening socket, the agent's connection, the packet socket, the idle socket.
    ensure!(sockets == 4 && given.len() == 4, "it holds {held:?}");
    Ok(())
}

#[test]
fn a_responder_may_not_grow() -> Result<()> {
    let host = Host::new()?;
    let responder = Responder::start(&host)?;
    let text = fs::read_to_string(responder.proc("limits"))?;
    for (limit, value) in [
        ("Max open files", "16"),
        ("Max processes", "0"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max msgqueue size", "0"),
    ] {
        let line = text.lines().find_map(|line| line.strip_prefix(limit));
        let words: Vec<_> = line.context("no such limit")?.split_whitespace().collect();
        ensure!(words[..2] == [value; 2], "{limit}: {words:?}");
    }
    Ok(())
}

#[test]
fn a_responder_that_was_stopped_in_its_wait_goes_on() -> Result<()> {
    let host = Host::new()?;
    let (responder, mut client) = Responder::serving(&host, 1)?;
    // The first wait has no time limit, the second has one: the answer to the first DISCOVER is not told yet.
    for _ in 0..2 {
        responder.signal(Signal::SIGSTOP)?;
        until("the responder to stop", BOUND, || {
            let stat = fs::read_to_string(responder.proc("stat"))?;
            Ok(stat.contains(") T ").then_some(()))
        })?;
        responder.signal(Signal::SIGCONT)?;
        let discover = client.discover();
        expect(message_type::OFFER, client.ask(&discover)?)?;
    }
    Ok(())
}

#[test]
fn a_standard_input_that_cannot_be_served_is_refused_in_one_sentence() -> Result<()> {
    for stdin in [
        Stdio::null(),
        Stdio::from(OwnedFd::from(UnixStream::pair()?.0)),
    ] {
        let output = Command::new(binary("slash32-responder")?)
            .stdin(stdin)
            .output()?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(
            output.status.code() == Some(1)
                && output.stdout.is_empty()
                && said.lines().count() == 1
                && said.contains("slash32-responder@LINK.socket"),
            "{:?}: {said}",
            output.status
        );
    }
    Ok(())
}
