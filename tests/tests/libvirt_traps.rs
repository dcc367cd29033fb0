//! The traps in the guide's page on libvirt, each with the symptom that the page tells of, and that its remedy is one.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use serde_json::Value;
use slash32_tests::{
    BootFiles, Guest, Host, Installed, Software, guest_mac,
    libvirt::{Domain, Libvirtd, Source, open_network},
    until,
};
use std::{fs, net::Ipv4Addr, time::Duration};

const PAGE: &str = include_str!("../../docs/libvirt.md");
/// What a guest may take on a machine that is busy with other cases.
const BOUND: Duration = Duration::from_secs(90);
/// The first address of the pool.
const VM: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

#[test]
fn behind_an_isolated_network_a_bound_vm_is_reached_from_the_host_alone() -> Result<()> {
    let host = Host::new()?;
    let fabric = host.fabric()?;
    let stage = Stage::on(&host, LINKS)?;
    stage.network("<bridge name='virbr13' stp='off' delay='0'/>")?;
    let _guest = stage.guest()?;
    stage.shell(&format!("ping -c 3 -i 0.2 {VM}"))?;
    let refused = fabric.ping(VM).unwrap_err().to_string();
    ensure!(
        refused.contains("Destination Port Unreachable"),
        "{refused}"
    );
    stage.doctor_says("libvirt-reject", "virbr13", true)
}

#[test]
fn an_open_network_without_an_address_cannot_be_defined() -> Result<()> {
    let host = Host::new()?;
    let libvirtd = Libvirtd::start(&host)?;
    let network =
        "<network><name>web1</name><forward mode='open'/><bridge name='virbr13'/></network>";
    let refused = libvirtd.virsh_xml(&["net-define"], network).unwrap_err();
    let refused = format!("{refused:#}");
    let said = "open forwarding requested, but no IP address provided";
    ensure!(refused.contains(said) && PAGE.contains(said), "{refused}");
    Ok(())
}

#[test]
fn an_address_alone_brings_a_dns_server_that_vms_reach() -> Result<()> {
    let host = Host::new()?;
    let stage = Stage::on(&host, LINKS)?;
    let address =
        "<forward mode='open'/><bridge name='virbr13'/><ip address='169.254.0.1' prefix='32'/>";
    stage.network(address)?;
    stage.doctor_says("host-services", "dnsmasq", true)?;
    stage.libvirtd.virsh(&["net-destroy", "web1"])?;
    stage.libvirtd.virsh(&["net-undefine", "web1"])?;
    stage.network(&format!("{address}<dns enable='no'/>"))?;
    stage.doctor_says("host-services", "dnsmasq", false)
}

#[test]
fn a_network_with_a_dhcp_server_of_libvirts_is_refused_and_explained() -> Result<()> {
    let host = Host::new()?;
    let stage = Stage::on(&host, LINKS)?;
    stage.network(
        "<forward mode='open'/><bridge name='virbr13'/><ip address='203.0.113.1' prefix='24'>\
         <dhcp><range start='203.0.113.2' end='203.0.113.9'/></dhcp></ip>",
    )?;
    let row = stage.row("virbr13", "failed")?;
    let reason = row["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains("<dhcp>") || reason.contains("203.0.113.1/24"),
        "{row}"
    );
    stage.doctor_says("libvirt-dhcp", "virbr13", true)
}

