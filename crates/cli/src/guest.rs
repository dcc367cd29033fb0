//! What a guest sent, decoded for people. The agent hands its frames on unread, so this is the first place that looks into
//! them: nothing here trusts a length, and no text leaves it but through [`text`].

mod client;
mod frame;
mod option;
mod story;
mod why;

pub(crate) use story::{OtherServer, Request, other_servers};

use crate::output::clean;
use std::fmt::Write;

/// A guest's text, [`clean`]ed; a byte that is no UTF-8 is shown as `\x` and its value.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text += &clean(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Two digits a byte.
fn hex(bytes: &[u8], between: &str) -> String {
    let mut hex = String::new();
    for (place, byte) in bytes.iter().enumerate() {
        let between = if place == 0 { "" } else { between };
        let _ = write!(hex, "{between}{byte:02x}");
    }
    hex
}

/// The bytes that [`hex`] wrote; `None` for anything else.
fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| Some((value(pair[0])? << 4 | value(pair[1])?) as u8);
    let whole = digits.len().is_multiple_of(2);
    whole
        .then(|| digits.chunks_exact(2).map(byte).collect())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_90_no_text_of_a_guest_moves_a_cursor_or_breaks_a_line() {
        let table: [(&[u8], &str); 9] = [
            (b"web1", "web1"),
            ("Müller-東京".as_bytes(), "Müller-東京"),
            (b"a\x00b\x00", "a\\0b\\0"),
            (
                b"\x1b[2J\x1b]0;owned\x07",
                "\\u{1b}[2J\\u{1b}]0;owned\\u{7}",
            ),
            (b"a\r\nb\x7f", "a\\r\\nb\\u{7f}"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            (
                "\u{202e}txt\u{2066}\u{feff}\u{200b}".as_bytes(),
                "\\u{202e}txt\\u{2066}\\u{feff}\\u{200b}",
            ),
            (b"\xff\xc3(\xe2\x80", "\\xff\\xc3(\\xe2\\x80"),
            (b"\\x1b", "\\\\x1b"),
        ];
        for (bytes, expected) in table {
            assert_eq!(text(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn hexadecimal_is_read_back_and_nothing_else_is() {
        for bytes in [&[][..], &[0], &[0x0a, 0xff, 0x10]] {
            assert_eq!(unhex(&hex(bytes, "")).as_deref(), Some(bytes));
        }
        for wrong in ["0", "0g", "é", "0 ", "+1"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
