//! Programs that configure links by themselves.

use super::Found;
use super::facts::Facts;

pub(super) fn judge(facts: &Facts, found: &mut Found) {
    network_manager(facts, found);
    networkd(facts, found);
}

fn network_manager(facts: &Facts, found: &mut Found) {
    let states = match &facts.network_manager {
        None => return,
        Some(Ok(states)) => states,
        Some(Err(why)) => {
            found.unknown(
                "NetworkManager",
                format!("It runs, and which links it has is not known: {why}."),
                "nmcli device shows it",
            );
            return;
        }
    };
    for (link, _) in facts.vm_links() {
        let names =
            std::iter::once(link).chain(facts.ports(link).filter(|port| port.index != link.index));
        for name in names.map(|link| &link.name) {
            // A link that somebody else configured is only watched.
            let Some(state) = states.get(name).filter(|state| {
                *state != "unmanaged" && *state != "unavailable" && !state.contains("externally")
            }) else {
                continue;
            };
            found.warning(
                name,
                format!("NetworkManager manages it ({state}), and may take its addresses or start a DHCP client on it."),
                "write [keyfile] unmanaged-devices=interface-name:virbr*;interface-name:vnet* with your links' names to \
                 /etc/NetworkManager/conf.d/90-slash32.conf, then nmcli general reload",
            );
        }
    }
}

fn networkd(facts: &Facts, found: &mut Found) {
    if !facts.processes.contains("systemd-network") {
        return;
    }
    for (link, _) in facts.vm_links() {
        let names =
            std::iter::once(link).chain(facts.ports(link).filter(|port| port.index != link.index));
        for link in names {
            let Some(state) = facts.networkd.get(&link.index) else {
                continue;
            };
            if state == "unmanaged" || state == "pending" || state == "initialized" {
                continue;
            }
            let name = &link.name;
            found.warning(
                name,
                format!(
                    "systemd-networkd manages it ({state}): it takes addresses and routes that it did not set, the gateway's \
                     and the VMs' included."
                ),
                format!(
                    "write [Match] Name={name} and [Link] Unmanaged=yes to /etc/systemd/network/05-slash32.network, then \
                     networkctl reload"
                ),
            );
        }
    }
}
