//! The agent, as far as it answers.

use super::Found;
use super::facts::Facts;
use super::servers;
use slash32_control::{LinkRow, State};

pub(super) fn answers(facts: &Facts, found: &mut Found) {
    let socket = facts.agent.socket.display().to_string();
    let Err(why) = &facts.agent.rows else { return };
    let mend = "systemctl start slash32-agent; journalctl -u slash32-agent -e tells why it ended";
    if !facts.is_root && facts.agent.socket_exists {
        found.unknown(
            socket,
            format!("What the agent says of its links is not known: {why}."),
            "run slash32 doctor as root, or as a member of the group slash32",
        );
        return;
    }
    found.error(
        socket,
        format!("New VMs get no address, those that have one keep it: {why}."),
        mend,
    );
    if facts.config.is_err() {
        found.unknown(
            "VM links",
            "Neither the agent nor the config tells which links are VM links: nothing was checked on them.",
            mend,
        );
    }
}

/// What the agent itself says of each link.
pub(super) fn links(facts: &Facts, found: &mut Found) {
    for row in facts.agent.rows.iter().flatten() {
        let name = &row.link;
        let reason = row.reason.as_deref().unwrap_or("it gave no reason");
        let show = format!("slash32 show {name}; slash32 explain {name}");
        match row.state {
            // Told by `libvirt-dhcp`.
            State::Failed if servers::is_libvirts(row) => {}
            State::Failed => found.error(
                name,
                format!("The agent does not serve it: {reason}."),
                show,
            ),
            // Told by `several-vms`, with its ports.
            _ if row.reason.as_deref() == Some("several ports") => {}
            State::Unassigned => {
                found.warning(name, format!("Its VM gets no address: {reason}."), show)
            }
            State::Ready | State::Bound => served(row, found),
            State::Idle => {}
        }
    }
}

fn served(row: &LinkRow, found: &mut Found) {
    let name = &row.link;
    if row.responder.is_none() {
        found.error(
            name,
            "No responder answers on it, so its VM cannot renew its lease.",
            "journalctl -u slash32-agent -e tells why; systemctl restart slash32-agent starts one",
        );
    }
    if row.state == State::Bound && !row.route {
        found.error(
            name,
            "Its VM has an address, and the host route to it is missing: nobody reaches it.",
            format!("slash32 show {name} tells why; ip route get the VM's address shows who has it instead"),
        );
    }
}

pub(super) fn accounts(facts: &Facts, found: &mut Found) {
    let mend = "systemd-sysusers slash32.conf, then systemctl restart slash32-agent";
    if !facts.responder_user {
        found.warning(
            "user slash32-responder",
            "It is missing: responders run as nobody, like other programs, which they could then disturb.",
            mend,
        );
    }
    if !facts.operator_group {
        found.hint(
            "group slash32",
            "It is missing: only root may ask the agent.",
            mend,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Severity, judge};

    /// What is found of the one VM of a healthy host when its row is changed.
    fn found(change: impl FnOnce(&mut LinkRow)) -> Vec<(Severity, String)> {
        let mut facts = Facts::healthy();
        change(&mut facts.agent.rows.as_mut().unwrap()[0]);
        judge(&facts)
            .into_iter()
            .map(|finding| (finding.severity, finding.finding))
            .collect()
    }

    #[test]
    fn a_bound_vm_without_responder_or_route_is_an_error() {
        let without_responder = found(|row| row.responder = None);
        assert!(
            matches!(&without_responder[..], [(Severity::Error, text)] if text.starts_with("No responder answers")),
            "{without_responder:?}"
        );
        let without_route = found(|row| row.route = false);
        assert!(
            matches!(&without_route[..], [(Severity::Error, text)] if text.contains("host route to it is missing")),
            "{without_route:?}"
        );
    }

    #[test]
    fn a_vm_that_is_not_acknowledged_yet_needs_no_route() {
        let ready = found(|row| {
            row.state = State::Ready;
            row.route = false;
        });
        assert_eq!(ready, []);
    }

    #[test]
    fn a_vm_without_an_address_is_a_warning_with_its_reason() {
        let unassigned = found(|row| {
            row.state = State::Unassigned;
            row.reason = Some("no identity".into());
        });
        let expected = "Its VM gets no address: no identity.".to_owned();
        assert_eq!(unassigned, [(Severity::Warning, expected)]);
    }
}
