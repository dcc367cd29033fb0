//! What the firewall does to the VMs' frames.
//!
//! On its way in a frame meets, in this order: the ingress hook of the port (the VM's tap or veth), the bridge's prerouting
//! hook and, with br_netfilter, IPv4's, the bridge's input hook, then the responder's packet socket, and only then the
//! ingress hook of the VM link and the other hooks of IPv4. A reply leaves through the egress hook of the VM link, the
//! bridge's output and postrouting hooks and the egress hook of the port. So no rule of `input` keeps a DISCOVER from the
//! responder; a rule of the bridge does.

use super::facts::{Facts, Link, VmLink};
use super::firewall::{Action, Certainty, Family, Hook, Packet, Side, Source, Stop};
use super::{Found, Severity};
use std::net::Ipv4Addr;

/// A hook on a packet's way: for the hooks of a device that device, then the links that the packet is between.
struct Step<'f> {
    family: Family,
    hook: Hook,
    device: Option<&'f str>,
    input: Side,
    output: Side,
}

fn at(name: &str) -> Side {
    Side::Link(name.to_owned())
}

fn ingress(link: &str) -> Step<'_> {
    Step {
        family: Family::Netdev,
        hook: Hook::Ingress,
        device: Some(link),
        input: at(link),
        output: Side::Absent,
    }
}

fn egress(link: &str) -> Step<'_> {
    Step {
        family: Family::Netdev,
        hook: Hook::Egress,
        device: Some(link),
        input: Side::Absent,
        output: at(link),
    }
}

const fn step<'f>(family: Family, hook: Hook, input: Side, output: Side) -> Step<'f> {
    Step {
        family,
        hook,
        device: None,
        input,
        output,
    }
}

/// From the VM until the frame is seen on its link.
fn from_vm<'f>(facts: &'f Facts, link: &'f Link) -> Vec<Step<'f>> {
    let mut steps = Vec::new();
    for port in facts.ports(link).filter(|port| port.index != link.index) {
        steps.push(ingress(&port.name));
        for hook in [Hook::Prerouting, Hook::Input] {
            steps.push(step(Family::Bridge, hook, at(&port.name), Side::Absent));
        }
    }
    steps
}

/// From the VM link to the VM.
fn to_vm<'f>(facts: &'f Facts, link: &'f Link) -> Vec<Step<'f>> {
    let mut steps = vec![egress(&link.name)];
    for port in facts.ports(link).filter(|port| port.index != link.index) {
        for hook in [Hook::Output, Hook::Postrouting] {
            steps.push(step(Family::Bridge, hook, Side::Absent, at(&port.name)));
        }
        steps.push(egress(&port.name));
    }
    steps
}

/// Where `packet` is stopped on its way along `steps`.
fn stopped<'f>(
    facts: &'f Facts,
    link: &Link,
    steps: Vec<Step<'_>>,
    packet: &Packet,
) -> Option<Stop<'f>> {
    steps.into_iter().find_map(|step| {
        let packet = Packet {
            input: step.input,
            output: step.output,
            bridge: Some(link.name.clone()),
            ..packet.clone()
        };
        facts
            .firewall
            .stopped(step.family, step.hook, step.device, &packet)
    })
}

/// Requests and replies, and the ICMP errors that a renewal can get.
pub(super) fn dhcp(facts: &Facts, found: &mut Found) {
    unread(facts, found);
    for (link, vm) in facts.vm_links() {
        let request = |source, destination| Packet {
            source,
            destination,
            ether_type: "ip",
            protocol: Some("udp"),
            source_port: Some(68),
            destination_port: Some(67),
            connection: "new",
            ..Packet::default()
        };
        let way = || {
            let mut steps = from_vm(facts, link);
            if link.calls_iptables || facts.sysctl("bridge/bridge-nf-call-iptables") == Some(1) {
                let name = at(&link.name);
                steps.push(step(Family::Ip, Hook::Prerouting, name, Side::Absent));
            }
            steps
        };
        let discover = request(Some(Ipv4Addr::UNSPECIFIED), Some(Ipv4Addr::BROADCAST));
        let renewal = request(vm.address, vm.gateway);
        if let Some(stop) = stopped(facts, link, way(), &discover) {
            let what = "the VM's DHCP requests, before the responder sees them";
            told(facts, found, Severity::Error, link, what, &stop);
        } else if let Some(stop) = stopped(facts, link, way(), &renewal) {
            let what = "the VM's renewals, which go to the gateway by unicast";
            told(facts, found, Severity::Warning, link, what, &stop);
        } else {
            let input = vec![step(Family::Ip, Hook::Input, at(&link.name), Side::Absent)];
            let rejected = stopped(facts, link, input, &renewal).filter(|stop| {
                stop.by
                    .is_some_and(|(_, rule)| rule.action == Action::Reject)
            });
            if let Some(stop) = rejected {
                found.warning(
                    &link.name,
                    format!(
                        "The firewall answers a renewal with an ICMP error beside the responder's ACK, which some clients take \
                         for a refusal: {}.",
                        place(&stop)
                    ),
                    mend(facts, &link.name, &stop),
                );
            }
        }
        let reply = Packet {
            destination: vm.address,
            source: vm.gateway,
            ether_type: "ip",
            protocol: Some("udp"),
            source_port: Some(67),
            destination_port: Some(68),
            connection: "new",
            ..Packet::default()
        };
        if let Some(stop) = stopped(facts, link, to_vm(facts, link), &reply) {
            let what = "the responder's replies";
            told(facts, found, Severity::Error, link, what, &stop);
        }
    }
}

