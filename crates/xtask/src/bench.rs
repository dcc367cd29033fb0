//! `cargo xtask bench`: slash32 beside other DHCP servers and beside what the kernel takes for the same, in one run.
//!
//! Everything is measured once, then everything again ([`Extent::runs`]), so that what else the machine does falls on all alike;
//! figures are compared within a run, never between machines. What was measured is written down after each case, whatever
//! comes next: a case that fails costs no other's readings, and Ctrl-C none at all.
//!
//! Files: [`case`] is the list of what there is, [`figure`] what can be read, [`report`] what was read, [`target`] what was to be
//! reached, [`outcome`] all of that and where it was measured; [`table`], [`json`], [`plot`] and [`page`] say it.

mod case;
mod cgroup;
mod client;
mod crowd;
mod extent;
mod figure;
mod flood;
mod floor;
mod gate;
mod growth;
mod handshake;
mod hook;
mod json;
mod lab;
mod leave;
mod link;
mod machine;
mod outcome;
mod page;
mod peer;
mod plot;
mod report;
mod sample;
mod scale;
mod slash32;
mod start;
mod table;
mod target;

use crate::figures::{self, Figures};
use crate::{cargo, packages, privilege};
use anyhow::{Context, Result, bail};
use case::Case;
use extent::Extent;
use machine::Machine;
use outcome::{Failure, Outcome, Run};
use report::Report;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One run of small numbers, about two minutes
    #[arg(long)]
    quick: bool,
    /// Everything, with every peer at every number of links that it can serve
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// These cases alone, by their letters: a,b,f
    #[arg(long = "case", value_name = "LETTERS", value_delimiter = ',')]
    cases: Vec<char>,
    /// JSON instead of tables: to stdout, or into FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// Where bench.json and bench.md go [default: xtask/bench below cargo's target folder]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Put tables and plots into docs/performance.md and beside it, too
    #[arg(long)]
    docs: bool,
    /// What a call of libvirt's hook costs, and nothing else
    #[arg(long, conflicts_with_all = ["quick", "full", "cases", "json", "out", "docs"])]
    hook: bool,
}

/// Measures, prints and writes.
///
/// # Errors
/// When something is missing, or a case was not measured to its end: then the rest was, and is written.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let cases = case::chosen(&arguments.cases)?;
    privilege::ask("The bench runs in network namespaces of its own, and making them needs root.")?;
    packages::install(packages::NETWORK)?;
    if !arguments.hook {
        packages::install(packages::PEERS)?;
        cargo::responder_with_std()?;
    }
    let programs = cargo::programs(true)?;
    privilege::continue_as_root(&programs)?;
    if arguments.hook {
        print_figures(&hook::measure()?);
        return Ok(());
    }

    let folder = match &arguments.out {
        Some(folder) => folder.clone(),
        None => cargo::cache()?.join("bench"),
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let outcome = measure(arguments.extent(), &cases, &folder)?;
    match &arguments.json {
        Some(Some(file)) => std::fs::write(file, format!("{:#}\n", json::of(&outcome)))
            .with_context(|| format!("cannot write {}", file.display()))?,
        Some(None) => println!("{:#}", json::of(&outcome)),
        None => println!("\n{}", table::of(&outcome)),
    }
    eprintln!("Readings, tables and plots are in {}.", folder.display());
    if arguments.docs {
        let docs = cargo::workspace().join("docs");
        page::renew(&docs, &table::of(&outcome), &plot::of(&outcome.report))?;
    }
    match outcome.failures.as_slice() {
        [] => Ok(()),
        [failure] => bail!("case {}: {}", failure.letters, failure.error),
        several => {
            for failure in several {
                eprintln!(
                    "case {}, run {}: {}",
                    failure.letters,
                    failure.run + 1,
                    failure.error
                );
            }
            bail!("{} cases were not measured to their end", several.len())
        }
    }
}

impl Arguments {
    fn extent(&self) -> Extent {
        match (self.quick, self.full) {
            (true, _) => Extent::Quick,
            (_, true) => Extent::Full,
            _ => Extent::Standard,
        }
    }
}

/// Every case once, then every case again; what has come of it is in `folder` after each.
fn measure(extent: Extent, cases: &[&'static Case], folder: &Path) -> Result<Outcome> {
    let mut outcome = Outcome {
        extent,
        machine: Machine::this(),
        programs: machine::programs()?,
        runs: Vec::new(),
        report: Report::default(),
        failures: Vec::new(),
        complete: false,
    };
    let mut clock = Clock::new(extent, cases);
    eprintln!(
        "{} run(s) of {} case(s), about {}; what is measured so far is always in {}.",
        extent.runs(),
        cases.len(),
        minutes(clock.left()),
        folder.display(),
    );
    for run in 0..extent.runs() {
        outcome.runs.push(Run {
            load_before: machine::load(),
            load_after: None,
        });
        for case in cases {
            let letters = case.letters;
            let name = format!("{}/{} {letters} {}", run + 1, extent.runs(), case.name);
            let left = minutes(clock.left());
            eprintln!("\n{name}, about {left} left");
            let measured = (case.measure)(extent, run, &mut outcome.report);
            clock.passed(case.seconds(extent));
            if let Err(error) = measured {
                let error = format!("{error:#}");
                eprintln!("error: {error}");
                outcome.failures.push(Failure {
                    letters,
                    run,
                    error,
                });
            }
            outcome.write(folder)?;
        }
        if let Some(last) = outcome.runs.last_mut() {
            last.load_after = Some(machine::load());
        }
    }
    outcome.complete = true;
    outcome.write(folder)?;
    Ok(outcome)
}

/// How much time is left, by what the cases were expected to take and how much longer they took so far.
struct Clock {
    start: Instant,
    expected: Duration,
    passed: Duration,
}

impl Clock {
    fn new(extent: Extent, cases: &[&Case]) -> Self {
        let run: u32 = cases.iter().map(|case| case.seconds(extent)).sum();
        let runs = u32::try_from(extent.runs()).unwrap_or(1);
        Self {
            start: Instant::now(),
            expected: Duration::from_secs(u64::from(run)) * runs,
            passed: Duration::ZERO,
        }
    }

    fn passed(&mut self, seconds: u32) {
        self.passed += Duration::from_secs(u64::from(seconds));
    }

    fn left(&self) -> Duration {
        let rest = self.expected.saturating_sub(self.passed);
        if self.passed.is_zero() {
            return rest;
        }
        rest.mul_f64(self.start.elapsed().as_secs_f64() / self.passed.as_secs_f64())
    }
}

/// A duration as one says it.
fn minutes(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..90 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

fn print_figures(all: &[Figures]) {
    println!("\n{}", figures::header());
    for one in all {
        println!("{}", one.row());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_seconds_or_minutes() {
        let said = [5, 89, 90, 930].map(|seconds| minutes(Duration::from_secs(seconds)));
        assert_eq!(said, ["5 s", "89 s", "2 min", "16 min"]);
    }
}
