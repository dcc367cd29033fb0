use crate::{
    Origin,
    glob::{Glob, LONGEST_NAME, States},
};
use std::collections::{HashSet, VecDeque};

/// The `links` of a network: patterns that claim and, written with a `!`, patterns that exclude.
///
/// A link is claimed when one of its names is taken by a claiming pattern and none of its names by an excluding one; the
/// order of the patterns means nothing.
#[derive(Clone, Debug, Default)]
pub struct LinkGlobs {
    pub(crate) claiming: Vec<Glob>,
    /// Where each of `claiming` stands, in its order.
    pub(crate) origins: Vec<Origin>,
    pub(crate) excluding: Vec<Glob>,
}

/// Whether two networks can claim one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overlap {
    Never,
    /// Both claim a link of this name.
    Name(String),
    /// The patterns have more states together than are worth looking at.
    TooTangled,
}

/// How many states of two lists are looked at. Everyday patterns have a few dozen.
const MOST_STATES: usize = 50_000;

impl LinkGlobs {
    /// The link is one of this network's: `names` are its name and its alternative names.
    pub fn claim<'n>(&self, names: impl IntoIterator<Item = &'n str> + Clone) -> bool {
        let takes = |globs: &[Glob]| {
            names
                .clone()
                .into_iter()
                .any(|name| globs.iter().any(|glob| glob.matches(name)))
        };
        takes(&self.claiming) && !takes(&self.excluding)
    }

    /// The first pattern that takes one of `names`, with its place and the name, if the link is one of this network's.
    pub(crate) fn claiming<'n>(
        &self,
        names: impl Iterator<Item = &'n str> + Clone,
    ) -> Option<(&Glob, &Origin, &'n str)> {
        if !self.claim(names.clone()) {
            return None;
        }
        let mut globs = self.claiming.iter().zip(&self.origins);
        globs.find_map(|(glob, origin)| {
            let name = names.clone().find(|name| glob.matches(name))?;
            Some((glob, origin, name))
        })
    }

    /// Decides whether some name is claimed by both lists, and gives the shortest such name.
    ///
    /// The patterns of both lists run side by side over every name, breadth first, where names that leave all patterns in
    /// the same states count as one, and characters that no pattern tells apart count as one: so the answer is exact.
    pub(crate) fn overlap(&self, other: &Self) -> Overlap {
        let both = Both {
            lists: [self, other],
        };
        let alphabet = both.alphabet();
        let start = both.start();
        // The names that the kernel refuses are told apart, or they would hide a name that leads to the same states.
        let mut seen = HashSet::from([(start.clone(), false)]);
        let mut queue = VecDeque::from([(start, String::new())]);
        while let Some((states, name)) = queue.pop_front() {
            if is_link_name(&name) && both.claim(&states) {
                return Overlap::Name(numbered(name, &both));
            }
            if name.len() >= LONGEST_NAME {
                continue;
            }
            for character in &alphabet {
                let next = both.step(&states, *character);
                let longer = format!("{name}{character}");
                if !both.can_claim(&next) || !seen.insert((next.clone(), is_link_name(&longer))) {
                    continue;
                }
                if seen.len() > MOST_STATES {
                    return Overlap::TooTangled;
                }
                queue.push_back((next, longer));
            }
        }
        Overlap::Never
    }
}

/// Not empty, and neither of the two names that the kernel refuses (`dev_valid_name`).
fn is_link_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
}

/// `virbr0` says more to a reader than `virbr`, if both are claimed.
fn numbered(name: String, both: &Both<'_>) -> String {
    let longer = format!("{name}0");
    let claimed = both.lists.iter().all(|list| list.claim([longer.as_str()]));
    if claimed && !name.ends_with(|c: char| c.is_ascii_digit()) {
        longer
    } else {
        name
    }
}

/// Two lists, run together: the states of list 0's claiming and excluding patterns, then those of list 1's.
struct Both<'l> {
    lists: [&'l LinkGlobs; 2],
}

impl Both<'_> {
    fn globs(&self) -> impl Iterator<Item = &Glob> {
        self.lists
            .iter()
            .flat_map(|list| list.claiming.iter().chain(&list.excluding))
    }

    fn start(&self) -> Vec<States> {
        self.globs().map(Glob::start).collect()
    }

    fn step(&self, states: &[States], character: char) -> Vec<States> {
        self.globs()
            .zip(states)
            .map(|(glob, states)| glob.step(*states, character))
            .collect()
    }

    /// For each list, the claiming patterns with their states, and the excluding ones with theirs.
    fn parts<'s>(
        &'s self,
        states: &'s [States],
    ) -> impl Iterator<Item = (Running<'s>, Running<'s>)> {
        let mut rest = states;
        self.lists.iter().map(move |list| {
            let (claiming, behind) = rest.split_at(list.claiming.len());
            let (excluding, behind) = behind.split_at(list.excluding.len());
            rest = behind;
            (
                Running(&list.claiming, claiming),
                Running(&list.excluding, excluding),
            )
        })
    }

    fn claim(&self, states: &[States]) -> bool {
        self.parts(states)
            .all(|(claiming, excluding)| claiming.accept() && !excluding.accept())
    }

    /// Some longer name may still be claimed by both.
    fn can_claim(&self, states: &[States]) -> bool {
        self.parts(states)
            .all(|(claiming, _)| claiming.1.iter().any(|states| *states != 0))
    }

    /// One character for each set of characters that no pattern tells apart.
    fn alphabet(&self) -> Vec<char> {
        // Digits and letters first, as the name is shown to people; the last stands for all that is not ASCII.
        let preferred = ('0'..='9').chain('a'..='z').chain('A'..='Z');
        let others = ('!'..='~').filter(|c| !matches!(c, '/' | ':')).chain(['é']);
        let mut seen = HashSet::new();
        let differs = |c: &char| {
            seen.insert(
                self.globs()
                    .map(|glob| glob.signature(*c))
                    .collect::<Vec<_>>(),
            )
        };
        preferred.chain(others).filter(differs).collect()
    }
}

