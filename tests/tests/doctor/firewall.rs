//! Rules that stop what VMs need, by all that makes rules.

use crate::host::{Site, says, site};
use anyhow::{Result, ensure};

/// A firewall as it should be: closed, and open for what VMs need.
const GOOD: &str = "
table inet filter {
    set fabric { type ipv4_addr; flags interval; elements = { 203.0.113.0/24, 192.0.2.0/24 } }
    chain input {
        type filter hook input priority 0; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        iifname lo accept
        iifname \"uplink\" tcp dport 22 accept
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        jump vms
    }
    chain vms {
        iifname \"virbr*\" ip saddr @fabric accept
        oifname \"virbr*\" tcp dport { 22, 80, 443 } accept
    }
}";

fn nft(site: &Site<'_>, rules: &str) -> Result<()> {
    site.namespace().run("nft", &[rules]).map(drop)
}

#[test]
fn a_firewall_that_lets_vms_pass_is_no_finding() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    nft(&site, GOOD)?;
    site.doctor()?.is_silent()
}

#[test]
fn an_nftables_forward_chain_that_drops_is_an_error_until_it_is_mended_as_told() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let rules = GOOD.replace("virbr*", "br-lan");
    nft(&site, &rules)?;
    let report = site.doctor()?;
    let finding = report.is_only("forward-filter", "error", "virbr1")?;
    says(finding, "finding", "chain forward of inet filter")?;
    let mend = finding["mend"].as_str().unwrap_or_default();
    let command = mend
        .rsplit_once(", and")
        .map_or(mend, |(command, _)| command);
    site.sh(command)?;
    site.doctor()?.is_silent()
}

#[test]
fn a_firewall_that_keeps_outsiders_from_vms_is_a_hint() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let rules = GOOD.replace("oifname \"virbr*\" tcp dport { 22, 80, 443 } accept", "");
    nft(&site, &rules)?;
    let report = site.doctor()?;
    let finding = report.is_only("forward-filter", "hint", "virbr1")?;
    says(finding, "finding", "new connections from outside")
}

#[test]
fn dockers_forward_policy_is_an_error_with_dockers_own_chain_to_mend_it() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    for program in ["iptables-legacy", "iptables-nft"] {
        let docker = format!(
            "{program} -P FORWARD DROP
             {program} -N DOCKER-USER
             {program} -A DOCKER-USER -j RETURN
             {program} -A FORWARD -j DOCKER-USER
             {program} -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
             {program} -A FORWARD -i docker0 ! -o docker0 -j ACCEPT"
        );
        site.sh(&docker)?;
        let report = site.doctor()?;
        let finding = report.has("forward-filter", "error", "virbr1")?;
        says(finding, "mend", "-I DOCKER-USER -i virbr1 -j ACCEPT")?;
        let mend = finding["mend"].as_str().unwrap_or_default();
        let command = mend.split_once(" (").map_or(mend, |(command, _)| command);
        ensure!(command.starts_with("iptables"), "{command}");
        let command = command.replace("iptables ", &format!("{program} "));
        site.sh(&command)?;
        site.doctor()?.is_silent()?;
    }
    Ok(())
}

#[test]
fn libvirts_rules_of_an_isolated_network_are_named_as_such() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.sh("for chain in LIBVIRT_FWX LIBVIRT_FWI LIBVIRT_FWO; do
             iptables-legacy -N $chain
             iptables-legacy -A FORWARD -j $chain
         done
         iptables-legacy -A LIBVIRT_FWX -i virbr1 -o virbr1 -j ACCEPT
         iptables-legacy -A LIBVIRT_FWI -o virbr1 -j REJECT
         iptables-legacy -A LIBVIRT_FWO -i virbr1 -j REJECT")?;
    let report = site.doctor()?;
    let finding = report.is_only("libvirt-reject", "error", "virbr1")?;
    says(finding, "mend", "<forward mode='open'/>")
}

#[test]
fn firewalld_is_told_by_its_own_command() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    // As firewalld 1.3 makes them for a link in no zone.
    nft(
        &site,
        "table inet firewalld {
            chain filter_FORWARD {
                type filter hook forward priority filter + 10; policy accept;
                ct state { established, related } accept
                ct status dnat accept
                iifname \"lo\" accept
                jump filter_FORWARD_POLICIES
                ct state invalid drop
                reject with icmpx admin-prohibited
            }
            chain filter_FORWARD_POLICIES {
                iifname \"uplink\" oifname \"uplink\" jump filter_FWD_public
                reject with icmpx admin-prohibited
            }
            chain filter_FWD_public {
                reject with icmpx admin-prohibited
            }
        }",
    )?;
    let report = site.doctor()?;
    let finding = report.has("forward-filter", "error", "virbr1")?;
    says(
        finding,
        "mend",
        "firewall-cmd --permanent --zone=trusted --add-interface=virbr1",
    )
}

