use crate::{output, table};
use jiff::Timestamp;
use serde_json::json;
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
    let text = if as_json {
        format!("{:#}\n", json!(link))
    } else {
        table::links(&[link], Timestamp::now())
    };
    Ok(output::print(&text)?)
}
