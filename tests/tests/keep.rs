//! What a case leaves for Wireshark (`cargo xtask test --keep`), as tshark reads it.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Host, RawClient, dhcp::message_type, expect, guest_mac, static_network, until,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

const BOUND: Duration = Duration::from_secs(30);
/// The case that is looked at.
const CASE: &str = "a_case_with_a_bridge_and_a_bare_tap";
/// Says that the case has got so far.
const BOUND_NOW: &str = "bound";

/// DISCOVER, OFFER, REQUEST, ACK, each once.
const FIRST_BOOT: [&str; 4] = ["1", "2", "3", "5"];

#[test]
fn a_case_that_panics_leaves_a_capture_of_each_of_its_links() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut case = start(folder.path(), "panic")?;
    ensure!(!case.wait()?.success());
    for link in ["virbr1", "virbr1-2", "tap2"] {
        let messages = messages(&capture(folder.path(), link))?;
        ensure!(messages == FIRST_BOOT, "{link}: {messages:?}");
    }
    let mut left: Vec<_> = fs::read_dir(folder.path().join("keep").join(CASE))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    left.sort();
    ensure!(
        left == ["tap2.pcap", "virbr1-2.pcap", "virbr1.pcap"],
        "it left {left:?}"
    );
    Ok(())
}

#[test]
fn a_case_that_is_killed_leaves_what_was_on_the_wire() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut case = start(folder.path(), "kill")?;
    let file = capture(folder.path(), "tap2");
    until("the last frame to be written", BOUND, || {
        Ok((messages(&file).ok().as_deref() == Some(&FIRST_BOOT.map(str::to_owned))).then_some(()))
    })?;
    case.kill()?;
    case.wait()?;
    ensure!(messages(&file)? == FIRST_BOOT);
    ensure!(messages(&capture(folder.path(), "virbr1"))? == FIRST_BOOT);
    Ok(())
}

#[test]
fn a_case_that_runs_again_leaves_its_last_captures_only() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let old = capture(folder.path(), "virbr9");
    fs::create_dir_all(old.parent().unwrap())?;
    fs::write(&old, "of an earlier run")?;
    start(folder.path(), "panic")?.wait()?;
    ensure!(!old.exists(), "the old capture is still there");
    ensure!(messages(&capture(folder.path(), "tap2"))? == FIRST_BOOT);
    Ok(())
}

/// Starts [`CASE`] in a process of its own, and waits until its VMs are bound.
fn start(folder: &Path, end: &str) -> Result<Child> {
    let mut case = Command::new(std::env::current_exe()?)
        .args(["--exact", CASE, "--ignored", "--nocapture"])
        .env("SLASH32_KEEP", folder)
        .env("SLASH32_TESTS_END", end)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut lines = BufReader::new(case.stdout.take().context("no stdout")?).lines();
    lines
        .find(|line| line.as_ref().is_ok_and(|line| line.ends_with(BOUND_NOW)))
        .context("the case ended too early")??;
    Ok(case)
}

#[test]
#[ignore = "ends badly on purpose: other cases run it and look at what it leaves"]
fn a_case_with_a_bridge_and_a_bare_tap() {
    let host = Host::new().unwrap();
    let config = static_network(&[("virbr1", 1), ("tap2", 2)], "");
    let agent = Agent::start(&host, &config).unwrap();
    for _ in 0..2 {
        let client = host.raw_vm(1).unwrap();
        boot(&agent, "virbr1", client).unwrap();
        host.namespace().ip("link del virbr1").unwrap();
    }
    let client = RawClient::new(host.tap("tap2", None).unwrap(), guest_mac(2));
    boot(&agent, "tap2", client).unwrap();
    println!("\n{BOUND_NOW}");
    match std::env::var("SLASH32_TESTS_END").as_deref() {
        Ok("kill") => loop {
            std::thread::park();
        },
        _ => panic!("on purpose"),
    }
}

/// DISCOVER, OFFER, REQUEST, ACK, each sent once. Then the VM is gone.
fn boot(agent: &Agent, link: &str, mut client: RawClient) -> Result<()> {
    agent.wait(link, "ready", BOUND)?;
    let discover = client.discover();
    let offer = client.ask(&discover)?;
    let request = client.selecting(&offer);
    expect(message_type::ACK, client.ask(&request)?).map(drop)
}

fn capture(folder: &Path, link: &str) -> PathBuf {
    folder.join(format!("keep/{CASE}/{link}.pcap"))
}

/// The DHCP message types of the frames that tshark finds in `file`, in order. Errors: it cannot open it.
fn messages(file: &Path) -> Result<Vec<String>> {
    let output = Command::new("tshark")
        .args(["-n", "-r"])
        .arg(file)
        .args(["-Y", "dhcp", "-T", "fields", "-e", "dhcp.option.dhcp"])
        .output()
        .context("cannot start tshark")?;
    ensure!(
        output.status.success(),
        "tshark: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().map(str::to_owned).collect())
}
