//! Rapid Commit (RFC 4039) with a client that asks for it. That the ACK waits for the host route is in `checklist`.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, Capture, GATEWAY, Host, Software,
    dhcp::{Message, message_type},
    static_network, vm_address,
};
use std::time::Duration;

/// dhcpcd probes its address for 5 s.
const BOUND: Duration = Duration::from_secs(40);
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
