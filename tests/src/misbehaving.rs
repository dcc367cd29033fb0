//! An agent whose responders are honest until a case says otherwise: see `src/bin/misbehaving-responder.rs`.

use crate::{Agent, Host, binary};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Starts an agent with this config. `liar` is the program `misbehaving-responder`.
pub fn agent<'h>(liar: &Path, host: &'h Host, config: &str) -> Result<Agent<'h>> {
    let mut agent = Agent::prepare(host, config)?;
    let folder = agent.config_file().parent().context("a folder")?.to_owned();
    fs::create_dir(folder.join("bin"))?;
    fs::create_dir(folder.join("conf.d"))?;
    let program = folder.join("bin/misbehaving-responder");
    fs::copy(liar, &program)?;
    fs::copy(
        binary("slash32-responder")?,
        folder.join("bin/slash32-responder"),
    )?;
    let text = format!("[agent]\nresponder = {program:?}\n");
    fs::write(folder.join("conf.d/responder.toml"), text)?;
    agent.restart()?;
    Ok(agent)
}

/// The next responder of `link` does this: the name of a fault, and ` always` behind it for all that follow.
pub fn misbehave(agent: &Agent<'_>, link: &str, what: &str) -> Result<()> {
    Ok(fs::write(order(agent, link), what)?)
}

/// The file that says so, until a responder has read it.
pub fn order(agent: &Agent<'_>, link: &str) -> PathBuf {
    agent.socket().with_file_name(format!("misbehave-{link}"))
}
