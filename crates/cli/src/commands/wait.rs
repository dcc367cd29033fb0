use crate::{output, table};
use jiff::Timestamp;
use slash32_control::{Client, State};
use std::path::Path;
use std::time::Duration;

pub(crate) async fn run(
    socket: &Path,
    key: &str,
    state: State,
    timeout: Duration,
    as_json: bool,
) -> anyhow::Result<()> {
    let links = Client::connect(socket)
        .await?
        .wait(key, state, timeout)
        .await?;
    if as_json {
        output::print_json(&links.last())?;
    } else {
        output::print(&table::links(&links, Timestamp::now()))?;
    }
    Ok(())
}
