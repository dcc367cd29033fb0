//! Other DHCP servers.

use super::Found;
use super::facts::{Facts, Socket};
use slash32_control::{LinkRow, State};

/// A socket on the server's port that is not ours, and what responders have seen on the wire.
pub(super) fn judge(facts: &Facts, found: &mut Found) {
    let sockets = match &facts.sockets {
        Ok(sockets) => sockets,
        Err(why) => {
            found.unknown(
                "udp port 67",
                format!("Which programs listen is not known: {why}."),
                READ_SOCKETS,
            );
            return;
        }
    };
    for socket in sockets {
        if socket.protocol != "udp" || socket.port != 67 || is_ours(facts, socket) {
            continue;
        }
        let who = match &socket.process {
            Some((name, pid)) => format!("{name} (pid {pid})"),
            None => "Another program".to_owned(),
        };
        let stop = match &socket.process {
            Some((name, _)) if name == "dnsmasq" => {
                "take <dhcp> out of the libvirt network with virsh net-edit, or no-dhcp-interface=LINK into dnsmasq's config"
                    .to_owned()
            }
            Some((_, pid)) => format!("systemctl status {pid} names its unit: stop it, or keep it off the VM links"),
            None => "sudo ss -lunp sport = :67 names it; stop it, or keep it off the VM links".to_owned(),
        };
        match &socket.device {
            Some(device) if facts.vm_links().any(|(link, _)| link.name == *device) => found.error(
                device,
                format!("{who} serves DHCP there too: VMs may take its offer, which is of another subnet."),
                stop,
            ),
            Some(_) => {}
            None if facts.vm_links().next().is_some() && may_serve_vms(facts, &socket.address) => found.warning(
                format!("udp {}:67", socket.address),
                format!("{who} listens on every link, the VM links included, and may answer VMs."),
                stop,
            ),
            None => {}
        }
    }
    for (link, detail) in &facts.agent.details {
        if detail.other_server.is_some() {
            found.warning(
                link,
                "Another DHCP server was seen on the link, or the VM asked for one: VMs may take its offer.",
                format!("slash32 show {link} tells its address; the VM itself, or a port of the bridge, leads to it"),
            );
        }
    }
}

const READ_SOCKETS: &str = "install the package iproute2, which has ss";

/// It is held by a responder or by the agent; or, where processes are not shown, it is bound as theirs are.
fn is_ours(facts: &Facts, socket: &Socket) -> bool {
    if let Some((name, _)) = &socket.process {
        return name.starts_with("slash32-");
    }
    facts.vm_links().any(|(link, vm)| {
        socket.device.as_ref() == Some(&link.name)
            && vm
                .gateway
                .is_some_and(|gateway| socket.address == gateway.to_string())
    })
}

/// A socket that is bound to one address serves VMs when that is their gateway.
fn may_serve_vms(facts: &Facts, address: &str) -> bool {
    matches!(address, "0.0.0.0" | "*")
        || facts.vm_links().any(|(_, vm)| {
            vm.gateway
                .is_some_and(|gateway| gateway.to_string() == address)
        })
}

/// The agent says of this link that its libvirt network has `<dhcp>`.
pub(super) fn is_libvirts(row: &LinkRow) -> bool {
    let reason = row.reason.as_deref().unwrap_or_default();
    reason.starts_with("libvirt's network ") && reason.contains(" has <dhcp>")
}

/// libvirt's dnsmasq for a network with `<dhcp>`, also while it does not run: as the agent says, or as dnsmasq's own config.
pub(super) fn libvirt(facts: &Facts, found: &mut Found) {
    let mend = "take <dhcp> out of the network with virsh net-edit, then virsh net-destroy and net-start; or exclude the link \
                in links of the config";
    let rows = facts.agent.rows.iter().flatten();
    let told: Vec<&LinkRow> = rows.filter(|row| is_libvirts(row)).collect();
    for row in &told {
        let effect = match row.state {
            State::Failed => "the agent leaves such a link alone",
            _ => "its VM is served until it stops, and no other VM is",
        };
        found.error(
            &row.link,
            format!("libvirt serves DHCP there: {effect}."),
            mend,
        );
    }
    let files = match &facts.dnsmasq {
        Ok(files) => files,
        Err(why) => {
            found.unknown(
                "/var/lib/libvirt/dnsmasq",
                format!("{why}."),
                "run slash32 doctor as root",
            );
            return;
        }
    };
    for (file, text) in files {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let link = value("interface").and_then(|name| facts.link(name));
        if let Some(link) = link
            && link.vm.is_some()
            && told.iter().all(|row| row.link != link.name)
            && value("dhcp-range").is_some()
        {
            found.error(
                &link.name,
                format!(
                    "libvirt serves DHCP there, by {}: the agent leaves such a link alone.",
                    file.display()
                ),
                mend,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Severity, judge};

    const REASON: &str =
        "libvirt's network lan has <dhcp>, so its dnsmasq answers here: take <dhcp> out";

    /// What is found of virbr13 in this state, of whose network libvirt's dnsmasq has a config or has none yet.
    fn found(state: State, has_file: bool) -> Vec<(&'static str, Severity, String)> {
        let mut facts = Facts::healthy();
        let row = &mut facts.agent.rows.as_mut().unwrap()[0];
        (row.state, row.reason) = (state, Some(REASON.into()));
        if has_file {
            let text = "interface=virbr13\ndhcp-range=192.0.2.2,192.0.2.254\n";
            facts.dnsmasq = Ok(vec![(
                "/var/lib/libvirt/dnsmasq/lan.conf".into(),
                text.into(),
            )]);
        }
        let all = judge(&facts).into_iter();
        all.map(|finding| (finding.check, finding.severity, finding.object))
            .collect()
    }

    #[test]
    fn libvirts_dhcp_is_one_finding_however_it_is_known() {
        for state in [State::Failed, State::Bound] {
            for has_file in [false, true] {
                let expected = ("libvirt-dhcp", Severity::Error, "virbr13".to_owned());
                assert_eq!(found(state, has_file), [expected], "{state:?} {has_file}");
            }
        }
    }
}
