//! The stages of a client's life.

use crate::{
    options::{NO_HOST_NAME, config, takes_all_options},
    wire::{answer_to, is_broadcast_nak, is_extension, is_init_reboot, kinds},
};
use anyhow::{Context, Result, bail, ensure};
use slash32_tests::{
    Agent, Capture, Client, Fabric, Frame, GATEWAY, Guest, Host, MacAddr, Software,
    dhcp::{Message, code, message_type},
    guest_mac,
    matrix::{self, Cell, Column},
    until, vm_address,
};
use std::{
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

/// dhcpcd alone probes its address for 5 s, and udhcpc's shortest T1 is 15 s.
pub(crate) const BOUND: Duration = Duration::from_secs(40);
/// A lease that no case sees the end of.
const LONG_LEASE: &str = "lease-time = \"1h\"";
/// What a client remembers wrongly: an address of somebody else's block.
const WRONG: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// First boot: DISCOVER to ACK, everything that the ACK says, and the way to and from beyond the hypervisor.
pub(crate) fn boots(software: Software) -> Result<()> {
    stage(software, Column::FirstBoot, || {
        let host = Host::new()?;
        let fabric = host.fabric()?;
        let agent = Agent::start(&host, &config(LONG_LEASE, vm_address(1)))?;
        let guest = guest(&host)?;
        let capture = Capture::open(guest.namespace(), "eth0")?;
        let _client = guest.start(software)?;
        guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
        let seen = kinds(&capture)?;
        let exchange = [
            message_type::DISCOVER,
            message_type::OFFER,
            message_type::REQUEST,
            message_type::ACK,
        ];
        ensure!(
            exchange.iter().all(|kind| seen.contains(kind)),
            "the messages were {seen:?}"
        );
        guest.ping(GATEWAY)?;
        fabric.ping(vm_address(1))?;
        guest.ping(Fabric::ADDRESS)?;
        is_listed_as_bound(&host, &agent)?;
        takes_all_options(software, &guest)?;
        Ok(Cell::passed("DISCOVER, ACK"))
    })
}

/// A reboot with the disk as it was: INIT-REBOOT is acknowledged, without a DISCOVER; who keeps nothing begins anew and
/// gets the same address.
pub(crate) fn reboots(software: Software) -> Result<()> {
    stage(software, Column::Reboot, || {
        let host = Host::new()?;
        let agent = Agent::start(&host, &config(LONG_LEASE, vm_address(1)))?;
        let guest = guest(&host)?;
        let _ = bound(&guest, software)?.kill();
        guest.flush()?;
        let capture = Capture::open(guest.namespace(), "eth0")?;
        let _again = guest.start(software)?;
        guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
        agent.wait("virbr1", "bound", BOUND)?;
        if keeps_no_lease(software) {
            ensure!(
                kinds(&capture)?.starts_with(&[message_type::DISCOVER]),
                "{:?}",
                kinds(&capture)?
            );
            return Ok(Cell::passed("DISCOVER, same address"));
        }
        let request = capture.wait_for("an INIT-REBOOT", BOUND, |_, message| {
            is_init_reboot(message)
        })?;
        ensure!(
            request.1.address(code::REQUESTED_ADDRESS) == Some(vm_address(1)),
            "{request:?}"
        );
        answer_to(&capture, &request, message_type::ACK)?;
        ensure!(
            !kinds(&capture)?.contains(&message_type::DISCOVER),
            "{:?}",
            kinds(&capture)?
        );
        Ok(Cell::passed("INIT-REBOOT, ACK"))
    })
}

/// T1: a REQUEST by unicast, and its ACK.
pub(crate) fn is_renewed(software: Software) -> Result<()> {
    stage(software, Column::Renewal, || renewal(software, false))
}

/// T1 while the agent is dead.
pub(crate) fn is_renewed_without_agent(software: Software) -> Result<()> {
    stage(software, Column::AgentAway, || renewal(software, true))
}

/// The client renews by a unicast REQUEST to the gateway, which is acknowledged, and no word of ICMP leaves the host.
fn renewal(software: Software, agent_dies: bool) -> Result<Cell> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &config(software.short_lease(), vm_address(1)))?;
    let guest = guest(&host)?;
    let capture = Capture::open(guest.namespace(), "eth0")?;
    let mut client = bound(&guest, software)?;
    agent.wait("virbr1", "bound", BOUND)?;
    if software == Software::Klibc {
        return is_over(&mut client);
    }
    if agent_dies {
        agent.kill()?;
    }
    let since = SystemTime::now();
    let request = capture.wait_for("a renewal by unicast", BOUND, |frame, message| {
        frame.at > since && is_extension(message) && message.envelope.destination == GATEWAY
    })?;
    let ack = answer_to(&capture, &request, message_type::ACK)?;
    ensure!(
        ack.yiaddr == vm_address(1) && ack.envelope.destination == vm_address(1),
        "{ack:?}"
    );
    // The kernel's answer would have come at once, ahead of the ACK's way through two processes; but be sure.
    guest.ping(GATEWAY)?;
    let unreachable = capture.port_unreachables()?;
    ensure!(unreachable.is_empty(), "the host sent {unreachable:?}");
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    Ok(Cell::passed("unicast, ACK"))
}

