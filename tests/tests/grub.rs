//! GRUB that is loaded by UEFI over the network: it needs a gateway inside its mask to fetch from beyond the hypervisor.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Boot, BootFiles, Fabric, FileServer, Host, NetworkBoot, Stage,
    dhcp::{code, message_type},
    matrix::{Cell, Column, record},
};
use std::{net::Ipv4Addr, time::Duration};

/// It takes a quarter of a minute, and more on a machine that is busy with other cases.
const BOUND: Duration = Duration::from_secs(120);
/// Where GRUB is: an address of the fabric's own, beyond the hypervisor.
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The address of the first VM, the gateway and the mask of the operator's guide.
const VM: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const WIDE: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);

#[test]
fn grub_fetches_with_the_lease_of_its_firmware_and_the_system_gets_its_32_bits() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let server = grub_server(&fabric, "echo it goes on\n")?;
    let _agent = Agent::start(&host, documented())?;
    let vm = NetworkBoot::start(&host, &Boot::UefiPxe, SERVER)?;
    let fetched = server.wait_fetched("RRQ", "grub/grub.cfg", BOUND)?;
    ensure!(fetched.from == VM, "{fetched:?}");
    vm.wait_console("it goes on", BOUND)?;
    vm.talked_to(GATEWAY)?;
    let system = host.raw_vm(2)?.bind()?;
    ensure!(
        system.address(code::SUBNET_MASK) == Some(Ipv4Addr::BROADCAST),
        "{system:?}"
    );
    let version = version(&vm)?;
    let row = |column, text: &str| record("GRUB", &version, column, &Cell::passed(text));
    row(Column::Address, "with `netmask`")?;
    row(
        Column::Fetch,
        "TFTP, with `netmask` and a gateway inside it",
    )
}

#[test]
fn grub_that_asks_for_its_own_lease_fetches_when_its_network_has_a_netmask() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let server = grub_server(
        &fabric,
        // Without what it has of the firmware.
        &format!(
            "net_del_route efinet0:default\nnet_del_route efinet0:local\n\
             net_bootp\nsource (tftp,{SERVER})/after-net_bootp.cfg\n"
        ),
    )?;
    let network = "allocation = \"automatic\"";
    let wide = format!("{network}\noptions = {{ netmask = \"255.255.255.0\" }}");
    let _agent = Agent::start(&host, &documented().replace(network, &wide))?;
    let vm = NetworkBoot::start(&host, &Boot::UefiPxe, SERVER)?;
    let last = server.wait_fetched("RRQ", "after-net_bootp.cfg", BOUND)?;
    ensure!(last.from == VM, "{last:?}");
    let (_, ack) = vm.answer(message_type::ACK, Stage::Silent)?;
    ensure!(ack.address(code::SUBNET_MASK) == Some(WIDE), "{ack:?}");
    vm.talked_to(GATEWAY)?;
    let cell = Cell::passed("DISCOVER, ACK");
    record("GRUB", &version(&vm)?, Column::FirstBoot, &cell)
}

#[test]
fn grub_reaches_nothing_with_a_mask_of_32_bits() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let server = grub_server(&fabric, "")?;
    let config = documented().replace(", netmask = \"255.255.255.0\"", "");
    let _agent = Agent::start(&host, &config)?;
    let vm = NetworkBoot::start(&host, &Boot::UefiPxe, SERVER)?;
    // It could not read its configuration, so it asks what to do; told to, it cannot either.
    version(&vm)?;
    let console = vm.machine().console();
    console.enter(&format!("cat (tftp,{SERVER})/grub/grub.cfg\r"))?;
    vm.wait_console("error: route loop detected", BOUND)?;
    let asked = server.requests();
    ensure!(
        asked.iter().all(|request| request.path == "grubnetx64.efi"),
        "{asked:#?}"
    );
    Ok(())
}

/// The config for GRUB in the operator's guide.
fn documented() -> &'static str {
    const GUIDE: &str = include_str!("../../docs/network-boot.md");
    let block = GUIDE.split("```toml\n").nth(1);
    block
        .and_then(|rest| rest.split("```").next())
        .expect("the guide has a config")
}

/// A server with GRUB, and its configuration.
fn grub_server(fabric: &Fabric, config: &str) -> Result<FileServer> {
    let grub = BootFiles::prepared()?.read("grubnetx64.efi")?;
    let files = [
        ("grubnetx64.efi", grub),
        ("grub/grub.cfg", config.into()),
        // An empty one is none to GRUB.
        ("after-net_bootp.cfg", b"echo it goes on\n".to_vec()),
    ];
    FileServer::start(fabric.namespace(), SERVER, files)
}

/// Waits for its prompt, and returns its version.
fn version(vm: &NetworkBoot) -> Result<String> {
    let says = "GNU GRUB  version ";
    let line = vm.wait_console(says, BOUND)?;
    let version = line.split(says).nth(1);
    let version = version.and_then(|rest| rest.split_whitespace().next());
    Ok(version
        .context("GRUB does not tell its version")?
        .to_owned())
}
