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
    let link = Client::connect(socket)
        .await?
        .wait(key, state, timeout)
        .await?;
    if as_json {
        output::print_json(&link)?;
    } else {
        output::print(&table::links(&[link], Timestamp::now()))?;
    }
    Ok(())
}
