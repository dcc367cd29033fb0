//! Patterns over what a client says of itself, as [`slash32_binding::Claim`] writes them.

/// The whole of `text` is taken by `pattern`.
///
/// A star is tried short first, and only the last one is ever tried again: at most `pattern` times `text` steps, whatever a
/// guest sends.
pub(crate) fn takes(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut last_star: Option<(&[u8], &[u8])> = None;
    while let Some((byte, rest)) = text.split_first() {
        let (token, behind) = split_token(pattern);
        match token {
            Token::AnyText => {
                last_star = Some((behind, text));
                pattern = behind;
            }
            token if token.takes(*byte) => (pattern, text) = (behind, rest),
            _ => {
                let Some((after_star, start)) = last_star else {
                    return false;
                };
                let longer = start.get(1..).unwrap_or(&[]);
                last_star = Some((after_star, longer));
                (pattern, text) = (after_star, longer);
            }
        }
    }
    pattern.iter().all(|byte| *byte == b'*')
}

enum Token<'p> {
    AnyText,
    AnyByte,
    /// What stands between the brackets.
    OneOf(&'p [u8]),
    Byte(u8),
    End,
}

fn split_token(pattern: &[u8]) -> (Token<'_>, &[u8]) {
    match pattern {
        [] => (Token::End, pattern),
        [b'*', rest @ ..] => (Token::AnyText, rest),
        [b'?', rest @ ..] => (Token::AnyByte, rest),
        [b'[', rest @ ..] => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => (
                Token::OneOf(rest.get(..end).unwrap_or(&[])),
                rest.get(end + 1..).unwrap_or(&[]),
            ),
            // Policy hands out none such.
            None => (Token::End, pattern),
        },
        [byte, rest @ ..] => (Token::Byte(*byte), rest),
    }
}

impl Token<'_> {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::AnyText | Self::AnyByte => true,
            Self::OneOf(set) => is_in(set, byte),
            Self::Byte(own) => *own == byte,
            Self::End => false,
        }
    }
}

fn is_in(mut set: &[u8], byte: u8) -> bool {
    loop {
        match set {
            [first, b'-', last, rest @ ..] => {
                if (*first..=*last).contains(&byte) {
                    return true;
                }
                set = rest;
            }
            [one, rest @ ..] => {
                if *one == byte {
                    return true;
                }
                set = rest;
            }
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn patterns_take_the_texts_of_the_table() {
        for (pattern, text, taken) in [
            ("iPXE", "iPXE", true),
            ("iPXE", "ipxe", false),
            ("iPXE", "iPXE2", false),
            ("PXEClient*", "PXEClient:Arch:00007:UNDI:003016", true),
            (
                "PXEClient:Arch:0000[6-9]*",
                "PXEClient:Arch:00007:UNDI:003016",
                true,
            ),
            ("*:Arch:00011*", "PXEClient:Arch:00007:UNDI:003016", false),
            ("[a-]x", "-x", true),
            ("[a-]x", "bx", false),
            ("a[", "a[", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("*a*b", "aXbab", true),
            ("*a*b", "aXba", false),
        ] {
            assert_eq!(
                takes(pattern.as_bytes(), text.as_bytes()),
                taken,
                "{pattern} {text}"
            );
        }
    }

    /// The definition, word by word.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            [b'?', rest @ ..] => !text.is_empty() && naive(rest, &text[1..]),
            [b'[', low, b'-', high, b']', rest @ ..] => {
                text.first().is_some_and(|c| (low..=high).contains(&c)) && naive(rest, &text[1..])
            }
            [literal, rest @ ..] => text.first() == Some(literal) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_match_is_what_the_definition_says(pattern in r"([abc]|\*|\?|\[a-b\]|\[b-c\]){0,8}", text in "[abcd]{0,8}") {
            prop_assert_eq!(takes(pattern.as_bytes(), text.as_bytes()), naive(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn no_bytes_make_it_panic(pattern: Vec<u8>, text: Vec<u8>) {
            takes(&pattern, &text);
        }
    }
}
