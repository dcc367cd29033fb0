use crate::{output, table};
use slash32_control::{Client, PoolRow};
use std::path::Path;

pub(crate) async fn run(socket: &Path, as_json: bool) -> anyhow::Result<()> {
    let pools = Client::connect(socket).await?.pools().await?;
    if as_json {
        output::print_json(&pools)?;
    } else {
        output::print(&page(&pools))?;
    }
    Ok(())
}

fn page(pools: &[PoolRow]) -> String {
    let header = [
        "NETWORK",
        "SUBNET",
        "POOL",
        "TOTAL",
        "USED",
        "FREE",
        "RESERVED",
        "SET ASIDE",
        "QUARANTINE",
    ];
    let rows = pools.iter().map(|pool| {
        [
            pool.network.clone(),
            pool.subnet.clone(),
            pool.pool.clone(),
            pool.total.to_string(),
            pool.used.to_string(),
            pool.free.to_string(),
            pool.reserved.to_string(),
            pool.set_aside.to_string(),
            pool.quarantined.to_string(),
        ]
    });
    table::columns(std::iter::once(header.map(str::to_owned)).chain(rows))
}