#[test]
fn the_default_network_is_left_alone_when_it_is_excluded() -> Result<()> {
    const DEFAULT: &str = "<forward mode='nat'/><bridge name='virbr0'/><ip address='192.168.122.1' prefix='24'>\
         <dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip>";
    let host = Host::new()?;
    let stage = Stage::on(&host, LINKS)?;
    stage.network(DEFAULT)?;
    let list = stage.shell("slash32 list --json")?;
    ensure!(!list.contains("virbr0"), "{list}");
    stage.configure(r#""virbr*""#)?;
    stage.row("virbr0", "failed").map(drop)
}

#[test]
fn a_bridge_without_a_mac_of_its_own_takes_another_when_the_vm_comes() -> Result<()> {
    let host = Host::new()?;
    let stage = Stage::on(&host, LINKS)?;
    let mac = |bridge: &str| {
        let link = &host
            .namespace()
            .ip_json(&format!("link show dev {bridge}"))?[0];
        anyhow::Ok(link["address"].to_string())
    };
    let own = "ip link add vmbr14 address 52:54:00:aa:00:14 type bridge";
    ensure!(PAGE.contains(own));
    stage.shell(&format!(
        "{own}\nip link add vmbr13 type bridge\nip link set vmbr13 up\nip link set vmbr14 up"
    ))?;
    let before = (mac("vmbr13")?, mac("vmbr14")?);
    let _guests = (host.guest("vmbr13", 13)?, host.guest("vmbr14", 14)?);
    let after = (mac("vmbr13")?, mac("vmbr14")?);
    ensure!(
        before.0 != after.0 && before.1 == after.1,
        "{before:?}, {after:?}"
    );
    stage.doctor_says("bridge-mac", "vmbr13", true)?;
    stage.doctor_says("bridge-mac", "vmbr14", false)
}

#[test]
fn a_vm_whose_network_was_restarted_is_back_after_a_restart_of_libvirtd() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::on(&host, LINKS)?;
    stage
        .libvirtd
        .start_network("web1", &open_network("web1", "virbr13", ""))?;
    let domain = Domain::new("web1", 13).nic(guest_mac(13), Source::Network("web1".to_owned()));
    stage.libvirtd.start_paused(&domain)?;
    stage.row("virbr13", "ready")?;
    let restart_network = |stage: &Stage<'_>| {
        stage.libvirtd.virsh(&["net-destroy", "web1"])?;
        stage.libvirtd.virsh(&["net-start", "web1"])?;
        stage.row("virbr13", "idle")
    };
    restart_network(&stage)?;
    stage.libvirtd.restart()?;
    stage.row("virbr13", "ready")?;
    restart_network(&stage)?;
    let tap = stage.libvirtd.tap("web1", guest_mac(13))?;
    stage.shell(&format!("ip link set {tap} master virbr13"))?;
    stage.row("virbr13", "ready").map(drop)
}

#[test]
fn hooks_that_came_after_libvirtd_are_said_to_need_its_restart() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::on(&host, LINKS)?;
    let installed = stage.shell("slash32 hook install")?;
    ensure!(
        installed.contains("systemctl restart libvirtd"),
        "{installed}"
    );
    stage.libvirtd.restart()?;
    let status = stage.shell("slash32 hook status")?;
    ensure!(!status.contains("restart"), "{status}");
    Ok(())
}

#[test]
fn a_vm_that_changed_its_mac_asks_in_vain() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::on(&host, LINKS)?;
    stage.shell("slash32 hook install")?;
    stage.libvirtd.restart()?;
    stage
        .libvirtd
        .start_network("web1", &open_network("web1", "virbr13", ""))?;
    let domain = Domain::new("web1", 13)
        .boots_linux(&BootFiles::prepared()?)?
        .nic(guest_mac(13), Source::Network("web1".to_owned()));
    let mut guest = stage.libvirtd.start_linux(&domain)?;
    guest.wait_ready(BOUND)?;
    guest.enter(
        "kill $(cat /run/udhcpc.pid); ip link set eth0 down; ip link set eth0 address 52:54:00:99:99:99; \
         ip link set eth0 up; udhcpc -i eth0 -s /etc/udhcpc.script -n",
    )?;
    until("the other address to be counted", BOUND, || {
        let shown = stage.shell("slash32 show web1")?;
        Ok(shown.contains("other_mac").then_some(()))
    })
}

