//! What leaves the program.

use serde::Serialize;
use std::io::{self, Write};

/// Writes `text` to stdout at once. Ends the program with success when nobody reads stdout any more: `| head` has what it
/// wanted.
///
/// Errors: any other fault of stdout, such as a full disk.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    if written
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    {
        std::process::exit(0);
    }
    written
}

/// Prints `value` as JSON with an indent, its keys in the order of its fields.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Writes the one sentence that an error is, with its causes, to stderr. There is nobody to tell when that fails.
pub(crate) fn fail(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "slash32: {}", clean(&format!("{error:#}")));
}

/// `text` without what would move a terminal's cursor, colour it or turn the direction of writing: such a character is
/// shown as its escape.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' => clean.push(c),
            _ => clean.extend(c.escape_debug()),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_is_shown_as_its_escape() {
        let table = [
            ("web1", "web1"),
            ("Müller's \"böx\" 東京", "Müller's \"böx\" 東京"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("\u{202e}txt", "\\u{202e}txt"),
            ("back\\slash", "back\\\\slash"),
        ];
        for (text, expected) in table {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
