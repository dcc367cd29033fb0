//! `slash32` as an operator calls it, against an agent that says what the test tells it to say.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod agent;
mod commands;
mod operations;
mod pages;
mod story;
mod terminal;
mod trouble;

use assert_cmd::Command;
use std::path::Path;

/// `slash32 ARGUMENTS`, split at spaces, with the agent at `socket`.
fn slash32(socket: &Path, arguments: &str) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("slash32");
    command
        .env_remove("SLASH32_SOCKET")
        .arg("--socket")
        .arg(socket)
        .args(arguments.split(' '));
    command
}

/// What `slash32 ARGUMENTS` printed; it must have succeeded and have nothing to complain of.
fn output(socket: &Path, arguments: &str) -> String {
    let assert = slash32(socket, arguments).assert().success().stderr("");
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}
