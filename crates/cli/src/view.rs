//! What `watch` shows: the links, how they are sorted, and which of them fit.

use crate::output::clean;
use crate::table::{LINK_COLUMNS, link_cells};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};
use slash32_control::{LinkRow, State};
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// Between two columns.
const GAP: u16 = 2;

/// Of the last column, REASON, this much is worth leaving others out for.
const REASON_WIDTH: u16 = 16;

/// The columns that are left out when all do not fit, the first one first.
const DISPENSABLE: [&str; 6] = ["GATEWAY", "NETWORK", "MAC", "ROUTE", "LEASE", "VM"];

/// What the links are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Sort {
    /// As the agent lists them.
    #[default]
    Link,
    Vm,
    Address,
    /// What needs somebody first.
    State,
    /// What ends first.
    Lease,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Link => Self::Vm,
            Self::Vm => Self::Address,
            Self::Address => Self::State,
            Self::State => Self::Lease,
            Self::Lease => Self::Link,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Vm => "VM",
            Self::Address => "address",
            Self::State => "state",
            Self::Lease => "lease",
        }
    }

    /// What is not there comes last.
    fn compare(self, a: &LinkRow, b: &LinkRow) -> Ordering {
        match self {
            Self::Link => Ordering::Equal,
            Self::Vm => (a.vm.is_none(), &a.vm).cmp(&(b.vm.is_none(), &b.vm)),
            Self::Address => {
                (a.address.is_none(), a.address).cmp(&(b.address.is_none(), b.address))
            }
            Self::State => urgency(a.state).cmp(&urgency(b.state)),
            Self::Lease => end(a).cmp(&end(b)),
        }
    }
}

fn urgency(state: State) -> u8 {
    match state {
        State::Failed => 0,
        State::Unassigned => 1,
        State::Ready => 2,
        State::Bound => 3,
        State::Idle => 4,
    }
}

/// When the lease ends: a time, never, no lease.
fn end(link: &LinkRow) -> (u8, Option<Timestamp>) {
    match &link.lease {
        None => (2, None),
        Some(lease) => match &lease.expires_at {
            None => (1, None),
            Some(time) => (0, time.parse().ok()),
        },
    }
}

#[derive(Default)]
pub(crate) struct View {
    /// In the agent's order.
    links: Vec<LinkRow>,
    sort: Sort,
    /// How many rows are above the screen.
    top: usize,
    /// How many rows the screen had room for when it was drawn last.
    page: usize,
}

impl View {
    /// Shows these links from now on.
    pub(crate) fn show(&mut self, links: Vec<LinkRow>) {
        self.links = links;
    }

