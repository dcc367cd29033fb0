use crate::output;
use anyhow::bail;
use serde_json::{Value, json};
use slash32_policy::{Config, ConfigErrors, link_of, read_link_sources, read_sources};
use std::io;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Prints `FILE: ok, ...`, or every error to stderr. With `--json` the errors are the answer, and go to stdout.
pub(crate) fn run(file: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let parsed = match parse(file) {
        Ok(parsed) => parsed,
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
    match parsed {
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

/// A config; or, when FILE is `links/LINK.toml`, that of a link that is served without an agent.
fn parse(file: &Path) -> io::Result<Result<Config, ConfigErrors>> {
    match link_of(file) {
        Some((link, main)) => {
            let (main, link_file) = read_link_sources(&main, &link)?;
            Ok(Config::parse_link(&main, &link, &link_file))
        }
        None => Ok(Config::parse(&read_sources(file)?)),
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
