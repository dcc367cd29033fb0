//! What a bench has come to: everything that is written down.

use super::extent::Extent;
use super::machine::{Load, Machine, Program};
use super::report::Report;
use super::{json, plot, table};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// A bench, finished or not.
pub(crate) struct Outcome {
    pub(crate) extent: Extent,
    pub(crate) machine: Machine,
    pub(crate) programs: Vec<Program>,
    /// The runs that were begun.
    pub(crate) runs: Vec<Run>,
    pub(crate) report: Report,
    pub(crate) failures: Vec<Failure>,
    /// Everything that was wanted was tried.
    pub(crate) complete: bool,
}

/// What else the machine did.
pub(crate) struct Run {
    pub(crate) load_before: Load,
    /// Not yet, while it goes on.
    pub(crate) load_after: Option<Load>,
}

/// A case that was not measured to its end.
pub(crate) struct Failure {
    pub(crate) letters: &'static str,
    /// From 0.
    pub(crate) run: usize,
    pub(crate) error: String,
}

impl Outcome {
    /// Writes `bench.json`, `bench.md` and the plots in `folder`. Each is whole at any time.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        replace(
            &folder.join("bench.json"),
            &format!("{:#}\n", json::of(self)),
        )?;
        replace(&folder.join("bench.md"), &table::of(self))?;
        plot::of(&self.report)
            .iter()
            .try_for_each(|(name, text)| replace(&folder.join(name), text))
    }
}

fn replace(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, file))
        .with_context(|| format!("cannot write {}", file.display()))
}
