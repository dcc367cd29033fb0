//! Case d: memory while all are served and nobody asks.
//!
//! Of processes: proportional (PSS) and private memory of /proc/PID/smaps_rollup, and page tables. Of the kernel: by how much
//! its slabs grew, over the links alone, and what the cgroup is charged, where the memory controller is ours to use.

use super::Page;
use crate::bench::cgroup::Cgroup;
use crate::bench::figure;
use crate::bench::lab::Lab;
use crate::bench::report::Quote;
use anyhow::{Context, Result};

/// With fewer links than this the slabs tell more of what else the machine does.
const ENOUGH: u32 = 100;

/// The kernel's slabs at a moment, in KiB.
pub(super) struct Kernel {
    slab: f64,
    unreclaimable: f64,
}

impl Kernel {
    pub(super) fn now() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/meminfo")?;
        Ok(Self {
            slab: field(&text, "Slab:")?,
            unreclaimable: field(&text, "SUnreclaim:")?,
        })
    }

    fn since(&self, before: &Self, page: &mut Page<'_>) {
        if page.links < ENOUGH {
            return;
        }
        let links = f64::from(page.links);
        page.take(figure::SLAB, (self.slab - before.slab) / links);
        page.take(
            figure::SLAB_UNRECLAIMABLE,
            (self.unreclaimable - before.unreclaimable) / links,
        );
    }
}

/// What the links of `lab` have cost the kernel since there were none.
pub(super) fn links(lab: &Lab, empty: &Kernel, page: &mut Page<'_>) -> Result<()> {
    lab.settle();
    Kernel::now()?.since(empty, page);
    Ok(())
}

/// What a subject that serves all links has cost since `before`, when the links were there and it was not.
pub(super) fn subject(before: &Kernel, cgroup: &Cgroup, page: &mut Page<'_>) -> Result<()> {
    Kernel::now()?.since(before, page);
    if let Some(bytes) = cgroup.memory() {
        page.take(
            figure::CHARGED,
            bytes as f64 / 1024.0 / f64::from(page.links),
        );
    }
    let (agents, servers): (Vec<Process>, Vec<Process>) = cgroup
        .pids()?
        .into_iter()
        .map(Process::read)
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .partition(|process| process.is_agent);
    let each = |of: fn(&Process) -> f64| servers.iter().map(of);
    let all = [
        (figure::PSS, Quote::of(each(|one| one.pss))),
        (figure::PRIVATE, Quote::of(each(|one| one.private))),
        (figure::PAGE_TABLES, Quote::of(each(|one| one.page_tables))),
    ];
    for (of, quote) in all {
        if let Some(quote) = quote {
            page.take(of, quote.median);
        }
    }
    page.take(figure::PSS_OF_ALL, each(|one| one.pss).sum());
    if !agents.is_empty() {
        page.take(figure::AGENT_RSS, agents.iter().map(|one| one.rss).sum());
        page.take(figure::AGENT_PSS, agents.iter().map(|one| one.pss).sum());
    }
    Ok(())
}

/// The memory of a process, in KiB.
struct Process {
    is_agent: bool,
    rss: f64,
    pss: f64,
    private: f64,
    page_tables: f64,
}

impl Process {
    fn read(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let (rollup, status) = (read("smaps_rollup")?, read("status")?);
        let private = ["Private_Clean:", "Private_Dirty:", "Private_Hugetlb:"];
        let private = private.iter().map(|name| field(&rollup, name));
        Ok(Self {
            is_agent: super::is_agent(pid)?,
            rss: field(&rollup, "Rss:")?,
            pss: field(&rollup, "Pss:")?,
            private: private.sum::<Result<f64>>()?,
            page_tables: field(&status, "VmPTE:")?,
        })
    }
}

/// The number behind `name` in a file of lines like `Slab:  123 kB`.
fn field(text: &str, name: &str) -> Result<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    let number = rest.and_then(|rest| rest.split_whitespace().next());
    Ok(number.with_context(|| format!("no {name}"))?.parse()?)
}
