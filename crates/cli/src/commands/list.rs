use crate::{output, table};
use jiff::Timestamp;
use serde_json::json;
use slash32_control::Client;
use std::path::Path;

pub(crate) async fn run(socket: &Path, as_json: bool) -> anyhow::Result<()> {
    let links = Client::connect(socket).await?.list().await?;
    let text = if as_json {
        format!("{:#}\n", json!(links))
    } else {
        table::links(&links, Timestamp::now())
    };
    Ok(output::print(&text)?)
}
