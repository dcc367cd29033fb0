//! `cargo xtask instructions`: how many instructions the core takes for each kind of message, held against the pinned counts;
//! or what is counted now becomes the pinned counts.

use crate::{cargo, packages, step};
use slash32_tests::COUNTED_VARIABLE;
use std::process::ExitCode;

/// The variable that has the test write what differs.
const BLESS_VARIABLE: &str = "SLASH32_BLESS";

/// Arguments of `cargo xtask instructions`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Pin what is counted now; shows what differs
    #[arg(long)]
    bless: bool,
}

/// Counts. The exit code is that of the test runner.
///
/// # Errors
/// When something could not be started, or is missing and cannot be installed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    packages::install(packages::COUNTING)?;
    let counted = cargo::counted()?;
    let mut test = cargo::cargo();
    test.args(["test", "--quiet", "--package", "slash32-tests"])
        .args(["--test", "instructions", "--", "--nocapture"])
        .env(COUNTED_VARIABLE, counted);
    if arguments.bless {
        test.env(BLESS_VARIABLE, "1");
    }
    let status = test.status()?;
    if status.success() && arguments.bless {
        eprintln!("\nThe pinned counts are in tests/instructions; git shows what changed.");
    }
    Ok(ExitCode::from(step::exit_code(status)))
}
