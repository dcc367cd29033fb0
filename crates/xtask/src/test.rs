//! `cargo xtask test`: lints first, then a minute of each fuzz target, and tests last, so that the run ends with the test
//! runner's own summary.
//!
//! A lint that fails is shown at once and does not keep the tests from running; the exit code is that of the first failure.
//! What cannot be gone on from (packages, tools, the build of the programs) ends the run.

use crate::privilege::PROGRAMS_VARIABLE;
use crate::{
    captures::Captures, cargo, container, deb, fuzz, guest, loaders, nextest, packages, privilege,
    step,
};
use slash32_tests::{BOOT_FILES_VARIABLE, CONTAINER_FILES_VARIABLE, COUNTED_VARIABLE};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Skip format, clippy, documentation and dependency checks, and the minute of each fuzz target
    #[arg(long)]
    no_lint: bool,
    /// Leave a capture of each VM link of each end-to-end case: FOLDER/BINARY/CASE/LINK.pcap; without FOLDER below cargo's
    /// target folder
    #[arg(long, value_name = "FOLDER", num_args = 0..=1)]
    keep: Option<Option<PathBuf>>,
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
    packages::install(
        &[
            packages::NETWORK,
            packages::CLIENTS,
            packages::BIRD,
            packages::QEMU,
            packages::FIRMWARE,
            packages::LIBVIRT,
            packages::COUNTING,
            packages::FORMER_SERVER,
            packages::METRICS,
            packages::PACKAGING,
            packages::CONTAINER,
        ]
        .concat(),
    )?;
    cargo::subcommand("nextest", "cargo-nextest")?;
    deb::prepare()?;

    let mut failures = Failures::default();
    if !arguments.no_lint {
        cargo::components()?;
        cargo::subcommand("deny", "cargo-deny")?;
        lint(&mut failures)?;
    }
    let captures = arguments
        .keep
        .as_ref()
        .map(|folder| Captures::below(folder.as_deref()));
    let captures = captures.transpose()?;
    let boot_files = guest::prepare(&cargo::cache()?)?;
    loaders::add_to(&boot_files)?;
    cargo::programs_of_other_version()?;
    let programs = cargo::programs(false)?;
    let container_files = container::prepare(&cargo::cache()?, &programs)?;
    let counted = cargo::counted()?;
    if !arguments.no_lint {
        failures.note(deb::lint(&container_files.join("slash32.deb")))?;
    }
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

    let mut run = cargo::cargo();
    run.args(["nextest", "run", "--workspace"])
        .args(&arguments.nextest);
    run.env(PROGRAMS_VARIABLE, &programs);
    if let Some(captures) = &captures {
        captures.ask(&mut run);
    }
    run.env(BOOT_FILES_VARIABLE, &boot_files);
    run.env(CONTAINER_FILES_VARIABLE, &container_files);
    run.env(COUNTED_VARIABLE, &counted);
    let runner = privilege::runner();
    if !runner.is_empty() {
        run.env(cargo::runner_variable()?, runner.join(" "));
    }
    let status = nextest::run(&mut run)?;
    if !status.success() {
        failures.note(Err(step::Failed {
            step: "tests".into(),
            code: step::exit_code(status),
        }
        .into()))?;
    }
    if let Some(captures) = &captures {
        captures.tell();
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
