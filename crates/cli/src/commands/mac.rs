use crate::output::{self, clean};
use slash32_control::Client;
use std::path::Path;

/// Prints `MAC  ADDRESS`.
pub(crate) async fn next(
    socket: &Path,
    network: Option<&str>,
    as_json: bool,
) -> anyhow::Result<()> {
    let next = Client::connect(socket).await?.mac_next(network).await?;
    if as_json {
        output::print_json(&next)?;
    } else {
        output::print(&format!("{}  {}\n", clean(&next.mac), next.address))?;
    }
    Ok(())
}
