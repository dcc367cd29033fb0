//! What the agent is left with, and that it is enough.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Host, Process, RawClient, binary, dhcp::message_type, expect, guest_mac, static_network,
    until, vm_address,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const BOUND: Duration = Duration::from_secs(30);

/// Every capability that it keeps, by its number (linux/capability.h).
const KEPT: [(&str, u32); 7] = [
    ("kill", 5),
    ("setgid", 6),
    ("setuid", 7),
    ("setpcap", 8),
    ("net_bind_service", 10),
    ("net_admin", 12),
    ("net_raw", 13),
];

#[test]
fn the_agent_has_the_capabilities_of_its_table_in_every_thread_and_no_other() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    client.bind()?;
    agent.wait("tap1", "bound", BOUND)?;
    let pid = agent.process()?.pid();
    // One starts responders and one waits for the disk: started after the capabilities were given up.
    let threads = until("a thread that writes the store", BOUND, || {
        let threads: Vec<PathBuf> = fs::read_dir(format!("/proc/{pid}/task"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        Ok((threads.len() > 2).then_some(threads))
    })?;
    let kept: u64 = KEPT.iter().map(|(_, number)| 1 << number).sum();
    for thread in threads {
        // It may have ended by now.
        let Ok(status) = fs::read_to_string(thread.join("status")) else {
            continue;
        };
        let fields: BTreeMap<&str, &str> = status
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key, value.trim()))
            .collect();
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            ensure!(fields[set] == format!("{kept:016x}"), "{set}: {status}");
        }
        for set in ["CapInh", "CapAmb"] {
            ensure!(fields[set] == "0000000000000000", "{set}: {status}");
        }
        ensure!(fields["NoNewPrivs"] == "1", "{status}");
    }
    Ok(())
}

#[test]
fn the_agent_reads_its_config_when_it_changes_and_no_other_file() -> Result<()> {
    let host = Host::new()?;
    let config = static_network(&[("tap1", 1)], "");
    let agent = Agent::start(&host, &config)?;
    has_landlock(&agent)?;
    let elsewhere = tempfile::tempdir()?;
    let secret = elsewhere.path().join("secret.toml");
    fs::write(&secret, "[options]\nmtu = 1400\n")?;
    // Made after the start, as everything here.
    let drop_ins = agent.config_file().with_file_name("conf.d");
    fs::create_dir(&drop_ins)?;
    for file in [&secret, Path::new("/etc/shadow")] {
        let link = drop_ins.join("10-link.toml");
        symlink(file, &link)?;
        let output = agent.cli(&["reload"])?;
        fs::remove_file(&link)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(1)
                && said.contains("10-link.toml: Permission denied")
                && said.contains("restart slash32-agent"),
            "{output:?}"
        );
    }
    // The same text in its own folder is read, also when the file is replaced by another.
    for (mtu, told) in [(1400, "1400"), (1300, "1300")] {
        let new = drop_ins.join("new");
        fs::write(&new, format!("[options]\nmtu = {mtu}\n"))?;
        fs::rename(&new, drop_ins.join("20-mtu.toml"))?;
        agent.succeeds(&["reload"])?;
        let _tap = host.tap("tap1", None)?;
        agent.wait("tap1", "ready", BOUND)?;
        ensure!(agent.succeeds(&["explain", "tap1"])?.contains(told));
    }
    let replaced = agent.config_file().with_extension("new");
    let text = fs::read_to_string(agent.config_file())?.replace("tap1", "tap2");
    fs::write(&replaced, text)?;
    fs::rename(&replaced, agent.config_file())?;
    agent.succeeds(&["reload"])?;
    let mut client = RawClient::new(host.tap("tap2", None)?, guest_mac(2));
    ensure!(client.bind()?.yiaddr == vm_address(1));
    Ok(())
}

