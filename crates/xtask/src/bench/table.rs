//! A bench as Markdown: machine, versions, targets, and a table for each case.

use super::case::title;
use super::outcome::Outcome;
use super::report::{Figure, Key, Report, significant};
use super::target;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The page. It says nothing that is not in [`Outcome`], so that equal outcomes are equal pages.
pub(crate) fn of(outcome: &Outcome) -> String {
    let mut page = String::new();
    let mut section = |heading: &str, body: String| {
        let _ = write!(
            page,
            "{}## {heading}\n\n{body}",
            if page.is_empty() { "" } else { "\n" }
        );
    };
    section("Targets", targets(&outcome.report));
    let cases: BTreeSet<char> = outcome.report.keys().map(|key| key.figure.case).collect();
    for case in cases {
        let heading = format!("Case {case}: {}", title(case));
        section(&heading, figures(&outcome.report, case));
    }
    if !outcome.failures.is_empty() {
        section("Not measured to the end", failures(outcome));
    }
    section("Machine and programs", surroundings(outcome));
    page
}

fn targets(report: &Report) -> String {
    let rows = target::judge(report).into_iter().map(|row| {
        let best = row.best_peer.unwrap_or_else(|| "–".to_owned());
        let measured = row.measured.unwrap_or_else(|| "–".to_owned());
        let verdict = row.verdict.name().to_owned();
        vec![row.what.to_owned(), row.wanted, best, measured, verdict]
    });
    let head = ["", "target", "best peer", "slash32", ""];
    table(&head, "llrrl", rows)
}

/// One row for each figure, number of links and subject. What does not change from one row to the next stands once.
fn figures(report: &Report, case: char) -> String {
    let mut last: Option<(Figure, u32)> = None;
    let keys = report.keys().filter(|key| key.figure.case == case);
    let rows = keys.filter_map(|key| {
        let quote = report.quote(key)?;
        let unit = key.figure.unit;
        let is_new = last != Some((key.figure, key.links));
        last = Some((key.figure, key.links));
        let once = |text: String| if is_new { text } else { String::new() };
        Some(vec![
            once(key.figure.name.to_owned()),
            once(key.links.to_string()),
            key.subject.name().to_owned(),
            unit.text(quote.median),
            if quote.runs > 1 {
                unit.range(quote)
            } else {
                String::new()
            },
            ratio(report, key).unwrap_or_default(),
        ])
    });
    let head = ["", "links", "", "median", "range", "× slash32"];
    table(&head, "lrlrrr", rows)
}

/// How often as much a subject takes as slash32 does, in the same run.
fn ratio(report: &Report, key: Key) -> Option<String> {
    let ratio = report.to_slash32(key)?;
    ratio.median.is_finite().then(|| significant(ratio.median))
}

fn failures(outcome: &Outcome) -> String {
    let mut list = String::new();
    for failure in &outcome.failures {
        let (letters, run) = (failure.letters, failure.run + 1);
        let line = failure.error.lines().next().unwrap_or_default();
        let _ = writeln!(list, "- case {letters}, run {run}: {line}");
    }
    list
}

fn surroundings(outcome: &Outcome) -> String {
    let machine = &outcome.machine;
    let mut text = format!(
        "{}, {} cores, {:.1} GiB, Linux {}, {}.\n\n",
        machine.processor,
        machine.cores,
        machine.memory as f64 / f64::from(1 << 20),
        machine.kernel,
        machine.system,
    );
    let loads: Vec<String> = outcome
        .runs
        .iter()
        .map(|run| {
            let after = run
                .load_after
                .map_or("–".to_owned(), |load| format!("{:.1}", load[0]));
            format!("{:.1} to {after}", run.load_before[0])
        })
        .collect();
    let whole = if outcome.complete {
        ""
    } else {
        ", not finished"
    };
    let _ = write!(
        text,
        "Extent: {}{whole}. Load over a minute, before and after each run: {}.\n\n",
        outcome.extent.name(),
        loads.join(", "),
    );
    let rows = outcome.programs.iter().map(|program| {
        let size = |bytes| format!("{:.0} KiB", bytes as f64 / 1024.0);
        let size = program.size.map(size).unwrap_or_default();
        vec![program.name.clone(), program.version.clone(), size]
    });
    text += &table(&["program", "version", "size"], "llr", rows);
    text
}

/// A Markdown table whose columns are as wide as what is in them; `align` is `l` or `r` for each.
fn table(head: &[&str], align: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.collect();
    let width = |column: usize| {
        let cells = std::iter::once(&head).chain(&rows);
        let widths = cells.map(|row| row[column].chars().count());
        widths.max().unwrap_or(0).max(2)
    };
    let columns: Vec<(usize, bool)> = align
        .chars()
        .enumerate()
        .map(|(column, side)| (width(column), side == 'r'))
        .collect();
    let line = |cells: &[String]| {
        let mut line = String::from("|");
        for (cell, (width, right)) in cells.iter().zip(&columns) {
            let _ = if *right {
                write!(line, " {cell:>width$} |")
            } else {
                write!(line, " {cell:<width$} |")
            };
        }
        line + "\n"
    };
    let mut text = line(&head);
    text.push('|');
    for (width, right) in &columns {
        let dashes = "-".repeat(width + 1);
        text += &if *right {
            format!("{dashes}:|")
        } else {
            format!("{dashes}-|")
        };
    }
    text.push('\n');
    for row in &rows {
        text += &line(row);
    }
    text
}
