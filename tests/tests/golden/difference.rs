//! What differs between two replies, for a person: field by field, option by option.

use std::fmt::Write;

/// Bytes of Ethernet, IPv4 and UDP headers in front of the message.
const MESSAGE: usize = 14 + 20 + 8;
/// Where the options field begins in a message.
const OPTIONS: usize = 240;

/// The lines in which `expected` and `actual` differ, with `-` and `+` in front; empty when they are the same bytes.
pub(crate) fn difference(expected: Option<&[u8]>, actual: Option<&[u8]>) -> String {
    if expected == actual {
        return String::new();
    }
    let (old, new) = (lines(expected), lines(actual));
    // The longest common subsequence, by the table of its lengths: `rest[i][j]` is that of `old[i..]` and `new[j..]`.
    let mut rest = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            rest[i][j] = if old[i] == new[j] {
                rest[i + 1][j + 1] + 1
            } else {
                rest[i + 1][j].max(rest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && rest[i + 1][j] >= rest[i][j + 1]) {
            let _ = writeln!(text, "  - {}", old[i]);
            i += 1;
        } else {
            let _ = writeln!(text, "  + {}", new[j]);
            j += 1;
        }
    }
    text
}

/// A reply as lines that hold all its bytes.
fn lines(frame: Option<&[u8]>) -> Vec<String> {
    let Some(frame) = frame else {
        return vec!["no reply".into()];
    };
    if frame.len() < MESSAGE + OPTIONS {
        return vec![format!("too short: {}", hex(frame))];
    }
    let fields: [(&str, usize, usize); 19] = [
        ("Ethernet destination", 0, 6),
        ("Ethernet source", 6, 6),
        ("EtherType", 12, 2),
        ("IP version to checksum", 14, 12),
        ("IP source", 26, 4),
        ("IP destination", 30, 4),
        ("UDP ports", 34, 4),
        ("UDP length", 38, 2),
        ("UDP checksum", 40, 2),
        ("op, htype, hlen, hops", MESSAGE, 4),
        ("xid", MESSAGE + 4, 4),
        ("secs, flags", MESSAGE + 8, 4),
        ("ciaddr", MESSAGE + 12, 4),
        ("yiaddr", MESSAGE + 16, 4),
        ("siaddr", MESSAGE + 20, 4),
        ("giaddr", MESSAGE + 24, 4),
        ("chaddr", MESSAGE + 28, 16),
        ("sname", MESSAGE + 44, 64),
        ("file", MESSAGE + 108, 128),
    ];
    let mut lines: Vec<String> = fields
        .iter()
        .map(|(name, at, length)| format!("{name} {}", value(&frame[*at..at + length])))
        .collect();
    let cookie = MESSAGE + 236;
    lines.push(format!("cookie {}", hex(&frame[cookie..cookie + 4])));
    let mut rest = &frame[MESSAGE + OPTIONS..];
    while let [code @ 1..=254, length, behind @ ..] = rest
        && let Some((content, behind)) = behind.split_at_checked(usize::from(*length))
    {
        lines.push(format!("option {code} {}", value(content)));
        rest = behind;
    }
    let padding = rest.iter().rev().take_while(|byte| **byte == 0).count();
    let end = &rest[..rest.len() - padding];
    lines.push(format!("end {} and {padding} bytes of padding", hex(end)));
    lines
}

/// Addresses and numbers as bytes in hex, and as text where they are text; zeroes at the end are counted only.
fn value(bytes: &[u8]) -> String {
    let length = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    if bytes.len() > 32 && length < bytes.len() {
        return format!(
            "{} and {} zeroes",
            value(&bytes[..length]),
            bytes.len() - length
        );
    }
    let is_text = bytes.len() > 1 && bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let text = String::from_utf8_lossy(bytes);
    match <[u8; 4]>::try_from(bytes) {
        Ok(octets) => format!("{} ({})", hex(bytes), std::net::Ipv4Addr::from(octets)),
        Err(_) if is_text => format!("{} ({text:?})", hex(bytes)),
        Err(_) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use slash32_tests::{
        MacAddr,
        dhcp::{Message, message_type},
    };

    fn reply(lease_time: u8) -> Vec<u8> {
        let mut reply = Message::request(message_type::ACK, MacAddr([2, 0, 0, 0, 0, 1]), 7)
            .with(51, &[0, 0, lease_time, 0])
            .with(12, b"web1x");
        reply.op = 2;
        reply.envelope.source_port = 67;
        reply.frame()
    }

    #[test]
    fn a_changed_option_is_named_and_nothing_else_but_the_checksum() {
        let shown = difference(Some(&reply(1)), Some(&reply(2)));
        let lines: Vec<_> = shown
            .lines()
            .filter(|line| !line.contains("UDP checksum"))
            .collect();
        assert_eq!(
            lines,
            [
                "  - option 51 00 00 01 00 (0.0.1.0)",
                "  + option 51 00 00 02 00 (0.0.2.0)"
            ]
        );
    }

    #[test]
    fn every_byte_counts() {
        let expected = reply(1);
        for at in 0..expected.len() {
            let mut actual = expected.clone();
            actual[at] ^= 0x10;
            let shown = difference(Some(&expected), Some(&actual));
            assert!(
                shown.contains("  - ") && shown.contains("  + "),
                "byte {at}: {shown}"
            );
        }
    }

    #[test]
    fn a_missing_reply_is_said() {
        let shown = difference(Some(&reply(1)), None);
        assert!(shown.ends_with("  + no reply\n"), "{shown}");
        assert_eq!(difference(None, None), "");
    }
}
