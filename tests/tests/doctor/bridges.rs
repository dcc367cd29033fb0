//! Bridges that are not fit for one VM.

use crate::host::{BOUND, Site, says, site};
use anyhow::Result;
use slash32_tests::{bridge_mac, until};

#[test]
fn a_bridge_in_a_spanning_tree_is_a_warning_until_it_is_mended_as_told() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.namespace()
        .ip("link set virbr1 type bridge stp_state 1")?;
    let report = site.doctor()?;
    let finding = report.is_only("forward-delay", "warning", "virbr1")?;
    says(finding, "finding", "carries nothing for 4 s")?;
    let mend = finding["mend"].as_str().unwrap_or_default();
    site.sh(mend.split(';').next().unwrap_or_default())?;
    site.doctor()?.is_silent()
}

#[test]
fn a_bridge_without_a_mac_of_its_own_is_a_warning_until_it_is_mended_as_told() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.namespace()
        .ip("link add virbr2 type bridge forward_delay 0")?;
    site.agent.wait("virbr2", "idle", BOUND)?;
    let report = site.doctor()?;
    let finding = report.is_only("bridge-mac", "warning", "virbr2")?;
    let mend = finding["mend"].as_str().unwrap_or_default();
    site.sh(mend.split(';').next().unwrap_or_default())?;
    site.doctor()?.is_silent()
}

#[test]
fn two_vms_on_one_bridge_are_an_error() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let _second = site.host.tap("vnet2", Some("virbr1"))?;
    let report = site.doctor()?;
    let finding = report.is_only("several-vms", "error", "virbr1")?;
    says(finding, "finding", "vnet1, vnet2")
}

#[test]
fn links_with_the_same_finding_are_told_in_one_block() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    for number in 2..12 {
        let mac = bridge_mac(&format!("virbr{number}"));
        site.namespace().ip_batch(&format!(
            "link add virbr{number} address {mac} type bridge stp_state 1\nlink set virbr{number} up\n"
        ))?;
    }
    until("the agent to know them", BOUND, || {
        Ok((site.agent.list()?.len() == 11).then_some(()))
    })?;
    let page = site.page()?;
    let blocks = page.matches("forward-delay").count();
    anyhow::ensure!(
        blocks == 1
            && page.contains("and 4 more")
            && page.contains("and likewise for the others")
            && page.ends_with("1 warning, 11 VM links\n"),
        "{page}"
    );
    Ok(())
}
