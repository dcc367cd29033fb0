//! A Linux guest under QEMU behind a bridge: everything that its network says, and a file from beyond the hypervisor.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, BootFiles, Capture, Fabric, FileServer, GATEWAY, Host,
    dhcp::{Message, code, message_type},
    linux::Linux,
    matrix::{Cell, Column, record},
    static_network, vm_address,
};
use std::{net::Ipv4Addr, time::Duration};

/// It boots in 3 to 6 s; the machine may be busy with other cases.
const BOUND: Duration = Duration::from_secs(90);
/// Beyond the hypervisor: an address of the fabric's own.
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Of a thousand lines that say `from beyond`.
const MD5: &str = "f2e23bea7a4b012c70e40239eb31ae0b";
const CLIENT: &str = "Linux guest in QEMU, udhcpc";

#[test]
fn a_linux_guest_gets_all_that_its_network_says_and_is_reachable_both_ways() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let _agent = Agent::start(
        &host,
        &static_network(
            &[("virbr1", 1)],
            "dns = [\"9.9.9.9\", \"149.112.112.112\"]\ndomain = \"vms.example\"\nhostname = \"web1\"\nmtu = 1400",
        ),
    )?;
    let mut guest = start(&host)?;
    guest.wait_ready(BOUND)?;
    let row = Row::of(&guest)?;
    guest.is_configured(vm_address(1), GATEWAY, BOUND)?;
    row.passed(Column::FirstBoot, "DISCOVER, ACK")?;
    row.passed(Column::Address, "/32")?;
    row.passed(Column::Routes, "gateway on the link, default (121)")?;

    let resolv_conf = guest.run("cat /etc/resolv.conf", BOUND)?;
    let wanted = "search vms.example\nnameserver 9.9.9.9\nnameserver 149.112.112.112";
    ensure!(resolv_conf == wanted, "{resolv_conf}");
    row.passed(Column::Dns, "both")?;
    let mtu = guest.run("cat /sys/class/net/eth0/mtu", BOUND)?;
    ensure!(mtu == "1400", "the MTU is {mtu}");
    row.passed(Column::Mtu, "1400")?;
    let name = guest.run("hostname", BOUND)?;
    ensure!(name == "web1", "it is called {name}");
    row.passed(Column::HostName, "set")?;

    fabric.ping(vm_address(1))?;
    guest.run(&format!("ping -c 2 -W 2 {}", Fabric::ADDRESS), BOUND)?;
    row.passed(Column::Ping, "to and from the fabric")
}

#[test]
fn a_linux_guest_fetches_files_from_beyond_the_hypervisor() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let file = b"from beyond\n".repeat(1000);
    let server = FileServer::start(fabric.namespace(), SERVER, [("file", file)])?;
    let _agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let mut guest = start(&host)?;
    guest.wait_ready(BOUND)?;
    for (method, command) in [
        ("GET", format!("wget -q -O - http://{SERVER}/file")),
        ("RRQ", format!("tftp -g -r file -l - {SERVER}")),
    ] {
        let fetched = guest.run(&format!("{command} | md5sum"), BOUND)?;
        ensure!(
            fetched.starts_with(MD5),
            "{method} brought something else: {fetched}"
        );
        let request = server.wait_fetched(method, "file", BOUND)?;
        ensure!(request.from == vm_address(1), "{request:?}");
    }
    Row::of(&guest)?.passed(Column::Fetch, "HTTP, TFTP")
}

#[test]
fn a_linux_guest_renews_by_unicast_and_releases() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(
        &host,
        &static_network(
            &[("virbr1", 1)],
            "lease-time = \"120s\"\nt1 = \"4s\"\nt2 = \"100s\"",
        ),
    )?;
    host.bridge("virbr1")?;
    host.qemu_tap("vnet1", Some("virbr1"))?;
    let capture = Capture::open(host.namespace(), "vnet1")?;
    let machine =
        slash32_tests::Qemu::start(&host, "vnet1", 1, &Linux::boot(&BootFiles::prepared()?)?)?;
    let mut guest = Linux::on(machine);
    guest.wait_ready(BOUND)?;
    let row = Row::of(&guest)?;

    // udhcpc halves the lease itself instead of reading T1, so it is told to renew (SIGUSR1).
    guest.run("kill -USR1 $(cat /run/udhcpc.pid)", BOUND)?;
    let (_, request) = capture.wait_for("a renewal", BOUND, |_, message| {
        message.message_type() == message_type::REQUEST && message.ciaddr == vm_address(1)
    })?;
    ensure!(request.envelope.destination == GATEWAY, "{request:?}");
    let (_, ack) = answer(&capture, &request, message_type::ACK)?;
    ensure!(ack.envelope.destination == vm_address(1), "{ack:?}");
    guest.is_configured(vm_address(1), GATEWAY, BOUND)?;
    row.passed(Column::Renewal, "unicast, ACK")?;

    guest.run("kill -USR2 $(cat /run/udhcpc.pid)", BOUND)?;
    capture.wait_for("a RELEASE", BOUND, |_, message| {
        message.message_type() == message_type::RELEASE && message.ciaddr == vm_address(1)
    })?;
    // It has given its address back, and may ask for it again.
    guest.run(
        "until [ -z \"$(ip -4 addr show eth0)\" ]; do sleep 0.1; done",
        BOUND,
    )?;
    guest.run("kill -USR1 $(cat /run/udhcpc.pid)", BOUND)?;
    guest.run(
        "until ip route | grep -q default; do sleep 0.1; done",
        BOUND,
    )?;
    guest.is_configured(vm_address(1), GATEWAY, BOUND)?;
    agent.wait("virbr1", "bound", BOUND)?;
    row.passed(Column::Release, "RELEASE, same address")
}

#[test]
fn a_linux_guest_that_reboots_gets_its_address_again() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let _agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let mut guest = start(&host)?;
    guest.wait_ready(BOUND)?;
    guest.enter("reboot -f")?;
    guest.wait_ready(BOUND)?;
    guest.is_configured(vm_address(1), GATEWAY, BOUND)?;
    fabric.ping(vm_address(1))?;
    Row::of(&guest)?.passed(Column::Reboot, "DISCOVER, same address")
}

/// The guest behind `vnet1` in `virbr1`.
fn start(host: &Host) -> Result<Linux> {
    Ok(Linux::on(
        host.qemu(1, &Linux::boot(&BootFiles::prepared()?)?)?,
    ))
}

fn answer(
    capture: &Capture,
    request: &Message,
    kind: u8,
) -> Result<(slash32_tests::Frame, Message)> {
    capture.wait_for("an answer", BOUND, |_, message| {
        message.message_type() == kind
            && message.xid == request.xid
            && message.address(code::SERVER_IDENTIFIER) == Some(GATEWAY)
    })
}

/// The guest's row in the matrix of clients.
struct Row(String);

impl Row {
    fn of(guest: &Linux) -> Result<Self> {
        let kernel = guest.run("uname -r", BOUND)?;
        let busybox = guest.run("busybox | head -n 1 | cut -d ' ' -f 2", BOUND)?;
        Ok(Self(format!("{kernel}, busybox {busybox}")))
    }

    fn passed(&self, column: Column, text: &str) -> Result<()> {
        record(CLIENT, &self.0, column, &Cell::passed(text))
    }
}
