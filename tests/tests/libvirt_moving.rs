//! The guide's page on moving to slash32: what a VM that has its lease from another server notices of it.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use slash32_tests::{
    Agent, BootFiles, Capture, Fabric, Guest, Host, Process, Software,
    dhcp::message_type,
    guest_mac, guide,
    libvirt::{Domain, Libvirtd, Nic, Source},
    until,
};
use std::{
    fs,
    io::Read,
    net::Ipv4Addr,
    process::{Command, Stdio},
    time::Duration,
};

const PAGE: &str = include_str!("../../docs/migrating.md");
const DHCPD: &str = "From one ISC dhcpd a bridge";
const DNSMASQ: &str = "From libvirt's dnsmasq";
/// What a client or a guest may take on a machine that is busy with other cases.
const BOUND: Duration = Duration::from_secs(90);
/// The VM of the page.
const VM: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
/// Its gateway in a network of libvirt's with `<dhcp>`.
const OLD_GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// How many pings may be lost, of ten a second: clients that set their address anew with each renewal are without it for a
/// moment.
const LOST: u32 = 2;

#[test]
fn dhclient_renews_what_a_dhcpd_gave_it() -> Result<()> {
    moves_from_dhcpd(Software::Dhclient)
}

#[test]
fn udhcpc_renews_what_a_dhcpd_gave_it() -> Result<()> {
    moves_from_dhcpd(Software::Udhcpc)
}

#[test]
fn dhcpcd_renews_what_a_dhcpd_gave_it() -> Result<()> {
    moves_from_dhcpd(Software::Dhcpcd)
}

#[test]
fn networkd_renews_what_a_dhcpd_gave_it() -> Result<()> {
    moves_from_dhcpd(Software::Networkd)
}

/// A VM with its own dhcpd, a script's route, and this client: the page's steps are taken, and it stays reachable, and renews.
fn moves_from_dhcpd(software: Software) -> Result<()> {
    let page = guide::section(PAGE, DHCPD)?;
    let [dhcpd_conf] = guide::in_language(page, "conf")?;
    let [script] = guide::in_language(page, "text")?;
    let [config] = guide::in_language(page, "toml")?;
    let host = Host::new()?;
    let fabric = host.fabric()?;
    host.bridge("virbr13")?;
    let namespace = host.namespace();
    namespace.ip("addr add 169.254.0.1/32 dev virbr13")?;
    namespace.run("sh", &["-ec", script])?;
    // So that it renews soon.
    let short = dhcpd_conf.replace("86400", "20");
    ensure!(short != dhcpd_conf, "{dhcpd_conf}");
    let mut dhcpd = dhcpd(&host, "virbr13", &short)?;
    let guest = host.guest("virbr13", 0x13)?;
    let capture = Capture::open(namespace, "vnet19")?;
    let _client = guest.start(software)?;
    has_address(&guest)?;
    until("the VM to answer", BOUND, || Ok(fabric.ping(VM).ok()))?;

    let pinging = Pinging::start(&fabric)?;
    let agent = Agent::start(&host, config)?;
    // Nor does it take the script's route for that of another host.
    agent.wait_row("virbr13", "routed", BOUND, |row| {
        row["route"] == true && row["state"] == "ready" && row["reason"].is_null()
    })?;
    let flush = "ip route flush proto static root 203.0.113.0/24";
    ensure!(page.contains(flush), "it is not on the page: {flush}");
    namespace.run("sh", &["-ec", flush])?;
    let route = host.route_to(VM)?.context("no host route")?;
    ensure!(route["protocol"] == "132", "{route}");
    dhcpd.signal(Signal::SIGTERM)?;
    dhcpd.wait(BOUND)?;

    agent.wait("virbr13", "bound", BOUND)?;
    renewed_by_unicast(&capture, Ipv4Addr::new(169, 254, 0, 1))?;
    ensure!(has_address(&guest)? == [(VM, 32)]);
    pinging.ends_with_few_lost(&fabric)
}

#[test]
fn a_vm_of_dnsmasq_moves_to_a_network_of_its_own_while_it_runs() -> Result<()> {
    let page = guide::section(PAGE, DNSMASQ)?;
    let [old, new] = guide::in_language(page, "xml")?;
    let [config] = guide::in_language(page, "toml")?;
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let libvirtd = Libvirtd::start(&host)?;
    libvirtd.start_network("public", old)?;
    let domain = Domain::new("web1", 0x13)
        .boots_linux(&BootFiles::prepared()?)?
        .nic(guest_mac(0x13), Source::Network("public".to_owned()));
    let mut guest = libvirtd.start_linux(&domain)?;
    guest.wait_ready(BOUND)?;
    fabric.ping(VM)?;

    let pinging = Pinging::start(&fabric)?;
    let agent = Agent::start(&host, config)?;
    libvirtd.start_network("web1", new)?;
    agent.wait("virbr13", "idle", BOUND)?;
    let capture = Capture::open(host.namespace(), "virbr13")?;
    let moved = Nic {
        mac: guest_mac(0x13),
        source: Source::Network("web1".to_owned()),
    };
    let file = "/run/interface.xml";
    fs::write(host.namespace().path(file), moved.xml())?;
    libvirtd.virsh(&["update-device", "web1", file, "--live", "--config"])?;
    agent.wait_row("virbr13", "routed", BOUND, |row| {
        row["route"] == true && row["state"] == "ready"
    })?;
    fabric.ping(VM)?;
    guest.run("kill -USR1 $(cat /run/udhcpc.pid)", BOUND)?;
    agent.wait("virbr13", "bound", BOUND)?;
    renewed_by_unicast(&capture, OLD_GATEWAY)?;
    // Its client puts that on the card a moment later.
    until("the guest to have a /32", BOUND, || {
        Ok(guest
            .run(&format!("ip addr | grep 'inet {VM}/32'"), BOUND)
            .ok())
    })?;
    fabric.ping(VM)?;
    pinging.ends_with_few_lost(&fabric)
}