struct Running<'s>(&'s [Glob], &'s [States]);

impl Running<'_> {
    fn accept(&self) -> bool {
        self.0
            .iter()
            .zip(self.1)
            .any(|(glob, states)| glob.accepts(*states))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn globs(patterns: &[&str]) -> LinkGlobs {
        let (excluding, claiming): (Vec<&str>, Vec<&str>) =
            patterns.iter().partition(|text| text.starts_with('!'));
        let parse = |text: &&str| Glob::parse(text.trim_start_matches('!')).unwrap();
        LinkGlobs {
            claiming: claiming.iter().map(parse).collect(),
            origins: Vec::new(),
            excluding: excluding.iter().map(parse).collect(),
        }
    }

    #[test]
    fn an_exclusion_on_any_name_of_a_link_wins() {
        let links = globs(&["!virbr0", "virbr*", "uplink-?"]);
        for (names, claimed) in [
            (&["virbr1"][..], true),
            (&["virbr0"], false),
            (&["eth0"], false),
            (&["eth0", "uplink-a"], true),
            (&["virbr0", "uplink-a"], false),
            (&["virbr7", "lan"], true),
        ] {
            assert_eq!(links.claim(names.iter().copied()), claimed, "{names:?}");
        }
    }

    #[test]
    fn two_lists_overlap_as_the_table_says() {
        let table: &[(&[&str], &[&str], Option<&str>)] = &[
            (&["virbr*"], &["virbr*"], Some("virbr0")),
            (&["virbr*"], &["vnet*"], None),
            (&["virbr*", "!virbr0"], &["virbr0"], None),
            (&["virbr*", "!virbr0"], &["virbr?"], Some("virbr1")),
            (
                &["virbr*", "!virbr[0-4]*"],
                &["virbr*", "!virbr[5-9]*"],
                Some("virbr"),
            ),
            (
                &["virbr[0-9]*", "!virbr[0-4]*"],
                &["virbr*", "!virbr[5-9]*"],
                None,
            ),
            (&["*"], &["*"], Some("0")),
            (&[".*"], &["*"], Some(".0")),
            (&["."], &["*"], None),
            (&["??", "!.[0-9]*"], &[".?", "!.[a-z-]"], Some(".A")),
            (&["*", "!*a*"], &["*a*"], None),
            (&["a*"], &["*b"], Some("ab")),
            (&["?", "!?"], &["*"], None),
            (&["?"], &["*", "!??*", "![\"-~!]"], Some("é")),
            (&["?????????????????"], &["a*z"], Some("a000000000000000z")),
        ];
        for (one, other, name) in table {
            let expected = name.map_or(Overlap::Never, |name| Overlap::Name(name.to_owned()));
            assert_eq!(
                globs(one).overlap(&globs(other)),
                expected,
                "{one:?} {other:?}"
            );
            assert_eq!(
                globs(other).overlap(&globs(one)),
                expected,
                "{other:?} {one:?}"
            );
        }
    }

    #[test]
    fn a_tangle_is_called_one() {
        let list = globs(&["*a???????????????????????b", "!*a???????????????????c"]);
        assert_eq!(
            list.overlap(&globs(&["c*b*a??????????????????????????????d"])),
            Overlap::TooTangled
        );
    }

    /// Every name of `[abc]{1,5}`.
    fn names() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut from = 0;
        for _ in 0..5 {
            let to = all.len();
            for index in from..to {
                for c in ['a', 'b', 'c'] {
                    all.push(format!("{}{c}", all[index]));
                }
            }
            from = to;
        }
        all.remove(0);
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn an_overlap_is_what_trying_all_names_finds(
            one in proptest::collection::vec(r"!?([ab]|\*|\?|\[a-b\]){1,4}", 1..4),
            other in proptest::collection::vec(r"!?([ab]|\*|\?|\[a-b\]){1,4}", 1..4),
        ) {
            let texts = |list: &[String]| globs(&list.iter().map(String::as_str).collect::<Vec<_>>());
            let (one, other) = (texts(&one), texts(&other));
            let found = names().into_iter().find(|name| one.claim([name.as_str()]) && other.claim([name.as_str()]));
            match one.overlap(&other) {
                Overlap::Name(name) => {
                    prop_assert!(one.claim([name.as_str()]) && other.claim([name.as_str()]), "{name}");
                }
                // What claims a long name only would be missed by trying short ones, so only this way round is decided.
                Overlap::Never => prop_assert_eq!(found, None),
                Overlap::TooTangled => prop_assert!(false),
            }
        }
    }
}
