//! A VM that is installed over the network: the boot ROM of its card fetches an installer from beyond the hypervisor, and the
//! installer has its /32 and is reached.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Boot, BootFiles, Capture, FileServer, Host, Namespace, NetworkBoot,
    dhcp::{code, message_type},
    guide,
    libvirt::{Libvirtd, open_network},
    linux,
};
use std::{net::Ipv4Addr, time::Duration};

/// Half a minute, and more on a machine that is busy with other cases.
const BOUND: Duration = Duration::from_secs(150);
/// Where the example's files are: an address of the fabric's own, beyond the hypervisor.
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The address of the first VM of the example.
const VM: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// What old iPXE is given for a mask.
const OLD_IPXE: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 252);
const EXAMPLE: &str = include_str!("../../examples/network-boot.toml");
const PAGE: &str = include_str!("../../docs/network-boot.md");

#[test]
fn a_domain_that_boots_from_the_network_is_installed_from_beyond_and_is_reached() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let server = installer(fabric.namespace())?;
    let agent = Agent::start(&host, EXAMPLE)?;
    let libvirtd = Libvirtd::start_with_hooks(&host, &agent)?;
    libvirtd.start_network("web1", &open_network("web1", "virbr13", ""))?;
    let capture = Capture::open(host.namespace(), "virbr13")?;
    let [domain] = guide::in_language(PAGE, "xml")?;
    // As on a machine without KVM.
    libvirtd.virsh_xml(&["define"], &domain.replace("'kvm'", "'qemu'"))?;
    libvirtd.virsh(&["start", "web1"])?;
    fetches_all(&server)?;
    // Both iPXE and the installer ask for an address.
    capture.wait_for("the installer's ACK", BOUND, |_, message| {
        message.message_type() == message_type::ACK && mask(message) == Some(Ipv4Addr::BROADCAST)
    })?;
    let messages = capture.messages()?;
    let acks: Vec<_> = messages
        .iter()
        .map(|(_, message)| message)
        .filter(|message| message.message_type() == message_type::ACK)
        .collect();
    ensure!(
        acks.iter().all(|ack| ack.yiaddr == VM),
        "all stages should get one address: {acks:?}"
    );
    ensure!(mask(acks[0]) == Some(OLD_IPXE), "{acks:?}");
    let row = agent.wait("virbr13", "bound", BOUND)?;
    ensure!(row["vm"] == "web1", "{row}");
    slash32_tests::until("the installer to answer", BOUND, || {
        Ok(fabric.ping(VM).ok())
    })
}

#[test]
fn a_machine_that_ipxe_boots_from_beyond_has_its_32_bits_and_is_reached() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let server = installer(fabric.namespace())?;
    let agent = Agent::start(&host, EXAMPLE)?;
    let vm = NetworkBoot::start(&host, &Boot::Bios, SERVER)?;
    fetches_all(&server)?;
    vm.wait_console(linux::READY, BOUND)?;
    vm.wait_console(&format!("inet {VM}/32"), BOUND)?;
    fabric.ping(VM)?;
    agent.wait("virbr1", "bound", BOUND).map(drop)
}

fn mask(message: &slash32_tests::dhcp::Message) -> Option<Ipv4Addr> {
    message.address(code::SUBNET_MASK)
}

/// A server with an installer, and the menu of the guide that boots it.
fn installer(namespace: &Namespace) -> Result<FileServer> {
    let boot = BootFiles::prepared()?;
    let menu = guide::blocks(PAGE)
        .into_iter()
        .find(|block| block.text.starts_with("#!ipxe"))
        .context("the guide has no menu")?;
    let files = [
        ("menu.ipxe", menu.text.as_bytes().to_owned()),
        ("vmlinuz", boot.read("vmlinuz")?),
        ("initramfs", boot.read("initramfs")?),
    ];
    FileServer::start(namespace, SERVER, files)
}

/// Waits until the VM has fetched the menu and all that it names.
fn fetches_all(server: &FileServer) -> Result<()> {
    for file in ["menu.ipxe", "vmlinuz", "initramfs"] {
        let fetched = server.wait_fetched("GET", file, BOUND)?;
        ensure!(fetched.from == VM, "{fetched:?}");
    }
    Ok(())
}
