//! Why a VM gets what it gets: each value with the line of the config that says so.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slash32_tests::{Agent, Host, POOL_NETWORK};
use std::{fs, net::Ipv4Addr, time::Duration};

const BOUND: Duration = Duration::from_secs(15);
const FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

#[test]
fn explain_names_the_line_of_each_value() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = host.raw_vm(7)?;
    client.bind()?;
    agent.wait("virbr7", "bound", BOUND)?;
    agent.kill()?;
    agent.restart()?;
    agent.wait("virbr7", "bound", BOUND)?;
    for key in ["virbr7", "203.0.113.7"] {
        let explained = agent.json(&["explain", key])?;
        ensure!(explained["link"] == "virbr7", "{explained}");
        let network = &explained["network"];
        ensure!(network["name"] == "public", "{explained}");
        is_from(&agent, &network["origin"], "links =")?;
        let address = &explained["address"];
        ensure!(address["value"] == "203.0.113.7", "{explained}");
        is_from(&agent, &address["origin"], "address = \"203.0.113.7\"")
            .or_else(|_| is_from(&agent, &address["origin"], "[[network.reservation]]"))?;
        let dns = option(&explained, "dns")?;
        ensure!(
            dns["value"] == "198.51.100.53"
                && dns["scope"]
                    .as_str()
                    .is_some_and(|scope| scope.starts_with("reservation")),
            "{dns}"
        );
        is_from(&agent, &dns["origin"], "hostname = \"web7\"")?;
        ensure!(
            dns["overrides"][0]["value"] == "9.9.9.9" && dns["overrides"][0]["scope"] == "global",
            "{dns}"
        );
        is_from(
            &agent,
            &dns["overrides"][0]["origin"],
            "dns = [\"9.9.9.9\"]",
        )?;
        is_from(
            &agent,
            &option(&explained, "hostname")?["origin"],
            "hostname = \"web7\"",
        )?;
        let lease_time = option(&explained, "lease-time")?;
        ensure!(
            lease_time["scope"] == "default" && lease_time["origin"].is_null(),
            "{lease_time}"
        );
    }
    Ok(())
}

#[test]
fn explain_tells_people_the_same() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let _client = host.raw_vm(7)?;
    agent.wait("virbr7", "ready", BOUND)?;
    let page = agent.succeeds(&["explain", "virbr7"])?;
    let line = line_of(&agent, "hostname = \"web7\"")?;
    for fact in [
        "virbr7",
        "public",
        "virbr*",
        "203.0.113.7",
        "198.51.100.53",
        "instead of",
        "9.9.9.9",
        &format!("slash32.toml:{line}"),
    ] {
        ensure!(page.contains(fact), "{fact:?} is not in:\n{page}");
    }
    Ok(())
}

#[test]
fn explain_gives_nobody_an_address() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    host.bridge("virbr1")?;
    agent.wait("virbr1", "idle", BOUND)?;
    let explained = agent.json(&["explain", "virbr1"])?;
    ensure!(
        explained["address"]["value"] == FIRST.to_string(),
        "{explained}"
    );
    ensure!(pool(&agent)?["used"] == 0);
    ensure!(host.raw_vm(2)?.bind()?.yiaddr == FIRST);
    Ok(())
}

#[test]
fn explain_knows_an_address_that_no_vm_has() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    host.raw_vm(1)?.bind()?;
    agent.wait("virbr1", "idle", BOUND)?;
    let table = [
        ("203.0.113.10", "virbr1"),
        ("203.0.113.11", "203.0.113.10-203.0.113.19"),
        ("203.0.113.7", "reserved"),
        ("203.0.113.50", "none of its pools"),
    ];
    for (address, note) in table {
        let explained = agent.json(&["explain", address])?;
        ensure!(
            explained["link"].is_null() && explained["network"]["name"] == "public",
            "{explained}"
        );
        ensure!(
            explained["notes"].to_string().contains(note),
            "{note:?} is not in {explained}"
        );
    }
    let said = agent.fails(&["explain", "nowhere"])?;
    ensure!(said.contains("nowhere"), "it said {said}");
    Ok(())
}

/// The row of the only pool.
fn pool(agent: &Agent<'_>) -> Result<Value> {
    agent.json(&["pools"])?.get(0).cloned().context("no pool")
}

fn option<'v>(explained: &'v Value, key: &str) -> Result<&'v Value> {
    explained["options"]
        .as_array()
        .and_then(|options| options.iter().find(|option| option["key"] == key))
        .with_context(|| format!("no option {key} in {explained}"))
}

/// The number of the first line of the agent's config that contains `text`, from 1 up.
fn line_of(agent: &Agent<'_>, text: &str) -> Result<usize> {
    let config = fs::read_to_string(agent.config_file())?;
    let index = config.lines().position(|line| line.contains(text));
    Ok(index.with_context(|| format!("{text} is not in the config"))? + 1)
}

/// `origin` names the first line of the agent's config that contains `text`.
fn is_from(agent: &Agent<'_>, origin: &Value, text: &str) -> Result<()> {
    let expected = format!(
        "{}:{}",
        agent.config_file().display(),
        line_of(agent, text)?
    );
    ensure!(origin == &expected, "{origin} is not {expected}");
    Ok(())
}