    /// Does what the key stands for. Breaks when it is to end.
    pub(crate) fn press(&mut self, key: KeyEvent) -> ControlFlow<()> {
        if key.kind == KeyEventKind::Release {
            return ControlFlow::Continue(());
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return ControlFlow::Break(()),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return ControlFlow::Break(());
            }
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.top = 0;
            }
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::Down => self.top += 1,
            KeyCode::PageUp => self.top = self.top.saturating_sub(self.page),
            KeyCode::PageDown => self.top += self.page,
            KeyCode::Home => self.top = 0,
            KeyCode::End => self.top = self.links.len(),
            _ => {}
        }
        self.top = self.top.min(self.last_top());
        ControlFlow::Continue(())
    }

    /// Where the last row is on the screen's last line.
    fn last_top(&self) -> usize {
        self.links.len().saturating_sub(self.page)
    }

    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>, now: Timestamp) {
        let [title, table, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        // The header takes one line of the table.
        self.page = usize::from(table.height.saturating_sub(1));
        self.top = self.top.min(self.last_top());
        frame.render_widget(self.title(), title);
        self.draw_table(frame, table, now);
        frame.render_widget(self.foot(), foot);
    }

    /// `slash32  3 links: 2 bound, 1 failed`
    fn title(&self) -> Line<'static> {
        let counts: Vec<String> = State::ALL
            .into_iter()
            .filter_map(|state| {
                let links = self.links.iter().filter(|link| link.state == state);
                let count = links.count();
                (count > 0).then(|| format!("{count} {state}"))
            })
            .collect();
        let total = self.links.len();
        let links = if total == 1 { "link" } else { "links" };
        let colon = if total == 0 { "" } else { ": " };
        let counts = counts.join(", ");
        Line::from(format!("slash32  {total} {links}{colon}{counts}"))
            .style(Style::new().add_modifier(Modifier::BOLD))
    }

    /// `q quit  arrows scroll  s sort (by link)  1-20 of 37`
    fn foot(&self) -> Line<'static> {
        let total = self.links.len();
        let shown = match total.min(self.top + self.page) {
            0 => String::new(),
            last => format!("  {}-{last} of {total}", self.top + 1),
        };
        let sort = self.sort.name();
        Line::from(format!("q quit  arrows scroll  s sort (by {sort}){shown}"))
    }

    fn draw_table(&self, frame: &mut Frame<'_>, area: Rect, now: Timestamp) {
        let mut links: Vec<&LinkRow> = self.links.iter().collect();
        // Stable: what is equal stays in the agent's order.
        links.sort_by(|a, b| self.sort.compare(a, b));
        let rows: Vec<[String; LINK_COLUMNS.len()]> = links
            .iter()
            .map(|link| {
                link_cells(link, now).map(|cell| match cell.as_str() {
                    "" => "-".to_owned(),
                    text => clean(text),
                })
            })
            .collect();
        let columns = fitting(&widths(&rows), area.width);
        let shown = rows.iter().zip(&links).skip(self.top).take(self.page);
        let shown = shown.map(|(cells, link)| {
            Row::new(columns.iter().map(|(index, _)| {
                let cell = Cell::new(cells[*index].as_str());
                match LINK_COLUMNS[*index] {
                    "STATE" => cell.style(colour(link.state)),
                    _ => cell,
                }
            }))
        });
        let header = Row::new(columns.iter().map(|(index, _)| LINK_COLUMNS[*index]))
            .style(Style::new().add_modifier(Modifier::REVERSED));
        let constraints = columns.iter().map(|(_, width)| Constraint::Length(*width));
        let table = Table::new(shown, constraints)
            .header(header)
            .column_spacing(GAP);
        frame.render_widget(table, area);
    }
}

/// Of each column, the width of its widest cell; none for REASON when no link has one.
fn widths(rows: &[[String; LINK_COLUMNS.len()]]) -> Vec<Option<u16>> {
    let widths = LINK_COLUMNS.iter().enumerate().map(|(index, name)| {
        let cells = rows.iter().map(|cells| cells[index].as_str());
        let empty = *name == "REASON" && cells.clone().all(|cell| cell == "-");
        let width = cells
            .chain([*name])
            .map(|text| Span::raw(text).width())
            .max()
            .unwrap_or(0);
        (!empty).then(|| u16::try_from(width).unwrap_or(u16::MAX))
    });
    widths.collect()
}

/// The columns that fit into `room`, by their index, and how wide each is. The last one takes what is left.
fn fitting(widths: &[Option<u16>], room: u16) -> Vec<(usize, u16)> {
    let mut columns: Vec<(usize, u16)> = widths
        .iter()
        .enumerate()
        .filter_map(|(index, width)| Some((index, (*width)?)))
        .collect();
    for name in DISPENSABLE {
        let needed: u32 = columns
            .iter()
            .map(|(index, width)| match LINK_COLUMNS[*index] {
                "REASON" => u32::from((*width).min(REASON_WIDTH)),
                _ => u32::from(*width),
            })
            .map(|width| width + u32::from(GAP))
            .sum();
        if needed <= u32::from(room) + u32::from(GAP) {
            break;
        }
        columns.retain(|(index, _)| LINK_COLUMNS[*index] != name);
    }
    if let Some(((_, last), others)) = columns.split_last_mut() {
        let taken = others
            .iter()
            .map(|(_, width)| width.saturating_add(GAP))
            .fold(0, u16::saturating_add);
        *last = (*last).min(room.saturating_sub(taken));
    }
    columns
}

