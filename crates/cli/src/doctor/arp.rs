//! Settings of `net.ipv4.conf` that keep a VM from finding its gateway by ARP, or let it lie about its address.
//!
//! For `rp_filter`, `arp_ignore` and `arp_announce` the larger value of `all` and of the link counts, so that one line for
//! `all` outdoes what the agent sets on its links (Documentation/networking/ip-sysctl.rst).

use super::Found;
use super::facts::{Facts, conf_name};

/// `arp_ignore` 2: answer only when the asker is in the subnet of the asked address. The gateway is a /32, so nobody is.
const SAME_SUBNET: i64 = 2;
/// `arp_ignore` 8: answer nobody.
const NOBODY: i64 = 8;

pub(super) fn judge(facts: &Facts, found: &mut Found) {
    for (link, _) in facts.vm_links() {
        if let Some(value @ (SAME_SUBNET | NOBODY)) = facts.largest_conf(&link.name, "arp_ignore") {
            let all = facts.conf("all", "arp_ignore") == Some(value);
            let object = conf_name(if all { "all" } else { &link.name }, "arp_ignore");
            let why = match value {
                SAME_SUBNET => {
                    "outside the subnet of the address that it asks for, and the gateway is a /32"
                }
                _ => "at all",
            };
            found.error(
                &object,
                format!(
                    "It is {value}: the host answers no ARP request of a VM {why}, so VMs do not find their gateway. \
                     The larger one of all and of the link counts."
                ),
                set(&object, 1),
            );
            if all {
                break;
            }
        }
    }
    if facts.conf("all", "proxy_arp") == Some(1) {
        let object = conf_name("all", "proxy_arp");
        found.warning(
            &object,
            "The host answers VMs' ARP requests for addresses that are not its own, so a VM that looks whether an address is \
             in use is told that it is.",
            set(&object, 0),
        );
    }
}

/// Strict where packets may come another way; loose where a VM could lie.
pub(super) fn rp_filter(facts: &Facts, found: &mut Found) {
    const STRICT: i64 = 1;
    const LOOSE: i64 = 2;
    if facts.uplinks.len() > 1 {
        for uplink in &facts.uplinks {
            if facts.largest_conf(uplink, "rp_filter") == Some(STRICT) {
                let object = conf_name(uplink, "rp_filter");
                found.warning(
                    &object,
                    "The reverse-path filter is strict on one of several uplinks: what comes in over another uplink than the \
                     one the answer leaves by is dropped, and with it traffic to VMs.",
                    set(&object, LOOSE),
                );
            }
        }
    }
    if facts.conf("all", "rp_filter") == Some(LOOSE) && facts.vm_links().next().is_some() {
        let object = conf_name("all", "rp_filter");
        found.warning(
            &object,
            "It is 2, which outdoes the strict filter of every VM link: a VM can send with another VM's address.",
            format!(
                "{}, and 2 on the uplinks that need it: sysctl -w net.ipv4.conf.UPLINK.rp_filter=2",
                set(&object, 0)
            ),
        );
    }
}

/// How a setting is changed, now and for the next boot.
pub(super) fn set(name: &str, value: i64) -> String {
    format!(
        "sysctl -w {name}={value}, and the line {name}={value} in /etc/sysctl.d/90-slash32.conf"
    )
}
