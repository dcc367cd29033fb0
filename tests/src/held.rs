use crate::Host;
use anyhow::{Context, Result};
use std::fs;

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Open descriptors.
    pub descriptors: usize,
    /// Memory that it has written, in KiB: `Private_Dirty` of proc_pid_smaps(5). What it only reads is its program.
    pub private: u64,
}

impl Held {
    /// What the process with this pid, as those of the host know it, holds now. Errors: it is gone.
    pub fn by(host: &Host, pid: u64) -> Result<Self> {
        let process = host.namespace().path(format!("/proc/{pid}"));
        let rollup = fs::read_to_string(process.join("smaps_rollup"))?;
        let private = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Private_Dirty:"))
            .and_then(|size| size.split_whitespace().next())
            .context("no Private_Dirty in smaps_rollup")?;
        Ok(Self {
            descriptors: fs::read_dir(process.join("fd"))?.count(),
            private: private.parse()?,
        })
    }

    /// It is no more than `before`, but for `allowed` KiB of memory.
    pub fn is_within(&self, before: &Self, allowed: u64) -> bool {
        self.descriptors <= before.descriptors && self.private <= before.private + allowed
    }
}
