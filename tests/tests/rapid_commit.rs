//! Rapid Commit (RFC 4039): an address after two messages, and the host route before the second of them.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
use slash32_tests::{
    Agent, Capture, GATEWAY, Host, Software,
    dhcp::{Message, message_type},
    expect, static_network, vm_address,
};
use std::time::Duration;

/// dhcpcd probes its address for 5 s.
const BOUND: Duration = Duration::from_secs(40);
/// Long enough for an ACK that does not wait as it should: one takes about a millisecond.
const SILENCE: Duration = Duration::from_secs(2);
const RAPID_COMMIT: u8 = 80;

#[test]
fn item_107_dhcpcd_is_bound_by_two_messages_where_the_config_allows_it() -> Result<()> {
    let messages = messages_until_bound("rapid-commit = true")?;
    let kinds: Vec<u8> = messages.iter().map(Message::message_type).collect();
    ensure!(
        kinds.ends_with(&[message_type::DISCOVER, message_type::ACK]),
        "{kinds:?}"
    );
    ensure!(!kinds.contains(&message_type::REQUEST), "{kinds:?}");
    let ack = messages.last().unwrap();
    ensure!(ack.option(RAPID_COMMIT) == Some(&[]), "{ack:?}");
    Ok(())
}

#[test]
fn item_108_dhcpcd_is_bound_by_four_messages_by_default() -> Result<()> {
    let messages = messages_until_bound("")?;
    let kinds: Vec<u8> = messages.iter().map(Message::message_type).collect();
    ensure!(
        kinds.contains(&message_type::OFFER) && kinds.contains(&message_type::REQUEST),
        "{kinds:?}"
    );
    let promised = |message: &Message| message.op == 2 && message.option(RAPID_COMMIT).is_some();
    ensure!(!messages.iter().any(promised), "{messages:?}");
    Ok(())
}

#[test]
fn item_107_the_ack_of_a_discover_waits_for_the_host_route_too() -> Result<()> {
    let host = Host::new()?;
    let config = static_network(&[("virbr1", 1)], "rapid-commit = true");
    let mut agent = Agent::start(&host, &config)?;
    let mut client = host.raw_vm(1)?;
    agent.wait("virbr1", "ready", BOUND)?;
    agent.signal(SIGSTOP)?;
    let discover = client.discover().with(RAPID_COMMIT, &[]);
    client.send(&discover)?;
    let early = client.answer(discover.xid, SILENCE)?;
    ensure!(early.is_none(), "answered without the agent: {early:?}");
    agent.signal(SIGCONT)?;
    let (_, ack) = client.answer(discover.xid, BOUND)?.expect("the held ACK");
    let ack = expect(message_type::ACK, ack)?;
    ensure!(ack.yiaddr == vm_address(1), "{ack:?}");
    ensure!(host.route_to(vm_address(1))?.is_some(), "no host route");
    agent.wait("virbr1", "bound", BOUND)?;
    Ok(())
}

#[test]
fn item_109_a_link_without_an_address_stays_silent() -> Result<()> {
    let host = Host::new()?;
    let config = static_network(&[("virbr1", 1)], "rapid-commit = true");
    let agent = Agent::start(&host, &config)?;
    let mut client = host.raw_vm(2)?;
    agent.wait("virbr2", "unassigned", BOUND)?;
    let discover = client.discover().with(RAPID_COMMIT, &[]);
    client.send(&discover)?;
    let answer = client.answer(discover.xid, SILENCE)?;
    ensure!(answer.is_none(), "{answer:?}");
    Ok(())
}

/// What dhcpcd and its server say to each other until it has its address.
fn messages_until_bound(options: &str) -> Result<Vec<Message>> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], options))?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    agent.wait("virbr1", "ready", BOUND)?;
    let capture = Capture::open(guest.namespace(), "eth0")?;
    let _client = guest.start(Software::Dhcpcd)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    let messages = capture.messages()?;
    Ok(messages.into_iter().map(|(_, message)| message).collect())
}