#[test]
fn a_port_that_drops_dhcp_is_an_error() -> Result<()> {
    let host = site()?;
    let mut site = Site::bound(&host)?;
    nft(
        &site,
        "table netdev quiet { chain in { type filter hook ingress device \"vnet1\" priority 0; udp dport 67 drop; }\n}",
    )?;
    let report = site.doctor()?;
    let finding = report.is_only("dhcp-filter", "error", "virbr1")?;
    says(finding, "finding", "before the responder sees them")?;
    site.is_cut_off_by_rules()
}

#[test]
fn a_port_that_drops_renewals_is_a_warning() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    site.host.lose_unicast_requests("vnet1")?;
    let report = site.doctor()?;
    let finding = report.is_only("dhcp-filter", "warning", "virbr1")?;
    says(finding, "finding", "renewals")
}

#[test]
fn a_bridge_that_drops_dhcp_is_an_error() -> Result<()> {
    let host = site()?;
    let mut site = Site::bound(&host)?;
    nft(
        &site,
        "table bridge quiet {
            chain in { type filter hook input priority 0; iifname \"vnet1\" udp dport 67 drop; }
            chain out { type filter hook output priority 0; oifname \"vnet1\" udp sport 67 udp dport 68 drop; }
        }",
    )?;
    let report = site.doctor()?;
    ensure!(report.findings.len() == 2, "{report:?}");
    report.has("dhcp-filter", "error", "virbr1")?;
    let said: String = report
        .findings
        .iter()
        .map(|finding| finding["finding"].to_string())
        .collect();
    ensure!(
        said.contains("the VM's DHCP requests") && said.contains("the responder's replies"),
        "{said}"
    );
    site.is_cut_off_by_rules()
}

#[test]
fn an_input_chain_that_drops_dhcp_is_no_fault_and_one_that_rejects_it_is_a_warning() -> Result<()> {
    let host = site()?;
    let mut site = Site::bound(&host)?;
    nft(
        &site,
        "table ip quiet { chain in { type filter hook input priority 0; iifname \"virbr1\" udp dport 67 drop; }\n}",
    )?;
    site.doctor()?.is_silent()?;
    // It is none: the responder answers as before.
    site.client.bind()?;
    nft(
        &site,
        "flush ruleset; table ip quiet { chain in { type filter hook input priority 0; iifname \"virbr1\" udp dport 67 reject; }\n}",
    )?;
    let report = site.doctor()?;
    let finding = report.is_only("dhcp-filter", "warning", "virbr1")?;
    says(finding, "finding", "ICMP error")?;
    let mend = finding["mend"].as_str().unwrap_or_default();
    let command = mend
        .rsplit_once(", and")
        .map_or(mend, |(command, _)| command);
    site.sh(command)?;
    site.doctor()?.is_silent()
}

#[test]
fn br_netfilter_is_a_warning_and_a_rule_that_it_brings_into_play_is_an_error() -> Result<()> {
    let host = site()?;
    let mut site = Site::bound(&host)?;
    let rules = "table ip quiet { chain pre { type filter hook prerouting priority -300; udp dport 67 drop; }\n}";
    nft(&site, rules)?;
    site.doctor()?.is_silent()?;
    site.namespace()
        .set("bridge/bridge-nf-call-iptables", "1")?;
    let report = site.doctor()?;
    ensure!(report.findings.len() == 2, "{report:?}");
    report.has(
        "br-netfilter",
        "warning",
        "net.bridge.bridge-nf-call-iptables",
    )?;
    report.has("dhcp-filter", "error", "virbr1")?;
    site.is_cut_off_by_rules()
}

#[test]
fn rules_that_drop_arp_are_an_error() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    nft(
        &site,
        "table arp quiet { chain in { type filter hook input priority 0; policy drop; iifname \"uplink\" accept; }\n}",
    )?;
    let report = site.doctor()?;
    let finding = report.is_only("arp-filter", "error", "virbr1")?;
    says(
        finding,
        "finding",
        "the policy of chain in of arp quiet is to drop",
    )
}
