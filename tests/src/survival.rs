//! Figures of survival: what an event cost the VMs that renewed while it happened.
//!
//! Every case [records](record) a row, as a file of its own in the folder that [`FOLDER_VARIABLE`] names. `cargo xtask test`
//! sets the variable and prints the [table] after the run.

use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The variable that names the folder of the rows. Unset: nothing is kept.
pub const FOLDER_VARIABLE: &str = "SLASH32_SURVIVAL_DIR";

const HEAD: &str = "\
| event | renewals | sent twice | longest wait | lines in the log |
|---|---|---|---|---|
";

/// What an event cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// What happened.
    pub event: String,
    /// So many renewals were acknowledged meanwhile.
    pub renewals: usize,
    /// So many of them had to be sent again.
    pub retransmitted: usize,
    /// The longest time from the first try of a renewal to its ACK.
    pub longest: std::time::Duration,
    /// So many lines the agent and its responders logged.
    pub lines: usize,
}

impl Row {
    fn markdown(&self) -> String {
        format!(
            "| {} | {} | {} | {:.2} s | {} |\n",
            self.event,
            self.renewals,
            self.retransmitted,
            self.longest.as_secs_f64(),
            self.lines
        )
    }
}

/// Keeps what an event cost. A row of the same event is replaced. Without [`FOLDER_VARIABLE`] nothing is kept.
pub fn record(row: &Row) -> Result<()> {
    print!("{}", row.markdown());
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from) else {
        return Ok(());
    };
    let name: String = row
        .event
        .chars()
        .map(|letter| {
            if letter.is_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    let path = folder.join(name);
    fs::write(&path, row.markdown()).with_context(|| format!("cannot write {}", path.display()))
}

/// The rows in `folder` as a table in Markdown; empty when there is none.
pub fn table(folder: &Path) -> Result<String> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder)? {
        rows.push(fs::read_to_string(entry?.path())?);
    }
    rows.sort();
    Ok(if rows.is_empty() {
        String::new()
    } else {
        format!("{HEAD}{}", rows.concat())
    })
}
