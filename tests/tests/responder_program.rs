//! The responder as a program: the one that ships has nothing below itself but the kernel, and does what the one with std does.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Held, Host, binary, dhcp::message_type, expect, is_bare, responders, static_network,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const BOUND: Duration = Duration::from_secs(20);

/// The responder without std.
fn bare() -> Result<PathBuf> {
    let program = binary("slash32-responder")?;
    ensure!(
        is_bare(&program)?,
        "{} has std; cargo xtask test builds the one that ships",
        program.display()
    );
    Ok(program)
}

/// An agent that starts this responder.
fn agent<'h>(host: &'h Host, config: &str, responder: &Path) -> Result<Agent<'h>> {
    let mut agent = Agent::prepare(host, config)?;
    let folder = agent.config_file().parent().context("a folder")?.to_owned();
    fs::create_dir(folder.join("conf.d"))?;
    let text = format!("[agent]\nresponder = {responder:?}\n");
    fs::write(folder.join("conf.d/responder.toml"), text)?;
    agent.restart()?;
    Ok(agent)
}

#[test]
fn each_responder_gives_a_lease_and_renews_it_when_the_agent_is_dead() -> Result<()> {
    for program in responders()? {
        let host = Host::new()?;
        let mut agent = agent(&host, &static_network(&[("virbr1", 1)], ""), &program)?;
        host.bridge("virbr1")?;
        let guest = host.guest("virbr1", 1)?;
        let mut client = guest.raw_client()?;
        let ack = client.bind()?;
        agent.wait("virbr1", "bound", BOUND)?;
        agent.kill()?;
        guest.configure(ack.yiaddr)?;
        let renewal = client.renewing(&ack);
        expect(message_type::ACK, client.ask(&renewal)?)?;
        agent.restart()?;
        agent.wait("virbr1", "bound", BOUND)?;
    }
    Ok(())
}

#[test]
fn each_responder_says_the_same_to_whoever_starts_it_by_hand() -> Result<()> {
    let version = concat!("slash32-responder ", env!("CARGO_PKG_VERSION"), "\n");
    for program in responders()? {
        for (arguments, code, output, error) in [
            (&["--version"][..], 0, version, ""),
            (
                &["--user", "1:2:3"],
                2,
                "",
                "slash32-responder: --user 1:2:3: not UID:GID; see --help\n",
            ),
            (
                &["--user"],
                2,
                "",
                "slash32-responder: --user needs UID:GID; see --help\n",
            ),
            (
                &["--user", "1:2", "serve"],
                2,
                "",
                "slash32-responder: unknown argument serve; see --help\n",
            ),
        ] {
            let said = Command::new(&program).args(arguments).output()?;
            ensure!(
                said.status.code() == Some(code)
                    && said.stdout == output.as_bytes()
                    && said.stderr == error.as_bytes(),
                "{} {arguments:?}: {said:?}",
                program.display()
            );
        }
        let help = Command::new(&program).arg("--help").output()?;
        let text = String::from_utf8(help.stdout)?;
        ensure!(help.status.success() && text.ends_with("--help           print this\n"));
    }
    Ok(())
}

#[test]
fn the_responder_that_ships_has_a_few_pages_of_its_own() -> Result<()> {
    /// Two of its data, one of addresses, and of the stack what the kernel puts there and what calls take: it begins anywhere
    /// in a page, so this is two to four.
    const MOST: u64 = 7 * 4;
    let program = bare()?;
    let host = Host::new()?;
    let links = [("virbr1", 1), ("virbr2", 2)];
    let agent = agent(&host, &static_network(&links, ""), &program)?;
    let mut guests = Vec::new();
    for (link, number) in links {
        host.bridge(link)?;
        let guest = host.guest(link, number)?;
        let mut client = guest.raw_client()?;
        let ack = client.bind()?;
        let renewal = client.renewing(&ack);
        expect(message_type::ACK, client.ask(&renewal)?)?;
        agent.wait(link, "bound", BOUND)?;
        guests.push(guest);
    }
    for (link, _) in links {
        let held = Held::by(&host, agent.responder(link)?)?;
        ensure!(held.private <= MOST, "{link}: {held:?}");
    }
    Ok(())
}

#[test]
fn the_responder_that_ships_lies_anywhere_and_leaves_no_page_writable_that_is_executed()
-> Result<()> {
    let output = Command::new("readelf")
        .args(["--wide", "--file-header", "--program-headers", "--relocs"])
        .arg(bare()?)
        .output()
        .context("cannot run readelf, of the package binutils")?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        text.contains("DYN (Position-Independent Executable file)"),
        "{text}"
    );
    let relocations = || text.lines().filter(|line| line.contains(" R_"));
    ensure!(
        relocations().count() > 0 && relocations().all(|line| line.contains("_RELATIVE ")),
        "{text}"
    );
    let segments = || text.lines().map(str::trim_start);
    ensure!(
        segments().any(|line| line.starts_with("GNU_RELRO")),
        "{text}"
    );
    ensure!(segments().any(|line| line.starts_with("GNU_STACK") && line.contains(" RW ")));
    let loaded = segments().filter(|line| line.starts_with("LOAD"));
    for segment in loaded {
        ensure!(!segment.contains("RWE"), "{segment}");
    }
    Ok(())
}
