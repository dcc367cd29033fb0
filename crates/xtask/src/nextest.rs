//! The test runner, with the matrix of real clients and the figures of survival between its output and its summary.
//!
//! What cargo-nextest says is shown as it comes. The cases leave their cells and rows in folders; after the run the tables
//! are printed, and then the runner's summary once more, so that the last line says how the run went.

use crate::cargo;
use anyhow::Context;
use slash32_tests::matrix::{FOLDER_VARIABLE, Matrix};
use slash32_tests::survival;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// Runs `nextest`, a `cargo nextest run`, to its end.
///
/// # Errors
/// When it cannot be started, or a case left something that is no cell.
pub(crate) fn run(nextest: &mut Command) -> anyhow::Result<ExitStatus> {
    let folder = empty_folder("matrix")?;
    let survivals = empty_folder("survival")?;
    nextest
        .env(FOLDER_VARIABLE, &folder)
        .env(survival::FOLDER_VARIABLE, &survivals)
        .stderr(Stdio::piped());
    if std::io::stderr().is_terminal() {
        nextest.args(["--color", "always"]);
    }
    let mut child = nextest.spawn().context("cannot start cargo nextest")?;
    let mut summary = None;
    if let Some(stderr) = child.stderr.take() {
        let mut shown = std::io::stderr().lock();
        // What a failed case printed is in there, and need not be UTF-8.
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line?;
            shown.write_all(&line)?;
            shown.write_all(b"\n")?;
            let text = String::from_utf8_lossy(&line);
            if is_summary(&text) {
                summary = Some(text.into_owned());
            }
        }
    }
    let status = child.wait()?;
    let tables = [
        (
            "Real clients, each with a /32 and a gateway outside of it",
            Matrix::read(&folder)?.markdown(),
        ),
        (
            "50 VMs that renew every second, and what happens meanwhile",
            survival::table(&survivals)?,
        ),
    ];
    let tables: Vec<_> = tables
        .iter()
        .filter(|(_, table)| !table.is_empty())
        .collect();
    for (title, table) in &tables {
        eprint!("\n{title}\n\n{table}");
    }
    if let (Some(summary), false) = (summary, tables.is_empty()) {
        eprintln!("\n{summary}");
    }
    Ok(status)
}

/// A folder in which the cases of this run leave what they found.
fn empty_folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = cargo::cache()?.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The line with which cargo-nextest sums up, with or without colours.
fn is_summary(line: &str) -> bool {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let plain = plain.trim_start();
    plain.starts_with("Summary [") && plain.contains(" run: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_found_in_colours_too() {
        let plain = "     Summary [ 207.951s] 57 tests run: 57 passed, 0 skipped";
        let coloured = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.005s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m \
                        \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m \u{1b}[33;1mskipped\u{1b}[0m";
        assert!(is_summary(plain));
        assert!(is_summary(coloured));
        assert!(!is_summary("        PASS [   0.005s] a Summary [ of it"));
    }
}
