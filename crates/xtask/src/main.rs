//! Everything that a contributor runs: `cargo xtask test`, `cargo xtask demo`, `cargo xtask bench`, `cargo xtask fuzz`,
//! `cargo xtask golden`, `cargo xtask instructions`, `cargo xtask deb`.
//!
//! Two promises hold for all of them. They never touch the machine's own interfaces: whatever is networked happens in
//! namespaces made for it, which the kernel takes down with the process that made them. And building stays the user's:
//! only what needs namespaces runs as root, through sudo where the user is not root already.
//!
//! The programs under test are built first and found by their own tests and by the demo through `SLASH32_BIN_DIR`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bench;
mod captures;
mod cargo;
mod container;
mod deb;
mod demo;
mod figures;
mod fuzz;
mod golden;
mod guest;
mod initramfs;
mod instructions;
mod loaders;
mod nextest;
mod packages;
mod privilege;
#[cfg(test)]
mod readme;
mod step;
mod test;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a contributor runs.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Format, lints, documentation, licences, then every test; installs what is missing
    Test(test::Arguments),
    /// A hypervisor, a fabric and three VMs with three DHCP clients, in private namespaces
    Demo(demo::Arguments),
    /// slash32 beside other DHCP servers: how fast, how small
    Bench(bench::Arguments),
    /// What no test thought of: libFuzzer on the core, the options, the records and the config
    Fuzz(fuzz::Arguments),
    /// Records what real clients send and what they are answered, or blesses new answers
    Golden(golden::Arguments),
    /// Counts the instructions that the core takes for each kind of message, or pins what is counted now
    Instructions(instructions::Arguments),
    /// The Debian package, checked by lintian
    Deb(deb::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Test(arguments) => test::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Bench(arguments) => bench::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Golden(arguments) => golden::run(&arguments),
        Command::Instructions(arguments) => instructions::run(&arguments),
        Command::Deb(arguments) => deb::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("\nerror: {error:#}");
        let failed = error.downcast_ref::<step::Failed>();
        failed.map_or(ExitCode::FAILURE, |failed| ExitCode::from(failed.code))
    })
}