/// The VM's requests for the gateway and the host's for the VM, and what answers them.
pub(super) fn arp(facts: &Facts, found: &mut Found) {
    let packet = Packet {
        ether_type: "arp",
        ..Packet::default()
    };
    for (link, _) in facts.vm_links() {
        let mut steps = from_vm(facts, link);
        steps.push(ingress(&link.name));
        let name = || at(&link.name);
        steps.push(step(Family::Arp, Hook::Input, name(), Side::Absent));
        steps.push(step(Family::Arp, Hook::Output, Side::Absent, name()));
        steps.extend(to_vm(facts, link));
        if let Some(stop) = stopped(facts, link, steps, &packet) {
            let what = "ARP between the VM and its gateway, so that they do not find each other";
            told(facts, found, Severity::Error, link, what, &stop);
        }
    }
}

/// What VMs send to the fabric, and what comes back.
pub(super) fn forward(facts: &Facts, found: &mut Found) {
    for (link, vm) in facts.vm_links() {
        for (severity, what, stop) in forward_stops(facts, link, vm) {
            if !is_libvirts(&stop) {
                told(facts, found, severity, link, what, &stop);
            }
        }
    }
}

/// The same, stopped by the rules that libvirt makes for a network that is to lead nowhere.
pub(super) fn libvirt(facts: &Facts, found: &mut Found) {
    for (link, vm) in facts.vm_links() {
        let stops = forward_stops(facts, link, vm);
        if let Some((severity, _, stop)) = stops.into_iter().find(|(_, _, stop)| is_libvirts(stop))
        {
            found.add(
                severity,
                &link.name,
                format!(
                    "libvirt rejects what VMs send and are sent, as of an isolated network: {}.",
                    place(&stop)
                ),
                "virsh net-edit NETWORK, and write <forward mode='open'/> and <dns enable='no'/>; \
                 then virsh net-destroy and net-start, and plug the VMs in again",
            );
        }
    }
}

fn is_libvirts(stop: &Stop<'_>) -> bool {
    stop.by.is_some_and(|(chain, _)| {
        chain.name.starts_with("LIBVIRT_") || chain.table.ends_with(" libvirt_network")
    })
}

fn forward_stops<'f>(
    facts: &'f Facts,
    link: &Link,
    vm: &VmLink,
) -> Vec<(Severity, &'static str, Stop<'f>)> {
    let uplink = match facts.uplinks.as_slice() {
        [one] => at(one),
        _ => Side::Open,
    };
    let packet = |source, destination, connection| Packet {
        source,
        destination,
        ether_type: "ip",
        protocol: Some("tcp"),
        connection,
        ..Packet::default()
    };
    let routed = |input: Side, output: Side| {
        [
            step(Family::Ip, Hook::Prerouting, input.clone(), Side::Absent),
            step(Family::Ip, Hook::Forward, input, output.clone()),
            step(Family::Ip, Hook::Postrouting, Side::Absent, output),
        ]
    };
    let outwards = || {
        let mut steps = from_vm(facts, link);
        steps.push(ingress(&link.name));
        steps.extend(routed(at(&link.name), uplink.clone()));
        steps
    };
    let inwards = || {
        let mut steps: Vec<Step<'_>> = facts.uplinks.iter().map(|name| ingress(name)).collect();
        steps.extend(routed(uplink.clone(), at(&link.name)));
        steps.extend(to_vm(facts, link));
        steps
    };
    let mut stops = Vec::new();
    let sent = packet(vm.address, None, "new");
    if let Some(stop) = stopped(facts, link, outwards(), &sent) {
        stops.push((Severity::Error, "what VMs send to the fabric", stop));
    }
    let answer = packet(None, vm.address, "established");
    let call = packet(None, vm.address, "new");
    if let Some(stop) = stopped(facts, link, inwards(), &answer) {
        let what = "what the fabric sends to VMs, answers included";
        stops.push((Severity::Error, what, stop));
    } else if stops.is_empty()
        && let Some(stop) = stopped(facts, link, inwards(), &call)
    {
        let what = "new connections from outside to VMs, which is no fault when it is meant";
        stops.push((Severity::Hint, what, stop));
    }
    stops
}

