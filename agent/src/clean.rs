//! What the log is kept clean of. A link, a VM and a tag can be called nearly anything, and a log is read on terminals.

/// `text` on one line, without what would move a terminal's cursor, colour it or turn the direction of writing: such a
/// character is its escape.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => clean.push(c),
            _ => clean.extend(c.escape_debug()),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_a_line_and_moves_no_cursor() {
        let table = [
            ("virbr13: bound 203.0.113.7", "virbr13: bound 203.0.113.7"),
            ("\"Müller's\" 東京", "\"Müller's\" 東京"),
            ("tap\u{1b}[2J", "tap\\u{1b}[2J"),
            ("a\nb\rc\0", "a\\nb\\rc\\0"),
            (
                "\u{9b}\u{7f}\u{202e}\u{200b}",
                "\\u{9b}\\u{7f}\\u{202e}\\u{200b}",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
