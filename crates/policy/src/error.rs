use crate::origin::Origin;
use std::fmt;

/// One thing that is wrong in the config.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// The file, as its [`crate::Source`] names it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// The key, with the tables it stands in: `network.subnet.prefix`. For a text that is no TOML, `TOML`.
    pub key: String,
    /// What is wrong; what would be right.
    pub message: String,
    line_text: String,
    width: usize,
    order: (usize, usize),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            key,
            message,
            ..
        } = self;
        writeln!(f, "{file}:{line}:{column}: {key}: {message}")?;
        // A line of any length is shown as a window around the value.
        let characters: Vec<char> = self.line_text.chars().collect();
        let start = if characters.len() > WIDEST {
            (column - 1).saturating_sub(WIDEST / 3)
        } else {
            0
        };
        let window = characters.iter().skip(start).take(WIDEST);
        // A tab keeps its width, so that the caret stays under its value; other control characters, and those that turn the
        // direction of writing, are not for a terminal.
        let shown = |c: &char| {
            let turns = matches!(
                c,
                '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            );
            if turns || (c.is_control() && *c != '\t') {
                '\u{fffd}'
            } else {
                *c
            }
        };
        let source: String = window.clone().map(shown).collect();
        let before = window.take(column - 1 - start);
        let indent: String = before
            .map(|c| if *c == '\t' { '\t' } else { ' ' })
            .collect();
        let carets = "^".repeat(
            self.width
                .min(WIDEST - (column - 1 - start).min(WIDEST - 1)),
        );
        writeln!(f, "{line:>5} | {source}")?;
        write!(f, "      | {indent}{carets}")
    }
}

/// How many characters of a line are shown.
const WIDEST: usize = 120;

impl std::error::Error for ConfigError {}

/// Everything that is wrong in the config, in the order of its files and lines.
#[derive(Clone, Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects what is wrong while a config is read.
#[derive(Default)]
pub(crate) struct Errors(Vec<ConfigError>);

impl Errors {
    pub(crate) fn add(
        &mut self,
        origin: &Origin,
        key: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.0.push(ConfigError {
            file: origin.file().to_owned(),
            line: origin.line(),
            column: origin.column(),
            key: key.into(),
            message: message.into(),
            line_text: origin.line_text().to_owned(),
            width: origin.width(),
            order: origin.order(),
        });
    }

    /// How many there are so far: a reader that compares before and after knows whether its part is sound.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_result(mut self) -> Result<(), ConfigErrors> {
        self.0.sort_by_key(|error| error.order);
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors(self.0))
        }
    }
}
