//! Case g: what those take who serve all links while nobody asks anything, for a minute.
//!
//! A wake-up is a voluntary context switch: the process waited, and then ran.

use super::Page;
use crate::bench::cgroup::Cgroup;
use crate::bench::extent::Extent;
use crate::bench::figure;
use crate::bench::report::Subject;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(10);

/// What processes have done until a moment.
#[derive(Clone, Copy, Default)]
struct Done {
    wake_ups: u64,
    nanoseconds: u64,
}

/// Leaves them alone, and counts. The first run takes a minute, where there is time for that.
pub(super) fn measure(extent: Extent, cgroup: &Cgroup, page: &mut Page<'_>) -> Result<()> {
    let whole = match extent {
        Extent::Quick => false,
        Extent::Standard => page.run == 0 && page.subject == Subject::Slash32 && page.links >= 1000,
        Extent::Full => true,
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
    let before = (sum(&agents)?, sum(&servers)?);
    std::thread::sleep(if whole { MINUTE } else { SHORT });
    let after = (sum(&agents)?, sum(&servers)?);
    let minutes = start.elapsed().as_secs_f64() / MINUTE.as_secs_f64();
    let rate = |after: u64, before: u64| after.saturating_sub(before) as f64 / minutes;
    let mut take = |wake_ups, processor, after: Done, before: Done| {
        page.take(wake_ups, rate(after.wake_ups, before.wake_ups));
        let nanoseconds = rate(after.nanoseconds, before.nanoseconds);
        page.take(processor, nanoseconds / 1e3);
    };
    take(figure::WAKE_UPS, figure::IDLE_CPU, after.1, before.1);
    if !agents.is_empty() {
        take(
            figure::AGENT_WAKE_UPS,
            figure::AGENT_IDLE_CPU,
            after.0,
            before.0,
        );
    }
    Ok(())
}

/// What the threads of these processes have done.
fn sum(pids: &[u32]) -> Result<Done> {
    let mut sum = Done::default();
    for pid in pids {
        for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?.path();
            let read = |file: &str| {
                let path = thread.join(file);
                std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))
            };
            let status = read("status")?;
            let switches = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum.wake_ups += switches
                .context("no voluntary_ctxt_switches")?
                .trim()
                .parse::<u64>()?;
            // Its first number is the time on a processor (Documentation/scheduler/sched-stats.rst).
            let schedstat = read("schedstat")?;
            let time = schedstat.split(' ').next().unwrap_or_default();
            sum.nanoseconds += time.parse::<u64>()?;
        }
    }
    Ok(sum)
}