#[test]
fn a_network_of_one_vm_gives_up_its_dhcp_while_the_vm_runs() -> Result<()> {
    let page = guide::section(PAGE, DNSMASQ)?;
    let [old, _] = guide::in_language(page, "xml")?;
    let [config] = guide::in_language(page, "toml")?;
    let [commands] = guide::in_language(page, "text")?;
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let libvirtd = Libvirtd::start(&host)?;
    let one = old.replace("virbr5", "virbr13");
    libvirtd.start_network("public", &one)?;
    let guest = host.guest("virbr13", 0x13)?;
    let capture = Capture::open(host.namespace(), "vnet19")?;
    let client = guest.start(Software::Udhcpc)?;
    ensure!(has_address(&guest)? == [(VM, 24)]);
    fabric.ping(VM)?;

    let pinging = Pinging::start(&fabric)?;
    let agent = Agent::start(&host, config)?;
    agent.wait("virbr13", "failed", BOUND)?;
    host.namespace().run("sh", &["-ec", commands])?;
    agent.wait_row("virbr13", "routed", BOUND, |row| {
        row["route"] == true && row["state"] == "ready"
    })?;
    fabric.ping(VM)?;
    client.renew(&guest)?;
    agent.wait("virbr13", "bound", BOUND)?;
    renewed_by_unicast(&capture, OLD_GATEWAY)?;
    until("the mask of a /32", BOUND, || {
        Ok((guest.addresses()? == [(VM, 32)]).then_some(()))
    })?;
    pinging.ends_with_few_lost(&fabric)
}

/// Waits until the guest has the VM's address, and returns all addresses that it has.
fn has_address(guest: &Guest) -> Result<Vec<(Ipv4Addr, u8)>> {
    until("the VM to have its address", BOUND, || {
        let addresses = guest.addresses()?;
        let has = addresses.iter().any(|(address, _)| *address == VM);
        Ok(has.then_some(addresses))
    })
}

/// The last that was seen of DHCP is a renewal that was sent to `server`, and its ACK.
fn renewed_by_unicast(capture: &Capture, server: Ipv4Addr) -> Result<()> {
    let messages = capture.messages()?;
    let mut last = messages.iter().rev().map(|(_, message)| message);
    let (ack, request) = (last.next(), last.next());
    let ack = ack.context("no DHCP")?;
    let request = request.context("no request")?;
    ensure!(
        ack.message_type() == message_type::ACK && ack.yiaddr == VM,
        "{ack:?}"
    );
    ensure!(
        request.message_type() == message_type::REQUEST
            && request.ciaddr == VM
            && request.envelope.destination == server,
        "{request:?}"
    );
    Ok(())
}

/// A dhcpd for one link.
fn dhcpd(host: &Host, link: &str, config: &str) -> Result<Process> {
    let file = |name: &str| format!("/run/dhcpd.{name}");
    fs::write(host.namespace().path(file("conf")), config)?;
    fs::write(host.namespace().path(file("leases")), "")?;
    let mut command = Command::new("dhcpd");
    command.args([
        "-4",
        "-f",
        "-d",
        "-cf",
        &file("conf"),
        "-lf",
        &file("leases"),
    ]);
    command
        .args(["-pf", &file("pid"), link])
        .stdin(Stdio::null());
    host.namespace()
        .spawn(&mut command)
        .context("it comes with the package isc-dhcp-server")
}

/// Ten pings a second from the fabric to the VM.
struct Pinging(Process);

impl Pinging {
    fn start(fabric: &Fabric) -> Result<Self> {
        let mut ping = Command::new("ping");
        ping.args(["-n", "-q", "-i", "0.1", "-W", "2"])
            .arg(VM.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Ok(Self(fabric.namespace().spawn(&mut ping)?))
    }

    /// Ends it, a second after what was done. Errors: more than a few were not answered.
    fn ends_with_few_lost(mut self, fabric: &Fabric) -> Result<()> {
        // As many again at the same pace, so that enough were sent however quick it was.
        let vm = VM.to_string();
        let more = ["-n", "-q", "-c", "12", "-i", "0.1", &vm];
        fabric.namespace().run("ping", &more)?;
        self.0.signal(Signal::SIGINT)?;
        self.0.wait(BOUND)?;
        let mut said = String::new();
        let output = self.0.child().stdout.take();
        output.context("no output")?.read_to_string(&mut said)?;
        let counts: Vec<u32> = said
            .lines()
            .find(|line| line.contains("packets transmitted"))
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        // The last may be on its way when it ends.
        let few =
            matches!(counts[..], [sent, answered, ..] if sent > 10 && sent - answered <= LOST + 1);
        ensure!(few, "{said}");
        Ok(())
    }
}
