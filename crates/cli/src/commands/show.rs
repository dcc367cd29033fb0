use crate::guest::{OtherServer, Request, other_servers};
use crate::output;
use crate::table::{clean_columns, columns, or_empty, time_left, two_units};
use jiff::Timestamp;
use serde::Serialize;
use slash32_control::{Client, HistoryEntry, Lease, LinkDetail, LinkRow, Port};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) async fn run(socket: &Path, key: &str, as_json: bool) -> anyhow::Result<()> {
    let shown = Shown::new(Client::connect(socket).await?.show(key).await?);
    if as_json {
        output::print_json(&shown)?;
    } else {
        output::print(&page(&shown, Timestamp::now()))?;
    }
    Ok(())
}

/// What the agent knows of a link, with the guest's frames decoded.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: LinkRow,
    ports: Vec<Port>,
    counters: BTreeMap<String, u64>,
    options: BTreeMap<String, String>,
    history: Vec<HistoryEntry>,
    last_request: Option<Request>,
    other_servers: Vec<OtherServer>,
}

impl Shown {
    fn new(detail: LinkDetail) -> Self {
        let LinkDetail {
            row,
            ports,
            counters,
            options,
            history,
            last_request,
            other_server,
        } = detail;
        Self {
            last_request: last_request.as_ref().map(|seen| Request::read(seen, &row)),
            other_servers: other_servers(other_server.as_ref(), last_request.as_ref()),
            row,
            ports,
            counters,
            options,
            history,
        }
    }
}

fn page(shown: &Shown, now: Timestamp) -> String {
    let row = &shown.row;
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
    let ports = shown.ports.iter().map(|port| {
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
    let options = shown
        .options
        .iter()
        .map(|(name, value)| [name.clone(), value.clone()]);
    let counters = shown
        .counters
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| [name.clone(), count.to_string()]);
    let history = shown
        .history
        .iter()
        .map(|entry| [entry.time.clone(), entry.event.clone()]);
    let last_request = shown.last_request.as_ref();
    [
        columns(facts.map(|(name, value)| [name.to_owned(), value])),
        section("ports", columns(ports)),
        section("options", columns(options)),
        last_request.map_or_else(String::new, |request| last_request_section(request, now)),
        other_servers_section(&shown.other_servers, row, now),
        section("counters", columns(counters)),
        section("history", columns(history)),
    ]
    .concat()
}

/// A title and its rows, set in by two spaces; nothing at all without rows.
fn section(title: &str, rows: String) -> String {
    if rows.is_empty() {
        return rows;
    }
    let rows: String = rows.lines().map(|line| format!("  {line}\n")).collect();
    format!("\n{title}\n{rows}")
}

/// What the guest said, as far as it said it, and what became of it.
fn last_request_section(request: &Request, now: Timestamp) -> String {
    let architecture = request.architecture.as_ref().map(|types| {
        let named = types
            .iter()
            .map(|number| match slash32_policy::architecture_name(*number) {
                Some(name) => format!("{name} ({number})"),
                None => number.to_string(),
            });
        named.collect::<Vec<_>>().join(", ")
    });
    let asked = request.parameter_request_list.as_ref().map(|list| {
        let named = list.iter().map(|asked| match asked.name {
            Some(name) => format!("{name} ({})", asked.code),
            None => asked.code.to_string(),
        });
        named.collect::<Vec<_>>().join(", ")
    });
    let name = request.outcome.as_ref().or(request.reason.as_ref());
    let rows = [
        ("received", Some(when(&request.at, now))),
        ("message", request.message_type.clone()),
        ("client", request.client.clone()),
        ("mac", request.mac.clone()),
        ("client id", request.client_id.clone()),
        ("hostname", request.hostname.clone()),
        ("fqdn", request.fqdn.clone()),
        ("vendor class", request.vendor_class.clone()),
        ("user class", request.user_class.clone()),
        ("architecture", architecture),
        ("has address", text_of(request.ciaddr)),
        ("wants address", text_of(request.requested_address)),
        ("of server", text_of(request.server_identifier)),
        (
            "takes up to",
            request.max_message_size.map(|size| format!("{size} bytes")),
        ),
        ("asks for", asked),
        ("answer", Some(request.why.clone())),
        ("counted as", name.cloned()),
    ];
    let known = rows
        .into_iter()
        .filter_map(|(name, value)| Some([name.to_owned(), value?]));
    section("last request", clean_columns(known))
}

/// Who else serves DHCP on the link, and what to do about it.
fn other_servers_section(servers: &[OtherServer], row: &LinkRow, now: Timestamp) -> String {
    let rows = servers.iter().map(|server| {
        let message = server.message.as_deref().unwrap_or("a message of no type");
        let what = match (&server.mac, server.address) {
            (Some(mac), Some(address)) => format!("{message} of {address}, from {mac}"),
            (Some(mac), None) => format!("{message}, from {mac}"),
            (None, _) => format!("named in a {message} of the guest"),
        };
        let identifier = text_of(server.identifier);
        let identifier = identifier.unwrap_or_else(|| "without identifier".into());
        [identifier, what, when(&server.at, now)]
    });
    let mut section = section("other DHCP servers", clean_columns(rows));
    let ours =
        |server: &OtherServer| server.identifier.is_some() && server.identifier == row.gateway;
    if servers.iter().any(ours) {
        section += "  That is our own identifier: a reply came back, so look for a loop behind the link.\n";
    }
    if servers.iter().any(|server| !ours(server)) {
        section += "  The VM may take an address from there. Nobody else is to serve DHCP on a VM's link: stop that server,\n  \
                    which runs in the VM itself or behind another port of the link.\n";
    }
    section
}

/// `2026-11-22T10:41:00Z, 12s ago`
fn when(at: &str, now: Timestamp) -> String {
    match at.parse::<Timestamp>() {
        Ok(time) => {
            let ago = now.duration_since(time).as_secs().max(0);
            format!("{at}, {} ago", two_units(ago))
        }
        Err(_) => at.to_owned(),
    }
}

fn text_of(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
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
