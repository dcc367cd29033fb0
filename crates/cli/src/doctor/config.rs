//! The config's files, and the folder of the store that they name.

use super::Found;
use super::facts::Facts;

/// Less than this is soon full: the store grows by a few hundred bytes a VM, and a commit writes anew.
const LITTLE_SPACE: u64 = 64 << 20;
/// Less than this takes no commit.
const NO_SPACE: u64 = 1 << 20;

pub(super) fn judge(facts: &Facts, found: &mut Found) {
    let file = facts.config_file.display().to_string();
    let config = match &facts.config {
        Ok(config) => config,
        Err(why) if !facts.is_root && why.contains("ermission denied") => {
            found.unknown(&file, format!("{why}."), "run slash32 doctor as root");
            return;
        }
        Err(why) => {
            found.error(
                &file,
                format!("The agent would not start with it: {why}."),
                format!("slash32 check {file} shows each error with its line"),
            );
            return;
        }
    };
    for row in facts.agent.rows.iter().flatten() {
        let altnames = facts
            .link(&row.link)
            .map(|link| link.altnames.as_slice())
            .unwrap_or_default();
        let network = config.network_of(&row.link, altnames).ok().flatten();
        let own = network.map(|network| (&network.name, network.gateway));
        let differs = match (own, &row.network, row.gateway) {
            (None, ..) => true,
            (Some((name, gateway)), running, running_gateway) => {
                running.as_ref().is_some_and(|running| running != name)
                    || running_gateway.is_some_and(|running| running != gateway)
            }
        };
        if differs {
            found.warning(
                &file,
                "The agent runs with another config than the one in the files: networks, links or gateways are different.",
                "slash32 reload",
            );
            return;
        }
    }
}

pub(super) fn state_folder(facts: &Facts, found: &mut Found) {
    let Ok(config) = &facts.config else { return };
    let folder = config.agent.state_dir.display().to_string();
    let space = match &facts.state_folder {
        Ok(space) => space,
        Err(why) => {
            found.error(
                &folder,
                format!("The agent cannot keep who has which address: {why}."),
                format!("install -d -m 0700 {folder}"),
            );
            return;
        }
    };
    let mend = format!("df -h {folder}; make room there, or move state-dir in the config");
    if space.is_read_only {
        found.error(
            &folder,
            "Its file system is read-only: no new VM gets an address.",
            format!(
                "findmnt -T {folder}, then mount -o remount,rw what it names, or mend the disk"
            ),
        );
    } else if space.free < NO_SPACE || space.free_files == Some(0) {
        found.error(
            &folder,
            "Its file system is full: no new VM gets an address.",
            mend,
        );
    } else if space.free < LITTLE_SPACE {
        let left = space.free >> 20;
        found.warning(
            &folder,
            format!("Its file system is nearly full ({left} MiB left): when it is, no new VM gets an address."),
            mend,
        );
    }
}
