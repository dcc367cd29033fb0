//! libvirt's hooks, and the spool between them and the agent.

use super::Found;
use super::facts::Facts;
use crate::shim::State;
use std::time::Duration;

/// A running agent takes a call from the spool at once.
const PROMPT: Duration = Duration::from_secs(60);

/// Whether libvirt calls the scripts. A host without libvirt needs none.
pub(super) fn installed(facts: &Facts, found: &mut Found) {
    for hook in facts.hooks.iter().flatten() {
        let path = hook.path.display().to_string();
        if let Some(unit) = hook.restart {
            found.warning(
                unit,
                "It runs since before the hooks were installed and may not call them: the agent knows its VMs late or not at all.",
                format!("systemctl restart {unit}, which leaves VMs running"),
            );
        }
        if hook.state == State::Installed {
            continue;
        }
        let mend = match (&hook.detail, hook.state) {
            (Some(detail), State::Foreign | State::NotCalled) => detail,
            _ => "slash32 hook install",
        };
        found.warning(
            path,
            "libvirt does not call it: VMs have their names and what their metadata asks for from libvirt's state files alone, \
             which come late or cannot be read.",
            mend,
        );
    }
}

/// Whether hooks can leave what they know, and the agent takes it.
pub(super) fn spool(facts: &Facts, found: &mut Found) {
    let spool = match &facts.spool {
        Ok(spool) => spool,
        Err(why) => {
            found.unknown(
                "hook spool",
                format!("{why}."),
                "run slash32 doctor as root",
            );
            return;
        }
    };
    let folder = spool.folder.display().to_string();
    if spool.is_read_only {
        found.warning(
            &folder,
            "Its file system is read-only: the agent is not told of new VMs by libvirt.",
            format!("findmnt -T {folder}, then mount -o remount,rw what it names"),
        );
    } else if !spool.has_room {
        found.warning(
            &folder,
            "Less than an eighth of its file system is free: hooks leave nothing there, and the agent is not told of new VMs.",
            format!("df -h {folder}; du -xsh what is large there, and remove it"),
        );
    }
    let waiting = spool.ages.iter().filter(|age| **age > PROMPT).count();
    if waiting > 0 && facts.agent.rows.is_ok() {
        let calls = if waiting == 1 {
            "call of libvirt waits"
        } else {
            "calls of libvirt wait"
        };
        found.warning(
            &folder,
            format!("{waiting} {calls} there for longer than a minute: the agent does not take them."),
            format!("journalctl -u slash32-agent -e tells why; runtime-dir in {} is to be that of the running agent", facts.config_file.display()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::Spool;
    use crate::doctor::{Severity, judge};
    use crate::shim::Status;
    use slash32_libvirt::Hook;

    fn hook(hook: Hook, state: State) -> Status {
        Status {
            hook,
            path: format!("/etc/libvirt/hooks/{}.d/slash32", hook.name()).into(),
            state,
            detail: None,
            restart: None,
        }
    }

    /// Check, severity, object and the start of the mend of each finding.
    fn found(change: impl FnOnce(&mut Facts)) -> Vec<(&'static str, Severity, String, String)> {
        let mut facts = Facts::healthy();
        change(&mut facts);
        let row = |finding: crate::doctor::Finding| {
            (
                finding.check,
                finding.severity,
                finding.object,
                finding.mend,
            )
        };
        judge(&facts).into_iter().map(row).collect()
    }

    fn of_spool(change: impl FnOnce(&mut Spool)) -> Vec<(&'static str, Severity, String, String)> {
        found(|facts| change(facts.spool.as_mut().unwrap()))
    }

    #[test]
    fn hooks_that_are_not_installed_are_a_warning_each() {
        let all = found(|facts| {
            facts.hooks = Some(vec![
                hook(Hook::Network, State::Missing),
                hook(Hook::Qemu, State::Installed),
            ]);
        });
        let path = "/etc/libvirt/hooks/network.d/slash32".to_owned();
        let mend = "slash32 hook install".to_owned();
        assert_eq!(all, [("libvirt-hooks", Severity::Warning, path, mend)]);
    }

    #[test]
    fn a_script_that_is_in_the_way_is_told_with_what_to_do() {
        let all = found(|facts| {
            let mut other = hook(Hook::Qemu, State::Foreign);
            other.detail = Some("move it away".into());
            facts.hooks = Some(vec![other]);
        });
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0].3, "move it away");
    }

    #[test]
    fn a_daemon_that_is_older_than_the_hooks_is_to_be_restarted() {
        let all = found(|facts| {
            let mut installed = hook(Hook::Qemu, State::Installed);
            installed.restart = Some("virtqemud");
            facts.hooks = Some(vec![installed]);
        });
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(
            (all[0].1, all[0].2.as_str()),
            (Severity::Warning, "virtqemud")
        );
        assert!(
            all[0].3.starts_with("systemctl restart virtqemud"),
            "{all:?}"
        );
    }

    #[test]
    fn a_host_without_libvirt_needs_no_hooks() {
        assert_eq!(found(|facts| facts.hooks = None), []);
    }

    #[test]
    fn calls_that_an_agent_leaves_in_the_spool_are_a_warning() {
        let young = Duration::from_secs(59);
        assert_eq!(of_spool(|spool| spool.ages = vec![young]), []);
        let all = of_spool(|spool| spool.ages = vec![young, Duration::from_secs(61)]);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].0, all[0].1), ("hook-spool", Severity::Warning));
        assert!(
            all[0].3.starts_with("journalctl -u slash32-agent"),
            "{all:?}"
        );
    }

    #[test]
    fn while_the_agent_is_down_calls_wait_without_a_finding_of_their_own() {
        let all = found(|facts| {
            facts.agent.rows = Err("connection refused".into());
            facts.spool.as_mut().unwrap().ages = vec![Duration::from_secs(3600)];
        });
        assert!(all.iter().all(|finding| finding.0 == "agent"), "{all:?}");
    }

    #[test]
    fn a_spool_that_takes_no_call_is_a_warning() {
        for (all, mend) in [
            (of_spool(|spool| spool.is_read_only = true), "findmnt"),
            (of_spool(|spool| spool.has_room = false), "df -h"),
        ] {
            assert_eq!(all.len(), 1, "{all:?}");
            assert_eq!((all[0].0, all[0].1), ("hook-spool", Severity::Warning));
            assert!(all[0].3.starts_with(mend), "{all:?}");
        }
    }

    #[test]
    fn a_spool_that_may_not_be_read_is_a_check_that_was_not_made() {
        let all = found(|facts| facts.spool = Err("permission denied".into()));
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].0, all[0].1), ("hook-spool", Severity::Unknown));
    }
}
