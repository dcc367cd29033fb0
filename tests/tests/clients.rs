//! Real clients behind real links: each gets its /32, its routes and its renewals.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, Capture, Fabric, Frame, GATEWAY, Guest, Host, Software,
    dhcp::{Message, code, message_type},
    expect, guest_mac, static_network, vm_address,
};
use std::{
    fs,
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

/// dhcpcd alone probes its address for 5 s.
const BOUND: Duration = Duration::from_secs(40);
/// A lease that is renewed while a case can wait for it.
const SHORT_LEASE: &str = "lease-time = \"120s\"\nt1 = \"4s\"\nt2 = \"100s\"";

#[test]
fn dhclient_behind_a_bridge_is_reachable() -> Result<()> {
    is_reachable(Software::Dhclient, "virbr1")
}

#[test]
fn udhcpc_behind_a_bridge_is_reachable() -> Result<()> {
    is_reachable(Software::Udhcpc, "virbr1")
}

#[test]
fn udhcpc_with_classless_routes_behind_a_bridge_is_reachable() -> Result<()> {
    is_reachable(Software::UdhcpcClassless, "virbr1")
}

#[test]
fn dhcpcd_behind_a_bridge_is_reachable() -> Result<()> {
    is_reachable(Software::Dhcpcd, "virbr1")
}

#[test]
fn dhclient_behind_a_bare_tap_is_reachable() -> Result<()> {
    is_reachable(Software::Dhclient, "tap1")
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
fn dhclient_renews_by_unicast() -> Result<()> {
    renews_by_unicast(Software::Dhclient, Agency::Running)
}

#[test]
fn dhclient_renews_by_unicast_while_the_agent_is_dead() -> Result<()> {
    renews_by_unicast(Software::Dhclient, Agency::Killed)
}

#[test]
fn udhcpc_renews_by_unicast() -> Result<()> {
    renews_by_unicast(Software::Udhcpc, Agency::Running)
}

#[test]
fn udhcpc_renews_by_unicast_while_the_agent_is_dead() -> Result<()> {
    renews_by_unicast(Software::Udhcpc, Agency::Killed)
}

#[test]
fn dhcpcd_renews_by_unicast() -> Result<()> {
    renews_by_unicast(Software::Dhcpcd, Agency::Running)
}

#[test]
fn dhcpcd_renews_by_unicast_while_the_agent_is_dead() -> Result<()> {
    renews_by_unicast(Software::Dhcpcd, Agency::Killed)
}

#[test]
fn dhclient_that_reboots_with_its_lease_gets_an_ack() -> Result<()> {
    let host = Host::new()?;
    let _agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest_on(&host, "virbr1")?;
    let client = guest.start(Software::Dhclient)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    client.kill()?;
    guest.namespace().ip("addr flush dev eth0")?;
    let capture = Capture::open(guest.namespace(), "eth0")?;
    let _again = guest.start(Software::Dhclient)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    let request = capture.wait_for("an INIT-REBOOT", BOUND, is_init_reboot)?;
    answer_to(&capture, &request, message_type::ACK)?;
    ensure!(
        capture
            .messages()?
            .iter()
            .all(|(_, message)| message.message_type() != message_type::DISCOVER)
    );
    Ok(())
}

#[test]
fn dhclient_that_reboots_with_a_wrong_lease_is_refused_and_gets_the_right_address() -> Result<()> {
    let host = Host::new()?;
    let _agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let guest = guest_on(&host, "virbr1")?;
    let client = guest.start(Software::Dhclient)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    client.kill()?;
    guest.namespace().ip("addr flush dev eth0")?;
    let leases = guest.namespace().path("/var/lib/dhcp/leases");
    fs::write(
        &leases,
        fs::read_to_string(&leases)?.replace("203.0.113.1;", "198.51.100.7;"),
    )?;
    let capture = Capture::open(guest.namespace(), "eth0")?;
    let _again = guest.start(Software::Dhclient)?;
    let request = capture.wait_for("an INIT-REBOOT", BOUND, is_init_reboot)?;
    ensure!(
        request.1.address(code::REQUESTED_ADDRESS) == Some(Ipv4Addr::new(198, 51, 100, 7)),
        "{request:?}"
    );
    answer_to(&capture, &request, message_type::NAK)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)
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

#[derive(PartialEq)]
enum Agency {
    Running,
    Killed,
}

fn guest_on(host: &Host, link: &str) -> Result<Guest> {
    if link.starts_with("tap") {
        return host.guest_behind_tap(link, 1);
    }
    host.bridge(link)?;
    host.guest(link, 1)
}

fn is_reachable(software: Software, link: &str) -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let agent = Agent::start(&host, &static_network(&[(link, 1)], "dns = [\"9.9.9.9\"]"))?;
    let guest = guest_on(&host, link)?;
    let _client = guest.start(software)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    guest.ping(GATEWAY)?;
    fabric.ping(vm_address(1))?;
    guest.ping(Fabric::ADDRESS)?;
    let row = agent.wait(link, "bound", BOUND)?;
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
        route["dev"] == link && route["metric"] == 1 && route["scope"] == "link",
        "{route}"
    );
    ensure!(route["protocol"] == "132", "{route}");
    Ok(())
}

/// The client renews by a unicast REQUEST to the gateway, which is acknowledged, and no word of ICMP leaves the host.
fn renews_by_unicast(software: Software, agency: Agency) -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], SHORT_LEASE))?;
    let guest = guest_on(&host, "virbr1")?;
    let capture = Capture::open(guest.namespace(), "eth0")?;
    let client = guest.start(software)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    agent.wait("virbr1", "bound", BOUND)?;
    if agency == Agency::Killed {
        agent.kill()?;
    }
    let since = SystemTime::now();
    if software == Software::Udhcpc {
        client.renew(&guest)?;
    }
    let renewing = |frame: &Frame, message: &Message| {
        frame.at > since
            && message.message_type() == message_type::REQUEST
            && message.ciaddr == vm_address(1)
            && message.envelope.destination == GATEWAY
    };
    let request = capture.wait_for("a renewal by unicast", BOUND, renewing)?;
    let ack = answer_to(&capture, &request, message_type::ACK)?;
    ensure!(
        ack.yiaddr == vm_address(1) && ack.envelope.destination == vm_address(1),
        "{ack:?}"
    );
    // The kernel's answer would have come at once, ahead of the ACK's way through two processes; but be sure.
    guest.ping(GATEWAY)?;
    let unreachable = capture.port_unreachables()?;
    ensure!(unreachable.is_empty(), "the host sent {unreachable:?}");
    Ok(())
}

fn is_init_reboot(_: &Frame, message: &Message) -> bool {
    message.message_type() == message_type::REQUEST
        && message.option(code::SERVER_IDENTIFIER).is_none()
        && message.option(code::REQUESTED_ADDRESS).is_some()
}

/// The first answer to `request`, which must be of this type. A client may use one xid for all its messages.
fn answer_to(capture: &Capture, request: &(Frame, Message), message_type: u8) -> Result<Message> {
    let (asked, request) = request;
    let is_answer = |frame: &Frame, message: &Message| {
        frame.at > asked.at && message.op == 2 && message.xid == request.xid
    };
    expect(
        message_type,
        capture.wait_for("an answer", BOUND, is_answer)?.1,
    )
}
