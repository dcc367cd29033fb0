//! Debian packages: which ones are missing, said before they are installed.
//!
//! Nothing that is installed here starts a daemon on the user's machine: while dpkg works, a `policy-rc.d` forbids it (the
//! user's own is left alone), and a service that came with a package is disabled, so that the next boot has none either.

use crate::privilege;
use crate::step;
use anyhow::{Context, ensure};
use std::path::Path;
use std::process::Command;

/// A Debian package and what it is wanted for, in a few words.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    name: &'static str,
    purpose: &'static str,
    /// The unit that would start with the next boot.
    service: Option<&'static str>,
}

const fn package(name: &'static str, purpose: &'static str) -> Package {
    Package {
        name,
        purpose,
        service: None,
    }
}

/// What the end-to-end tests, the demo and the bench need: namespaces, tools that look, and real DHCP clients.
pub(crate) const NETWORK: &[Package] = &[
    package("iproute2", "links, addresses and routes"),
    package("iputils-ping", "ping"),
    package("util-linux", "nsenter, unshare, setpriv"),
    package("nftables", "the example firewall"),
    package("tcpdump", "captures"),
    package("libfaketime", "a clock that is stepped for one program"),
    package("tshark", "reads the captures that cases leave"),
    package("isc-dhcp-client", "a client: dhclient"),
    package("udhcpc", "a client: udhcpc"),
    package("dhcpcd-base", "a client: dhcpcd"),
];

/// The other clients of the matrix, which the tests alone need.
pub(crate) const CLIENTS: &[Package] = &[
    package("systemd", "a client: systemd-networkd; systemd-hostnamed"),
    Package {
        name: "network-manager",
        purpose: "a client: NetworkManager",
        service: Some("NetworkManager.service"),
    },
    Package {
        name: "connman",
        purpose: "a client: connman",
        service: Some("connman.service"),
    },
    package("klibc-utils", "a client: the initramfs's ipconfig"),
    package("dbus", "the bus of the clients that are daemons"),
    package("iptables", "rules that slash32 doctor has to find"),
    package("procps", "sysctl"),
];

/// The routing daemon of the demo's fabric, and of a host that slash32 doctor looks at.
pub(crate) const BIRD: &[Package] = &[Package {
    name: "bird2",
    purpose: "the fabric's routing daemon",
    service: Some("bird.service"),
}];

/// What a QEMU guest with Linux needs beside its kernel, which is fetched but not installed.
pub(crate) const QEMU: &[Package] = &[
    package("qemu-system-x86", "a virtual machine"),
    package("lz4", "unpacking the guest's kernel"),
    package("xz-utils", "unpacking the guest's kernel"),
    package("zstd", "unpacking the guest's kernel"),
];

/// The hypervisor's daemon, which each case runs in namespaces of its own.
pub(crate) const LIBVIRT: &[Package] = &[
    Package {
        name: "libvirt-daemon",
        purpose: "the daemon that VMs are defined in",
        service: Some("libvirtd.service"),
    },
    package("libvirt-daemon-driver-qemu", "its QEMU driver"),
    package("libvirt-clients", "virsh"),
    package("dnsmasq-base", "the DHCP server of a libvirt network"),
];

/// What counts: instructions and system calls.
pub(crate) const COUNTING: &[Package] = &[
    package("valgrind", "counts instructions: callgrind"),
    package("strace", "shows a responder's system calls"),
];

/// The DHCP server that a VM is moved from.
pub(crate) const FORMER_SERVER: &[Package] = &[Package {
    name: "isc-dhcp-server",
    purpose: "a server that slash32 takes the place of: dhcpd",
    service: Some("isc-dhcp-server.service"),
}];

/// Who slash32 is measured beside. Their daemons run in namespaces of the bench alone.
pub(crate) const PEERS: &[Package] = &[
    package("dnsmasq-base", "a DHCP server: dnsmasq"),
    Package {
        name: "udhcpd",
        purpose: "a DHCP server: busybox udhcpd",
        service: Some("udhcpd.service"),
    },
    Package {
        name: "isc-dhcp-server",
        purpose: "a DHCP server: dhcpd",
        service: Some("isc-dhcp-server.service"),
    },
    Package {
        name: "kea-dhcp4-server",
        purpose: "a DHCP server: Kea",
        service: Some("kea-dhcp4-server.service"),
    },
];

/// Who reads the agent's metrics.
pub(crate) const METRICS: &[Package] = &[Package {
    name: "prometheus",
    purpose: "scrapes the agent; promtool tries the alerts",
    service: Some("prometheus.service"),
}];

/// What the Debian package is made and judged with.
pub(crate) const PACKAGING: &[Package] = &[
    package("binutils", "strips the packaged programs"),
    package("dpkg-dev", "the package's dependencies"),
    package("lintian", "judges the package"),
    package("man-db", "judges the man pages"),
];

/// What boots a Debian system with the package in it: in a container, and as a disk for QEMU.
pub(crate) const CONTAINER: &[Package] = &[
    package("debootstrap", "makes the container's system"),
    package("systemd-container", "boots it: systemd-nspawn"),
    package("e2fsprogs", "makes a disk of it"),
];

/// What the fuzz targets are built with.
pub(crate) const FUZZ: &[Package] = &[package("g++", "libFuzzer, which is C++")];

