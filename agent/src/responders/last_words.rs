//! What a responder has said on its standard error before it ended: a panic, or the stage at which it could not isolate itself.
//!
//! A guest may have taken it over, so this is a stranger's text: one read of bounded length, and one line of plain ASCII.

use slash32_sys::fd::OwnedFd;
use std::fs::File;
use std::io::Read;

/// More is not read, in bytes.
const MOST: usize = 512;

/// What was said, if anything was. Does not wait.
pub(super) fn read(pipe: OwnedFd) -> Option<String> {
    let mut buffer = [0; MOST];
    let length = File::from(pipe).read(&mut buffer).ok()?;
    let line = line(&buffer[..length]);
    (!line.is_empty()).then_some(line)
}

/// One line without quotes, so that it can stand in them. Whitespace is one space, and what is not printed is a question mark.
fn line(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b'"' => '\'',
        b' ' | b'\t' | b'\n' | b'\r' => ' ',
        byte if byte.is_ascii_graphic() => char::from(*byte),
        _ => '?',
    };
    let text: String = bytes.iter().map(shown).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;
    use std::io::Write;

    #[test]
    fn a_strangers_text_is_one_line_that_moves_no_cursor_and_ends_no_quotation() {
        let table: [(&[u8], &str); 6] = [
            (b"", ""),
            (b" \n\n", ""),
            (
                b"\nthread 'main' panicked at responder/src/serve.rs:7:1:\nno \"room\"\n",
                "thread 'main' panicked at responder/src/serve.rs:7:1: no 'room'",
            ),
            (b"\x1b[2Ja\0b\x7f", "?[2Ja?b?"),
            ("é\u{202e}".as_bytes(), "?????"),
            (b"\xff\x9b31m", "??31m"),
        ];
        for (bytes, expected) in table {
            assert_eq!(line(bytes), expected);
        }
    }

    #[test]
    fn no_more_is_read_than_a_line_and_nobody_is_waited_for() {
        let pipe = || pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        let (silent, _writer) = pipe();
        assert_eq!(read(silent), None);
        let (full, writer) = pipe();
        let mut writer = File::from(writer);
        while writer.write(&[b'a'; 4096]).is_ok() {}
        assert_eq!(read(full).map(|line| line.len()), Some(MOST));
    }
}