#[test]
fn a_responder_is_started_from_a_program_that_was_replaced_since() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::prepare(&host, &static_network(&[("tap1", 1)], ""))?;
    let folder = agent.config_file().with_file_name("bin");
    fs::create_dir(&folder)?;
    fs::create_dir(agent.config_file().with_file_name("conf.d"))?;
    let program = folder.join("responder");
    fs::copy(binary("slash32-responder")?, &program)?;
    fs::write(
        agent.config_file().with_file_name("conf.d").join("10.toml"),
        format!("[agent]\nresponder = {program:?}\n"),
    )?;
    agent.restart()?;
    has_landlock(&agent)?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    let ack = client.bind()?;
    let old = agent.wait("tap1", "bound", BOUND)?["responder"]["pid"].clone();
    let new = folder.join("new");
    fs::copy(binary("slash32-responder")?, &new)?;
    fs::rename(&new, &program)?;
    host.namespace()
        .signal(old.as_u64().context("a pid")?, "KILL")?;
    agent.wait_row("tap1", "served by another", BOUND, |row| {
        row["responder"]["pid"].is_u64() && row["responder"]["pid"] != old
    })?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.insist(&request, BOUND)?)?;
    Ok(())
}

#[test]
fn each_capability_is_needed_and_the_one_that_is_missing_is_named() -> Result<()> {
    for (name, what_fails) in [
        ("net_raw", "cannot open the link's packet socket"),
        ("net_admin", "cannot put 169.254.0.1/32 on the link"),
        ("net_bind_service", "no idle socket on port 67"),
        ("setuid", "the responder keeps ending (ended)"),
        ("setgid", "the responder keeps ending (ended)"),
        ("setpcap", "the responder keeps ending (ended)"),
    ] {
        let host = Host::new()?;
        let agent = Agent::prepare(&host, &static_network(&[("tap1", 1)], ""))?;
        let running = Bounded::start(&host, &agent, &format!("-{name}"))?;
        let told = format!("without CAP_{} ", name.to_uppercase());
        let _tap = host.tap("tap1", None)?;
        until(&format!("what fails without {name}"), BOUND, || {
            let reason = agent
                .row("tap1")
                .ok()
                .flatten()
                .and_then(|row| Some(row["reason"].as_str()?.to_owned()))
                .unwrap_or_default();
            let log = running.log();
            let fails = reason.contains(what_fails) || log.contains(what_fails);
            Ok((fails && log.contains(&told)).then_some(()))
        })
        .with_context(|| format!("it said:\n{}", running.log()))?;
        let log = running.log();
        ensure!(log.matches("without CAP_").count() == 1, "{log}");
    }
    Ok(())
}

#[test]
fn an_agent_that_may_not_become_anybody_else_still_starts_and_says_what_is_missing() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::prepare(&host, &static_network(&[], ""))?;
    let running = Bounded::start(&host, &agent, "-all")?;
    until("its complaint", BOUND, || {
        let log = running.log();
        let named = KEPT
            .iter()
            .all(|(name, _)| log.contains(&format!("CAP_{} ", name.to_uppercase())));
        Ok(named.then_some(()))
    })
    .with_context(|| format!("it said:\n{}", running.log()))
}

/// An agent with a bounding set that the case has chosen.
struct Bounded {
    log: PathBuf,
    _process: Process,
}

impl Bounded {
    fn start(host: &Host, agent: &Agent<'_>, bounds: &str) -> Result<Self> {
        let log = agent.config_file().with_file_name("bounded.log");
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--bounding-set={bounds}"))
            .arg(binary("slash32-agent")?)
            .arg("--config")
            .arg(agent.config_file())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let process = host.namespace().spawn(&mut command)?;
        Ok(Self {
            log,
            _process: process,
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Landlock is what these cases are about. Errors: this kernel has none.
fn has_landlock(agent: &Agent<'_>) -> Result<()> {
    ensure!(
        !agent.log().contains("no Landlock"),
        "this kernel has no Landlock, or it is off, and this case needs it"
    );
    Ok(())
}
