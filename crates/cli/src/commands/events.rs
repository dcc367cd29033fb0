use crate::output::{self, clean};
use anyhow::bail;
use slash32_control::{Client, Event};
use std::path::Path;

pub(crate) async fn run(socket: &Path, as_json: bool) -> anyhow::Result<()> {
    let mut events = Client::connect(socket).await?.events().await?;
    while let Some(event) = events.next().await? {
        if as_json {
            output::print_json_line(&event)?;
        } else {
            output::print(&format!("{}\n", line(&event)))?;
        }
    }
    bail!("the agent has stopped")
}

/// TIME LINK KIND ADDRESS TEXT
fn line(event: &Event) -> String {
    let Event {
        time,
        link,
        kind,
        address,
        text,
        ..
    } = event;
    let link = clean(link.as_deref().unwrap_or("-"));
    let address = address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    format!(
        "{} {link:<15} {kind:<17} {address:<15} {}",
        clean(time),
        clean(text)
    )
}
