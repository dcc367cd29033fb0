//! Option 119, Domain Search (RFC 3397): names in DNS encoding (RFC 1035 §3.1), here without compression.

/// The longest label of a name, in bytes.
const LONGEST_LABEL: usize = 63;
/// The longest name, in bytes of its encoding.
const LONGEST_NAME: usize = 255;

/// The value of the option for `names`, which have one space between them. What is no domain name is left out.
pub(crate) fn value(names: &str) -> impl Iterator<Item = u8> + Clone {
    names
        .split(' ')
        .map(|name| name.strip_suffix('.').unwrap_or(name))
        .filter(|name| is_name(name))
        .flat_map(encode)
}

fn is_name(name: &str) -> bool {
    name.len() + 2 <= LONGEST_NAME
        && name
            .split('.')
            .all(|label| (1..=LONGEST_LABEL).contains(&label.len()))
}

fn encode(name: &str) -> impl Iterator<Item = u8> + Clone {
    let labels = name
        .split('.')
        .flat_map(|label| core::iter::once(label.len() as u8).chain(label.bytes()));
    labels.chain(core::iter::once(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn names_are_written_label_by_label() {
        for (names, expected) in [
            ("", &b""[..]),
            ("example.com", b"\x07example\x03com\0"),
            ("example.com.", b"\x07example\x03com\0"),
            ("a b.c", b"\x01a\0\x01b\x01c\0"),
        ] {
            assert_eq!(value(names).collect::<Vec<_>>(), expected, "{names:?}");
        }
    }

    #[test]
    fn item_90_what_is_no_name_is_left_out() {
        let long = |length| "x".repeat(length);
        let deep = |last: usize| [long(63), long(63), long(63), long(last)].join(".");
        for (name, sent) in [
            (String::from("."), false),
            ("..".into(), false),
            ("a..b".into(), false),
            (long(63), true),
            (long(64), false),
            (deep(61), true),
            (deep(62), false),
        ] {
            assert_eq!(value(&name).next().is_some(), sent, "{name}");
        }
    }
}
