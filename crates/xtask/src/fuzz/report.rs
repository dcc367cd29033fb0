//! What a fuzz target did, read from what libFuzzer printed.

use std::path::PathBuf;
use std::str::FromStr;

/// One run of one target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    target: String,
    executions: u64,
    per_second: u64,
    /// Edges of the program that were reached.
    coverage: u64,
    /// Inputs that are kept since each reaches something that no other does.
    corpus: u64,
    /// The input that broke a property, took too long or too much memory.
    pub(crate) finding: Option<PathBuf>,
    /// What the property said.
    said: String,
}

impl Report {
    /// Reads the output of `target`, which was run with `-print_final_stats=1`.
    pub(crate) fn read(target: &str, printed: &str) -> Self {
        let finding = last(printed, "Test unit written to ").map(PathBuf::from);
        let panic = printed
            .lines()
            .skip_while(|line| !line.starts_with("thread '"))
            .take_while(|line| !line.starts_with("==") && !line.starts_with("note: "));
        Self {
            target: target.to_owned(),
            executions: number(printed, "stat::number_of_executed_units: "),
            per_second: number(printed, "stat::average_exec_per_sec: "),
            coverage: number(printed, " cov: "),
            corpus: number(printed, " corp: "),
            said: panic.collect::<Vec<_>>().join("\n"),
            finding,
        }
    }

    /// What was found, how to see it again and what to do with it; `None` when nothing was.
    pub(crate) fn advice(&self) -> Option<String> {
        let (target, finding) = (&self.target, self.finding.as_ref()?);
        let finding = finding.display();
        Some(format!(
            "{target} found {finding}\n{}\n  \
             see it again:  cargo fuzz run --sanitizer none --fuzz-dir tests/fuzz {target} {finding}\n  \
             keep it:       cp {finding} tests/fuzz/regressions/{target}/WHAT-WENT-WRONG\n  \
             and after the fix:  cargo nextest run -p slash32-properties\n",
            self.said
        ))
    }
}

/// A line a target under a heading.
pub(crate) fn table(reports: &[Report]) -> String {
    let mut table = format!(
        "{:<10} {:>14} {:>9} {:>9} {:>7}  finding\n",
        "target", "executions", "a second", "coverage", "corpus"
    );
    for report in reports {
        let finding = report.finding.as_ref().and_then(|path| path.file_name());
        table += &format!(
            "{:<10} {:>14} {:>9} {:>9} {:>7}  {}\n",
            report.target,
            report.executions,
            report.per_second,
            report.coverage,
            report.corpus,
            finding.map_or("none".into(), |name| name.to_string_lossy()),
        );
    }
    table
}

/// The word behind the last `label`.
fn last<'p>(printed: &'p str, label: &str) -> Option<&'p str> {
    let (_, behind) = printed.rsplit_once(label)?;
    behind.split_whitespace().next()
}

/// The number at the beginning of the word behind the last `label`; 0 when there is none.
fn number(printed: &str, label: &str) -> u64 {
    let word = last(printed, label).unwrap_or_default();
    let digits = word.split(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|digits| u64::from_str(digits).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "\
#2      INITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 40Mb
#4096   pulse  cov: 340 ft: 1200 corp: 118/4023b lim: 4 exec/s: 2048 rss: 41Mb
#8192   DONE   cov: 341 ft: 1201 corp: 119/4100b lim: 4 exec/s: 1365 rss: 41Mb
Done 8192 runs in 6 second(s)
stat::number_of_executed_units: 8192
stat::average_exec_per_sec:     1365
";

    #[test]
    fn a_run_without_a_finding_is_a_row() {
        let report = Report::read("handle", QUIET);
        assert_eq!(report.advice(), None);
        let row = "handle               8192      1365       341     119  none\n";
        assert_eq!(table(&[report]).lines().nth(1).unwrap(), row.trim_end());
    }

    #[test]
    fn a_finding_says_what_broke_and_how_to_keep_it() {
        let printed = "\
#512    NEW    cov: 20 ft: 21 corp: 2/2b lim: 4 exec/s: 0 rss: 40Mb
thread '<unnamed>' (7) panicked at src/handle.rs:1:1:
written behind the reply
note: run with `RUST_BACKTRACE=1`
==12== ERROR: libFuzzer: deadly signal
stat::number_of_executed_units: 600
Test unit written to /t/findings/handle/crash-ab
Base64: AA==
";
        let report = Report::read("handle", printed);
        assert_eq!(report.executions, 600);
        let advice = report.advice().unwrap();
        assert!(
            advice.contains("src/handle.rs:1:1:\nwritten behind the reply\n  see"),
            "{advice}"
        );
        let keep = "cp /t/findings/handle/crash-ab tests/fuzz/regressions/handle/";
        assert!(advice.contains(keep), "{advice}");
        assert!(table(&[report]).contains("crash-ab"));
    }
}
