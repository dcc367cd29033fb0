//! The matrix of real clients: what each did in each stage, and what it ended up with.
//!
//! Every case that runs a real client [records](record) its cells, each as a file of its own in the folder that
//! [`FOLDER_VARIABLE`] names, so that cases in different processes never meet. `cargo xtask test` sets the variable and
//! prints the [`Matrix`] after the run.

use anyhow::{Context, Result, bail};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// The variable that names the folder of the cells. Unset: nothing is kept.
pub const FOLDER_VARIABLE: &str = "SLASH32_MATRIX_DIR";

/// The document that keeps the matrix: its tables are those that [`Matrix::markdown`] writes.
pub const DOCUMENTED: &str = include_str!("../../README.md");

/// A column of the matrix: a stage of a client's life, or a part of the configuration that it ended up with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "their headings say it")]
pub enum Column {
    FirstBoot,
    Reboot,
    Renewal,
    Rebinding,
    Release,
    WrongAddress,
    AgentAway,
    Fetch,
    Address,
    Routes,
    Dns,
    Mtu,
    HostName,
    Ping,
}

/// What a case found. Its text is short, for a table, and the same in every run: no times, no counters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cell {
    /// As it should be; the text says what was seen, such as `INIT-REBOOT, ACK`.
    Passed(String),
    /// The client has no such stage, or does not read such an option; the text says why.
    Absent(String),
    /// Not as it should be.
    Failed,
}

/// The cells that were recorded, by client.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Matrix(BTreeMap<String, Row>);

#[derive(PartialEq, Eq, Debug)]
struct Row {
    version: String,
    cells: BTreeMap<Column, Cell>,
}

impl Column {
    /// The stages of a client's life.
    pub const STAGES: [Self; 8] = [
        Self::FirstBoot,
        Self::Reboot,
        Self::Renewal,
        Self::Rebinding,
        Self::Release,
        Self::WrongAddress,
        Self::AgentAway,
        Self::Fetch,
    ];
    /// The parts of a configuration.
    pub const CONFIGURATION: [Self; 6] = [
        Self::Address,
        Self::Routes,
        Self::Dns,
        Self::Mtu,
        Self::HostName,
        Self::Ping,
    ];

    /// The head of the column.
    pub fn heading(self) -> &'static str {
        match self {
            Self::FirstBoot => "first boot",
            Self::Reboot => "reboot",
            Self::Renewal => "T1",
            Self::Rebinding => "T2",
            Self::Release => "release, boot",
            Self::WrongAddress => "wrong address",
            Self::AgentAway => "T1, agent away",
            Self::Fetch => "fetch from beyond the host",
            Self::Address => "address",
            Self::Routes => "routes",
            Self::Dns => "DNS",
            Self::Mtu => "MTU",
            Self::HostName => "host name",
            Self::Ping => "ping",
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        Self::STAGES.into_iter().chain(Self::CONFIGURATION)
    }
}

impl Cell {
    /// [`Cell::Passed`].
    pub fn passed(text: impl Into<String>) -> Self {
        Self::Passed(text.into())
    }

    /// [`Cell::Absent`].
    pub fn absent(why: impl Into<String>) -> Self {
        Self::Absent(why.into())
    }

    /// As it stands in a table.
    pub fn text(&self) -> String {
        match self {
            Self::Passed(text) => text.clone(),
            Self::Absent(why) => format!("– ({why})"),
            Self::Failed => "FAILED".into(),
        }
    }
}

/// Keeps what a case found: one cell of the row of `client`, whose `version` is what the program itself says.
///
/// A cell that is recorded again is replaced. Without [`FOLDER_VARIABLE`] nothing is kept.
/// Errors: the folder cannot be written; README.md has no row of this client, of whatever version; or it has one of this
/// version, and says something else.
pub fn record(client: &str, version: &str, column: Column, cell: &Cell) -> Result<()> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from) {
        write(&folder, client, version, column, cell)?;
    }
    if !is_documented(DOCUMENTED, client) {
        bail!(
            "README.md has no row of {client}; cargo xtask test prints the one that it should have"
        );
    }
    let said = documented(DOCUMENTED, &format!("{client} {version}"), column);
    match said.filter(|said| *cell != Cell::Failed && *said != cell.text()) {
        Some(said) => bail!(
            "README.md says of {client} {version}, \"{}\": {said:?}; it is {:?}",
            column.heading(),
            cell.text()
        ),
        None => Ok(()),
    }
}

/// A table of the Markdown `text` has a row of `client`, of whatever version.
fn is_documented(text: &str, client: &str) -> bool {
    text.lines()
        .filter_map(|line| line.strip_prefix("| "))
        .any(|row| {
            row.strip_prefix(client)
                .is_some_and(|rest| rest.starts_with(' '))
        })
}

/// The cell in the row that begins with `client` in a table of the Markdown `text` with this column.
fn documented(text: &str, client: &str, column: Column) -> Option<String> {
    let mut at = None;
    for line in text.lines() {
        let Some(row) = line
            .strip_prefix("| ")
            .and_then(|row| row.strip_suffix(" |"))
        else {
            continue;
        };
        let mut cells = row.split(" | ").map(str::trim);
        match cells.next() {
            Some("client") => at = cells.position(|cell| cell == column.heading()),
            Some(name) if name == client => {
                if let Some(cell) = at.and_then(|at| cells.nth(at)) {
                    return Some(cell.to_owned());
                }
            }
            _ => {}
        }
    }
    None
}

