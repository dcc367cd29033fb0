//! The shipped firewall example: what it forbids, and what it must not.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Fabric, GATEWAY, Guest, Host, RawClient,
    dhcp::{Message, message_type},
    expect, static_network, vm_address,
};
use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

const EXAMPLE: &str = include_str!("../../packaging/nftables/vm-isolation.nft");
/// Of a service that listens on every address of the host, the gateway's too.
const SERVICE: u16 = 22;
const BOUND: Duration = Duration::from_secs(15);

#[test]
fn the_firewall_example_is_one_that_nft_takes_again_and_again() -> Result<()> {
    let host = Host::new()?;
    nft(&host, &["--check"])?;
    nft(&host, &[])?;
    nft(&host, &[])?;
    let tables = host.namespace().run("nft", &["list", "tables"])?;
    ensure!(tables.trim() == "table inet slash32_vms", "{tables}");
    Ok(())
}

#[test]
fn behind_the_firewall_example_vms_reach_the_fabric_and_neither_each_other_nor_the_host()
-> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let _service = host
        .namespace()
        .inside(|| Ok(TcpListener::bind(("0.0.0.0", SERVICE))?))?;
    let _agent = Agent::start(&host, &static_network(&[("virbr1", 1), ("virbr2", 2)], ""))?;
    let (one, mut client, ack) = vm(&host, 1)?;
    // Without it all of that goes.
    let (two, _, _) = vm(&host, 2)?;
    two.ping(vm_address(1))?;
    connects(&one)?;

    nft(&host, &[])?;
    let renewal = client.renewing(&ack);
    expect(message_type::ACK, client.insist(&renewal, BOUND)?)?;
    let discover = client.discover();
    expect(message_type::OFFER, client.insist(&discover, BOUND)?)?;
    one.ping(Fabric::ADDRESS)?;
    fabric.ping(vm_address(1))?;
    one.ping(GATEWAY)?;
    ensure!(two.ping(vm_address(1)).is_err(), "one VM reaches another");
    ensure!(connects(&one).is_err(), "a VM reaches the host's services");
    Ok(())
}

#[test]
fn behind_the_firewall_example_a_vm_speaks_from_its_own_address_only() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let _agent = Agent::start(&host, &static_network(&[("virbr1", 1), ("virbr2", 2)], ""))?;
    let (one, _, _) = vm(&host, 1)?;
    let (_two, _, _) = vm(&host, 2)?;
    nft(&host, &[])?;
    one.ping(Fabric::ADDRESS)?;
    ensure!(dropped(&host)? == 0, "what is its own was dropped");
    // Its neighbour's, nobody's, and the fabric's.
    for (count, forged) in (1..).zip([vm_address(2), vm_address(77), Fabric::ADDRESS]) {
        one.namespace()
            .ip(&format!("addr add {forged}/32 dev eth0"))?;
        let ping = [
            "-n",
            "-c",
            "1",
            "-W",
            "1",
            "-I",
            &forged.to_string(),
            "192.0.2.1",
        ];
        ensure!(
            one.namespace().run("ping", &ping).is_err(),
            "{forged} is answered"
        );
        ensure!(
            dropped(&host)? == count,
            "what came from {forged} was not dropped"
        );
        one.namespace()
            .ip(&format!("addr del {forged}/32 dev eth0"))?;
    }
    Ok(())
}

/// A guest behind a bridge of its own, with its client and the ACK that it got.
fn vm(host: &Host, number: u16) -> Result<(Guest, RawClient, Message)> {
    let bridge = format!("virbr{number}");
    host.bridge(&bridge)?;
    let guest = host.guest(&bridge, number)?;
    let mut client = guest.raw_client()?;
    let ack = client.bind()?;
    guest.configure(vm_address(number))?;
    Ok((guest, client, ack))
}

/// Loads the example in the host, as `nft -f FILE` does.
fn nft(host: &Host, options: &[&str]) -> Result<()> {
    let mut command = Command::new("nft");
    command
        .args(options)
        .args(["--file", "-"])
        .stdin(Stdio::piped());
    let mut nft = host.namespace().spawn(&mut command)?;
    let mut input = nft.child().stdin.take().context("no stdin")?;
    input.write_all(EXAMPLE.as_bytes())?;
    drop(input);
    let code = nft.wait(BOUND)?;
    ensure!(code == Some(0), "nft ended with {code:?}");
    Ok(())
}

/// How many packets had a source address that is not their link's.
fn dropped(host: &Host) -> Result<u64> {
    let chain = ["list", "chain", "inet", "slash32_vms", "source"];
    let text = host.namespace().run("nft", &chain)?;
    let count = text
        .split_once("counter packets ")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    Ok(count.context("no counter")?.parse()?)
}

/// The guest has a TCP connection to the host's service.
fn connects(guest: &Guest) -> Result<()> {
    let service = SocketAddr::from((GATEWAY, SERVICE));
    guest.namespace().inside(|| {
        TcpStream::connect_timeout(&service, Duration::from_secs(2))?;
        Ok(())
    })
}
