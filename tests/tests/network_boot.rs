//! Firmware that boots over the network behind a /32, each fetching what it boots from beyond the hypervisor: iPXE, BIOS
//! and UEFI led by one config, and GRUB, which needs a wider mask.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use etherparse::{NetSlice, SlicedPacket};
use slash32_tests::{
    Agent, Boot, BootFiles, Capture, Fabric, FileServer, GATEWAY, Host, MacAddr, Qemu,
    RouterAdvertiser,
    dhcp::{Message, code, message_type},
    guest_mac,
    matrix::{Cell, Column, record},
};
use std::{fs, net::Ipv4Addr, process::Command, time::Duration};

/// The longest takes half a minute on a machine that has time.
const BOUND: Duration = Duration::from_secs(120);
/// Where the example's files are: an address of the fabric's own, beyond the hypervisor.
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The address of the first VM of the example and of the other config here.
const VM: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// One config for all firmware.
const EXAMPLE: &str = include_str!("../../examples/network-boot.toml");
const ONE_VM: Ipv4Addr = Ipv4Addr::BROADCAST;
/// The gateway and the mask of the operator's guide for GRUB.
const GRUB_GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const WIDE: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const OLD_IPXE: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 252);

/// Option 60 (RFC 2132 §9.13).
const VENDOR_CLASS: u8 = 60;
/// Option 67 (RFC 2132 §9.5).
const BOOTFILE_NAME: u8 = 67;
/// Option 77 (RFC 3004).
const USER_CLASS: u8 = 77;
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
    let vm = Vm::start(&host, &Boot::Bios)?;

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

    let offer = vm.answer(message_type::OFFER, "iPXE")?;
    ensure!(
        offer.address(code::SUBNET_MASK) == Some(OLD_IPXE),
        "{offer:?}"
    );
    let (broadcast, unicast): (Vec<_>, Vec<_>) = vm
        .destinations_of_frames_to_server()?
        .into_iter()
        .partition(|destination| *destination == MacAddr::BROADCAST);
    ensure!(vm.looks_for(GATEWAY)?);
    ensure!(
        !broadcast.is_empty(),
        "with a mask of 32 bits it should send to broadcast"
    );
    ensure!(
        !unicast.is_empty() && unicast.iter().all(|destination| *destination == vm.bridge),
        "all other frames should go to {}: {unicast:?}",
        vm.bridge
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

#[test]
fn grub_fetches_with_the_lease_of_its_firmware_and_the_system_gets_its_32_bits() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let server = grub_server(&fabric, "echo it goes on\n")?;
    let _agent = Agent::start(&host, documented())?;
    let vm = Vm::start(&host, &Boot::UefiPxe)?;
    let fetched = server.wait_fetched("RRQ", "grub/grub.cfg", BOUND)?;
    ensure!(fetched.from == VM, "{fetched:?}");
    vm.console("it goes on")?;
    vm.talks_to(GRUB_GATEWAY)?;
    let system = host.raw_vm(2)?.bind()?;
    ensure!(
        system.address(code::SUBNET_MASK) == Some(ONE_VM),
        "{system:?}"
    );
    let version = vm.grub_version()?;
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
        &format!("net_bootp\nsource (tftp,{SERVER})/after-net_bootp.cfg\n"),
    )?;
    let network = "allocation = \"automatic\"";
    let wide = format!("{network}\noptions = {{ netmask = \"255.255.255.0\" }}");
    let _agent = Agent::start(&host, &documented().replace(network, &wide))?;
    let vm = Vm::start(&host, &Boot::UefiPxe)?;
    let last = server.wait_fetched("RRQ", "after-net_bootp.cfg", BOUND)?;
    ensure!(last.from == VM, "{last:?}");
    let ack = vm.answer(message_type::ACK, "")?;
    ensure!(ack.address(code::SUBNET_MASK) == Some(WIDE), "{ack:?}");
    vm.talks_to(GRUB_GATEWAY)?;
    let cell = Cell::passed("DISCOVER, ACK");
    record("GRUB", &vm.grub_version()?, Column::FirstBoot, &cell)
}

#[test]
fn grub_reaches_nothing_with_a_mask_of_32_bits() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let server = grub_server(&fabric, "")?;
    let config = documented().replace(", netmask = \"255.255.255.0\"", "");
    let _agent = Agent::start(&host, &config)?;
    let vm = Vm::start(&host, &Boot::UefiPxe)?;
    // It could not read its configuration, so it asks what to do; told to, it cannot either.
    vm.grub_version()?;
    let console = vm.machine.console();
    console.enter(&format!("cat (tftp,{SERVER})/grub/grub.cfg\r"))?;
    vm.console("error: route loop detected")?;
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
        ("after-net_bootp.cfg", Vec::new()),
    ];
    FileServer::start(fabric.namespace(), SERVER, files)
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
        let vm = Vm::start(&host, &self.boot)?;
        let _advertiser = RouterAdvertiser::start(host.namespace(), TAP)?;

        server.wait_fetched(method, loader, BOUND)?;
        server.wait_fetched("GET", "menu.ipxe", BOUND)?;
        let beginning = format!("ran?netmask={OLD_IPXE}&");
        let ran = server.wait_for("the menu to run", BOUND, |request| {
            request.path.starts_with(&beginning) && request.complete
        })?;
        ensure!(ran.from == VM, "{ran:?}");

        let firmware = vm.answer(message_type::ACK, self.says)?;
        let request = vm.request(&firmware)?;
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
        let ipxe = vm.answer(message_type::ACK, "iPXE")?;
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
            ensure!(vm.looks_for(SERVER)?);
        }
        vm.talks_to(GATEWAY)?;
        Ok(ran.path[beginning.len()..].to_owned())
    }
}

