use crate::output;
use anyhow::bail;
use serde_json::{Value, json};
use slash32_policy::{Config, ConfigErrors, read_sources};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Prints `FILE: ok, ...`, or every error to stderr. With `--json` the errors are the answer, and go to stdout.
pub(crate) fn run(file: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let sources = match read_sources(file) {
        Ok(sources) => sources,
        Err(error) if as_json => {
            let nowhere = Value::Null;
            let error = json!({
                "file": file.display().to_string(), "line": nowhere, "column": nowhere, "key": nowhere,
                "message": error.to_string(),
            });
            return answer(&[error]);
        }
        Err(error) => bail!(error),
    };
    match Config::parse(&sources) {
        Ok(_) if as_json => answer(&[]),
        Ok(config) => {
            let networks = config.networks.len();
            let reservations = config
                .networks
                .iter()
                .map(|network| network.reservations.len())
                .sum();
            let networks = counted(networks, "network");
            output::print(&format!(
                "{}: ok, {networks}, {}\n",
                file.display(),
                counted(reservations, "reservation")
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(ConfigErrors(errors)) if as_json => {
            let errors: Vec<Value> = errors
                .iter()
                .map(|error| {
                    json!({
                        "file": error.file, "line": error.line, "column": error.column, "key": error.key,
                        "message": error.message,
                    })
                })
                .collect();
            answer(&errors)
        }
        Err(errors) => {
            // A sentence with its line of the config for each: `slash32_policy` cleans the latter.
            let _ = writeln!(std::io::stderr(), "{errors}");
            bail!("{}: {}", file.display(), counted(errors.0.len(), "error"))
        }
    }
}

fn answer(errors: &[Value]) -> anyhow::Result<ExitCode> {
    output::print_json(&json!({ "ok": errors.is_empty(), "errors": errors }))?;
    Ok(if errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}
