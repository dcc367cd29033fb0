//! Clients behind real links of every kind, and what is on the wire between them. The stages of each client's life are in
//! `matrix.rs`.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, Fabric, GATEWAY, Guest, Host, Software,
    dhcp::{code, message_type},
    expect, guest_mac, static_network, vm_address,
};
use std::{
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

const BOUND: Duration = Duration::from_secs(40);

#[test]
fn dhclient_behind_a_bare_tap_is_reachable() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let agent = Agent::start(
        &host,
        &static_network(&[("tap1", 1)], "dns = [\"9.9.9.9\"]"),
    )?;
    let guest = host.guest_behind_tap("tap1", 1)?;
    let _client = guest.start(Software::Dhclient)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    guest.ping(GATEWAY)?;
    fabric.ping(vm_address(1))?;
    guest.ping(Fabric::ADDRESS)?;
    let row = agent.wait("tap1", "bound", BOUND)?;
    ensure!(
        row["address"] == "203.0.113.1" && row["gateway"] == "169.254.0.1",
        "{row}"
    );
    ensure!(
        row["network"] == "public" && row["route"] == true && row["lease"]["acked_at"].is_string(),
        "{row}"
    );
    let route = host.route_to(vm_address(1))?.expect("a host route");
    ensure!(
        route["dev"] == "tap1" && route["metric"] == 1 && route["scope"] == "link",
        "{route}"
    );
    ensure!(route["protocol"] == "132", "{route}");
    Ok(())
}

#[test]
fn a_link_that_is_there_before_the_agent_is_served() -> Result<()> {
    let host = Host::new()?;
    let guest = guest_on(&host, "virbr1")?;
    let client = guest.start(Software::UdhcpcClassless)?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    agent.wait("virbr1", "bound", BOUND)?;
    drop(client);
    Ok(())
}

#[test]
fn a_bridge_that_takes_the_mac_of_its_port_is_served() -> Result<()> {
    // Without a hardware address of its own a bridge changes it with its ports.
    let host = Host::new()?;
    let _agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.namespace()
        .ip("link add virbr1 type bridge forward_delay 0")?;
    host.namespace().ip("link set virbr1 up")?;
    let guest = host.guest("virbr1", 1)?;
    let _client = guest.start(Software::Dhclient)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    guest.ping(GATEWAY)
}

#[test]
fn a_wrong_address_is_refused_at_once_and_by_broadcast() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest_on(&host, "virbr1")?;
    agent.wait("virbr1", "ready", BOUND)?;
    let mut client = guest.raw_client()?;
    let request = client.init_reboot(Ipv4Addr::new(198, 51, 100, 7));
    let sent = SystemTime::now();
    client.send(&request)?;
    let (at, nak) = client.answer(request.xid, BOUND)?.expect("a NAK");
    let nak = expect(message_type::NAK, nak)?;
    let delay = at.duration_since(sent)?;
    ensure!(delay < Duration::from_millis(500), "it took {delay:?}");
    ensure!(nak.envelope.destination == Ipv4Addr::BROADCAST, "{nak:?}");
    ensure!(
        nak.envelope.destination_mac == slash32_tests::MacAddr::BROADCAST,
        "{nak:?}"
    );
    ensure!(
        nak.address(code::SERVER_IDENTIFIER) == Some(GATEWAY),
        "{nak:?}"
    );
    ensure!(
        nak.yiaddr.is_unspecified() && nak.option(code::LEASE_TIME).is_none(),
        "{nak:?}"
    );
    Ok(())
}

#[test]
fn an_init_reboot_with_the_right_address_is_acknowledged_without_a_discover() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest_on(&host, "virbr1")?;
    agent.wait("virbr1", "ready", BOUND)?;
    let mut client = guest.raw_client()?;
    let request = client.init_reboot(vm_address(1));
    let ack = expect(message_type::ACK, client.ask(&request)?)?;
    ensure!(ack.yiaddr == vm_address(1), "{ack:?}");
    ensure!(
        ack.envelope.destination_mac == guest_mac(1) && ack.envelope.destination == vm_address(1),
        "{ack:?}"
    );
    agent.wait("virbr1", "bound", BOUND)?;
    Ok(())
}

#[test]
fn a_release_is_shown_though_it_is_the_last_frame_of_its_guest() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest_on(&host, "virbr1")?;
    let mut client = guest.raw_client()?;
    let ack = client.bind()?;
    // Within the second in which the responder has told of the ACK.
    let mut release = client.renewing(&ack);
    for (option, value) in &mut release.options {
        if *option == code::MESSAGE_TYPE {
            *value = vec![message_type::RELEASE];
        }
    }
    client.send(&release)?;
    agent.wait_row("virbr1", "released", BOUND, |row| {
        row["reason"] == "released by the VM"
    })?;
    Ok(())
}

#[test]
fn an_ack_carries_what_every_client_needs() -> Result<()> {
    let host = Host::new()?;
    let config = static_network(&[("virbr1", 1)], "lease-time = \"1h\"\ndns = [\"9.9.9.9\"]");
    let _agent = Agent::start(&host, &config)?;
    let guest = guest_on(&host, "virbr1")?;
    let ack = guest.raw_client()?.bind()?;
    let octets = GATEWAY.octets();
    let [a, b, c, d] = octets;
    ensure!(ack.option(code::SUBNET_MASK) == Some(&[255; 4]), "{ack:?}");
    ensure!(ack.option(code::ROUTER) == Some(&octets), "{ack:?}");
    ensure!(
        ack.option(code::CLASSLESS_ROUTES) == Some(&[32, a, b, c, d, 0, 0, 0, 0, 0, a, b, c, d]),
        "{ack:?}"
    );
    ensure!(ack.option(code::DNS) == Some(&[9, 9, 9, 9]), "{ack:?}");
    ensure!(ack.number(code::LEASE_TIME) == Some(3600), "{ack:?}");
    let times = ack
        .number(code::RENEWAL_TIME)
        .zip(ack.number(code::REBINDING_TIME));
    ensure!(
        times.is_some_and(|(t1, t2)| 0 < t1 && t1 < t2 && t2 < 3600),
        "{ack:?}"
    );
    let head: Vec<u8> = ack.options.iter().map(|(code, _)| *code).take(8).collect();
    ensure!(
        head == [53, 54, 51, 58, 59, 1, 121, 3],
        "the options come in the order {head:?}"
    );
    Ok(())
}

fn guest_on(host: &Host, link: &str) -> Result<Guest> {
    host.bridge(link)?;
    host.guest(link, 1)
}
