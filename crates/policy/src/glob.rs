use std::fmt;

/// The longest name a link can have: an alternative name (`ALTIFNAMSIZ` less its NUL); the name proper ends at 15.
pub(crate) const LONGEST_NAME: usize = 127;

/// A pattern over link names and other names: `*` is any text, `?` any character, `[abc]` and `[a-z]` one of a set; all else is itself.
///
/// Kept as a nondeterministic automaton with one state a token, as bits of a `u128`: a match is one pass over the name,
/// whatever the pattern, and [`crate::LinkGlobs`] can run several at once.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    /// What each token takes.
    tokens: Vec<Token>,
    /// Which of them are `*`, by bit.
    stars: States,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// `*`
    AnyText,
    /// `?`
    AnyCharacter,
    /// A set of ASCII characters, by bit.
    OneOf(u128),
    /// One that is not ASCII.
    This(char),
}

/// What a pattern is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    LinkName,
    Text,
    Name,
}

/// The states a [`Glob`] may be in after some characters, by bit; bit `tokens.len()` is "all taken".
pub(crate) type States = u128;

impl Glob {
    /// A pattern over link names.
    ///
    /// Errors: a sentence that says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::over(Alphabet::LinkName, text)
    }

    /// A pattern over what a guest says of itself. Only printable ASCII stands in it.
    ///
    /// Errors: a sentence that says what is wrong and what would be right.
    pub fn parse_text(text: &str) -> Result<Self, String> {
        Self::over(Alphabet::Text, text)
    }

    /// A pattern over names that people give: of a VM, a libvirt network, a tag. Any character but a control character stands in
    /// it, and in a set of characters only printable ASCII; `[*]` is a star itself.
    ///
    /// Errors: a sentence that says what is wrong and what would be right.
    pub fn parse_name(text: &str) -> Result<Self, String> {
        Self::over(Alphabet::Name, text)
    }

    fn over(alphabet: Alphabet, text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let token = match character {
                '*' => Token::AnyText,
                '?' => Token::AnyCharacter,
                '[' => Token::OneOf(parse_set(alphabet, text, &mut characters)?),
                _ if alphabet == Alphabet::Name
                    && !character.is_ascii()
                    && !character.is_control() =>
                {
                    Token::This(character)
                }
                _ => Token::OneOf(bit(alphabet, text, character)?),
            };
            // Two stars are one; so no state is ever more than one step behind its closure.
            if token != Token::AnyText || tokens.last() != Some(&Token::AnyText) {
                tokens.push(token);
            }
        }
        if tokens.is_empty() {
            return Err(match alphabet {
                Alphabet::LinkName => "is empty; a link name such as \"virbr7\" or a pattern such as \"virbr*\" would be right".into(),
                Alphabet::Text | Alphabet::Name => "is empty; a text, or a pattern such as \"ci-*\", would be right".into(),
            });
        }
        if tokens.len() > LONGEST_NAME {
            let what = match alphabet {
                Alphabet::LinkName => "longer than any link name",
                Alphabet::Text | Alphabet::Name => "too long",
            };
            return Err(format!(
                "is {what}; at most {LONGEST_NAME} characters would be right"
            ));
        }
        let stars = tokens.iter().enumerate();
        let stars = stars.filter(|(_, token)| **token == Token::AnyText);
        Ok(Self {
            text: text.to_owned(),
            stars: stars.fold(0, |stars, (index, _)| stars | 1 << index),
            tokens,
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The whole of `name` is taken by the pattern.
    pub fn matches(&self, name: &str) -> bool {
        let mut states = self.start();
        for character in name.chars() {
            states = self.step(states, character);
            if states == 0 {
                return false;
            }
        }
        self.accepts(states)
    }

    pub(crate) fn start(&self) -> States {
        self.closed(1)
    }

    pub(crate) fn step(&self, states: States, character: char) -> States {
        let mut next = states & self.stars;
        let mut others = states & !self.stars;
        while others != 0 {
            let state = others & others.wrapping_neg();
            let token = self.tokens.get(state.trailing_zeros() as usize);
            if token.is_some_and(|token| token.takes(character)) {
                next |= state << 1;
            }
            others ^= state;
        }
        self.closed(next)
    }

    pub(crate) fn accepts(&self, states: States) -> bool {
        states & (1 << self.tokens.len()) != 0
    }

    /// Which of the pattern's tokens take `character`: two characters with the same answer cannot be told apart by it.
    pub(crate) fn signature(&self, character: char) -> States {
        self.tokens
            .iter()
            .enumerate()
            .fold(0, |bits, (index, token)| {
                bits | (States::from(token.takes(character)) << index)
            })
    }

    /// With each `*` also passed over: no two stand behind each other.
    fn closed(&self, states: States) -> States {
        states | (states & self.stars) << 1
    }
}

impl Token {
    fn takes(self, character: char) -> bool {
        match self {
            Self::AnyText | Self::AnyCharacter => true,
            Self::This(own) => character == own,
            Self::OneOf(set) => character.is_ascii() && set & (1 << u32::from(character)) != 0,
        }
    }
}

/// What follows a `[`, up to its `]`.
fn parse_set(
    alphabet: Alphabet,
    text: &str,
    characters: &mut std::str::Chars<'_>,
) -> Result<u128, String> {
    const UNCLOSED: &str = "has a [ without its ]; a set such as [0-9] would be right";
    let mut set = 0;
    loop {
        let first = match characters.next().ok_or(UNCLOSED)? {
            ']' if set == 0 => {
                return Err("has an empty set []; a set such as [0-9] would be right".into());
            }
            ']' => return Ok(set),
            '!' | '^' if set == 0 => {
                return Err("has a negated set, which there is none of; a second pattern that begins with ! would be right".into());
            }
            character => character,
        };
        set |= bit(alphabet, text, first)?;
        let mut ahead = characters.clone();
        if ahead.next() == Some('-') && ahead.clone().next() != Some(']') {
            let last = ahead.next().ok_or(UNCLOSED)?;
            if last < first {
                return Err(format!(
                    "has the reversed set [{first}-{last}]; [{last}-{first}] would be right"
                ));
            }
            set |= bit(alphabet, text, last)?;
            for code in u32::from(first)..u32::from(last) {
                set |= 1 << code;
            }
            *characters = ahead;
        }
    }
}

fn bit(alphabet: Alphabet, text: &str, character: char) -> Result<u128, String> {
    let fits = |c: char| match alphabet {
        Alphabet::LinkName => c.is_ascii_graphic() && !matches!(c, '/' | ':'),
        Alphabet::Text | Alphabet::Name => matches!(c, ' '..='~'),
    };
    if fits(character) {
        return Ok(1 << u32::from(character));
    }
    Err(match alphabet {
        Alphabet::LinkName => {
            let right: String = text.chars().filter(|c| fits(*c)).collect();
            format!(
                "has the character {character:?}, which is in no link name; {right:?} would be right"
            )
        }
        Alphabet::Name if !character.is_control() => format!(
            "has the character {character:?} in a set, which holds ASCII only; a pattern of its own for each such name would be right"
        ),
        Alphabet::Text | Alphabet::Name => {
            let right: String = text
                .chars()
                .map(|c| if fits(c) { c } else { '?' })
                .collect();
            format!(
                "has the character {character:?}, which no pattern can hold; {right:?} would be right"
            )
        }
    })
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_take_the_names_of_the_table() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("virbr0", &["virbr0"], &["virbr", "virbr00", "xvirbr0", ""]),
            (
                "virbr*",
                &["virbr", "virbr0", "virbr-lan"],
                &["virb", "br0", "xvirbr0"],
            ),
            ("*br*", &["br", "virbr0", "abrb"], &["b", "rb"]),
            ("vnet?", &["vnet7", "vneté"], &["vnet", "vnet10"]),
            ("vnet[0-9]", &["vnet0", "vnet9"], &["vneta", "vnet"]),
            ("[ab-d]x", &["ax", "cx", "dx"], &["ex", "-x"]),
            ("[a-]x", &["ax", "-x"], &["bx"]),
            ("[]x", &[], &[]),
            ("**a**", &["a", "ba", "ab"], &["b"]),
            ("*", &["", "a", "é"], &[]),
        ];
        for (pattern, takes, leaves) in table {
            let Ok(glob) = Glob::parse(pattern) else {
                assert_eq!(*pattern, "[]x");
                continue;
            };
            for name in *takes {
                assert!(glob.matches(name), "{pattern} {name}");
            }
            for name in *leaves {
                assert!(!glob.matches(name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn the_longest_pattern_takes_the_longest_name() {
        let name = "a".repeat(LONGEST_NAME);
        assert!(Glob::parse(&name).unwrap().matches(&name));
        assert!(
            Glob::parse(&format!("{}*", &name[1..]))
                .unwrap()
                .matches(&name)
        );
        assert!(Glob::parse(&format!("{name}a")).is_err());
    }

    /// The definition, word by word.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['*', rest @ ..] => (0..=name.len()).any(|skipped| naive(rest, &name[skipped..])),
            ['?', rest @ ..] => !name.is_empty() && naive(rest, &name[1..]),
            ['[', low, '-', high, ']', rest @ ..] => {
                name.first().is_some_and(|c| (low..=high).contains(&c)) && naive(rest, &name[1..])
            }
            [literal, rest @ ..] => name.first() == Some(literal) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_match_is_what_the_definition_says(pattern in r"([abc]|\*|\?|\[a-b\]|\[b-c\]){1,8}", name in "[abcd]{0,8}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(
                Glob::parse(&pattern).unwrap().matches(&name),
                naive(&characters(&pattern), &characters(&name))
            );
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = Glob::parse(&text);
        }
    }
}
