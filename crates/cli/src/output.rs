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
    print(&(clean_json(serde_json::to_string_pretty(value)?) + "\n"))
}

/// Prints `value` as JSON on one line, of a stream of such lines.
pub(crate) fn print_json_line(value: &impl Serialize) -> io::Result<()> {
    print(&(clean_json(serde_json::to_string(value)?) + "\n"))
}

/// JSON without what would move a terminal's cursor or turn the direction of writing. The format escapes control characters
/// below U+0020 only; outside of its strings there is none of the others, so their escapes mean the same.
pub(crate) fn clean_json(json: String) -> String {
    let moves = |c: char| !c.is_ascii() || c == '\u{7f}';
    if !json.contains(moves) {
        return json;
    }
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        if moves(c) && c.escape_debug().ne([c]) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                clean.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            clean.push(c);
        }
    }
    clean
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
    fn json_for_a_terminal_means_the_same_and_has_no_control_character() {
        let text =
            "Müller 東京 \u{1b}[31m \u{7f} \u{9b}2J \u{202e}txt \u{2066} \u{200b} \u{e0001}\n";
        let json = clean_json(serde_json::to_string_pretty(&[text]).unwrap());
        assert!(json.contains("Müller 東京 \\u001b[31m \\u007f \\u009b2J \\u202etxt \\u2066 \\u200b \\udb40\\udc01\\n"), "{json}");
        let back: Vec<String> = serde_json::from_str(&json).unwrap();
        assert_eq!(back, [text]);
    }

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
