//! A control group (cgroup-v2(7)) for everything that a subject starts: who belongs to it, and the processor time of all of
//! them, of those too that have ended.

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use slash32_tests::{Process, until};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long killed processes may take to be gone: each packet socket that closes waits for the kernel (16 ms, some at once).
const END: Duration = Duration::from_secs(60);

/// What a cgroup's name begins with; the bench's pid and a number follow.
const NAME: &str = "slash32-bench-";

/// A cgroup below our own. Dropping it kills who is in it, and removes it.
pub(super) struct Cgroup(PathBuf);

/// Processor time, to the microsecond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Processor {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

impl Processor {
    /// Both.
    pub(super) fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was used since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

impl Cgroup {
    /// An empty one. Errors: there is no cgroup2 file system, or it cannot be written.
    pub(super) fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let mount = mount_point(&mounts).context("there is no cgroup2 file system here")?;
        let own = std::fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
        let folder = mount.join(own.unwrap_or_default());
        sweep(&folder)?;
        let path = folder.join(format!("{NAME}{}-{number}", std::process::id()));
        std::fs::create_dir(&path)
            .with_context(|| format!("cannot make the control group {}", path.display()))?;
        Ok(Self(path))
    }

    /// Takes a process in, and what it starts from now on.
    pub(super) fn take_in(&self, process: &Process) -> Result<()> {
        let pid = process.pid();
        std::fs::write(self.0.join("cgroup.procs"), pid.to_string())
            .with_context(|| format!("cannot move pid {pid} to {}", self.0.display()))
    }

    /// Those that run, by the pids that we see.
    pub(super) fn pids(&self) -> Result<Vec<u32>> {
        let pids = std::fs::read_to_string(self.0.join("cgroup.procs"))?;
        Ok(pids.lines().map(str::parse).collect::<Result<_, _>>()?)
    }

    /// What all of them have used since the cgroup was made.
    pub(super) fn processor(&self) -> Result<Processor> {
        let text = std::fs::read_to_string(self.0.join("cpu.stat"))?;
        let field = |name: &str| -> Result<Duration> {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            let value = value.with_context(|| format!("no {name}in cpu.stat"))?;
            Ok(Duration::from_micros(value.parse()?))
        };
        Ok(Processor {
            user: field("user_usec ")?,
            system: field("system_usec ")?,
        })
    }

    /// What the kernel charges it for, in bytes; `None` on a machine where the memory controller is not delegated to us.
    pub(super) fn memory(&self) -> Option<u64> {
        let text = std::fs::read_to_string(self.0.join("memory.current")).ok()?;
        text.trim().parse().ok()
    }

    /// SIGKILL to each, until none is left. Errors: that takes longer than a minute.
    pub(super) fn end(&self) -> Result<()> {
        until("killed processes to be gone", END, || {
            let pids = self.pids()?;
            for pid in &pids {
                // Not an error: it has just ended.
                let _ = kill(Pid::from_raw(i32::try_from(*pid)?), Signal::SIGKILL);
            }
            Ok(pids.is_empty().then_some(()))
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let ended = self.end();
        if let Err(error) = ended.and_then(|()| Ok(std::fs::remove_dir(&self.0)?)) {
            eprintln!("cannot remove {}: {error:#}", self.0.display());
        }
    }
}

/// Removes what a bench has left that was interrupted: its namespaces ended with it, and with them who was in its cgroups.
fn sweep(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let pid = name
            .strip_prefix(NAME)
            .and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Not an error: somebody is still ending there, or another bench was quicker.
            let _ = std::fs::remove_dir(entry.path());
        }
    }
    Ok(())
}

/// Where the cgroup2 file system is mounted: the fifth field of its line (proc_pid_mountinfo(5)).
fn mount_point(mounts: &str) -> Option<&Path> {
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_point_is_found_beside_version_1() {
        let mounts = "40 31 0:37 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(
            mount_point(mounts),
            Some(Path::new("/sys/fs/cgroup/unified"))
        );
        assert_eq!(mount_point(""), None);
    }
}