/// T2: unicasts do not arrive, so that the client goes on to REBINDING, by broadcast.
pub(crate) fn rebinds(software: Software) -> Result<()> {
    stage(software, Column::Rebinding, || {
        let host = Host::new()?;
        let agent = Agent::start(&host, &config(software.short_lease(), vm_address(1)))?;
        let guest = guest(&host)?;
        let capture = Capture::open(guest.namespace(), "eth0")?;
        let mut client = bound(&guest, software)?;
        agent.wait("virbr1", "bound", BOUND)?;
        if software == Software::Klibc {
            return is_over(&mut client);
        }
        let since = SystemTime::now();
        host.lose_unicast_requests("vnet1")?;
        let request = capture.wait_for("a REQUEST in REBINDING", BOUND, |frame, message| {
            frame.at > since
                && is_extension(message)
                && message.envelope.destination == Ipv4Addr::BROADCAST
                && message.envelope.destination_mac == MacAddr::BROADCAST
        })?;
        let ack = answer_to(&capture, &request, message_type::ACK)?;
        ensure!(
            ack.yiaddr == vm_address(1)
                && ack.envelope.destination == vm_address(1)
                && ack.envelope.destination_mac == guest_mac(1),
            "{ack:?}"
        );
        let lost = |(frame, message): &(Frame, Message)| {
            frame.at > since && frame.at < request.0.at && is_extension(message)
        };
        ensure!(
            capture.messages()?.iter().any(lost),
            "no renewal came before the rebinding"
        );
        guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
        guest.ping(GATEWAY)?;
        Ok(Cell::passed("broadcast, ACK"))
    })
}

/// A RELEASE gets no answer, `list` shows it, and the next boot gets the same address.
pub(crate) fn releases(software: Software) -> Result<()> {
    stage(software, Column::Release, || {
        let host = Host::new()?;
        let agent = Agent::start(&host, &config(LONG_LEASE, vm_address(1)))?;
        let guest = guest(&host)?;
        let capture = Capture::open(guest.namespace(), "eth0")?;
        let mut client = bound(&guest, software)?;
        agent.wait("virbr1", "bound", BOUND)?;
        if software == Software::Klibc {
            return is_over(&mut client);
        }
        let since = SystemTime::now();
        client.release(&guest)?;
        if software == Software::NetworkManager {
            until("eth0 to have no address", BOUND, || {
                Ok(guest.addresses()?.is_empty().then_some(()))
            })?;
            client.kill()?;
            ensure!(
                !kinds(&capture)?.contains(&message_type::RELEASE),
                "it sends a RELEASE after all"
            );
            return Ok(Cell::absent("sends no RELEASE"));
        }
        let (_, release) = capture.wait_for("a RELEASE", BOUND, |frame, message| {
            frame.at > since && message.message_type() == message_type::RELEASE
        })?;
        ensure!(
            release.ciaddr == vm_address(1) && release.envelope.destination == GATEWAY,
            "{release:?}"
        );
        let row = agent.wait_row("virbr1", "released", BOUND, |row| {
            row["reason"] == "released by the VM"
        })?;
        ensure!(
            row["state"] == "ready" && row["address"] == "203.0.113.1",
            "{row}"
        );
        client.kill()?;
        let answers = |(frame, message): &(Frame, Message)| {
            frame.at > since && message.op == 2 && message.xid == release.xid
        };
        ensure!(
            !capture.messages()?.iter().any(answers),
            "the RELEASE was answered"
        );
        let _again = bound(&guest, software)?;
        agent.wait("virbr1", "bound", BOUND)?;
        Ok(Cell::passed("RELEASE, same address"))
    })
}

