use crate::{Arguments, output};
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

fn write(program: &clap::Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for command in std::iter::once(program).chain(program.get_subcommands()) {
        page(command.clone()).generate_to(folder)?;
    }
    Ok(())
}

fn page(command: clap::Command) -> Man {
    Man::new(command)
        .source(concat!("slash32 ", env!("CARGO_PKG_VERSION")))
        .manual("slash32")
}
