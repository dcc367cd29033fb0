use crate::filter::Filter;
use crate::{output, table};
use jiff::Timestamp;
use slash32_control::Client;
use std::path::Path;

pub(crate) async fn run(socket: &Path, filter: &Filter, as_json: bool) -> anyhow::Result<()> {
    let links = filter.apply(Client::connect(socket).await?.list().await?);
    if as_json {
        output::print_json(&links)?;
    } else {
        output::print(&table::links(&links, Timestamp::now()))?;
    }
    Ok(())
}
