//! Programs that configure links, and routing daemons, as they really run.

use crate::host::{BOUND, Site, says, site};
use anyhow::{Context, Result, ensure};
use slash32_tests::{Process, until};
use std::process::{Command, Stdio};

/// A system bus, and a /sys that says to daemons that there is no udev to wait for.
const BUS: &str = "
mount -o remount,ro,bind /sys
mkdir -p /run/dbus /var/lib/dbus /run/NetworkManager/conf.d /var/lib/NetworkManager
[ -s /etc/machine-id ] || dbus-uuidgen >/etc/machine-id
dbus-daemon --system --fork --nopidfile >/dev/null 2>&1
printf '[main]\\nplugins=keyfile\\n[keyfile]\\npath=/run/NetworkManager/connections\\n%s\\n' \"$UNMANAGED\" >/run/nm.conf
";

fn start(site: &Site<'_>, program: &str, arguments: &[&str]) -> Result<Process> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    site.namespace().spawn(&mut command)
}

fn network_manager(site: &Site<'_>, unmanaged: &str) -> Result<Process> {
    site.sh(&format!("UNMANAGED='{unmanaged}'\n{BUS}"))?;
    let folder = "/run/NetworkManager/conf.d";
    let process = start(
        site,
        "NetworkManager",
        &[
            "-n",
            "--config",
            "/run/nm.conf",
            "--config-dir",
            folder,
            "--system-config-dir",
            folder,
        ],
    )?;
    until("NetworkManager to know the links", BOUND, || {
        let devices = site.sh("nmcli -t -f DEVICE,STATE device || true")?;
        let is_known = |name: &str| devices.lines().any(|line| line.starts_with(name));
        Ok((is_known("virbr1:") && is_known("vnet1:")).then_some(()))
    })?;
    Ok(process)
}

#[test]
fn network_manager_on_a_vm_link_is_a_warning() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let _daemon = network_manager(&site, "")?;
    // Left to itself it only watches a bridge that somebody else set up.
    let report = site.doctor()?;
    ensure!(
        !report
            .findings
            .iter()
            .any(|finding| finding["object"] == "virbr1"),
        "{report:?}"
    );
    site.sh(
        "nmcli connection add type bridge ifname virbr1 con-name vms bridge.stp no ipv4.method disabled ipv6.method disabled
         nmcli connection up vms",
    )?;
    let report = until("NetworkManager to be named", BOUND, || {
        let report = site.doctor()?;
        Ok(report
            .has("network-daemon", "warning", "virbr1")
            .is_ok()
            .then_some(report))
    })?;
    let finding = report.has("network-daemon", "warning", "virbr1")?;
    says(finding, "mend", "unmanaged-devices=")
}

#[test]
fn network_manager_that_leaves_vm_links_alone_is_no_finding() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let unmanaged = "unmanaged-devices=interface-name:virbr*;interface-name:vnet*";
    let _daemon = network_manager(&site, unmanaged)?;
    let report = site.doctor()?;
    let named = report
        .findings
        .iter()
        .any(|finding| finding["check"] == "network-daemon");
    ensure!(!named, "{report:?}");
    Ok(())
}

#[test]
fn networkd_on_a_vm_link_is_a_warning() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.sh(&format!("UNMANAGED=\n{BUS}"))?;
    site.sh(
        "rm -rf /etc/systemd/network
         mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp /run/systemd/network
         chown -R systemd-network: /run/systemd/netif
         printf '[Match]\\nName=virbr1\\n[Network]\\nLinkLocalAddressing=no\\nIPv6AcceptRA=no\\nKeepConfiguration=yes\\n' \
             >/run/systemd/network/bridges.network",
    )?;
    let _daemon = start(&site, "/lib/systemd/systemd-networkd", &[])?;
    let report = until("systemd-networkd to be named", BOUND, || {
        let report = site.doctor()?;
        Ok(report
            .has("network-daemon", "warning", "virbr1")
            .is_ok()
            .then_some(report))
    })?;
    let named = report
        .findings
        .iter()
        .filter(|finding| finding["check"] == "network-daemon")
        .count();
    // The tap is in none of its files.
    ensure!(named == 1, "{report:?}");
    Ok(())
}

#[test]
fn what_bird_lacks_for_the_host_routes_is_named() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.sh(
        "mkdir -p /etc/bird/conf.d /run/bird
         printf 'router id 192.0.2.1;\\nprotocol device { }\\ninclude \"conf.d/*.conf\";\\n' >/etc/bird/bird.conf
         printf 'protocol kernel k4 { learn; ipv4 { import all; }; }\\nprotocol bgp rr0 { local 192.0.2.1 as 65000; \
             neighbor 192.0.2.2 as 65000; ipv4 { import all; export all; }; }\\n' >/etc/bird/conf.d/fabric.conf",
    )?;
    let _bird = start(
        &site,
        "bird",
        &[
            "-f",
            "-c",
            "/etc/bird/bird.conf",
            "-s",
            "/run/bird/bird.ctl",
        ],
    )?;
    let report = until("BIRD to be named", BOUND, || {
        let report = site.doctor()?;
        Ok(report
            .has("routing-daemon", "hint", "/etc/bird/bird.conf")
            .is_ok()
            .then_some(report))
    })?;
    let said: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding["check"] == "routing-daemon")
        .filter_map(|finding| finding["mend"].as_str())
        .collect();
    let mends = said.join("\n");
    for part in ["krt_source = 132", "netlink rx buffer", "protocol direct"] {
        mends
            .contains(part)
            .then_some(())
            .with_context(|| format!("no {part} in {mends}"))?;
    }
    ensure!(said.len() == 3, "{mends}");
    Ok(())
}
