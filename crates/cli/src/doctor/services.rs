use super::Found;
use super::facts::{Facts, Link, Socket};
use super::firewall::{Certainty, Family, Hook, Packet, Side};
use std::net::Ipv4Addr;

/// How many services the sentence names.
const NAMED: usize = 8;

/// Whoever a VM's packet reaches by any address of the host, unless a rule of `input` closes it.
pub(super) fn judge(facts: &Facts, found: &mut Found) {
    // The other check of sockets has said why they are not known.
    let Ok(sockets) = &facts.sockets else { return };
    let mut open: Vec<String> = Vec::new();
    for socket in sockets {
        // A DHCP client listens too, and serves nobody.
        if is_ours(facts, socket) || (socket.protocol == "udp" && socket.port == 68) {
            continue;
        }
        let is_reached = facts
            .vm_links()
            .any(|(link, _)| is_heard(facts, socket, link) && !is_closed(facts, socket, link));
        if is_reached {
            let who = socket
                .process
                .as_ref()
                .map(|(name, _)| format!(" ({name})"))
                .unwrap_or_default();
            open.push(format!("{} {}{who}", socket.protocol, socket.port));
        }
    }
    open.sort();
    open.dedup();
    if open.is_empty() {
        return;
    }
    let mut named = open[..open.len().min(NAMED)].join(", ");
    if open.len() > NAMED {
        named += &format!(" and {} more", open.len() - NAMED);
    }
    found.warning(
        "services of this host",
        format!("VMs reach them, by the gateway or any other address of the host: {named}."),
        "bind them to an address of 127.0.0.0/8 or to the uplink, or drop them for VM links in an nftables input chain: \
         iifname \"virbr*\" udp dport != 67 drop",
    );
}

/// The idle socket of a responder, which drops everything.
fn is_ours(facts: &Facts, socket: &Socket) -> bool {
    let by_name = socket
        .process
        .as_ref()
        .is_some_and(|(name, _)| name.starts_with("slash32-respond") || name == "slash32-agent");
    let by_place = socket.process.is_none()
        && facts
            .vm_links()
            .any(|(link, _)| socket.device.as_ref() == Some(&link.name));
    socket.protocol == "udp" && socket.port == 67 && (by_name || by_place)
}

/// It takes what comes in on `link`. IPv6 is left out where the link has it switched off.
fn is_heard(facts: &Facts, socket: &Socket, link: &Link) -> bool {
    let is_bound_here = socket
        .device
        .as_ref()
        .is_none_or(|device| *device == link.name);
    let is_reachable = match socket.address.as_str() {
        "0.0.0.0" | "*" => true,
        address if address.starts_with('[') => {
            let own = facts.sysctl(&format!("ipv6/conf/{}/disable_ipv6", link.name));
            own == Some(0) && !address.starts_with("[::1]")
        }
        address => address
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| !address.is_loopback()),
    };
    is_bound_here && is_reachable
}

/// A rule of `input` stops it, surely.
fn is_closed(facts: &Facts, socket: &Socket, link: &Link) -> bool {
    let protocol = match socket.protocol.as_str() {
        "tcp" => "tcp",
        _ => "udp",
    };
    let packet = Packet {
        input: Side::Link(link.name.clone()),
        destination: socket
            .address
            .parse()
            .ok()
            .filter(|address: &Ipv4Addr| !address.is_unspecified()),
        ether_type: "ip",
        protocol: Some(protocol),
        destination_port: Some(socket.port),
        connection: "new",
        ..Packet::default()
    };
    [Hook::Prerouting, Hook::Input].into_iter().any(|hook| {
        facts
            .firewall
            .stopped(Family::Ip, hook, None, &packet)
            .is_some_and(|stop| stop.certainty == Certainty::Sure)
    })
}