/// The firmware of the QEMU guests that boot over the network. What they load is fetched but not installed.
pub(crate) const FIRMWARE: &[Package] = &[
    package("seabios", "BIOS firmware"),
    package("ipxe-qemu", "a boot ROM: iPXE"),
    package("ovmf", "UEFI firmware"),
];

/// Runs as root: `$@` are the packages. Nothing is left behind, whatever ends it.
const INSTALL: &str = r#"
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
# A source of the user's own that cannot be reached is no reason to stop: what is missing then shows at the install.
apt-get -q update || true
apt-get -q install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
"#;

/// Installs those of `wanted` that are missing, after naming them. On a system without dpkg nothing is checked: what is
/// missing there is said by the first thing that needs it.
///
/// # Errors
/// When apt-get fails; its output was shown.
pub(crate) fn install(wanted: &[Package]) -> anyhow::Result<()> {
    let missing = missing(wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("These Debian packages are missing and are installed now:");
    for package in &missing {
        eprintln!("  {:<18} {}", package.name, package.purpose);
    }
    let mut apt = privilege::as_root("sh");
    apt.args(["-c", INSTALL, "install"])
        .args(missing.iter().map(|package| package.name));
    step::command("install packages", &mut apt)?;
    for service in missing.iter().filter_map(|package| package.service) {
        // Without systemd there is no systemctl, and nothing that would start the service.
        let _ = privilege::as_root("systemctl")
            .args(["--quiet", "disable", service])
            .output();
    }
    Ok(())
}

/// The package that the metapackage `name` depends on.
///
/// # Errors
/// When apt does not know it, even after its lists were fetched.
pub(crate) fn dependency(name: &str) -> anyhow::Result<String> {
    let ask = || -> anyhow::Result<Option<String>> {
        let output = Command::new("apt-cache")
            .args(["depends", name])
            .output()
            .context("cannot run apt-cache")?;
        let answer = String::from_utf8_lossy(&output.stdout);
        Ok(answer
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: ").map(str::to_owned)))
    };
    if let Some(package) = ask()? {
        return Ok(package);
    }
    update()?;
    ask()?.with_context(|| format!("apt knows no package that {name} depends on"))
}

/// The archive that apt gets the component main of `release` from, if it has one.
///
/// # Errors
/// When apt cannot be asked.
pub(crate) fn archive(release: &str) -> anyhow::Result<Option<String>> {
    let output = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(CODENAME) $(COMPONENT) $(REPO_URI)",
        ])
        .arg("Created-By: Packages")
        .output()
        .context("cannot run apt-get")?;
    let wanted = format!("{release} main ");
    let answer = String::from_utf8_lossy(&output.stdout);
    let archive = answer.lines().find_map(|line| line.strip_prefix(&wanted));
    Ok(archive.map(str::to_owned))
}

/// Fetches the package `name` and unpacks it below `folder`, without installing it.
///
/// # Errors
/// When it cannot be fetched, even after apt's lists were fetched, or not be unpacked.
pub(crate) fn unpack(name: &str, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let download = || -> anyhow::Result<bool> {
        let mut apt = Command::new("apt-get");
        // Apt's own user may not write here, and has no business to.
        apt.args(["-q", "-o", "APT::Sandbox::User=root", "download", name])
            .current_dir(folder);
        Ok(apt.output().context("cannot run apt-get")?.status.success())
    };
    if !download()? {
        update()?;
        ensure!(download()?, "apt-get cannot fetch {name}");
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let status = Command::new("dpkg-deb")
                .arg("-x")
                .arg(&path)
                .arg(folder)
                .status()?;
            ensure!(status.success(), "dpkg-deb cannot unpack {name}");
        }
    }
    Ok(())
}

fn update() -> anyhow::Result<()> {
    privilege::as_root("apt-get")
        .args(["-q", "update"])
        .output()
        .context("cannot run apt-get")?;
    Ok(())
}

fn missing(wanted: &[Package]) -> anyhow::Result<Vec<Package>> {
    let query = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status} ${Package}\n"])
        .args(wanted.iter().map(|package| package.name))
        .output();
    let output = match query {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!(
                "No dpkg here, so packages are not checked; wanted: {}.",
                names(wanted)
            );
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).context("cannot run dpkg-query"),
    };
    // dpkg-query ends with 1 when it does not know a package: then that one is just not among the installed.
    Ok(not_installed(
        &String::from_utf8_lossy(&output.stdout),
        wanted,
    ))
}

/// Those of `wanted` that dpkg's answer (a line of status and name for each package it knows) does not call installed.
fn not_installed(answer: &str, wanted: &[Package]) -> Vec<Package> {
    let installed = |package: &Package| {
        answer
            .lines()
            .any(|line| line == format!("installed {}", package.name))
    };
    wanted
        .iter()
        .filter(|package| !installed(package))
        .copied()
        .collect()
}

fn names(packages: &[Package]) -> String {
    packages
        .iter()
        .map(|package| package.name)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_dpkg_does_not_call_installed_is_missing() {
        let wanted = [
            package("iproute2", ""),
            package("udhcpc", ""),
            package("dhcpcd-base", ""),
            package("tcpdump", ""),
        ];
        let answer = "installed iproute2\nnot-installed udhcpc\nconfig-files dhcpcd-base\ninstalled tcpdump-tools\n";
        assert_eq!(
            names(&not_installed(answer, &wanted)),
            "udhcpc dhcpcd-base tcpdump"
        );
    }
}
