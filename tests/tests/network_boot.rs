//! Firmware that boots over the network behind a /32, each fetching what it boots from beyond the hypervisor: iPXE, and BIOS
//! and UEFI led to it by one config.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Boot, BootFiles, FileServer, GATEWAY, Host, MacAddr, NetworkBoot, RouterAdvertiser,
    Stage,
    dhcp::{code, message_type},
    matrix::{Cell, Column, record},
};
use std::{fs, net::Ipv4Addr, process::Command, time::Duration};

/// The longest takes half a minute, and more on a machine that is busy with other cases.
const BOUND: Duration = Duration::from_secs(120);
/// Where the example's files are: an address of the fabric's own, beyond the hypervisor.
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The address of the first VM of the example.
const VM: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// One config for all firmware.
const EXAMPLE: &str = include_str!("../../examples/network-boot.toml");
const ONE_VM: Ipv4Addr = Ipv4Addr::BROADCAST;
/// What old iPXE is given for a mask.
const OLD_IPXE: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 252);

/// Option 67 (RFC 2132 §9.5).
const BOOTFILE_NAME: u8 = 67;
/// Option 93 (RFC 4578).
const ARCHITECTURE: u8 = 93;

#[test]
fn old_ipxe_fetches_by_unicast_under_the_mask_it_is_given_and_not_at_all_under_32_bits()
-> Result<()> {
    // The first and the last file are fetched with the mask of the answer, the one between with a mask of 32 bits.
    let menu = format!(
        "#!ipxe\nset server http://{SERVER}\nimgfetch ${{server}}/given?netmask=${{netmask}}&${{version}} ||\n\
         set net0/netmask {ONE_VM}\nimgfetch --timeout 3000 ${{server}}/narrow?netmask=${{netmask}} ||\n\
         clear net0/netmask\nimgfetch ${{server}}/again?netmask=${{netmask}} ||\n"
    );
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let mut files = vec![("menu.ipxe", menu.into_bytes())];
    files.extend(["given", "narrow", "again"].map(|name| (name, b"#!ipxe\n".to_vec())));
    let server = FileServer::start(fabric.namespace(), SERVER, files)?;
    let _agent = Agent::start(&host, EXAMPLE)?;
    let vm = NetworkBoot::start(&host, &Boot::Bios, SERVER)?;

    let ran = server.wait_for("the file after the others", BOUND, |request| {
        request.path == format!("again?netmask={OLD_IPXE}") && request.complete
    })?;
    ensure!(ran.from == VM, "{ran:?}");
    let asked = server.requests();
    let asked_for = |name: &str| asked.iter().find(|request| request.path.starts_with(name));
    ensure!(asked_for("narrow").is_none(), "{asked:#?}");
    let given = asked_for("given").context("the first file was not fetched")?;
    let version = given
        .path
        .strip_prefix(&format!("given?netmask={OLD_IPXE}&"))
        .with_context(|| format!("{given:?}"))?;

    let (_, offer) = vm.answer(message_type::OFFER, Stage::Ipxe)?;
    ensure!(
        offer.address(code::SUBNET_MASK) == Some(OLD_IPXE),
        "{offer:?}"
    );
    let (broadcast, unicast): (Vec<_>, Vec<_>) = vm
        .destinations()?
        .into_iter()
        .partition(|destination| *destination == MacAddr::BROADCAST);
    ensure!(vm.looked_for(GATEWAY)?);
    ensure!(
        !broadcast.is_empty(),
        "with a mask of 32 bits it should send to broadcast"
    );
    ensure!(
        !unicast.is_empty()
            && unicast
                .iter()
                .all(|destination| *destination == vm.bridge()),
        "all other frames should go to {}: {unicast:?}",
        vm.bridge()
    );
    let row = |column, text: &str| record("iPXE, BIOS ROM", version, column, &Cell::passed(text));
    row(Column::FirstBoot, "DISCOVER, ACK")?;
    row(Column::Address, "mask 255.255.255.252")?;
    row(Column::Fetch, "HTTP")
}

#[test]
fn bios_firmware_is_led_to_ipxe_and_ipxe_to_its_menu() -> Result<()> {
    // The only BIOS firmware at hand is iPXE itself; so that it is taken for another one, it says so.
    let files = BootFiles::prepared()?;
    let script = tempfile::NamedTempFile::new()?;
    fs::write(
        script.path(),
        "#!ipxe\nset user-class firmware\nautoboot net0\n",
    )?;
    let boot = Boot::Kernel {
        kernel: files.path("ipxe.lkrn")?,
        initrd: script.path().to_owned(),
        command_line: String::new(),
    };
    let firmware = Firmware {
        boot,
        says: "PXEClient:Arch:00000",
        architecture: 0,
        netmask: OLD_IPXE,
    };
    let version = firmware.is_led_to_the_menu("RRQ", "undionly.kpxe", "undionly.kpxe")?;
    record(
        "iPXE, undionly.kpxe",
        &version,
        Column::Fetch,
        &Cell::passed("HTTP"),
    )
}

