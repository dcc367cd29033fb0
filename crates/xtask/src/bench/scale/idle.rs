//! Case g: what those take who serve all links while nobody asks anything, for a minute.
//!
//! A wake-up is a voluntary context switch: the process waited, and then ran.

use super::Page;
use crate::bench::cgroup::Cgroup;
use crate::bench::extent::Extent;
use crate::bench::figure;
use crate::bench::report::Subject;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(10);

/// What a thread has done until a moment.
#[derive(Clone, Copy, Default)]
struct Done {
    wake_ups: u64,
    nanoseconds: u64,
}

/// Threads by their ids.
type Threads = BTreeMap<u32, Done>;

/// Leaves them alone, and counts. Only in the first run: what waits does so in every run.
pub(super) fn measure(extent: Extent, cgroup: &Cgroup, page: &mut Page<'_>) -> Result<()> {
    let Some(look) = look(extent, page).filter(|_| page.run == 0) else {
        return Ok(());
    };
    let (mut agents, mut servers) = (Vec::new(), Vec::new());
    for pid in cgroup.pids()? {
        let group = if super::is_agent(pid)? {
            &mut agents
        } else {
            &mut servers
        };
        group.push(pid);
    }
    let start = Instant::now();
    let before = (threads(&agents)?, threads(&servers)?);
    std::thread::sleep(look);
    let after = (threads(&agents)?, threads(&servers)?);
    let minutes = start.elapsed().as_secs_f64() / MINUTE.as_secs_f64();
    let mut take = |wake_ups, processor, done: Done| {
        page.take(wake_ups, done.wake_ups as f64 / minutes);
        page.take(processor, done.nanoseconds as f64 / 1e3 / minutes);
    };
    take(
        figure::WAKE_UPS,
        figure::IDLE_CPU,
        between(&before.1, &after.1),
    );
    if !agents.is_empty() {
        take(
            figure::AGENT_WAKE_UPS,
            figure::AGENT_IDLE_CPU,
            between(&before.0, &after.0),
        );
    }
    Ok(())
}

/// For how long: a whole minute where somebody asks for it, or where that is what the bench is about.
fn look(extent: Extent, page: &Page<'_>) -> Option<Duration> {
    let is_ours = page.subject == Subject::Slash32;
    match (extent, page.links) {
        (Extent::Full, _) => Some(MINUTE),
        (Extent::Standard, 1000) if is_ours => Some(MINUTE),
        (Extent::Standard, 100 | 1000) => Some(SHORT),
        (Extent::Quick, 100) if is_ours => Some(SHORT),
        _ => None,
    }
}

/// What was done between two looks. Of a thread that has ended it is known that it woke up for that.
fn between(before: &Threads, after: &Threads) -> Done {
    let ended = before.keys().filter(|id| !after.contains_key(id)).count();
    let mut sum = Done {
        wake_ups: ended as u64,
        nanoseconds: 0,
    };
    for (id, after) in after {
        let before = before.get(id).copied().unwrap_or_default();
        sum.wake_ups += after.wake_ups.saturating_sub(before.wake_ups);
        sum.nanoseconds += after.nanoseconds.saturating_sub(before.nanoseconds);
    }
    sum
}

/// What the threads of these processes have done.
fn threads(pids: &[u32]) -> Result<Threads> {
    let mut threads = Threads::new();
    for pid in pids {
        let Ok(folder) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for entry in folder {
            let thread = entry?.path();
            let read = |file| std::fs::read_to_string(thread.join(file));
            // An error: it has just ended.
            if let (Ok(status), Ok(schedstat)) = (read("status"), read("schedstat")) {
                let id = thread.file_name().and_then(|name| name.to_str());
                let id = id.context("a thread without an id")?.parse()?;
                threads.insert(id, Done::read(&status, &schedstat)?);
            }
        }
    }
    Ok(threads)
}

impl Done {
    /// Of /proc/PID/task/TID/status, and of schedstat there: its first number is the time on a processor, in nanoseconds
    /// (Documentation/scheduler/sched-stats.rst).
    fn read(status: &str, schedstat: &str) -> Result<Self> {
        let switches = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let switches = switches.context("no voluntary_ctxt_switches")?;
        let time = schedstat.split(' ').next().unwrap_or_default();
        Ok(Self {
            wake_ups: switches.trim().parse()?,
            nanoseconds: time.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voluntary_switches_are_told_from_others() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t9\n";
        let done = Done::read(status, "123456 78 9\n").unwrap();
        assert_eq!((done.wake_ups, done.nanoseconds), (7, 123_456));
    }

    #[test]
    fn a_thread_that_ended_woke_up_and_a_new_one_counts_whole() {
        let done = |wake_ups| Done {
            wake_ups,
            nanoseconds: 10 * wake_ups,
        };
        let before = Threads::from([(1, done(5)), (2, done(50))]);
        let after = Threads::from([(1, done(6)), (3, done(2))]);
        let sum = between(&before, &after);
        assert_eq!((sum.wake_ups, sum.nanoseconds), (4, 30));
    }
}