/// br_netfilter hands bridged frames to the rules of IPv4.
pub(super) fn br_netfilter(facts: &Facts, found: &mut Found) {
    let object = "net.bridge.bridge-nf-call-iptables";
    if facts.sysctl("bridge/bridge-nf-call-iptables") == Some(1) {
        found.warning(
            object,
            "The VMs' frames go through the IPv4 prerouting rules of the firewall before the responder sees them, so a rule \
             that is not meant for them can stop DHCP, and each frame costs more.",
            format!("sysctl -w {object}=0, and the line {object}=0 in /etc/sysctl.d/90-slash32.conf"),
        );
        return;
    }
    for (link, _) in facts.vm_links().filter(|(link, _)| link.calls_iptables) {
        let name = &link.name;
        found.warning(
            name,
            "The bridge's nf_call_iptables is on: the VM's frames go through the IPv4 prerouting rules of the firewall before \
             the responder sees them.",
            format!("ip link set {name} type bridge nf_call_iptables 0"),
        );
    }
}

/// What of the firewall could not be read.
fn unread(facts: &Facts, found: &mut Found) {
    for [object, why, mend] in &facts.firewall.unread {
        found.unknown(object, why, mend);
    }
}

fn told(
    facts: &Facts,
    found: &mut Found,
    severity: Severity,
    link: &Link,
    what: &str,
    stop: &Stop<'_>,
) {
    let (severity, verb) = match stop.certainty {
        Certainty::Sure => (severity, "stops"),
        Certainty::Maybe => (severity.max(Severity::Warning), "may stop"),
    };
    found.add(
        severity,
        &link.name,
        format!("The firewall {verb} {what}: {}.", place(stop)),
        mend(facts, &link.name, stop),
    );
}

/// The rule or the policy that stops it.
fn place(stop: &Stop<'_>) -> String {
    match stop.by {
        Some((chain, rule)) => format!("rule \"{}\" in {}", rule.label, chain.describe()),
        None => format!("the policy of {} is to drop", stop.base.describe()),
    }
}

fn mend(facts: &Facts, link: &str, stop: &Stop<'_>) -> String {
    let chain = stop.base;
    let has_chain = |name: &str| {
        facts.firewall.chains.iter().any(|other| {
            other.source == chain.source && other.table == chain.table && other.name == name
        })
    };
    let hook = chain.base.as_ref().map(|base| base.hook);
    if chain.table == "inet firewalld" {
        return format!(
            "firewall-cmd --permanent --zone=trusted --add-interface={link} && firewall-cmd --reload; that zone opens the \
             host's own services to VMs as well, which host-services names"
        );
    }
    if hook == Some(Hook::Forward) && has_chain("DOCKER-USER") {
        let program = match chain.source {
            Source::Nft => "iptables",
            Source::Iptables => "iptables-legacy",
        };
        return format!(
            "{program} -I DOCKER-USER -i {link} -j ACCEPT; {program} -I DOCKER-USER -o {link} -j ACCEPT \
             (Docker sets the policy; or \"ip-forward-no-drop\": true in /etc/docker/daemon.json)"
        );
    }
    let name = &chain.name;
    match (chain.source, hook) {
        (Source::Iptables, Some(Hook::Forward)) => {
            format!(
                "iptables-legacy -I {name} -i {link} -j ACCEPT; iptables-legacy -I {name} -o {link} -j ACCEPT"
            )
        }
        // The idle socket takes renewals and says nothing, as the rule then does.
        (Source::Iptables, Some(Hook::Input)) => {
            format!("iptables-legacy -I {name} -i {link} -p udp --dport 67 -j DROP")
        }
        (Source::Nft, Some(Hook::Input)) if chain.family == Family::Ip => format!(
            "nft 'insert rule {} {name} iifname \"{link}\" udp dport 67 drop', and the same in /etc/nftables.conf",
            chain.table
        ),
        (Source::Iptables, _) => format!(
            "iptables-legacy -t {} -S {name} shows it; let what is on VM links pass there",
            chain.table
        ),
        (Source::Nft, Some(Hook::Forward)) => format!(
            "nft 'insert rule {table} {name} iifname \"{link}\" accept; insert rule {table} {name} oifname \"{link}\" accept', \
             and the same in /etc/nftables.conf",
            table = chain.table
        ),
        (Source::Nft, _) => {
            format!(
                "nft -a list chain {} {name} shows it; let what is on VM links pass there",
                chain.table
            )
        }
    }
}
