//! Which link is a VM's, and whether the VM is there (DESIGN.md §2, §3).

use crate::link::{Kind, Link, LinkTable};
use serde::{Deserialize, Serialize};
use slash32_binding::Ipv4Addr;

/// One stay of a VM on a link: another port, or the same port's carrier coming anew, is another stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Stay {
    /// The port with the VM, or the bare tap itself.
    pub(crate) port: u32,
    /// `IFLA_CARRIER_UP_COUNT` of that port.
    pub(crate) carrier_ups: u32,
}

impl Stay {
    /// The one that lasts at this port now.
    fn at(port: &Link) -> Self {
        Self {
            port: port.ifindex,
            carrier_ups: port.carrier_ups,
        }
    }
}

/// What a link that a network claims is good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Presence {
    /// It must not be served: the reason.
    Refused(String),
    /// No VM is there: the reason, where there is more to say than that.
    Idle(Option<String>),
    /// A VM is there.
    Present {
        stay: Stay,
        /// More than one port has carrier; the first VM stays served.
        several: bool,
        /// The link itself is down: the VM keeps its binding, and its route comes back with the link.
        down: bool,
    },
}

/// The link is nobody's VM link whatever its name: a port of a bridge, or the loopback device.
pub(crate) fn is_port_or_loopback(link: &Link) -> bool {
    link.controller.is_some() || link.kind == Kind::Loopback
}

/// What is served on a link already.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Served {
    /// The port of the VM, which stays served while it is there.
    pub(crate) port: Option<u32>,
    /// The VM has its address. An address that somebody puts on the link later, or another DHCP server, is then told, but is
    /// no reason to take a running VM off the network.
    pub(crate) bound: bool,
}

/// Decides for one link. `gateway` is the only address that it may carry; `dhcp` is the libvirt network whose own DHCP server
/// answers there, if one does.
pub(crate) fn presence(
    table: &LinkTable,
    link: &Link,
    gateway: Ipv4Addr,
    dhcp: Option<&str>,
    served: Served,
) -> Presence {
    let rival = || {
        // Such a network mostly has a foreign address, too.
        dhcp.map(libvirts_dhcp)
            .or_else(|| foreign_address(link, gateway))
            .filter(|_| !served.bound)
    };
    if let Some(reason) = unfit(table, link).or_else(rival) {
        return Presence::Refused(reason);
    }
    match link.kind {
        Kind::Tap if link.up && link.carrier => Presence::Present {
            stay: Stay::at(link),
            several: false,
            down: false,
        },
        Kind::Tap if !link.up => {
            Presence::Idle(Some("the tap is down: its owner has not set it up".into()))
        }
        Kind::Tap => Presence::Idle(None),
        _ => behind_bridge(table, link, served.port),
    }
}

/// The stay of the VM that is on a link, whatever else is to be said of the link. `served` is the port of the VM that is
/// served already.
pub(crate) fn stay(table: &LinkTable, link: &Link, served: Option<u32>) -> Option<Stay> {
    if link.kind != Kind::Bridge {
        return (link.up && link.carrier).then(|| Stay::at(link));
    }
    let stays = served
        .and_then(|port| table.get(port))
        .filter(|port| port.controller == Some(link.ifindex) && port.up && port.carrier);
    stays.or(occupied(table, link).next()).map(Stay::at)
}

/// The ports of a bridge that have a VM.
fn occupied<'t>(table: &'t LinkTable, bridge: &Link) -> impl Iterator<Item = &'t Link> {
    table
        .ports(bridge.ifindex)
        .filter(|port| is_vm_port(port) && port.up && port.carrier)
}

fn behind_bridge(table: &LinkTable, bridge: &Link, served: Option<u32>) -> Presence {
    if let Some(stay) = stay(table, bridge, served) {
        return Presence::Present {
            stay,
            several: occupied(table, bridge).nth(1).is_some(),
            down: !bridge.up,
        };
    }
    if !bridge.up {
        return Presence::Idle(Some("the bridge is down".into()));
    }
    let down = table
        .ports(bridge.ifindex)
        .find(|port| is_vm_port(port) && !port.up);
    Presence::Idle(down.map(|port| {
        format!(
            "the port {} is down: its owner has not set it up",
            port.name
        )
    }))
}

fn is_vm_port(port: &Link) -> bool {
    matches!(port.kind, Kind::Tap | Kind::Veth) && !port.name.ends_with("-nic")
}

/// The reason when it is not the kind of link that has one VM behind it.
fn unfit(table: &LinkTable, link: &Link) -> Option<String> {
    match &link.kind {
        Kind::Bridge | Kind::Tap => {}
        Kind::Physical => {
            return Some(
                "a physical link is never a VM link: only bridges and bare taps are".into(),
            );
        }
        other => return Some(format!("{} is neither a bridge nor a tap", describe(other))),
    }
    for port in table.ports(link.ifindex) {
        match &port.kind {
            Kind::Tap | Kind::Veth | Kind::Dummy => {}
            Kind::Physical => {
                return Some(format!(
                    "carries the physical port {}: this is no link of one VM",
                    port.name
                ));
            }
            other => {
                return Some(format!(
                    "carries the port {}, {}: this is no link of one VM",
                    port.name,
                    describe(other)
                ));
            }
        }
    }
    None
}

/// The reason when the link carries an address that is not the gateway's.
pub(crate) fn foreign_address(link: &Link, gateway: Ipv4Addr) -> Option<String> {
    let is_gateway = |address: Ipv4Addr, length| address == gateway && length == 32;
    let foreign = link
        .addresses
        .iter()
        .find(|a| !a.ours && !is_gateway(a.address, a.prefix_length))?;
    Some(format!(
        "carries the foreign address {}/{}",
        foreign.address, foreign.prefix_length
    ))
}

/// The reason when libvirt's own dnsmasq answers DHCP on the link, for this network.
pub(crate) fn libvirts_dhcp(network: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let word = if network.chars().all(is_plain) {
        network.to_owned()
    } else {
        format!("'{}'", network.replace('\'', r"'\''"))
    };
    format!(
        "libvirt's network {network} has <dhcp>, so its dnsmasq answers here: take <dhcp> out (virsh net-edit {word}), then virsh net-destroy {word} and virsh net-start {word}"
    )
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Bridge => "a bridge".into(),
        Kind::Tap => "a tap".into(),
        Kind::Veth => "a veth".into(),
        Kind::Dummy => "a dummy link".into(),
        Kind::Loopback => "the loopback device".into(),
        Kind::Physical => "a physical link".into(),
        Kind::Other(name) => format!("a {name} link"),
    }
}

#[cfg(test)]
mod tests;