fn write(folder: &Path, client: &str, version: &str, column: Column, cell: &Cell) -> Result<()> {
    let (result, text) = match cell {
        Cell::Passed(text) => ("passed", text.as_str()),
        Cell::Absent(why) => ("absent", why.as_str()),
        Cell::Failed => ("failed", ""),
    };
    let contents = serde_json::json!({
        "client": client,
        "version": version,
        "column": column.heading(),
        "result": result,
        "text": text,
    });
    let name = format!("{client}, {}.json", column.heading()).replace('/', "-");
    let path = folder.join(name);
    fs::write(&path, contents.to_string())
        .with_context(|| format!("cannot keep a cell of the matrix in {}", path.display()))
}

impl Matrix {
    /// The cells in `folder`. Errors: it cannot be read, or holds something else.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut matrix = Self::default();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let foreign = || format!("{} is no cell of the matrix", path.display());
            let cell: serde_json::Value =
                serde_json::from_slice(&fs::read(&path)?).with_context(foreign)?;
            let field = |name: &str| cell[name].as_str().with_context(foreign);
            let heading = field("column")?;
            let column = Column::all()
                .find(|column| column.heading() == heading)
                .with_context(foreign)?;
            let text = field("text")?;
            let found = match field("result")? {
                "passed" => Cell::passed(text),
                "absent" => Cell::absent(text),
                _ => Cell::Failed,
            };
            matrix.add(field("client")?, field("version")?, column, found);
        }
        Ok(matrix)
    }

    /// Puts one cell in.
    pub fn add(&mut self, client: &str, version: &str, column: Column, cell: Cell) {
        let row = match self.0.entry(client.to_owned()) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(place) => place.insert(Row {
                version: version.to_owned(),
                cells: BTreeMap::new(),
            }),
        };
        row.cells.insert(column, cell);
    }

    /// Nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Two tables in Markdown, of the stages and of the configurations, with a row a client that has a cell there.
    /// Columns without a cell are left out.
    pub fn markdown(&self) -> String {
        let stages = self.table(&Column::STAGES);
        let configuration = self.table(&Column::CONFIGURATION);
        [stages, configuration]
            .into_iter()
            .filter(|table| !table.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn table(&self, columns: &[Column]) -> String {
        let columns: Vec<Column> = columns
            .iter()
            .copied()
            .filter(|column| self.0.values().any(|row| row.cells.contains_key(column)))
            .collect();
        if columns.is_empty() {
            return String::new();
        }
        let heading = |column: &Column| column.heading().to_owned();
        let mut rows = vec![
            std::iter::once("client".to_owned())
                .chain(columns.iter().map(heading))
                .collect::<Vec<String>>(),
        ];
        for (client, row) in &self.0 {
            let cell = |column| row.cells.get(column).map(Cell::text).unwrap_or_default();
            let cells: Vec<String> = columns.iter().map(cell).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                let name = format!("{client} {}", row.version);
                rows.push(std::iter::once(name).chain(cells).collect());
            }
        }
        aligned(&rows)
    }
}

/// A table in Markdown whose columns are as wide as their widest cells; the first row is its head.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |cell: &String| cell.chars().count();
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(width).max())
        .map(|widest| widest.unwrap_or_default().max(3))
        .collect();
    let mut table = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(table, "| {cell:<width$} ");
        }
        table.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(table, "|{}", "-".repeat(width + 2));
            }
            table.push_str("|\n");
        }
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_recorded_is_read_back_as_tables() {
        let folder = tempfile::tempdir().unwrap();
        let record = |client, version, column, cell: Cell| {
            write(folder.path(), client, version, column, &cell).unwrap();
        };
        record("udhcpc", "1.35", Column::FirstBoot, Cell::passed("ACK"));
        record("udhcpc", "1.35", Column::Mtu, Cell::absent("not read"));
        record("dhclient", "4.4.3", Column::FirstBoot, Cell::Failed);
        record("dhclient", "4.4.3", Column::Reboot, Cell::passed("ACK"));
        assert_eq!(
            Matrix::read(folder.path()).unwrap().markdown(),
            "\
| client         | first boot | reboot |
|----------------|------------|--------|
| dhclient 4.4.3 | FAILED     | ACK    |
| udhcpc 1.35    | ACK        |        |

| client      | MTU          |
|-------------|--------------|
| udhcpc 1.35 | – (not read) |
"
        );
    }

    #[test]
    fn a_client_is_documented_by_a_row_of_any_version() {
        let text = "| client | T1 |\n|---|---|\n| dhcpcd 9.4.1 | ACK |\n";
        assert!(is_documented(text, "dhcpcd"));
        assert!(!is_documented(text, "dhcp"));
        assert!(!is_documented(text, "dhclient"));
    }

    #[test]
    fn a_cell_of_a_document_is_found_by_client_and_column() {
        let text = "| client | first boot | T1 |\n|---|---|---|\n| dhclient 4.4.3 | ACK | unicast |\n\n\
                    | client | MTU |\n|---|---|\n| dhclient 4.4.3 | 1400 |\n";
        let cell = |client, column| documented(text, client, column);
        assert_eq!(
            cell("dhclient 4.4.3", Column::Renewal).as_deref(),
            Some("unicast")
        );
        assert_eq!(cell("dhclient 4.4.3", Column::Mtu).as_deref(), Some("1400"));
        assert_eq!(cell("dhclient 4.4.3", Column::Dns), None);
        assert_eq!(cell("dhclient 4.4.4", Column::Mtu), None);
    }
}
