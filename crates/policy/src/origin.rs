use std::{fmt, sync::Arc};

/// One config file: its name, its text, and where each line begins.
#[derive(Debug)]
pub(crate) struct Page {
    /// Place among the sources, from 0, so that errors can be told in reading order.
    order: usize,
    name: String,
    text: String,
    line_starts: Vec<usize>,
}

impl Page {
    pub(crate) fn new(order: usize, name: &str, text: &str) -> Arc<Self> {
        let line_ends = text.match_indices('\n').map(|(index, _)| index + 1);
        let line_starts = std::iter::once(0).chain(line_ends).collect();
        Arc::new(Self {
            order,
            name: name.to_owned(),
            text: text.to_owned(),
            line_starts,
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Where in the config a value stands. Its `Display` is `FILE:LINE`; of what stands in no file, only what it stands in.
#[derive(Clone)]
pub struct Origin {
    page: Arc<Page>,
    start: usize,
    end: usize,
}

impl Origin {
    pub(crate) fn new(page: &Arc<Page>, span: std::ops::Range<usize>) -> Self {
        Self {
            page: Arc::clone(page),
            start: span.start,
            end: span.end.max(span.start),
        }
    }

    /// The file, as its [`crate::Source`] names it.
    pub fn file(&self) -> &str {
        &self.page.name
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.page
            .line_starts
            .partition_point(|start| *start <= self.start)
    }

    /// The column, in characters, from 1.
    pub fn column(&self) -> usize {
        self.page
            .text
            .get(self.line_start()..self.start)
            .map_or(0, |text| text.chars().count())
            + 1
    }

    /// The whole line, without its end.
    pub fn line_text(&self) -> &str {
        let rest = self.page.text.get(self.line_start()..).unwrap_or("");
        rest.lines().next().unwrap_or("")
    }

    /// How many characters of that line the value takes, at least 1.
    pub(crate) fn width(&self) -> usize {
        let end = self.end.min(self.line_start() + self.line_text().len());
        self.page
            .text
            .get(self.start..end)
            .map_or(1, |text| text.chars().count().max(1))
    }

    /// Sorts in reading order.
    pub(crate) fn order(&self) -> (usize, usize) {
        (self.page.order, self.start)
    }

    fn line_start(&self) -> usize {
        self.page
            .line_starts
            .get(self.line() - 1)
            .copied()
            .unwrap_or(0)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.page.text.is_empty() {
            return f.write_str(self.file());
        }
        write!(f, "{}:{}", self.file(), self.line())
    }
}

/// The same place of the same text.
impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.page, &other.page) && (self.start, self.end) == (other.start, other.end)
    }
}

impl Eq for Origin {}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}:{}", self.column())
    }
}

/// A value of the config, and where it stands.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub origin: Origin,
}