#[test]
fn uefi_firmware_is_led_to_ipxe_and_ipxe_to_its_menu() -> Result<()> {
    let firmware = Firmware {
        boot: Boot::UefiPxe,
        says: "PXEClient:Arch:00007",
        architecture: 7,
        netmask: ONE_VM,
    };
    let version = firmware.is_led_to_the_menu("RRQ", "ipxe.efi", "ipxe.efi")?;
    record(
        "iPXE, ipxe.efi",
        &version,
        Column::Fetch,
        &Cell::passed("HTTP"),
    )?;
    ovmf("OVMF, PXE", "TFTP")
}

#[test]
fn uefi_firmware_that_boots_by_http_is_led_to_ipxe_and_ipxe_to_its_menu() -> Result<()> {
    let firmware = Firmware {
        boot: Boot::UefiHttp,
        says: "HTTPClient:Arch:00016",
        architecture: 16,
        netmask: ONE_VM,
    };
    firmware.is_led_to_the_menu("GET", "ipxe.efi", &format!("http://{SERVER}/ipxe.efi"))?;
    ovmf("OVMF, HTTP boot", "HTTP")
}

/// Keeps what OVMF, which has passed, found.
fn ovmf(client: &str, fetch: &str) -> Result<()> {
    let package = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Version}", "ovmf"])
        .output()?;
    let version = String::from_utf8(package.stdout)?;
    let row = |column, text: &str| record(client, &version, column, &Cell::passed(text));
    row(Column::FirstBoot, "DISCOVER, ACK")?;
    row(Column::Address, "/32")?;
    row(Column::Routes, "default (3)")?;
    row(Column::Fetch, fetch)
}

/// Firmware as the server knows it.
struct Firmware {
    boot: Boot,
    /// How its vendor class begins.
    says: &'static str,
    architecture: u8,
    /// The mask that it is given.
    netmask: Ipv4Addr,
}

impl Firmware {
    /// Boots it under the example, and sees it fetch `loader` with `method` because it was told `boot_file`, and iPXE,
    /// which that is, its menu, which runs. Returns iPXE's version.
    fn is_led_to_the_menu(&self, method: &str, loader: &str, boot_file: &str) -> Result<String> {
        let host = Host::new()?;
        let fabric = host.fabric()?;
        let menu =
            format!("#!ipxe\nimgfetch http://{SERVER}/ran?netmask=${{netmask}}&${{version}} ||\n");
        let files = [
            (loader, BootFiles::prepared()?.read(loader)?),
            ("menu.ipxe", menu.into_bytes()),
            ("ran", b"#!ipxe\n".to_vec()),
        ];
        let server = FileServer::start(fabric.namespace(), SERVER, files)?;
        let _agent = Agent::start(&host, EXAMPLE)?;
        let vm = NetworkBoot::start(&host, &self.boot, SERVER)?;
        let _advertiser = RouterAdvertiser::start(host.namespace(), NetworkBoot::TAP)?;

        server.wait_fetched(method, loader, BOUND)?;
        server.wait_fetched("GET", "menu.ipxe", BOUND)?;
        let beginning = format!("ran?netmask={OLD_IPXE}&");
        let ran = server.wait_for("the menu to run", BOUND, |request| {
            request.path.starts_with(&beginning) && request.complete
        })?;
        ensure!(ran.from == VM, "{ran:?}");

        let (request, firmware) = vm.answer(message_type::ACK, Stage::Firmware(self.says))?;
        ensure!(
            request.option(ARCHITECTURE) == Some(&[0, self.architecture]),
            "{request:?}"
        );
        ensure!(
            firmware.option(BOOTFILE_NAME) == Some(boot_file.as_bytes()),
            "{firmware:?}"
        );
        ensure!(
            firmware.address(code::SUBNET_MASK) == Some(self.netmask),
            "{firmware:?}"
        );
        let (_, ipxe) = vm.answer(message_type::ACK, Stage::Ipxe)?;
        let menu = format!("http://{SERVER}/menu.ipxe");
        ensure!(
            ipxe.option(BOOTFILE_NAME) == Some(menu.as_bytes()),
            "{ipxe:?}"
        );
        for ack in [firmware, ipxe] {
            ensure!(ack.yiaddr == VM, "{ack:?}");
        }
        if self.netmask == ONE_VM {
            // UEFI looks for the server on its link first.
            ensure!(vm.looked_for(SERVER)?);
        }
        vm.talked_to(GATEWAY)?;
        Ok(ran.path[beginning.len()..].to_owned())
    }
}