/// The tap and the bridge of the only VM of a case.
const TAP: &str = "vnet1";
const BRIDGE: &str = "virbr1";

/// A machine behind a bridge, and all its frames.
struct Vm {
    machine: Qemu,
    capture: Capture,
    bridge: MacAddr,
}

impl Vm {
    fn start(host: &Host, boot: &Boot) -> Result<Self> {
        host.bridge(BRIDGE)?;
        host.qemu_tap(TAP, Some(BRIDGE))?;
        let links = host
            .namespace()
            .ip_json(&format!("link show dev {BRIDGE}"))?;
        let bridge = links[0]["address"]
            .as_str()
            .context("a bridge without an address")?;
        Ok(Self {
            capture: Capture::open(host.namespace(), TAP)?,
            machine: Qemu::start(host, TAP, 1, boot)?,
            bridge: bridge
                .parse()
                .map_err(|_| anyhow::anyhow!("{bridge} is no MAC"))?,
        })
    }

    /// Waits until its console has a line with `text`.
    fn console(&self, text: &str) -> Result<String> {
        let console = self.machine.console();
        let place = console.wait_line(text, 0, BOUND, |line| line.contains(text))?;
        Ok(console.lines()[place].clone())
    }

    /// Waits for GRUB's prompt, and returns its version.
    fn grub_version(&self) -> Result<String> {
        let says = "GNU GRUB  version ";
        let line = self.console(says)?;
        let version = line
            .split(says)
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next());
        Ok(version
            .context("GRUB does not tell its version")?
            .to_owned())
    }

    /// The first answer of this type to a client whose user class is `client`, or whose vendor class begins with it and
    /// whose user class is not iPXE's.
    fn answer(&self, kind: u8, client: &str) -> Result<Message> {
        let is = |request: &Message| {
            let class = request.option(USER_CLASS).unwrap_or_default();
            let vendor = request.option(VENDOR_CLASS).unwrap_or_default();
            class == client.as_bytes() || class != b"iPXE" && vendor.starts_with(client.as_bytes())
        };
        let answers = self
            .capture
            .messages()?
            .into_iter()
            .map(|(_, message)| message);
        answers
            .filter(|answer| answer.op == 2 && answer.message_type() == kind)
            .find(|answer| self.request(answer).is_ok_and(|request| is(&request)))
            .with_context(|| format!("{client} had no answer of type {kind}"))
    }

    /// A message that `answer` is an answer to.
    fn request(&self, answer: &Message) -> Result<Message> {
        let messages = self
            .capture
            .messages()?
            .into_iter()
            .map(|(_, message)| message);
        messages
            .filter(|message| message.op == 1)
            .find(|message| message.xid == answer.xid)
            .context("an answer without a request")
    }

    /// The Ethernet destination of each IPv4 frame that it sent to the server.
    fn destinations_of_frames_to_server(&self) -> Result<Vec<MacAddr>> {
        let frames = self.capture.frames()?;
        let to_server = frames.iter().filter(|frame| is_to_server(&frame.bytes));
        let destination = |bytes: &[u8]| bytes.first_chunk().map(|address| MacAddr(*address));
        Ok(to_server
            .filter_map(|frame| destination(&frame.bytes))
            .collect())
    }

    /// Whether it asked who has `address`, by ARP (RFC 826).
    fn looks_for(&self, address: Ipv4Addr) -> Result<bool> {
        const ARP: [u8; 2] = [0x08, 0x06];
        let frames = self.capture.frames()?;
        let target = |frame: &[u8]| frame.get(38..42) == Some(address.octets().as_slice());
        let asks = |frame: &[u8]| frame.get(12..14) == Some(&ARP) && from_vm(frame);
        Ok(frames
            .iter()
            .any(|frame| asks(&frame.bytes) && target(&frame.bytes)))
    }

    /// Checks that it looked for `gateway`, and that all that it sent to the server went into frames to the hypervisor.
    fn talks_to(&self, gateway: Ipv4Addr) -> Result<()> {
        ensure!(self.looks_for(gateway)?, "nobody asked for {gateway}");
        let destinations = self.destinations_of_frames_to_server()?;
        ensure!(
            !destinations.is_empty() && destinations.iter().all(|one| *one == self.bridge),
            "all frames should go to {}: {destinations:?}",
            self.bridge
        );
        Ok(())
    }
}

fn from_vm(frame: &[u8]) -> bool {
    frame.get(6..12) == Some(guest_mac(1).0.as_slice())
}

fn is_to_server(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
        return false;
    };
    matches!(packet.net, Some(NetSlice::Ipv4(ip)) if from_vm(frame) && ip.header().destination_addr() == SERVER)
}
