//! `cargo xtask golden`: records the goldens again with the clients that are installed here, or makes what the core answers
//! now their expected replies.

use crate::privilege::PROGRAMS_VARIABLE;
use crate::{cargo, packages, privilege, step};
use std::process::{Command, ExitCode};

/// The variable that has the replay write what differs.
const BLESS_VARIABLE: &str = "SLASH32_BLESS";

/// Arguments of `cargo xtask golden`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave the requests as they are, and make what the core answers now their expected replies; shows what differs
    #[arg(long, conflicts_with = "clients")]
    bless: bool,
    /// The clients to record again, by a part of their name; without it all
    clients: Vec<String>,
}

/// Records or blesses. The exit code is that of the test runner.
///
/// # Errors
/// When something could not be started, or is missing and cannot be installed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut command = if arguments.bless {
        replay()
    } else {
        record(&arguments.clients)?
    };
    let status = command.status()?;
    if status.success() {
        eprintln!("\nThe goldens are in tests/golden; git shows what changed.");
    }
    Ok(ExitCode::from(step::exit_code(status)))
}

fn replay() -> Command {
    let mut command = cargo::cargo();
    command.args(["test", "--quiet", "--package", "slash32-tests"]);
    command.args(["--test", "golden", "replay", "--", "--nocapture"]);
    command.env(BLESS_VARIABLE, "1");
    command
}

fn record(clients: &[String]) -> anyhow::Result<Command> {
    privilege::ask(
        "Recording runs DHCP clients in network namespaces, and making them needs root.",
    )?;
    packages::install(
        &[
            packages::NETWORK,
            packages::CLIENTS,
            packages::QEMU,
            packages::FIRMWARE,
        ]
        .concat(),
    )?;
    cargo::subcommand("nextest", "cargo-nextest")?;
    let programs = cargo::programs(false)?;
    let mut nextest = cargo::cargo();
    nextest.args(["nextest", "run", "--package", "slash32-tests"]);
    nextest.args(["--test", "golden", "--run-ignored", "only"]);
    nextest.args(clients).env(PROGRAMS_VARIABLE, &programs);
    let runner = privilege::runner();
    if !runner.is_empty() {
        nextest.env(cargo::runner_variable()?, runner.join(" "));
    }
    Ok(nextest)
}
