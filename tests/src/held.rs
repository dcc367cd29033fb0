use crate::Host;
use anyhow::{Context, Result};
use std::fs;

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Open descriptors.
    pub descriptors: usize,
    /// Memory of its own, in KiB: `Private_Clean` and `Private_Dirty` of proc_pid_smaps(5).
    pub private: u64,
}

impl Held {
    /// What the process with this pid, as those of the host know it, holds now. Errors: it is gone.
    pub fn by(host: &Host, pid: u64) -> Result<Self> {
        let process = host.namespace().path(format!("/proc/{pid}"));
        let rollup = fs::read_to_string(process.join("smaps_rollup"))?;
        let private = rollup.lines().filter(|line| line.starts_with("Private_"));
        let sizes = private.map(|line| {
            let size = line.split_whitespace().nth(1).context("no size")?;
            Ok(size.parse::<u64>()?)
        });
        Ok(Self {
            descriptors: fs::read_dir(process.join("fd"))?.count(),
            private: sizes.sum::<Result<u64>>()?,
        })
    }

    /// It is no more than `before`, but for `allowed` KiB of memory.
    pub fn is_within(&self, before: &Self, allowed: u64) -> bool {
        self.descriptors <= before.descriptors && self.private <= before.private + allowed
    }
}
