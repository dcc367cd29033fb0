use crate::output;
use crate::table::{columns, or_empty, time_left};
use jiff::Timestamp;
use slash32_control::{Client, Lease, LinkDetail};
use std::path::Path;

pub(crate) async fn run(socket: &Path, key: &str, as_json: bool) -> anyhow::Result<()> {
    let detail = Client::connect(socket).await?.show(key).await?;
    if as_json {
        output::print_json(&detail)?;
    } else {
        output::print(&page(&detail, Timestamp::now()))?;
    }
    Ok(())
}

fn page(detail: &LinkDetail, now: Timestamp) -> String {
    let LinkDetail {
        row,
        ports,
        counters,
        options,
        history,
    } = detail;
    let responder = row
        .responder
        .as_ref()
        .map(|responder| format!("pid {}, {}", responder.pid, responder.state));
    let facts = [
        ("link", format!("{} (ifindex {})", row.link, row.ifindex)),
        ("vm", or_empty(&row.vm)),
        ("uuid", or_empty(&row.uuid)),
        ("mac", or_empty(&row.mac)),
        ("address", or_empty(&row.address)),
        ("gateway", or_empty(&row.gateway)),
        ("network", or_empty(&row.network)),
        ("state", row.state.to_string()),
        ("reason", or_empty(&row.reason)),
        (
            "host route",
            if row.route {
                "installed"
            } else {
                "not installed"
            }
            .to_owned(),
        ),
        ("generation", or_empty(&row.generation)),
        (
            "lease",
            row.lease
                .as_ref()
                .map(|lease| self::lease(lease, now))
                .unwrap_or_default(),
        ),
        ("responder", responder.unwrap_or_default()),
    ];
    let ports = ports.iter().map(|port| {
        [
            port.name.clone(),
            if port.carrier {
                "carrier"
            } else {
                "no carrier"
            }
            .to_owned(),
        ]
    });
    let options = options
        .iter()
        .map(|(name, value)| [name.clone(), value.clone()]);
    let counters = counters
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| [name.clone(), count.to_string()]);
    let history = history
        .iter()
        .map(|entry| [entry.time.clone(), entry.event.clone()]);
    [
        columns(facts.map(|(name, value)| [name.to_owned(), value])),
        section("ports", ports),
        section("options", options),
        section("counters", counters),
        section("history", history),
    ]
    .concat()
}

/// A title and its rows, set in by two spaces; nothing at all without rows.
fn section(title: &str, rows: impl Iterator<Item = [String; 2]>) -> String {
    let rows = columns(rows);
    if rows.is_empty() {
        return rows;
    }
    let rows: String = rows.lines().map(|line| format!("  {line}\n")).collect();
    format!("\n{title}\n{rows}")
}

fn lease(lease: &Lease, now: Timestamp) -> String {
    match &lease.expires_at {
        Some(expires_at) => format!(
            "from {} to {expires_at} ({})",
            lease.acked_at,
            time_left(lease, now)
        ),
        None => format!("from {}, infinite", lease.acked_at),
    }
}
