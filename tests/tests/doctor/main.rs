//! `slash32 doctor`: each case breaks a host in one way, and sees that named and nothing else.
#![allow(missing_docs, clippy::unwrap_used)]

mod agent;
mod bridges;
mod daemons;
mod firewall;
mod host;
mod servers;
mod settings;

use host::{Site, says, site};

use anyhow::{Result, ensure};

#[test]
fn a_healthy_host_has_no_finding() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let report = site.doctor()?;
    report.is_silent()?;
    let page = site.page()?;
    ensure!(page == "nothing found, 1 VM link\n", "{page}");
    Ok(())
}

#[test]
fn doctor_changes_nothing() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let state = || -> Result<String> {
        let script = "ip -d address | sed 's/gc_timer *[0-9.]*//'; ip route; nft list ruleset; \
                      grep -r . /proc/sys/net/ipv4/conf";
        site.namespace().run("sh", &["-c", script])
    };
    let before = state()?;
    site.doctor()?;
    ensure!(before == state()?, "{before}");
    Ok(())
}

#[test]
fn a_program_that_is_missing_is_told_and_nothing_is_passed_for_checked() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.sh("mount --bind /dev/null /usr/sbin/nft")?;
    let report = site.doctor()?;
    let finding = report.is_only("dhcp-filter", "unknown", "nftables")?;
    says(finding, "mend", "install the package nftables")
}
