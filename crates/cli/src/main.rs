//! `slash32`: the operator's program.
//!
//! Each command is one file in `commands`: it asks the agent over `slash32_control` (or, for `check` and `mac`, reads the config with
//! `slash32_policy`) and prints. What goes to stdout is the answer, as a table for people or as JSON for programs, and
//! nothing else; an error is one sentence on stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 not called as it wants to be (or, of `doctor`, not all could be checked). When nobody reads stdout any more (`| head`) it is done.
//! A call of libvirt's hook ([`hook`]) always exits with 0 and prints nothing.
//!
//! # Invariants
//!
//! - No text from outside reaches a terminal with a control character in it ([`output::clean`]); what a guest sent is read
//!   in [`guest`] only.
//! - `watch` leaves the terminal as it was, also after a panic or a signal ([`screen::Screen`]).
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod arguments;
mod commands;
mod doctor;
mod filter;
mod guest;
mod hook;
mod output;
mod screen;
mod shim;
mod table;
mod view;

use arguments::{Arguments, Command, MacCommand, StoreCommand};
use clap::Parser;
use std::future::Future;
use std::process::ExitCode;

fn main() -> ExitCode {
    if hook::serve(std::env::args_os().skip(1)) {
        return ExitCode::SUCCESS;
    }
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
        Command::List { filter } => with_agent(commands::list::run(&socket, &filter, json))?,
        Command::Show { key } => with_agent(commands::show::run(&socket, &key, json))?,
        Command::Explain { key } => with_agent(commands::explain::run(&socket, &key, json))?,
        Command::Pools => with_agent(commands::pools::run(&socket, json))?,
        Command::Wait {
            key,
            state,
            timeout,
        } => {
            with_agent(commands::wait::run(&socket, &key, state, timeout, json))?;
        }
        Command::Watch { filter } => with_agent(commands::watch::run(&socket, &filter, json))?,
        Command::Events => with_agent(commands::events::run(&socket, json))?,
        Command::Bind { link, address } => {
            with_agent(commands::bind::bind(&socket, &link, address, json))?;
        }
        Command::Unbind { link } => with_agent(commands::bind::unbind(&socket, &link, json))?,
        Command::Release { key } => with_agent(commands::bind::release(&socket, &key, json))?,
        Command::Reload { force } => with_agent(commands::reload::run(&socket, force, json))?,
        Command::Doctor { list: true, .. } => commands::doctor::list(json)?,
        Command::Doctor { config, .. } => {
            return with_agent(commands::doctor::run(&socket, &config, json));
        }
        Command::Hook(hook) => return with_agent(commands::hook::run(hook, json)),
        Command::Store(StoreCommand::Export { file }) => {
            with_agent(commands::store::export(&socket, &file))?;
        }
        Command::Store(StoreCommand::Import { file }) => {
            with_agent(commands::store::import(&socket, &file, json))?;
        }
        Command::Mac(MacCommand::Encode { address, scheme }) => {
            commands::mac::encode(address, scheme.network.as_deref(), &scheme.config, json)?;
        }
        Command::Mac(MacCommand::Decode { mac, scheme }) => {
            commands::mac::decode(mac, scheme.network.as_deref(), &scheme.config, json)?;
        }
        Command::Mac(MacCommand::Next { network }) => {
            with_agent(commands::mac::next(&socket, network.as_deref(), json))?;
        }
        Command::Check { file } => return commands::check::run(&file, json),
        Command::Version => with_agent(commands::version::run(&socket, json))?,
        Command::Completions { shell } => commands::completions::run(shell)?,
        Command::Man { dir } => commands::man::run(dir.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn with_agent<T>(conversation: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(conversation)
}
