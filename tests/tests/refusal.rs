//! Links that must not be served, and guests that must not be: refused with a reason that an operator sees.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slash32_tests::{
    Agent, Capture, Host, RawClient, Tap,
    dhcp::{Message, message_type},
    expect, guest_mac, static_network, until, vm_address,
};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(1);

#[test]
fn a_bridge_with_an_uplink_port_is_refused() -> Result<()> {
    // The kernels of small test machines have no VLAN and no dummy; a macvlan is what they have that is no VM's port.
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.namespace().ip_batch(
        "link add lower type veth peer name lan\nlink set lower up\nlink set lan up\n\
         link add uplink0 link lower type macvlan mode private\n\
         link add virbr1 type bridge\nlink set uplink0 master virbr1\nlink set uplink0 up\nlink set virbr1 up\n",
    )?;
    let guest = host.guest("virbr1", 1)?;
    is_refused(&agent, "virbr1", "uplink0")?;
    is_silent(&guest.raw_client()?)
}

#[test]
fn a_bridge_with_a_tunnel_port_is_refused() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.namespace().ip_batch(
        "link add virbr1 type bridge\nlink add vx0 type vxlan id 5 dstport 4789 local 127.0.0.1\n\
         link set vx0 master virbr1\nlink set vx0 up\nlink set virbr1 up\n",
    )?;
    is_refused(&agent, "virbr1", "vx0").map(drop)
}

#[test]
fn a_served_bridge_that_gets_an_uplink_port_is_refused_from_then_on() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    guest.raw_client()?.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    host.namespace()
        .ip("link add vx0 type vxlan id 5 dstport 4789 local 127.0.0.1")?;
    host.namespace().ip("link set vx0 master virbr1 up")?;
    is_refused(&agent, "virbr1", "vx0")?;
    is_silent(&guest.raw_client()?)
}

#[test]
fn a_bridge_with_a_foreign_address_is_refused_until_the_address_goes() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    host.namespace().ip("addr add 198.51.100.1/24 dev virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    is_refused(&agent, "virbr1", "198.51.100.1")?;
    is_silent(&guest.raw_client()?)?;
    host.namespace().ip("addr del 198.51.100.1/24 dev virbr1")?;
    ensure!(guest.raw_client()?.bind()?.yiaddr == vm_address(1));
    Ok(())
}

#[test]
fn the_second_vm_on_a_bridge_gets_nothing_and_the_first_keeps_its_service() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let first = host.guest("virbr1", 1)?;
    let ack = first.raw_client()?.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    let second = host.guest("virbr1", 2)?;
    let row = agent.wait_row("virbr1", "bound, with two ports", BOUND, |row| {
        row["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("several ports"))
    })?;
    ensure!(row["state"] == "bound" && row["route"] == true, "{row}");
    is_silent(&second.raw_client()?)?;
    let mut client = first.raw_client()?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    drop(second);
    agent.wait_row("virbr1", "bound, with one port", BOUND, |row| {
        row["state"] == "bound"
            && !row["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("several ports"))
    })?;
    Ok(())
}

#[test]
fn a_second_mac_of_a_vm_is_ignored_and_counted() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    let mut client = guest.raw_client()?;
    client.bind()?;
    let mut other = client.discover();
    other.chaddr[..6].copy_from_slice(&guest_mac(2).0);
    let frame = other.frame();
    client.wire().send(&frame)?;
    let answer = client.answer(other.xid, SILENCE)?;
    ensure!(answer.is_none(), "it was answered: {answer:?}");
    until("the counter other_mac", BOUND, || {
        let shown = agent.json(&["show", "virbr1"])?;
        Ok((shown["counters"]["other_mac"] == 1).then_some(()))
    })?;
    // The owner is served as before.
    client.bind()?;
    Ok(())
}

#[test]
fn a_link_that_no_network_names_is_no_concern_of_ours() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("lan0")?;
    let capture = Capture::open(host.namespace(), "lan0")?;
    let guest = host.guest("lan0", 1)?;
    host.bridge("virbr1")?;
    let served = host.guest("virbr1", 2)?;
    served.raw_client()?.bind()?;
    is_silent(&guest.raw_client()?)?;
    ensure!(agent.row("lan0")?.is_none(), "it is in the list");
    ensure!(
        host.namespace()
            .ip_json("-4 addr show dev lan0")?
            .iter()
            .all(|link| { link["addr_info"].as_array().is_none_or(Vec::is_empty) })
    );
    ensure!(
        capture
            .messages()?
            .iter()
            .all(|(_, message)| message.op == 1),
        "something answered on it"
    );
    Ok(())
}

#[test]
fn an_excluded_link_is_no_concern_of_ours() -> Result<()> {
    let host = Host::new()?;
    let config =
        static_network(&[("virbr1", 1)], "").replace(r#""virbr*""#, r#""virbr*", "!virbr0""#);
    let agent = Agent::start(&host, &config)?;
    host.bridge("virbr0")?;
    let guest = host.guest("virbr0", 1)?;
    host.bridge("virbr1")?;
    host.guest("virbr1", 2)?.raw_client()?.bind()?;
    is_silent(&guest.raw_client()?)?;
    ensure!(agent.row("virbr0")?.is_none(), "it is in the list");
    Ok(())
}

#[test]
fn a_bridge_without_a_reservation_is_unassigned_and_silent() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr9")?;
    let guest = host.guest("virbr9", 9)?;
    let row = agent.wait("virbr9", "unassigned", BOUND)?;
    ensure!(
        row["reason"].is_string() && row["address"].is_null(),
        "{row}"
    );
    is_silent(&guest.raw_client()?)
}

#[test]
fn a_bridge_without_a_vm_is_idle() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let row = agent.wait("virbr1", "idle", BOUND)?;
    ensure!(row["route"] == false, "{row}");
    Ok(())
}

#[test]
fn a_bare_tap_that_its_owner_left_down_is_idle_with_that_reason() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let tap = Tap::open(host.namespace(), "tap1")?;
    let row = agent.wait("tap1", "idle", BOUND)?;
    ensure!(
        row["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("down")),
        "{row}"
    );
    let flags = host.namespace().ip_json("link show dev tap1")?[0]["flags"].to_string();
    ensure!(!flags.contains("\"UP\""), "the agent set it up: {flags}");
    drop(tap);
    Ok(())
}

fn is_refused(agent: &Agent<'_>, link: &str, culprit: &str) -> Result<Value> {
    let row = agent.wait(link, "failed", BOUND)?;
    let reason = row["reason"]
        .as_str()
        .with_context(|| format!("a failed link without a reason: {row}"))?;
    ensure!(
        reason.contains(culprit),
        "the reason does not name {culprit}: {reason}"
    );
    ensure!(row["route"] == false, "{row}");
    Ok(row)
}

/// DISCOVERs for a second: nobody answers.
fn is_silent(client: &RawClient) -> Result<()> {
    for xid in 1..=5 {
        let discover = Message::request(message_type::DISCOVER, client.mac(), xid);
        client.send(&discover)?;
        let answer = client.answer(xid, SILENCE / 5)?;
        ensure!(answer.is_none(), "somebody answered: {answer:?}");
    }
    Ok(())
}
