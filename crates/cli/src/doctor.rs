//! What on this host would keep VMs from their address, or from being reached at it, and how to mend it.
//!
//! Two halves: [`mod@gather`] reads the host once, one dump a kind, and changes nothing; each check judges those [`Facts`] and
//! nothing else. What could not be read is a finding of the severity [`Severity::Unknown`]: a check that was not made is
//! never taken for one that found nothing.
//!
//! # The firewall
//!
//! [`firewall`] walks the rules as the kernel would, for a packet of which only some is known. What is reported as stopped
//! is stopped by every reading of the rules; where a match that is not understood decides, it is said to be so. A packet
//! socket sees a frame before the rules of its own link for IPv4, but after those of the bridge and of its port: see
//! `filtering`.
//!
//! # Invariants
//!
//! - Nothing is changed, no packet is sent, and no program is waited for longer than half a minute.
//! - A finding's sentence does not name its object, so that links with the same finding are told in one block.

mod agent;
mod arp;
mod bridge;
mod config;
mod daemons;
mod facts;
mod filtering;
mod finding;
mod firewall;
mod forwarding;
mod gather;
mod hooks;
mod kernel;
mod neighbours;
mod routing;
mod servers;
mod services;

pub(crate) use facts::Facts;
pub(crate) use finding::{Finding, Found, Severity};
pub(crate) use gather::{command, gather, processes};

/// A check: it judges the facts, and adds what it finds.
pub(crate) struct Check {
    /// Its name, as in `--json` and docs/doctor.md.
    pub(crate) name: &'static str,
    /// What it looks for, in a few words.
    pub(crate) about: &'static str,
    judge: fn(&Facts, &mut Found),
}

const fn check(name: &'static str, about: &'static str, judge: fn(&Facts, &mut Found)) -> Check {
    Check { name, about, judge }
}

/// Every check, in the order of a VM's way to its address and beyond.
pub(crate) const CHECKS: &[Check] = &[
    check("agent", "an agent that does not answer", agent::answers),
    check(
        "config",
        "a config with errors, or another one than the agent's",
        config::judge,
    ),
    check(
        "state-folder",
        "a store that cannot be written, or soon cannot",
        config::state_folder,
    ),
    check(
        "accounts",
        "no user for the responders, no group for operators",
        agent::accounts,
    ),
    check(
        "links",
        "VM links that failed, or without responder, address or host route",
        agent::links,
    ),
    check("several-vms", "two VMs on one link", bridge::several_vms),
    check(
        "dhcp-server",
        "another DHCP server on a VM link",
        servers::judge,
    ),
    check(
        "libvirt-dhcp",
        "libvirt's own DHCP on a VM link",
        servers::libvirt,
    ),
    check(
        "libvirt-hooks",
        "libvirt's hooks that are not installed or not called",
        hooks::installed,
    ),
    check(
        "hook-spool",
        "hooks that cannot tell the agent, or are not heard",
        hooks::spool,
    ),
    check(
        "network-daemon",
        "NetworkManager or systemd-networkd on a VM link",
        daemons::judge,
    ),
    check(
        "forward-delay",
        "a bridge that loses the first DISCOVERs",
        bridge::forward_delay,
    ),
    check(
        "bridge-mac",
        "a bridge whose MAC address changes with its ports",
        bridge::mac,
    ),
    check(
        "br-netfilter",
        "bridged frames that go through the rules of IPv4",
        filtering::br_netfilter,
    ),
    check("dhcp-filter", "a firewall that stops DHCP", filtering::dhcp),
    check("arp-filter", "a firewall that stops ARP", filtering::arp),
    check(
        "forward-filter",
        "a firewall that stops what VMs send or are sent",
        filtering::forward,
    ),
    check(
        "libvirt-reject",
        "libvirt's rules for an isolated network",
        filtering::libvirt,
    ),
    check(
        "arp",
        "settings that break the ARP of the gateway",
        arp::judge,
    ),
    check(
        "rp-filter",
        "a reverse-path filter that drops, or does not",
        arp::rp_filter,
    ),
    check(
        "forwarding",
        "IPv4 forwarding that is off",
        forwarding::judge,
    ),
    check(
        "mtu",
        "VM links with a larger MTU than the uplink",
        forwarding::mtu,
    ),
    check(
        "neighbours",
        "a neighbour table that is too small",
        neighbours::judge,
    ),
    check(
        "protocol-name",
        "no name for the host routes' protocol",
        routing::protocol_name,
    ),
    check(
        "routing-daemon",
        "BIRD or FRR not ready for the host routes",
        routing::daemon,
    ),
    check(
        "host-services",
        "services of the host that VMs reach",
        services::judge,
    ),
    check("landlock", "a kernel without landlock", kernel::landlock),
];

/// What the checks find, in their order.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in CHECKS {
        let mut found = Found::by(check.name);
        (check.judge)(facts, &mut found);
        findings.extend(found.into_findings());
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own() {
        for (at, check) in CHECKS.iter().enumerate() {
            assert!(
                CHECKS[..at].iter().all(|other| other.name != check.name),
                "{}",
                check.name
            );
        }
    }

    #[test]
    fn the_guide_tells_of_every_check() {
        let guide = include_str!("../../../docs/doctor.md");
        for check in CHECKS {
            let row = format!("| `{}` |", check.name);
            assert!(guide.contains(&row), "no row {row} in docs/doctor.md");
        }
    }

    #[test]
    fn a_host_without_faults_has_no_finding() {
        let findings = judge(&Facts::healthy());
        assert_eq!(findings, []);
    }
}
