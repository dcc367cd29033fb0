//! `bind`, `unbind` and `release`: the agent says in a sentence what it did.

use crate::output::{self, clean};
use slash32_control::{Client, Done};
use std::net::Ipv4Addr;
use std::path::Path;

pub(crate) async fn bind(
    socket: &Path,
    link: &str,
    address: Ipv4Addr,
    as_json: bool,
) -> anyhow::Result<()> {
    tell(
        Client::connect(socket).await?.bind(link, address).await?,
        as_json,
    )
}

pub(crate) async fn unbind(socket: &Path, link: &str, as_json: bool) -> anyhow::Result<()> {
    tell(Client::connect(socket).await?.unbind(link).await?, as_json)
}

pub(crate) async fn release(socket: &Path, key: &str, as_json: bool) -> anyhow::Result<()> {
    tell(Client::connect(socket).await?.release(key).await?, as_json)
}

fn tell(done: Done, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        output::print_json(&done)?;
    } else {
        output::print(&format!("{}\n", clean(&done.done)))?;
    }
    Ok(())
}
