//! Option 119, Domain Search (RFC 3397): names in DNS encoding, with the ends that they share written once
//! (RFC 1035 §3.1, §4.1.4).

use slash32_binding::{Bytes, List};

/// The longest label of a name, in bytes.
const LONGEST_LABEL: usize = 63;
/// The longest name, in bytes of its encoding.
pub(crate) const LONGEST_NAME: usize = 255;
/// The most bytes that names of 255 bytes together take: those of one byte each take three, and two with the space.
const MOST: usize = 384;
/// The two upper bits of a pointer; the other 14 are the place, from the start of the value, where a name goes on.
const POINTER: u16 = 0xc000;

/// The value of the option for `names`, which have one space between them. What is no domain name is left out.
pub(crate) fn value(names: &str) -> Bytes<MOST> {
    let mut value = List::new(0);
    for name in names
        .split(' ')
        .map(|name| name.strip_suffix('.').unwrap_or(name))
        .filter(|name| is_name(name))
    {
        if append(&mut value, name).is_none() {
            // Texts of that length do not occur.
            break;
        }
    }
    value
}

/// Writes `name` up to the first of its ends that stands in `value` already, or whole.
fn append(value: &mut Bytes<MOST>, name: &str) -> Option<()> {
    let before = value.len();
    let mut end = name;
    loop {
        if let Some(place) = value.get(..before).and_then(|value| find(value, end)) {
            let pointer = POINTER | place as u16;
            return value.extend_from_slice(&pointer.to_be_bytes()).ok();
        }
        let (label, rest) = end.split_once('.').unwrap_or((end, ""));
        value.push(label.len() as u8).ok()?;
        value.extend_from_slice(label.as_bytes()).ok()?;
        if rest.is_empty() {
            return value.push(0).ok();
        }
        end = rest;
    }
}

/// Where in `value`, at the beginning of a label, the name `name` begins.
fn find(value: &[u8], name: &str) -> Option<usize> {
    let mut place = 0;
    while let Some(&length) = value.get(place) {
        let is_pointer = u16::from(length) << 8 >= POINTER;
        if !is_pointer && length != 0 && stands_at(value, place, name) {
            return Some(place);
        }
        place += if is_pointer {
            2
        } else {
            usize::from(length) + 1
        };
    }
    None
}

/// The labels from `place` on, through pointers, are those of `name`, and then the name ends.
fn stands_at(value: &[u8], mut place: usize, name: &str) -> bool {
    let mut names = labels(name);
    loop {
        match value.get(place..) {
            Some([0, ..]) => return names.next().is_none(),
            Some(&[high, low, ..]) if u16::from(high) << 8 >= POINTER => {
                let before = place;
                place = usize::from(u16::from_be_bytes([high, low]) & !POINTER);
                // Ours point backwards only, so this ends.
                debug_assert!(place < before);
            }
            Some([length, rest @ ..]) => {
                let length = usize::from(*length);
                let label = rest.get(..length);
                if label.is_none() || names.next().map(str::as_bytes) != label {
                    return false;
                }
                place += length + 1;
            }
            _ => return false,
        }
    }
}

/// The labels of a name, in order; none of the empty name.
pub(crate) fn labels(name: &str) -> impl Iterator<Item = &str> {
    name.split('.').filter(|label| !label.is_empty())
}

/// `name` is a domain name without a dot at its end.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() + 2 <= LONGEST_NAME
        && name
            .split('.')
            .all(|label| (1..=LONGEST_LABEL).contains(&label.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn names_are_written_label_by_label_and_shared_ends_once() {
        for (names, expected) in [
            ("", &b""[..]),
            ("example.com", b"\x07example\x03com\0"),
            ("example.com.", b"\x07example\x03com\0"),
            ("a b.c", b"\x01a\0\x01b\x01c\0"),
            // The example of RFC 3397 §2.
            (
                "eng.apple.com. marketing.apple.com.",
                b"\x03eng\x05apple\x03com\0\x09marketing\xc0\x04",
            ),
            (
                "b.c a.b.c b.c c",
                b"\x01b\x01c\0\x01a\xc0\x00\xc0\x00\xc0\x02",
            ),
            (
                "a.b.c x.b.c y.x.b.c",
                b"\x01a\x01b\x01c\0\x01x\xc0\x02\x01y\xc0\x07",
            ),
            // An end within a label is none.
            ("ab.c b.c", b"\x02ab\x01c\0\x01b\xc0\x03"),
            // Nor is a beginning.
            ("b.c.d b.c", b"\x01b\x01c\x01d\0\x01b\x01c\0"),
        ] {
            assert_eq!(value(names)[..], *expected, "{names:?}");
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
            assert_eq!(!value(&name).is_empty(), sent, "{name}");
        }
    }

    /// The names in a value, as a client reads them.
    fn decode(value: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        let mut next = 0;
        while next < value.len() {
            let (mut place, mut jumped) = (next, false);
            let mut parts = Vec::new();
            loop {
                let length = usize::from(value[place]);
                if length >= 0xc0 {
                    if !jumped {
                        next = place + 2;
                    }
                    jumped = true;
                    place = (length & 0x3f) << 8 | usize::from(value[place + 1]);
                } else if length == 0 {
                    if !jumped {
                        next = place + 1;
                    }
                    break;
                } else {
                    let label = &value[place + 1..place + 1 + length];
                    parts.push(String::from_utf8(label.to_vec()).unwrap());
                    place += length + 1;
                }
            }
            names.push(parts.join("."));
        }
        names
    }

    proptest! {
        #[test]
        fn a_client_reads_the_names_that_were_meant(names in proptest::collection::vec("[ab]{1,2}(\\.[ab]{1,2}){0,4}", 0..17)) {
            prop_assert_eq!(decode(&value(&names.join(" "))), names);
        }
    }
}