#[test]
fn a_wrong_address_in_metadata_is_told_and_keeps_no_vm_from_starting() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::on(&host, LINKS)?;
    stage.shell("slash32 hook install")?;
    stage.libvirtd.restart()?;
    stage
        .libvirtd
        .start_network("web1", &open_network("web1", "virbr13", ""))?;
    let domain = Domain::new("web1", 13)
        .metadata("<slash32:vm xmlns:slash32='urn:slash32:1' address='198.51.100.9'/>")
        .nic(guest_mac(13), Source::Network("web1".to_owned()));
    stage.libvirtd.start_paused(&domain)?;
    let row = stage.row("virbr13", "unassigned")?;
    let reason = row["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("198.51.100.9"), "{row}");
    let state = stage.libvirtd.virsh(&["domstate", "web1"])?;
    ensure!(state == "paused", "{state}");
    Ok(())
}

/// The `links` of the page's network, and bridges of the host.
const LINKS: &str = r#""virbr*", "!virbr0", "vmbr*""#;

/// A host with slash32, a libvirtd without hooks, and one network of slash32.
struct Stage<'h> {
    installed: Installed<'h>,
    libvirtd: Libvirtd<'h>,
}

impl<'h> Stage<'h> {
    fn on(host: &'h Host, links: &str) -> Result<Self> {
        let stage = Self {
            installed: Installed::on(host)?,
            libvirtd: Libvirtd::start(host)?,
        };
        stage.configure(links)?;
        Ok(stage)
    }

    fn configure(&self, links: &str) -> Result<()> {
        let config = format!(
            "[[network]]\nname = \"public\"\nlinks = [{links}]\ngateway = \"169.254.0.1\"\nallocation = \"automatic\"\n\
             [[network.subnet]]\nprefix = \"203.0.113.0/24\"\npools = [\"203.0.113.10-203.0.113.99\"]\n"
        );
        let file = "/etc/slash32/conf.d/public.toml";
        fs::write(self.installed.host().namespace().path(file), config)?;
        self.shell("slash32 reload").map(drop)
    }

    fn shell(&self, lines: &str) -> Result<String> {
        self.installed.shell(lines)
    }

    /// Defines and starts the network `web1`, which is this.
    fn network(&self, elements: &str) -> Result<()> {
        let network = format!("<network><name>web1</name>{elements}</network>");
        self.libvirtd.start_network("web1", &network)
    }

    /// A VM without libvirt in `virbr13`, which has come to its address.
    fn guest(&self) -> Result<Guest> {
        let guest = self.installed.host().guest("virbr13", 13)?;
        let client = guest.start(Software::UdhcpcClassless)?;
        self.row("virbr13", "bound")?;
        until("the VM to have its address", BOUND, || {
            Ok((guest.addresses()? == [(VM, 32)]).then_some(()))
        })?;
        drop(client);
        Ok(guest)
    }

    /// Waits until the link is in this state, and returns its row.
    fn row(&self, link: &str, state: &str) -> Result<Value> {
        until(&format!("{link} to be {state}"), BOUND, || {
            let rows: Vec<Value> = serde_json::from_str(&self.shell("slash32 list --json")?)?;
            let row = rows.into_iter().find(|row| row["link"] == link);
            Ok(row.filter(|row| row["state"] == state))
        })
    }

    /// Whether this check of `slash32 doctor`, which the page names, has a finding with `what` in it.
    fn doctor_says(&self, check: &str, what: &str, says: bool) -> Result<()> {
        ensure!(
            PAGE.contains(&format!("`{check}`")) || check == "libvirt-dhcp",
            "{check}"
        );
        // Its exit code tells of other findings, too.
        let printed = self.shell("slash32 doctor --json || true")?;
        let findings: Vec<Value> = serde_json::from_str(&printed)?;
        let found = findings
            .iter()
            .any(|finding| finding["check"] == check && finding.to_string().contains(what));
        ensure!(found == says, "{printed}");
        Ok(())
    }
}
