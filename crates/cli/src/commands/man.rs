use crate::arguments::Arguments;
use crate::output;
use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;
use std::path::Path;
use std::{fs, io};

/// Without a folder: the page of the program itself.
pub(crate) fn run(folder: Option<&Path>) -> anyhow::Result<()> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    // Gives the commands their full names and the options that they share.
    program.build();
    let Some(folder) = folder else {
        let mut text = Vec::new();
        page(program).render(&mut text)?;
        return Ok(output::print(&String::from_utf8(text)?)?);
    };
    write(&program, folder)
        .with_context(|| format!("cannot write man pages to {}", folder.display()))
}

/// The page of `command`, and those of its own commands.
fn write(command: &clap::Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    page(command.clone()).generate_to(folder)?;
    command
        .get_subcommands()
        .try_for_each(|command| write(command, folder))
}

fn page(command: clap::Command) -> Man {
    Man::new(command)
        .source(concat!("slash32 ", env!("CARGO_PKG_VERSION")))
        .manual("slash32")
}
