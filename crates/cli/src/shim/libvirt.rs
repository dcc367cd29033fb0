use crate::doctor::{command, processes};
use slash32_libvirt::Hook;
use std::fmt;
use std::fs;
use std::time::{Duration, SystemTime};

/// The first version that calls what is in `HOOK.d`: <https://libvirt.org/hooks.html>.
const FOLDERS_SINCE: (u32, u32) = (6, 5);

/// Unit of the times in /proc/PID/stat: `USER_HZ`, which is this on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// libvirt on this host.
pub(crate) struct Libvirt {
    /// Major and minor; `None` when it was not found.
    version: Option<(u32, u32)>,
    /// The daemons that run and call hooks, with their start.
    daemons: Vec<(&'static str, SystemTime)>,
}

/// The daemon of everything, and those of one driver each; their units have their names.
pub(crate) const DAEMONS: [&str; 3] = ["libvirtd", "virtqemud", "virtnetworkd"];

impl Libvirt {
    /// Asks its programs, and looks at the processes of this network namespace.
    pub(crate) async fn found() -> Self {
        let mut version = None;
        for program in DAEMONS.into_iter().chain(["virsh"]) {
            if let Ok(text) = command::run(program, &["--version"]).await {
                version = read_version(&text);
            }
            if version.is_some() {
                break;
            }
        }
        let processes = processes();
        let started = |name: &'static str| Some((name, start(*processes.get(name)?)?));
        Self {
            version,
            daemons: DAEMONS.into_iter().filter_map(started).collect(),
        }
    }

    /// Neither a program nor a daemon.
    pub(crate) fn is_missing(&self) -> bool {
        self.version.is_none() && self.daemons.is_empty()
    }

    /// It calls what is in `HOOK.d`. So does one of which nothing is known, as any of the last years does.
    pub(super) fn reads_folders(&self) -> bool {
        self.version.is_none_or(|version| version >= FOLDERS_SINCE)
    }

    /// The daemon that calls this hook, when it runs since before `moment`.
    pub(super) fn started_before(&self, hook: Hook, moment: SystemTime) -> Option<&'static str> {
        let own = match hook {
            Hook::Network => "virtnetworkd",
            Hook::Qemu => "virtqemud",
        };
        let calls_it = |name: &str| name == own || name == "libvirtd";
        let early = self
            .daemons
            .iter()
            .find(|(name, start)| calls_it(name) && *start < moment);
        early.map(|(name, _)| *name)
    }
}

impl fmt::Display for Libvirt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some((major, minor)) => write!(f, "{major}.{minor}"),
            None => f.write_str("of this host"),
        }
    }
}

/// Of `libvirtd (libvirt) 9.0.0`, or of virsh's `9.0.0`.
fn read_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().next_back()?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// When a process was started, by the clock of files.
fn start(pid: u32) -> Option<SystemTime> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): the name, in parentheses, is the second field, and the start the 22nd.
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    let ticks: u64 = ticks.parse().ok()?;
    let since_boot = Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let boottime = Duration::new(now.tv_sec.try_into().ok()?, now.tv_nsec.try_into().ok()?);
    SystemTime::now().checked_sub(boottime.saturating_sub(since_boot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_last_word() {
        let table = [
            ("libvirtd (libvirt) 9.0.0\n", Some((9, 0))),
            ("virtqemud (libvirt) 10.10.0\n", Some((10, 10))),
            ("6.4.0\n", Some((6, 4))),
            ("no version\n", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(read_version(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_process_was_started_before_now_and_after_the_boot() {
        let own = start(std::process::id()).unwrap();
        let age = SystemTime::now().duration_since(own).unwrap();
        assert!(age < Duration::from_secs(600), "{age:?}");
    }
}
