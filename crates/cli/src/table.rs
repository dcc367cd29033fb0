//! Tables for people: columns with two spaces between them, no borders, no colours, `-` where nothing is known.

use crate::output::clean;
use comfy_table::Table;
use jiff::Timestamp;
use slash32_control::{Lease, LinkRow};

/// `rows` of cells in columns, each row ended by a newline. Cells are [`clean`]ed; an empty one is shown as `-`.
pub(crate) fn columns<Row: IntoIterator<Item = String>>(
    rows: impl IntoIterator<Item = Row>,
) -> String {
    let cleaned = |row: Row| row.into_iter().map(|cell| clean(&cell));
    clean_columns(rows.into_iter().map(cleaned))
}

/// The same for cells that are clean already.
pub(crate) fn clean_columns<Row: IntoIterator<Item = String>>(
    rows: impl IntoIterator<Item = Row>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .force_no_tty();
    for row in rows {
        table.add_row(row.into_iter().map(|cell| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// The columns of `list`; the last one is there when a link has a reason.
pub(crate) const LINK_COLUMNS: [&str; 10] = [
    "LINK", "VM", "MAC", "ADDRESS", "GATEWAY", "NETWORK", "STATE", "ROUTE", "LEASE", "REASON",
];

/// The cells of a link in [`LINK_COLUMNS`], as they come; empty where nothing is known.
pub(crate) fn link_cells(link: &LinkRow, now: Timestamp) -> [String; LINK_COLUMNS.len()] {
    [
        link.link.clone(),
        or_empty(&link.vm),
        or_empty(&link.mac),
        or_empty(&link.address),
        or_empty(&link.gateway),
        or_empty(&link.network),
        link.state.to_string(),
        if link.route { "yes" } else { "no" }.to_owned(),
        link.lease
            .as_ref()
            .map(|lease| time_left(lease, now))
            .unwrap_or_default(),
        or_empty(&link.reason),
    ]
}

/// The table of `list`.
pub(crate) fn links(links: &[LinkRow], now: Timestamp) -> String {
    let with_reason = links.iter().any(|link| link.reason.is_some());
    let count = LINK_COLUMNS.len() - usize::from(!with_reason);
    let rows = links.iter().map(|link| link_cells(link, now));
    columns(
        std::iter::once(LINK_COLUMNS.map(str::to_owned))
            .chain(rows)
            .map(|cells| cells.into_iter().take(count)),
    )
}

/// The text of a value, and nothing for none.
pub(crate) fn or_empty(value: &Option<impl ToString>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// How long the lease still runs, in its two largest units: `23h59m`; `infinite` and `expired` where it is that. A time
/// that is none is shown as it came.
pub(crate) fn time_left(lease: &Lease, now: Timestamp) -> String {
    let Some(expires_at) = &lease.expires_at else {
        return "infinite".to_owned();
    };
    let Ok(end) = expires_at.parse::<Timestamp>() else {
        return expires_at.clone();
    };
    match end.duration_since(now).as_secs() {
        ..=0 => "expired".to_owned(),
        left => two_units(left),
    }
}

/// So many seconds in their two largest units.
pub(crate) fn two_units(seconds: i64) -> String {
    let (days, hours, minutes, seconds) = (
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    );
    match (days, hours, minutes, seconds) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, _, _) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use slash32_control::State;

    pub(crate) fn row(link: &str) -> LinkRow {
        LinkRow {
            link: link.into(),
            ifindex: 7,
            vm: None,
            uuid: None,
            mac: None,
            address: None,
            gateway: None,
            network: None,
            state: State::Idle,
            reason: None,
            route: false,
            generation: None,
            lease: None,
            responder: None,
        }
    }

    #[test]
    fn the_table_is_aligned_and_shows_nothing_as_a_dash() {
        let bound = LinkRow {
            vm: Some("web1".into()),
            mac: Some("52:54:00:12:34:56".into()),
            address: Some("203.0.113.7".parse().unwrap()),
            gateway: Some("169.254.0.1".parse().unwrap()),
            network: Some("public".into()),
            state: State::Bound,
            route: true,
            lease: Some(Lease {
                acked_at: "2026-11-22T10:00:00Z".into(),
                expires_at: Some("2026-11-23T10:00:00Z".into()),
            }),
            ..row("virbr13")
        };
        let table = links(
            &[bound, row("vnet1")],
            "2026-11-22T10:00:01Z".parse().unwrap(),
        );
        let expected = "\
LINK     VM    MAC                ADDRESS      GATEWAY      NETWORK  STATE  ROUTE  LEASE
virbr13  web1  52:54:00:12:34:56  203.0.113.7  169.254.0.1  public   bound  yes    23h59m
vnet1    -     -                  -            -            -        idle   no     -
";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_reason_gets_a_column_of_its_own_and_stays_on_one_line() {
        let reason = Some("several ports:\nvnet1 and vnet2 \u{1b}[31m".into());
        let table = links(
            &[
                LinkRow {
                    reason,
                    ..row("virbr1")
                },
                row("virbr2"),
            ],
            Timestamp::UNIX_EPOCH,
        );
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].ends_with("LEASE  REASON"));
        assert!(lines[1].ends_with("-      several ports:\\nvnet1 and vnet2 \\u{1b}[31m"));
        assert!(lines[2].ends_with("-      -"));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_long_text_is_not_wrapped() {
        let vm = Some("v".repeat(500));
        assert_eq!(
            links(
                &[LinkRow {
                    vm,
                    ..row("virbr1")
                }],
                Timestamp::UNIX_EPOCH
            )
            .lines()
            .count(),
            2
        );
    }

    #[test]
    fn the_time_left_is_told_in_two_units() {
        let table = [
            (Some("2026-11-22T10:00:59Z"), "59s"),
            (Some("2026-11-22T10:01:05Z"), "1m05s"),
            (Some("2026-11-22T11:00:00Z"), "1h00m"),
            (Some("2026-11-25T12:30:00Z"), "3d02h"),
            (Some("2026-11-22T10:00:00Z"), "expired"),
            (Some("2026-11-22T09:00:00Z"), "expired"),
            (Some("soon"), "soon"),
            (None, "infinite"),
        ];
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        for (expires_at, expected) in table {
            let lease = Lease {
                acked_at: String::new(),
                expires_at: expires_at.map(str::to_owned),
            };
            assert_eq!(time_left(&lease, now), expected, "{expires_at:?}");
        }
    }
}
