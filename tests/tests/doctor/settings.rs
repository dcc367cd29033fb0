//! Settings of the kernel and names in /etc.

use crate::host::{BOUND, Site, doctor, says, site};
use anyhow::{Result, ensure};
use slash32_tests::{Agent, Fabric, GATEWAY, static_network, vm_address};
use std::fmt::Write;
use std::time::{Duration, Instant};

#[test]
fn forwarding_that_is_off_on_the_uplink_is_an_error() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.namespace().set("ipv4/conf/uplink/forwarding", "0")?;
    let report = site.doctor()?;
    let finding = report.is_only("forwarding", "error", "net.ipv4.conf.uplink.forwarding")?;
    says(
        finding,
        "mend",
        "sysctl -w net.ipv4.conf.uplink.forwarding=1",
    )
}

#[test]
fn forwarding_that_is_off_everywhere_is_one_error() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.namespace().set("ipv4/ip_forward", "0")?;
    let report = site.doctor()?;
    report.is_only("forwarding", "error", "net.ipv4.ip_forward")?;
    // What the finding says is so: the VM's address is not reached, and is again once it is mended as told.
    site.sh("sysctl -qw net.ipv4.ip_forward=1")?;
    site.doctor()?.is_silent()
}

#[test]
fn forwarding_that_ends_with_the_next_boot_is_a_hint() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.sh("rm /etc/sysctl.d/90-slash32.conf")?;
    let report = site.doctor()?;
    let finding = report.is_only("forwarding", "hint", "net.ipv4.ip_forward")?;
    let mend = finding["mend"].as_str().unwrap_or_default();
    site.sh(mend)?;
    site.doctor()?.is_silent()
}

#[test]
fn arp_ignore_2_on_all_links_is_an_error() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.namespace().set("ipv4/conf/all/arp_ignore", "2")?;
    let report = site.doctor()?;
    let finding = report.is_only("arp", "error", "net.ipv4.conf.all.arp_ignore")?;
    says(finding, "finding", "VMs do not find their gateway")
}

#[test]
fn with_arp_ignore_2_or_8_a_vm_does_not_find_its_gateway() -> Result<()> {
    let (host, _fabric) = site()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    agent.wait("virbr1", "ready", BOUND)?;
    guest.raw_client()?.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    guest.configure(vm_address(1))?;
    guest.ping(GATEWAY)?;
    // The host first: when it makes sure of the guest, the guest learns of the gateway.
    let forget = || -> Result<()> {
        host.namespace().ip("neigh flush all")?;
        guest.namespace().ip("neigh flush all").map(drop)
    };
    for value in ["2", "8"] {
        host.namespace().set("ipv4/conf/all/arp_ignore", value)?;
        doctor(&host, &agent)?.is_only("arp", "error", "net.ipv4.conf.all.arp_ignore")?;
        forget()?;
        ensure!(guest.ping(GATEWAY).is_err(), "arp_ignore {value}");
    }
    for value in ["0", "1", "3"] {
        host.namespace().set("ipv4/conf/all/arp_ignore", value)?;
        doctor(&host, &agent)?.is_silent()?;
        forget()?;
        guest.ping(GATEWAY)?;
    }
    Ok(())
}

#[test]
fn proxy_arp_on_all_links_is_a_warning() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.namespace().set("ipv4/conf/all/proxy_arp", "1")?;
    let report = site.doctor()?;
    report.has("arp", "warning", "net.ipv4.conf.all.proxy_arp")?;
    Ok(())
}

#[test]
fn a_loose_reverse_path_filter_on_all_links_is_a_warning() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.namespace().set("ipv4/conf/all/rp_filter", "2")?;
    let report = site.doctor()?;
    let finding = report.is_only("rp-filter", "warning", "net.ipv4.conf.all.rp_filter")?;
    says(
        finding,
        "finding",
        "a VM can send with another VM's address",
    )
}

#[test]
fn a_strict_reverse_path_filter_on_one_of_two_uplinks_is_a_warning() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.namespace().ip_batch(
        "link add uplink2 type veth peer name far2\nlink set far2 up\naddr add 192.0.2.5/30 dev uplink2\n\
         link set uplink2 up\nroute add default via 192.0.2.6 metric 20\n",
    )?;
    site.namespace().set("ipv4/conf/all/rp_filter", "0")?;
    site.namespace().set("ipv4/conf/uplink/rp_filter", "0")?;
    site.namespace().set("ipv4/conf/uplink2/rp_filter", "1")?;
    let report = site.doctor()?;
    report.is_only("rp-filter", "warning", "net.ipv4.conf.uplink2.rp_filter")?;
    Ok(())
}

#[test]
fn an_uplink_with_a_smaller_mtu_is_a_warning_unless_vms_are_told() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.namespace().ip("link set uplink mtu 1400")?;
    let report = site.doctor()?;
    let finding = report.is_only("mtu", "warning", "virbr1")?;
    says(finding, "mend", "mtu = 1400")?;
    site.agent
        .configure(&static_network(&[("virbr1", 1)], "mtu = 1400"))?;
    site.agent.succeeds(&["reload"])?;
    site.doctor()?.is_silent()
}

#[test]
fn a_protocol_without_a_name_is_a_hint() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.sh("rm -r /etc/iproute2/rt_protos.d")?;
    let report = site.doctor()?;
    let finding = report.is_only("protocol-name", "hint", "/etc/iproute2/rt_protos.d")?;
    site.sh(finding["mend"].as_str().unwrap_or_default())?;
    site.doctor()?.is_silent()
}

#[test]
fn a_kernel_without_landlock_is_a_hint() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.sh(
        "echo lockdown,capability,yama >/run/lsm; mount --bind /run/lsm /sys/kernel/security/lsm",
    )?;
    let report = site.doctor()?;
    report.is_only("landlock", "hint", "landlock")?;
    Ok(())
}

#[test]
fn load_more_vm_links_than_the_neighbour_table_likes_are_a_warning_and_are_looked_at_in_seconds()
-> Result<()> {
    /// More than `gc_thresh2`, which is 512 unless the machine was told otherwise.
    const LINKS: u32 = 520;
    let (host, _fabric): (_, Fabric) = site()?;
    let limits = host.namespace().ip_json("-4 ntable show name arp_cache")?;
    let soft = limits[0]["thresh2"].as_u64().unwrap_or_default();
    ensure!(
        soft < u64::from(LINKS),
        "this machine takes {soft} neighbours"
    );
    let mut commands = String::new();
    for number in 1000..1000 + LINKS {
        let mac = format!("52:54:00:bb:{:02x}:{:02x}", number / 256, number % 256);
        writeln!(
            commands,
            "link add virbr{number} address {mac} type bridge forward_delay 0"
        )?;
    }
    host.namespace().ip_batch(&commands)?;
    let mut agent = Agent::prepare(&host, &static_network(&[("virbr1000", 1)], ""))?;
    agent.hush();
    let start = Instant::now();
    let report = doctor(&host, &agent)?;
    let took = start.elapsed();
    println!("{LINKS} links were looked at in {took:?}");
    ensure!(took < Duration::from_secs(30), "it took {took:?}");
    let finding = report.has("neighbours", "warning", "net.ipv4.neigh.default.gc_thresh3")?;
    says(finding, "finding", "There are 520 VM links")?;
    says(finding, "mend", "net.ipv4.neigh.default.gc_thresh3=4096")
}
