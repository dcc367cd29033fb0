use crate::arguments::Arguments;
use crate::output;
use clap::CommandFactory;
use clap_complete::Shell;

pub(crate) fn run(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "slash32", &mut script);
    Ok(output::print(&String::from_utf8(script)?)?)
}