fn colour(state: State) -> Style {
    match state {
        State::Bound => Style::new().fg(Color::Green),
        State::Ready => Style::new().fg(Color::Cyan),
        State::Unassigned => Style::new().fg(Color::Yellow),
        State::Failed => Style::new().fg(Color::Red),
        State::Idle => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::row;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use slash32_control::Lease;

    const NOW: &str = "2026-11-22T10:00:00Z";

    fn lease(expires_at: Option<&str>) -> Option<Lease> {
        Some(Lease {
            acked_at: "2026-11-22T09:00:00Z".into(),
            expires_at: expires_at.map(str::to_owned),
        })
    }

    fn bound(link: &str, vm: &str, address: &str) -> LinkRow {
        LinkRow {
            vm: Some(vm.into()),
            mac: Some("52:54:00:12:34:56".into()),
            address: Some(address.parse().unwrap()),
            gateway: Some("169.254.0.1".parse().unwrap()),
            network: Some("public".into()),
            state: State::Bound,
            route: true,
            lease: lease(Some("2026-11-23T09:59:59Z")),
            ..row(link)
        }
    }

    fn failed(link: &str) -> LinkRow {
        LinkRow {
            state: State::Failed,
            reason: Some("the link has a foreign address, 192.0.2.1/24".into()),
            ..row(link)
        }
    }

    /// The lines that `view` draws on a terminal of this size, without the blanks at their ends.
    fn drawn(view: &mut View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| view.draw(frame, NOW.parse().unwrap()))
            .unwrap();
        let buffer = terminal.backend().buffer();
        let lines = (0..height).map(|y| {
            let symbols = (0..width).map(|x| buffer[(x, y)].symbol());
            symbols.collect::<String>().trim_end().to_owned()
        });
        lines.collect()
    }

    fn view(links: Vec<LinkRow>) -> View {
        let mut view = View::default();
        view.show(links);
        view
    }

    fn press(view: &mut View, code: KeyCode) -> bool {
        view.press(KeyEvent::new(code, KeyModifiers::NONE))
            .is_continue()
    }

    /// The links on the screen, from the top, by their names.
    fn names(view: &mut View, height: u16) -> Vec<String> {
        let lines = drawn(view, 80, height);
        let rows = &lines[2..lines.len() - 1];
        rows.iter()
            .filter_map(|line| line.split(' ').next())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_wide_terminal_shows_every_column() {
        let mut view = view(vec![
            bound("virbr1", "web1", "203.0.113.7"),
            failed("virbr2"),
        ]);
        let expected = [
            "slash32  2 links: 1 bound, 1 failed",
            "LINK    VM    MAC                ADDRESS      GATEWAY      NETWORK  STATE   ROUTE  LEASE   REASON",
            "virbr1  web1  52:54:00:12:34:56  203.0.113.7  169.254.0.1  public   bound   yes    23h59m  -",
            "virbr2  -     -                  -            -            -        failed  no     -       the link has a foreign address, 192.0.2.1/24",
            "",
            "q quit  arrows scroll  s sort (by link)  1-2 of 2",
        ];
        assert_eq!(drawn(&mut view, 140, 6), expected);
    }

    #[test]
    fn a_terminal_of_80_by_24_leaves_out_what_matters_least() {
        let mut view = view(vec![
            bound("virbr1", "web1", "203.0.113.7"),
            failed("virbr2"),
        ]);
        let lines = drawn(&mut view, 80, 24);
        assert_eq!(
            lines[1..4],
            [
                "LINK    VM    ADDRESS      STATE   ROUTE  LEASE   REASON",
                "virbr1  web1  203.0.113.7  bound   yes    23h59m  -",
                "virbr2  -     -            failed  no     -       the link has a foreign address",
            ]
            .map(str::to_owned)
        );
        assert_eq!(
            lines[23],
            "q quit  arrows scroll  s sort (by link)  1-2 of 2"
        );
    }

    #[test]
    fn without_a_reason_there_is_room_for_more() {
        let mut view = view(vec![bound("virbr1", "web1", "203.0.113.7")]);
        assert_eq!(
            drawn(&mut view, 80, 24)[1],
            "LINK    VM    MAC                ADDRESS      NETWORK  STATE  ROUTE  LEASE"
        );
    }

    #[test]
    fn no_size_is_too_small_to_draw() {
        let links: Vec<LinkRow> = (0..9)
            .map(|number| bound(&format!("virbr{number}"), "web", "203.0.113.7"))
            .chain([failed("virbr9")])
            .collect();
        for width in [1, 2, 7, 20, 40] {
            for height in [1, 2, 3, 4, 7] {
                let mut view = view(links.clone());
                assert!(press(&mut view, KeyCode::End));
                drawn(&mut view, width, height);
            }
        }
        assert_eq!(
            drawn(&mut view(Vec::new()), 80, 4),
            [
                "slash32  0 links",
                "LINK  VM  MAC  ADDRESS  GATEWAY  NETWORK  STATE  ROUTE  LEASE",
                "",
                "q quit  arrows scroll  s sort (by link)",
            ]
        );
    }

    #[test]
    fn the_keys_scroll_and_stop_at_both_ends() {
        let links = (0..10).map(|number| row(&format!("v{number}")));
        let mut view = view(links.collect());
        // A title, a header and a foot leave 4 rows of 7 lines.
        let table = [
            (KeyCode::Up, "v0"),
            (KeyCode::Down, "v1"),
            (KeyCode::PageDown, "v5"),
            (KeyCode::Down, "v6"),
            (KeyCode::Down, "v6"),
            (KeyCode::PageUp, "v2"),
            (KeyCode::End, "v6"),
            (KeyCode::PageDown, "v6"),
            (KeyCode::Home, "v0"),
            (KeyCode::Char('x'), "v0"),
        ];
        names(&mut view, 7);
        for (step, (code, first)) in table.into_iter().enumerate() {
            assert!(press(&mut view, code));
            let names = names(&mut view, 7);
            assert_eq!((names[0].as_str(), names.len()), (first, 4), "step {step}");
        }
        assert!(drawn(&mut view, 80, 7)[6].ends_with("  1-4 of 10"));
    }

    #[test]
    fn when_links_go_the_screen_is_still_full() {
        let links: Vec<LinkRow> = (0..10).map(|number| row(&format!("v{number}"))).collect();
        let mut view = view(links.clone());
        names(&mut view, 7);
        assert!(press(&mut view, KeyCode::End));
        view.show(links[..5].to_vec());
        assert_eq!(names(&mut view, 7), ["v1", "v2", "v3", "v4"]);
    }

    #[test]
    fn s_sorts_by_one_thing_after_the_other() {
        let ends = |link: LinkRow, expires_at| LinkRow {
            lease: lease(expires_at),
            ..link
        };
        let mut view = view(vec![
            ends(bound("c", "b", "203.0.113.20"), None),
            ends(bound("b", "c", "203.0.113.3"), Some("2026-11-22T11:00:00Z")),
            row("a"),
            ends(
                bound("e", "a", "203.0.113.100"),
                Some("2026-11-22T10:30:00Z"),
            ),
            failed("d"),
        ]);
        let table = [
            "cbaed", // as listed
            "ecbad", // by VM
            "bcead", // by address
            "dcbea", // by state
            "ebcad", // by lease
            "cbaed",
        ];
        for expected in table {
            assert_eq!(names(&mut view, 24).concat(), expected, "{:?}", view.sort);
            assert!(press(&mut view, KeyCode::Char('s')));
        }
    }

    #[test]
    fn q_escape_and_control_c_end_it() {
        let mut view = view(Vec::new());
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert!(!press(&mut view, code), "{code:?}");
        }
        assert!(press(&mut view, KeyCode::Char('c')));
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(view.press(control_c).is_break());
        let released = KeyEvent::new_with_kind(
            KeyCode::Char('q'),
            KeyModifiers::NONE,
            KeyEventKind::Release,
        );
        assert!(view.press(released).is_continue());
    }

    #[test]
    fn a_text_from_outside_is_drawn_without_control_characters() {
        let vm = Some("a\u{1b}[2J\nb".into());
        let mut view = view(vec![LinkRow { vm, ..row("v1") }]);
        assert!(drawn(&mut view, 80, 24)[2].contains("a\\u{1b}[2J\\nb"));
    }
}