/// A disk that was copied from another machine: the client asks for an address that is not its own.
pub(crate) fn unlearns_wrong_address(software: Software) -> Result<()> {
    stage(software, Column::WrongAddress, || {
        let host = Host::new()?;
        let agent = Agent::start(&host, &config(LONG_LEASE, vm_address(1)))?;
        let guest = guest(&host)?;
        match software {
            Software::Klibc => {
                is_over(&mut bound(&guest, software)?)?;
                return Ok(Cell::absent("remembers nothing"));
            }
            Software::Networkd => {
                drop(agent);
                return unlearns_changed_address(software);
            }
            _ => bound(&guest, software)?.kill()?,
        }
        guest.flush()?;
        guest.forge_memory(software, vm_address(1), WRONG)?;
        let capture = Capture::open(guest.namespace(), "eth0")?;
        let _again = guest.start(software)?;
        let asks_wrongly =
            |_: &Frame, message: &Message| message.address(code::REQUESTED_ADDRESS) == Some(WRONG);
        let request = capture.wait_for(
            "a message that asks for the wrong address",
            BOUND,
            asks_wrongly,
        )?;
        let cell = if keeps_no_lease(software) {
            let offer = answer_to(&capture, &request, message_type::OFFER)?;
            ensure!(offer.yiaddr == vm_address(1), "{offer:?}");
            "DISCOVER, right OFFER"
        } else {
            ensure!(is_init_reboot(&request.1), "{request:?}");
            is_broadcast_nak(&answer_to(&capture, &request, message_type::NAK)?)?;
            "INIT-REBOOT, NAK, right address"
        };
        guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
        agent.wait("virbr1", "bound", BOUND)?;
        guest.ping(GATEWAY)?;
        Ok(Cell::passed(cell))
    })
}

/// The wrong address of a client that remembers only while it runs: another one was reserved for it. Its renewals are
/// refused by broadcast, which a client hears once it is in REBINDING.
fn unlearns_changed_address(software: Software) -> Result<Cell> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &config(software.short_lease(), vm_address(1)))?;
    let guest = guest(&host)?;
    let capture = Capture::open(guest.namespace(), "eth0")?;
    let _client = bound(&guest, software)?;
    agent.configure(&config(LONG_LEASE, vm_address(2)))?;
    let reload = agent.cli(&["reload", "--force"])?;
    ensure!(reload.status.success(), "{reload:?}");
    let request = capture.wait_for("a refused REQUEST in REBINDING", BOUND, |_, message| {
        is_extension(message) && message.envelope.destination == Ipv4Addr::BROADCAST
    })?;
    is_broadcast_nak(&answer_to(&capture, &request, message_type::NAK)?)?;
    guest.wait_configured(vm_address(2), GATEWAY, BOUND)?;
    agent.wait("virbr1", "bound", BOUND)?;
    guest.ping(GATEWAY)?;
    Ok(Cell::passed("REBINDING, NAK, right address"))
}

/// This client begins with DISCOVER at every start.
fn keeps_no_lease(software: Software) -> bool {
    matches!(
        software,
        Software::Udhcpc | Software::UdhcpcClassless | Software::Networkd | Software::Klibc
    )
}

/// Runs a case and records its cell, also when it failed.
fn stage(software: Software, column: Column, case: impl FnOnce() -> Result<Cell>) -> Result<()> {
    let version = software.version()?;
    let result = case();
    let cell = result.as_ref().unwrap_or(&Cell::Failed);
    let recorded = matrix::record(software.name(), &version, column, cell);
    result?;
    recorded
}

/// A guest behind `virbr1`.
fn guest(host: &Host) -> Result<Guest> {
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    guest.namespace().run("hostname", &[NO_HOST_NAME])?;
    Ok(guest)
}

/// A client that has its address.
fn bound(guest: &Guest, software: Software) -> Result<Client> {
    let client = guest.start(software)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    Ok(client)
}

/// A client that has ended with its ACK, and has no such stage.
fn is_over(client: &mut Client) -> Result<Cell> {
    match client.wait(BOUND)? {
        Some(0) => Ok(Cell::absent("ends with its ACK")),
        other => bail!("it ended with {other:?}"),
    }
}

fn is_listed_as_bound(host: &Host, agent: &Agent) -> Result<()> {
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(
        row["address"] == "203.0.113.1"
            && row["gateway"] == "169.254.0.1"
            && row["network"] == "public"
            && row["route"] == true
            && row["lease"]["acked_at"].is_string(),
        "{row}"
    );
    let route = host.route_to(vm_address(1))?.context("no host route")?;
    ensure!(
        route["dev"] == "virbr1"
            && route["metric"] == 1
            && route["scope"] == "link"
            && route["protocol"] == "132",
        "{route}"
    );
    Ok(())
}
