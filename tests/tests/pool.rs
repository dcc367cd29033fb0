//! Addresses from a pool: each VM gets its own, and keeps it.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{Agent, Guest, Host, RawClient, guest_mac};
use std::{collections::BTreeSet, time::Duration};

const BOUND: Duration = Duration::from_secs(15);
/// Three addresses.
const POOL: &str = r#"[[network]]
name = "public"
links = ["virbr*", "tap*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.12"]
"#;

#[test]
fn each_vm_gets_an_address_of_its_own_from_the_pool() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL)?;
    let mut addresses = BTreeSet::new();
    let mut guests = Vec::new();
    for number in 1..=3 {
        let guest = guest(&host, number)?;
        addresses.insert(guest.raw_client()?.bind()?.yiaddr.octets());
        guests.push(guest);
    }
    ensure!(
        addresses == BTreeSet::from([10, 11, 12].map(|last| [203, 0, 113, last])),
        "they got {addresses:?}"
    );
    let _fourth = guest(&host, 4)?;
    let row = agent.wait("virbr4", "unassigned", BOUND)?;
    ensure!(
        row["reason"].is_string() && row["address"].is_null(),
        "{row}"
    );
    Ok(())
}

#[test]
fn a_vm_keeps_its_address_over_a_crash_of_everything() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL)?;
    let guests = [guest(&host, 1)?, guest(&host, 2)?];
    let mut before = Vec::new();
    for (guest, link) in guests.iter().zip(["virbr1", "virbr2"]) {
        before.push(guest.raw_client()?.bind()?.yiaddr);
        agent.wait(link, "bound", BOUND)?;
    }
    let responders = [agent.responder("virbr1")?, agent.responder("virbr2")?];
    agent.kill()?;
    for pid in responders {
        host.namespace().signal(pid, "KILL")?;
    }
    agent.restart()?;
    for (guest, address) in guests.iter().rev().zip(before.iter().rev()) {
        let after = guest.raw_client()?.bind()?.yiaddr;
        ensure!(after == *address, "it had {address} and has {after}");
    }
    Ok(())
}

#[test]
fn a_vm_that_comes_back_gets_its_address_again() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL)?;
    let [first, second] = [guest(&host, 1)?, guest(&host, 2)?];
    let before = second.raw_client()?.bind()?.yiaddr;
    second.namespace().ip("link set eth0 down")?;
    agent.wait("virbr2", "idle", BOUND)?;
    let other = first.raw_client()?.bind()?.yiaddr;
    second.namespace().ip("link set eth0 up")?;
    let after = second.raw_client()?.bind()?.yiaddr;
    ensure!(
        before == after && after != other,
        "it had {before} and has {after}; the other has {other}"
    );
    Ok(())
}

#[test]
fn a_bare_tap_without_facts_has_no_identity_and_no_address() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL)?;
    let _client = RawClient::new(host.tap("tap7", None)?, guest_mac(7));
    let row = agent.wait("tap7", "unassigned", BOUND)?;
    let reason = row["reason"].as_str().context("no reason")?;
    ensure!(reason.contains("no identity"), "the reason is {reason}");
    ensure!(row["address"].is_null() && row["route"] == false, "{row}");
    Ok(())
}

fn guest(host: &Host, number: u16) -> Result<Guest> {
    let bridge = format!("virbr{number}");
    host.bridge(&bridge)?;
    host.guest(&bridge, number)
}
