//! `cargo xtask test`: lints first, then a minute of each fuzz target, and tests last, so that the run ends with the test
//! runner's own summary.
//!
//! A lint that fails is shown at once and does not keep the tests from running; the exit code is that of the first failure.
//! What cannot be gone on from (packages, tools, the build of the programs) ends the run.

use crate::privilege::PROGRAMS_VARIABLE;
use crate::{cargo, fuzz, packages, privilege, step};
use std::process::{Command, ExitCode};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Skip format, clippy, documentation and dependency checks, and the minute of each fuzz target
    #[arg(long)]
    no_lint: bool,
    /// For `cargo nextest run`: names of tests, or its options; doctests are skipped then
    #[arg(last = true)]
    nextest: Vec<String>,
}

/// Runs everything. The exit code is that of the first failure, 0 when there was none.
///
/// # Errors
/// When something could not be started, or is missing and cannot be installed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    privilege::ask(
        "The end-to-end tests make network namespaces, and missing packages are installed: both need root.",
    )?;
    packages::install(packages::NETWORK)?;
    cargo::subcommand("nextest", "cargo-nextest")?;

    let mut failures = Failures::default();
    if !arguments.no_lint {
        cargo::components()?;
        cargo::subcommand("deny", "cargo-deny")?;
        lint(&mut failures)?;
    }
    let programs = cargo::programs(false)?;
    step::command(
        "build the tests",
        cargo::cargo().args(["nextest", "run", "--workspace", "--no-run"]),
    )?;
    if arguments.nextest.is_empty() {
        failures.note(step::command(
            "doctests",
            cargo::cargo().args(["test", "--quiet", "--doc", "--workspace"]),
        ))?;
    }
    if !arguments.no_lint && arguments.nextest.is_empty() {
        failures.note(fuzz::smoke())?;
    }

    let mut nextest = cargo::cargo();
    nextest
        .args(["nextest", "run", "--workspace"])
        .args(&arguments.nextest);
    nextest.env(PROGRAMS_VARIABLE, &programs);
    let runner = privilege::runner();
    if !runner.is_empty() {
        nextest.env(cargo::runner_variable()?, runner.join(" "));
    }
    let status = nextest.status()?;
    if !status.success() {
        failures.note(Err(step::Failed {
            step: "tests".into(),
            code: step::exit_code(status),
        }
        .into()))?;
    }
    Ok(failures.finish())
}

fn lint(failures: &mut Failures) -> anyhow::Result<()> {
    let deny_warnings = |name: &str, command: &mut Command| {
        step::command(name, command.env("RUSTDOCFLAGS", "-D warnings"))
    };
    let deny = [
        "deny",
        "--workspace",
        "check",
        "bans",
        "licenses",
        "sources",
    ];
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    failures.note(step::command(
        "format",
        cargo::cargo().args(["fmt", "--all", "--check"]),
    ))?;
    failures.note(step::command("clippy", cargo::cargo().args(clippy)))?;
    failures.note(deny_warnings(
        "documentation",
        cargo::cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]),
    ))?;
    failures.note(step::command("dependencies", cargo::cargo().args(deny)))
}

/// The steps that failed, in order.
#[derive(Default)]
struct Failures(Vec<step::Failed>);

impl Failures {
    /// Keeps a failed step; any other error is passed on.
    fn note(&mut self, result: anyhow::Result<()>) -> anyhow::Result<()> {
        match result.map_err(anyhow::Error::downcast) {
            Ok(()) => Ok(()),
            Err(Ok(failed)) => {
                self.0.push(failed);
                Ok(())
            }
            Err(Err(error)) => Err(error),
        }
    }

    /// Names the steps that failed, when something other than the tests did: their own summary has said it already.
    fn finish(self) -> ExitCode {
        let Some(first) = self.0.first() else {
            return ExitCode::SUCCESS;
        };
        let code = ExitCode::from(first.code);
        if self.0.iter().any(|failed| failed.step != "tests") {
            let names: Vec<&str> = self.0.iter().map(|failed| failed.step.as_str()).collect();
            eprintln!("\nerror: failed: {}; see above", names.join(", "));
        }
        code
    }
}
