//! The captures that end-to-end cases leave with `cargo xtask test --keep`.

use crate::cargo;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names their folder to the cases.
const VARIABLE: &str = "SLASH32_KEEP";

/// The folder of the captures.
pub(crate) struct Captures(PathBuf);

impl Captures {
    /// The folder that was asked for, or the usual one below cargo's target folder; it is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn below(folder: Option<&Path>) -> anyhow::Result<Self> {
        let folder = match folder {
            Some(folder) => std::path::absolute(folder)?,
            None => cargo::target()?.join("captures"),
        };
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Has the cases that `tests` runs leave captures here.
    pub(crate) fn ask(&self, tests: &mut Command) {
        tests.env(VARIABLE, &self.0);
    }

    /// Says where they are. Each case takes away what it left before; other cases' captures may be of an earlier run.
    pub(crate) fn tell(&self) {
        let count = count_below(&self.0);
        let folder = self.0.display();
        eprintln!("\n{count} captures for Wireshark: {folder}/BINARY/CASE/LINK.pcap");
    }
}

fn count_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let count = entries.map(|entry| match entry.path() {
        path if path.is_dir() => count_below(&path),
        path => usize::from(path.extension().is_some_and(|end| end == "pcap")),
    });
    count.sum()
}
