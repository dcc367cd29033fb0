use crate::{Console, Host, Process, guest_mac, namespace::require};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// The UEFI firmware, and what it stores when it is new (Debian's package ovmf).
const OVMF: [&str; 2] = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_VARS_4M.fd",
];

/// What a machine boots.
#[derive(Clone, Debug)]
pub enum Boot {
    /// This kernel with this initial RAM file system, without firmware before it where the kernel allows that.
    Kernel {
        /// A bzImage, or an ELF file with the PVH entry.
        kernel: PathBuf,
        /// What the boot loader gives it.
        initrd: PathBuf,
        /// Its command line.
        command_line: String,
    },
    /// A kernel as above, and a virtio disk.
    Disk {
        /// A bzImage, or an ELF file with the PVH entry.
        kernel: PathBuf,
        /// What mounts the disk.
        initrd: PathBuf,
        /// Its command line.
        command_line: String,
        /// The disk: an image without a partition table.
        disk: PathBuf,
    },
    /// SeaBIOS, which runs the boot ROM of the network card: iPXE of Debian's package ipxe-qemu.
    Bios,
    /// OVMF, which tries PXE over IPv4 first.
    UefiPxe,
    /// OVMF with PXE switched off, so that it tries HTTP.
    UefiHttp,
}

/// A machine under QEMU (TCG, so no KVM is needed) with one virtio network card and, but for [`Boot::Disk`], no disk. Dropping it is pulling its
/// plug.
///
/// What its console said goes to stderr then (test runners show that for failed cases only), unless it was
/// [hushed](Qemu::hush).
pub struct Qemu {
    hushed: bool,
    console: Console,
    _process: Process,
    _folder: TempDir,
}

impl Host {
    /// Makes the tap `name` for a [`Qemu`], a port of `bridge` if there is one. It has carrier while a machine holds it,
    /// and stays when none does.
    pub fn qemu_tap(&self, name: &str, bridge: Option<&str>) -> Result<()> {
        let master = bridge.map_or_else(String::new, |bridge| format!(" master {bridge}"));
        self.namespace()
            .ip(&format!("tuntap add dev {name} mode tap"))?;
        self.namespace()
            .ip(&format!("link set {name}{master} up"))?;
        Ok(())
    }

    /// A machine behind the tap `vnetNUMBER` in the bridge `virbrNUMBER`; both are made.
    pub fn qemu(&self, number: u16, boot: &Boot) -> Result<Qemu> {
        let (tap, bridge) = (format!("vnet{number}"), format!("virbr{number}"));
        self.bridge(&bridge)?;
        self.qemu_tap(&tap, Some(&bridge))?;
        Qemu::start(self, &tap, number, boot)
    }
}

impl Qemu {
    /// Starts a machine whose network card is tied to `tap` on `host` and has the hardware address of guest `number`.
    ///
    /// Errors: QEMU or the firmware is not installed.
    pub fn start(host: &Host, tap: &str, number: u16, boot: &Boot) -> Result<Self> {
        require(&["qemu-system-x86_64"])?;
        let folder = tempfile::Builder::new().prefix("slash32-qemu-").tempdir()?;
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "qemu64"])
            .args(["-nodefaults", "-display", "none", "-serial", "stdio"])
            .arg("-netdev")
            .arg(format!("tap,id=net0,ifname={tap},script=no,downscript=no"));
        let mut card = format!("virtio-net-pci,netdev=net0,mac={}", guest_mac(number));
        match boot {
            Boot::Kernel {
                kernel,
                initrd,
                command_line,
            } => {
                // Without a boot ROM: nobody needs it, and it takes its time.
                card.push_str(",romfile=");
                qemu.args(["-m", "192", "-kernel"])
                    .arg(kernel)
                    .arg("-initrd")
                    .arg(initrd)
                    .args(["-append", command_line]);
            }
            Boot::Disk {
                kernel,
                initrd,
                command_line,
                disk,
            } => {
                card.push_str(",romfile=");
                qemu.args(["-m", "768", "-smp", "2", "-kernel"])
                    .arg(kernel)
                    .arg("-initrd")
                    .arg(initrd)
                    .args(["-append", command_line, "-drive"])
                    .arg(format!(
                        "if=virtio,format=raw,cache=unsafe,file={}",
                        disk.display()
                    ));
            }
            Boot::Bios => {
                qemu.args(["-m", "192", "-machine", "graphics=off", "-boot", "n"]);
            }
            Boot::UefiPxe | Boot::UefiHttp => {
                // Without iPXE's own UEFI driver in the card's ROM, so that the firmware's is used.
                card.push_str(",romfile=");
                qemu.args(["-m", "256"]);
                uefi(&mut qemu, folder.path())?;
                if matches!(boot, Boot::UefiHttp) {
                    let off = ["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"];
                    qemu.args(off);
                }
                let off = ["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"];
                qemu.args(off);
            }
        }
        qemu.args(["-device", &card])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut process = host.namespace().spawn(&mut qemu)?;
        let console = Console::of(process.child())?;
        Ok(Self {
            hushed: false,
            console,
            _process: process,
            _folder: folder,
        })
    }

    /// Its serial console.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Keeps what its console said to itself when it is dropped.
    pub fn hush(&mut self) {
        self.hushed = true;
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        if !self.hushed {
            eprintln!(
                "--- the machine's console said:\n{}",
                self.console.lines().join("\n")
            );
        }
    }
}

/// Gives the machine OVMF as its firmware, with variables of its own in `folder`.
fn uefi(qemu: &mut Command, folder: &Path) -> Result<()> {
    let [code, new] = OVMF;
    let variables = folder.join("variables");
    fs::copy(new, &variables)
        .with_context(|| format!("cannot copy {new}; it comes with the package ovmf"))?;
    qemu.arg("-drive")
        .arg(format!("if=pflash,format=raw,readonly=on,file={code}"))
        .arg("-drive")
        .arg(format!("if=pflash,format=raw,file={}", variables.display()));
    Ok(())
}
