//! The agent, its config and its folders.

use crate::host::{BOUND, Site, says, site};
use anyhow::{Result, ensure};
use slash32_tests::static_network;

#[test]
fn an_agent_that_does_not_run_is_an_error_and_the_links_are_checked_all_the_same() -> Result<()> {
    let host = site()?;
    let mut site = Site::bound(&host)?;
    site.agent.stop()?;
    let socket = site.agent.socket().display().to_string();
    site.doctor()?.is_only("agent", "error", &socket)?;
    site.namespace()
        .ip("link set virbr1 type bridge stp_state 1")?;
    let report = site.doctor()?;
    ensure!(report.findings.len() == 2, "{report:?}");
    report.has("forward-delay", "warning", "virbr1")?;
    Ok(())
}

#[test]
fn a_config_with_errors_is_an_error() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.agent.configure("[[network]]\nname = 7\n")?;
    let file = site.agent.config_file().display().to_string();
    let report = site.doctor()?;
    let finding = report.is_only("config", "error", &file)?;
    says(finding, "mend", &format!("slash32 check {file}"))
}

#[test]
fn a_config_that_the_agent_does_not_run_with_is_a_warning() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let other = static_network(&[("virbr1", 1)], "").replace("169.254.0.1", "169.254.0.2");
    site.agent.configure(&other)?;
    let file = site.agent.config_file().display().to_string();
    let report = site.doctor()?;
    let finding = report.is_only("config", "warning", &file)?;
    says(finding, "mend", "slash32 reload")
}

#[test]
fn a_read_only_state_folder_is_an_error() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let folder = site.agent.state_dir().display().to_string();
    site.sh(&format!(
        "mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}"
    ))?;
    let report = site.doctor()?;
    let finding = report.is_only("state-folder", "error", &folder)?;
    says(finding, "finding", "read-only")
}

#[test]
fn a_full_state_folder_is_an_error_and_a_nearly_full_one_a_warning() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let folder = site.agent.state_dir().display().to_string();
    site.sh(&format!("mount -t tmpfs -o size=8m tmpfs {folder}"))?;
    let report = site.doctor()?;
    let finding = report.is_only("state-folder", "warning", &folder)?;
    says(finding, "finding", "8 MiB left")?;
    site.sh(&format!("head -c 7900000 /dev/zero >{folder}/filler"))?;
    site.doctor()?.is_only("state-folder", "error", &folder)?;
    Ok(())
}

#[test]
fn missing_accounts_are_named() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.sh("sed -i /^slash32/d /etc/passwd /etc/group")?;
    let report = site.doctor()?;
    ensure!(report.findings.len() == 2, "{report:?}");
    report.has("accounts", "warning", "user slash32-responder")?;
    report.has("accounts", "hint", "group slash32")?;
    Ok(())
}

#[test]
fn a_link_that_the_agent_refuses_is_an_error_with_its_reason() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.host.bridge("virbr2")?;
    site.namespace().ip("addr add 198.51.100.1/24 dev virbr2")?;
    site.agent.wait("virbr2", "failed", BOUND)?;
    let report = site.doctor()?;
    let finding = report.is_only("links", "error", "virbr2")?;
    says(finding, "finding", "198.51.100.1")
}

#[test]
fn another_user_than_root_is_told_which_checks_were_not_made() -> Result<()> {
    const NOBODY: u32 = 65534;
    let host = site()?;
    let site = Site::bound(&host)?;
    // It reads the config, as an operator may.
    let folder = site.agent.config_file();
    let folder = folder.parent().unwrap_or(&folder).display();
    site.sh(&format!("chmod 755 {folder}"))?;
    let report = site.doctor_as(NOBODY)?;
    report.has("dhcp-filter", "unknown", "nftables")?;
    report.has("dhcp-filter", "unknown", "iptables-legacy")?;
    let findings = &report.findings;
    ensure!(
        report.code == Some(2)
            && findings
                .iter()
                .all(|finding| finding["severity"] == "unknown"),
        "{report:?}"
    );
    Ok(())
}
