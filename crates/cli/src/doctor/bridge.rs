//! Bridges that are not fit for one VM.

use super::Found;
use super::facts::Facts;

/// Only the first VM of a link is served.
pub(super) fn several_vms(facts: &Facts, found: &mut Found) {
    for (link, _) in facts.vm_links().filter(|(link, _)| !link.is_tap) {
        let names: Vec<&str> = facts
            .ports(link)
            .filter(|port| port.has_carrier && port.is_up)
            .map(|port| port.name.as_str())
            .collect();
        if let [first, second, ..] = names[..] {
            found.error(
                &link.name,
                format!(
                    "{} VMs are on one link, {}: only one of them gets an address.",
                    names.len(),
                    names.join(", ")
                ),
                format!(
                    "give each VM a bridge of its own, and take one away here: ip link set {second} nomaster (or {first})"
                ),
            );
            continue;
        }
        let others = facts
            .agent
            .details
            .get(&link.name)
            .and_then(|detail| detail.counters.get("other_mac").copied())
            .unwrap_or(0);
        if others > 0 {
            found.warning(
                &link.name,
                "Another MAC address than the VM's asks for an address on the link, in vain: two VMs, or a VM with a bridge \
                 inside, share it.",
                format!("slash32 show {} tells who asked last; give each VM a link of its own", link.name),
            );
        }
    }
}

/// With the spanning tree a port learns nothing and carries nothing for twice the delay.
pub(super) fn forward_delay(facts: &Facts, found: &mut Found) {
    for (link, _) in facts.vm_links() {
        if link.stp && link.forward_delay > 0 {
            let (name, seconds) = (&link.name, f64::from(link.forward_delay) * 2.0 / 100.0);
            found.warning(
                name,
                format!(
                    "The spanning tree is on: a new port carries nothing for {seconds} s, so a VM's first DISCOVERs are lost \
                     and it boots late or without an address."
                ),
                format!(
                    "ip link set {name} type bridge stp_state 0 && ip link set {name} type bridge forward_delay 0; in libvirt \
                     <bridge name='{name}' stp='off' delay='0'/> with virsh net-edit"
                ),
            );
        }
    }
}

/// A bridge without an address of its own takes over the lowest one of its ports.
pub(super) fn mac(facts: &Facts, found: &mut Found) {
    for (link, _) in facts.vm_links() {
        if link.kind == "bridge" && !link.mac_is_set {
            let name = &link.name;
            found.warning(
                name,
                "The bridge changes its MAC address with its ports, so a VM sends to an old address of its gateway until its \
                 ARP entry ends.",
                format!(
                    "ip link set {name} address $(cat /sys/class/net/{name}/address); in libvirt <mac address='...'/> with \
                     virsh net-edit"
                ),
            );
        }
    }
}
