//! `slash32`: the operator's program.
//!
//! Each command is one file in `commands`: it asks the agent over `slash32_control` (or, for `check`, reads the config with
//! `slash32_policy`) and prints. What goes to stdout is the answer, as a table for people or as JSON for programs, and
//! nothing else; an error is one sentence on stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 not called as it wants to be. When nobody reads stdout any more (`| head`) it is done.
//!
//! Invariant: no text from outside reaches a terminal with a control character in it ([`output::clean`]).
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod commands;
mod output;
mod table;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use slash32_control::{DEFAULT_SOCKET, State};
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Shows what the slash32 agent of this host does for its VMs
///
/// The agent gives every virtual machine its own /32 address, by DHCP, on a link of its own. This program asks it, over a
/// unix socket, and changes nothing.
#[derive(Parser)]
#[command(name = "slash32", version, max_term_width = 100)]
#[command(after_long_help = "Exit codes: 0 done, 1 failed, 2 not called as described here.")]
struct Arguments {
    /// Where the agent listens; SLASH32_SOCKET in the environment can say so too
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "SLASH32_SOCKET",
        hide_env = true,
        default_value = DEFAULT_SOCKET
    )]
    socket: PathBuf,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show every VM link, one a row
    ///
    /// States: idle (link without a VM), unassigned (no address for it), ready (served, not acknowledged yet), bound (the VM
    /// has its address), failed. LEASE is the time that is left.
    List,

    /// Show everything about one VM link: its lease, its counters, its recent history
    Show {
        /// A link, an address, a VM's name or its UUID
        #[arg(value_name = "LINK|VM|ADDRESS")]
        key: String,
    },

    /// Wait until a VM has its address
    ///
    /// The link need not exist yet. Prints the row of the link. Exits with 1 when the time is over.
    Wait {
        /// A link, an address, a VM's name or its UUID
        #[arg(value_name = "LINK|VM")]
        key: String,

        /// The state to wait for; a VM that is bound has been ready
        #[arg(long, default_value = "bound", value_parser = state_parser())]
        state: State,

        /// How long to wait, such as 500ms, 60s or 2m
        #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = duration)]
        timeout: Duration,
    },

    /// Print a line for everything that happens, until interrupted
    Events,

    /// Check a config without applying it
    ///
    /// Reads FILE and the files in conf.d beside it, as the agent does. Needs no agent.
    Check {
        /// The config
        #[arg(default_value = "/etc/slash32/slash32.toml")]
        file: PathBuf,
    },

    /// Print the version of this program and of the agent
    Version,

    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },

    /// Print the man page, or write one for each command
    Man {
        /// Write slash32.1, slash32-list.1, ... into this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            output::fail(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        socket,
        json,
        command,
    } = arguments;
    match command {
        Command::List => with_agent(commands::list::run(&socket, json))?,
        Command::Show { key } => with_agent(commands::show::run(&socket, &key, json))?,
        Command::Wait {
            key,
            state,
            timeout,
        } => {
            with_agent(commands::wait::run(&socket, &key, state, timeout, json))?;
        }
        Command::Events => with_agent(commands::events::run(&socket, json))?,
        Command::Check { file } => return commands::check::run(&file, json),
        Command::Version => with_agent(commands::version::run(&socket, json))?,
        Command::Completions { shell } => commands::completions::run(shell)?,
        Command::Man { dir } => commands::man::run(dir.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn with_agent(conversation: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(conversation)
}

/// The names of the states, which completions and `--help` list.
fn state_parser() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::name)).try_map(|name| name.parse::<State>())
}

/// `500ms`, `60s`, `2m`, `1h30m`: hours and less, not negative.
fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = text.parse::<jiff::SignedDuration>().ok();
    duration
        .and_then(|duration| duration.try_into().ok())
        .ok_or("not a duration such as 500ms, 60s or 2m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        let table = [
            ("500ms", Some(Duration::from_millis(500))),
            ("60s", Some(Duration::from_secs(60))),
            ("2m", Some(Duration::from_secs(120))),
            ("1h30m", Some(Duration::from_secs(5400))),
            ("0s", Some(Duration::ZERO)),
            ("60", None),
            ("-1s", None),
            ("1 fortnight", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(duration(text).ok(), expected, "{text:?}");
        }
    }
}
