//! `cargo xtask fuzz`: the targets of `tests/fuzz` under libFuzzer, on the stable toolchain and without a sanitizer: what
//! they reach has no `unsafe` that one could watch.
//!
//! What libFuzzer writes stays below cargo's target folder: in `corpus` inputs that reached something new, from which the
//! next run goes on; in `logs` what each target printed; in `findings` inputs that broke a property. Seeds, and what was
//! found before, are read from the tree.

mod report;

use crate::{cargo, packages, step};
use anyhow::Context;
use clap::ValueEnum;
use report::{Report, table};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;

/// How long each target runs in `cargo xtask test`, in seconds.
const SMOKE_SECONDS: u64 = 60;
/// How many targets run at once.
const JOBS: usize = 2;
/// How long one input may take, in seconds of the wall clock, before it is a finding: what takes tenths of a second takes
/// many when the machine is busy.
const SLOWEST: u64 = 30;

/// What can be fuzzed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Target {
    /// The protocol core: a binding and a frame
    Handle,
    /// The option codec: the options of a message, in all its fields
    Options,
    /// Records between agent and responder
    Ipc,
    /// The operator's files
    Config,
    /// What libvirt's hooks and state files say
    Libvirt,
}

impl Target {
    /// The name of its program, seeds and regressions.
    fn name(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::Options => "options",
            Self::Ipc => "ipc",
            Self::Config => "config",
            Self::Libvirt => "libvirt",
        }
    }

    /// The longest input that libFuzzer makes, in bytes: a frame and its setup, a record, a config of some length, a few calls.
    fn longest(self) -> u64 {
        match self {
            Self::Handle | Self::Options => 2000,
            Self::Ipc => 4200,
            Self::Config | Self::Libvirt => 6000,
        }
    }

    /// Where inputs to begin with stand in the tree.
    fn seeds(self) -> Vec<PathBuf> {
        let fuzz = cargo::workspace().join("tests/fuzz");
        let mut folders = vec![
            fuzz.join("seeds").join(self.name()),
            fuzz.join("regressions").join(self.name()),
        ];
        if matches!(self, Self::Config) {
            folders.push(cargo::workspace().join("examples"));
        }
        folders.retain(|folder| folder.exists());
        folders
    }

    /// The words of its language, where bytes alone would not come far.
    fn dictionary(self) -> Option<String> {
        let words = format!("tests/fuzz/{}.dict", self.name());
        let words = cargo::workspace().join(words);
        words.exists().then(|| format!("-dict={}", words.display()))
    }
}

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to fuzz; everything when nothing is named
    #[arg(value_enum)]
    targets: Vec<Target>,
    /// How long each target runs
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
    /// How many targets run at once
    #[arg(long, default_value_t = JOBS)]
    jobs: usize,
}

/// Fuzzes, and shows what came of it. The exit code is 1 when something was found.
///
/// # Errors
/// When the targets cannot be built or run.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let targets = match &arguments.targets[..] {
        [] => Target::value_variants(),
        some => some,
    };
    let found = fuzz(targets, arguments.seconds, arguments.jobs)?;
    Ok(ExitCode::from(u8::from(found)))
}

/// Every target for a minute.
///
/// # Errors
/// [`step::Failed`] when something was found, after it was shown; else as [`run`].
pub(crate) fn smoke() -> anyhow::Result<()> {
    if fuzz(Target::value_variants(), SMOKE_SECONDS, JOBS)? {
        let step = "fuzz".into();
        return Err(step::Failed { step, code: 1 }.into());
    }
    Ok(())
}

/// Tells whether something was found, after it was shown.
fn fuzz(targets: &[Target], seconds: u64, jobs: usize) -> anyhow::Result<bool> {
    packages::install(packages::FUZZ)?;
    cargo::subcommand("fuzz", "cargo-fuzz")?;
    let folder = cargo::cache()?.join("fuzz");
    let built = folder.join("build");
    let mut build = cargo::cargo();
    build
        .args(["fuzz", "build", "--sanitizer", "none"])
        .args(["--fuzz-dir", "tests/fuzz", "--target-dir"])
        .arg(&built);
    step::command("build the fuzz targets", &mut build)?;
    let programs = built.join(cargo::host()?).join("release");

    let name = format!("fuzz {} targets, {seconds} s each", targets.len());
    let reports = step::step(&name, || all(targets, &programs, &folder, seconds, jobs))?;
    eprint!("\n{}\n", table(&reports));
    for finding in reports.iter().filter_map(Report::advice) {
        eprintln!("{finding}");
    }
    Ok(reports.iter().any(|report| report.finding.is_some()))
}

/// Runs `targets`, at most `jobs` at once, and reports in their order.
fn all(
    targets: &[Target],
    programs: &Path,
    folder: &Path,
    seconds: u64,
    jobs: usize,
) -> anyhow::Result<Vec<Report>> {
    let waiting = Mutex::new(targets.iter().enumerate());
    let next = || waiting.lock().ok()?.next();
    let work = || {
        let mut done = Vec::new();
        while let Some((place, target)) = next() {
            done.push((place, one(*target, programs, folder, seconds)?));
        }
        anyhow::Ok(done)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let mut done = Vec::new();
        for worker in workers {
            done.extend(
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            );
        }
        done.sort_by_key(|(place, _)| *place);
        Ok(done.into_iter().map(|(_, report)| report).collect())
    })
}

/// Runs one target to its end: its time is over, or it found something.
fn one(target: Target, programs: &Path, folder: &Path, seconds: u64) -> anyhow::Result<Report> {
    let name = target.name();
    let [corpus, findings, logs] = ["corpus", "findings", "logs"].map(|kind| folder.join(kind));
    let (corpus, findings) = (corpus.join(name), findings.join(name));
    for folder in [&corpus, &findings, &logs] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let log = logs.join(name);
    let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = Command::new(programs.join(name))
        .arg(&corpus)
        .args(target.seeds())
        .args(target.dictionary())
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={SLOWEST}"))
        // What is slow and no finding is not told.
        .arg(format!("-report_slow_units={SLOWEST}"))
        .arg(format!("-max_len={}", target.longest()))
        .arg("-print_final_stats=1")
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()
        .with_context(|| format!("cannot run the fuzz target {name}"))?;
    let printed = fs::read(&log)?;
    let report = Report::read(name, &String::from_utf8_lossy(&printed));
    anyhow::ensure!(
        status.success() || report.finding.is_some(),
        "the fuzz target {name} ended with {status}; see {}",
        log.display()
    );
    Ok(report)
}
