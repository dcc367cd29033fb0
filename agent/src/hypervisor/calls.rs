//! The spool: hook calls that wait in `RUNTIME/hooks`, one file each.

use slash32_libvirt::{Fact, Fault, read, spool};
use slash32_sys::clock::boottime;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So many calls are taken in at a time, and between two times the claims of VMs are answered.
const CHUNK: usize = 200;
/// What is not whole after this long never will be: its XML is not waited for any more.
const ABANDONED: Duration = spool::LIMIT.saturating_mul(2);

pub(super) struct Calls {
    folder: PathBuf,
    /// Files that were taken in and may go when their facts are kept.
    taken: BTreeSet<String>,
    /// Files that were taken in and cannot be removed.
    stuck: BTreeSet<String>,
}

/// Some calls that were taken in.
#[derive(Default)]
pub(super) struct Taken {
    /// With the times of their calls, in nanoseconds since boot.
    pub(super) facts: Vec<(Option<u64>, Fact)>,
    /// There are more calls.
    pub(super) more: bool,
}

impl Calls {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            taken: BTreeSet::new(),
            stuck: BTreeSet::new(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The next calls, in the order in which they were made.
    pub(super) fn take(&mut self) -> Taken {
        // A folder that cannot be read has been told when it was made.
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Taken::default();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| spool::is_call(name) && !self.is_known(name))
            .collect();
        if names.is_empty() {
            return Taken::default();
        }
        names.sort_unstable();
        let more = names.len() > CHUNK;
        names.truncate(CHUNK);
        let mut facts = Vec::new();
        for name in &names {
            match self.read(name) {
                Ok(told) => facts.extend(told.into_iter().map(|fact| (spool::made(name), fact))),
                Err(fault) => {
                    let path = self.folder.join(name);
                    tracing::warn!("{}: {fault}: this hook call is dropped", path.display());
                }
            }
        }
        self.taken.extend(names);
        Taken { facts, more }
    }

    fn is_known(&self, name: &str) -> bool {
        self.taken.contains(name) || self.stuck.contains(name)
    }

    /// Some files that were taken in are still there.
    pub(super) fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    fn read(&self, name: &str) -> Result<Vec<Fact>, Fault> {
        let mut bytes = Vec::new();
        File::open(self.folder.join(name))
            .and_then(|file| file.take(spool::MOST as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| Fault(error.to_string()))?;
        read(&spool::decode(&bytes)?)
    }

    /// Removes the files of all calls that were taken in: their facts are kept.
    pub(super) fn remove_taken(&mut self) {
        for name in std::mem::take(&mut self.taken) {
            let path = self.folder.join(&name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(
                        "{}: cannot be removed, and is read again when slash32-agent is restarted: {error}",
                        path.display()
                    );
                    self.stuck.insert(name);
                }
                _ => {}
            }
        }
    }

    /// Removes what hook calls that were cut short have left.
    pub(super) fn clear_abandoned(&self) {
        let oldest = Duration::from_nanos(boottime()).saturating_sub(ABANDONED);
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let unfinished = name.to_str().filter(|name| name.starts_with('.'));
            let made = unfinished.and_then(spool::made).map(Duration::from_nanos);
            if made.is_some_and(|made| made < oldest) {
                // One that stays does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
