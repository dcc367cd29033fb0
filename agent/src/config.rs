//! The config file and its conf.d, read and checked.

use anyhow::{Context, Result};
use slash32_policy::{Config, read_sources};
use std::path::Path;

/// Reads FILE and the files of conf.d beside it. Errors: what cannot be read, or everything that is wrong, at once.
pub(crate) fn load(file: &Path) -> Result<Config> {
    let sources = read_sources(file).context("the config cannot be read")?;
    Ok(Config::parse(&sources)?)
}
