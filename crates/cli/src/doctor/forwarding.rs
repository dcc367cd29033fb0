use super::Found;
use super::arp::set;
use super::facts::{Facts, conf_name};

const ALL: &str = "net.ipv4.ip_forward";

/// A packet is forwarded when `forwarding` of the link that it came in on is on.
pub(super) fn judge(facts: &Facts, found: &mut Found) {
    if facts.sysctl("ipv4/ip_forward") == Some(0) {
        found.error(
            ALL,
            "Forwarding is off: VMs reach this host and nothing beyond, and nobody reaches them.",
            set(ALL, 1),
        );
        return;
    }
    for uplink in &facts.uplinks {
        if facts.conf(uplink, "forwarding") == Some(0) {
            let object = conf_name(uplink, "forwarding");
            found.error(
                &object,
                "Forwarding is off on the uplink: what the fabric sends to VMs is dropped.",
                set(&object, 1),
            );
        }
    }
    for (link, vm) in facts.vm_links() {
        // The agent sets it with the gateway's address.
        if vm.address.is_some() && facts.conf(&link.name, "forwarding") == Some(0) {
            let object = conf_name(&link.name, "forwarding");
            found.error(
                &object,
                "Forwarding is off on the VM link: what the VM sends beyond this host is dropped.",
                format!("sysctl -w {object}=1"),
            );
        }
    }
    if !facts.forwarding_at_boot {
        found.hint(
            ALL,
            "Forwarding is on, and no file of sysctl.d says so: it may be off after the next boot.",
            format!("echo {ALL}=1 >/etc/sysctl.d/90-slash32.conf"),
        );
    }
}

/// What does not fit through the uplink has to be said to each sender by ICMP, which firewalls like to drop.
pub(super) fn mtu(facts: &Facts, found: &mut Found) {
    let least = facts
        .uplinks
        .iter()
        .filter_map(|name| facts.link(name))
        .min_by_key(|link| link.mtu);
    let Some(uplink) = least else { return };
    let mtu = uplink.mtu;
    for (link, _) in facts.vm_links().filter(|(link, _)| link.mtu > mtu) {
        let told = facts
            .agent
            .details
            .get(&link.name)
            .and_then(|detail| detail.options.get("mtu")?.parse::<u32>().ok());
        if told.is_some_and(|told| told <= mtu) {
            continue;
        }
        let (own, uplink) = (link.mtu, &uplink.name);
        found.warning(
            &link.name,
            format!(
                "Its MTU is {own}, and the uplink {uplink} has {mtu}: larger packets of VMs do not leave, and connections hang \
                 where the ICMP message that says so is lost."
            ),
            format!("mtu = {mtu} in [options] of the config, then slash32 reload; VMs learn it with their next renewal"),
        );
    }
}
