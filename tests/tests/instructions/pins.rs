//! The pinned counts, and what is said of a count that is not within its tolerance.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// How many instructions each function takes itself.
pub(crate) type Functions = BTreeMap<String, u64>;

/// How far a count may be from its pin, in per cent, where the file does not say otherwise yet.
const TOLERANCE: u64 = 3;
/// The same for the code of another compiler than the pinned one.
const TOLERANCE_OF_ANOTHER_COMPILER: u64 = 25;
/// As many functions are named of a message whose count is wrong: those whose own count has changed most.
const NAMED: usize = 5;

/// Counts of one architecture.
#[derive(Clone, Debug)]
pub(crate) struct Pins {
    pub(crate) compiler: String,
    pub(crate) tolerance: u64,
    pub(crate) tolerance_of_another_compiler: u64,
    pub(crate) messages: BTreeMap<String, Functions>,
}

impl Default for Pins {
    fn default() -> Self {
        Self {
            compiler: String::new(),
            tolerance: TOLERANCE,
            tolerance_of_another_compiler: TOLERANCE_OF_ANOTHER_COMPILER,
            messages: BTreeMap::new(),
        }
    }
}

impl Pins {
    /// Those of this architecture. Errors: there are none, or the file is not as [`write`](Self::write) writes it.
    pub(crate) fn read() -> Result<Self> {
        let path = path();
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{}: nothing is pinned for this architecture; `cargo xtask instructions --bless` pins what is counted now",
                path.display()
            )
        })?;
        let read = || {
            let value: Value = serde_json::from_str(&text)?;
            let percent = |key: &str| {
                value[key]
                    .as_u64()
                    .with_context(|| format!("no number {key}"))
            };
            anyhow::Ok(Self {
                compiler: value["compiler"]
                    .as_str()
                    .context("no text compiler")?
                    .to_owned(),
                tolerance: percent("tolerance_percent")?,
                tolerance_of_another_compiler: percent("tolerance_percent_of_another_compiler")?,
                messages: serde_json::from_value(value["messages"].clone())?,
            })
        };
        read().with_context(|| path.display().to_string())
    }

    /// Writes them as those of this architecture.
    pub(crate) fn write(&self) -> Result<()> {
        let value = json!({
            "compiler": self.compiler,
            "tolerance_percent": self.tolerance,
            "tolerance_percent_of_another_compiler": self.tolerance_of_another_compiler,
            "messages": self.messages,
        });
        let path = path();
        std::fs::write(&path, format!("{value:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The same with another tolerance, whatever the compiler.
    pub(crate) fn with_tolerance(&self, percent: u64) -> Self {
        Self {
            tolerance: percent,
            tolerance_of_another_compiler: percent,
            ..self.clone()
        }
    }

    /// What is counted, with the tolerances of these.
    pub(crate) fn renewed(&self, counted: Self) -> Self {
        Self {
            tolerance: self.tolerance,
            tolerance_of_another_compiler: self.tolerance_of_another_compiler,
            ..counted
        }
    }

    /// A paragraph for each message whose count is too far from its pin, to either side, or that only one of the two has.
    pub(crate) fn deviations(&self, counted: &Self) -> Vec<String> {
        let is_same = self.compiler == counted.compiler;
        let tolerance = if is_same {
            self.tolerance
        } else {
            self.tolerance_of_another_compiler
        };
        let names: BTreeSet<&String> = self
            .messages
            .keys()
            .chain(counted.messages.keys())
            .collect();
        let deviations = names.into_iter().filter_map(|name| {
            match (self.messages.get(name), counted.messages.get(name)) {
                (Some(before), Some(now)) => deviation(name, before, now, tolerance),
                (Some(_), None) => Some(format!("{name}: pinned, and not counted any more")),
                (None, Some(now)) => Some(format!(
                    "{name}: {} instructions, and no count is pinned",
                    sum(now)
                )),
                (None, None) => None,
            }
        });
        let mut deviations: Vec<String> = deviations.collect();
        if !deviations.is_empty() && !is_same {
            deviations.push(format!(
                "pinned of rustc {}, counted of rustc {}",
                self.compiler, counted.compiler
            ));
        }
        deviations
    }
}

/// Says by how much a message's count has changed, and which functions have changed it; `None` when it is within `tolerance`.
fn deviation(name: &str, before: &Functions, now: &Functions, tolerance: u64) -> Option<String> {
    let (old, new) = (sum(before), sum(now));
    if old.abs_diff(new) * 100 <= old * tolerance {
        return None;
    }
    let percent = (new as f64 / old as f64 - 1.0) * 100.0;
    let mut text = format!(
        "{name}: {old} -> {new} instructions ({percent:+.1} %, {tolerance} % either way are allowed)"
    );
    let functions: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let mut changes: Vec<_> = functions
        .into_iter()
        .map(|function| {
            let [old, new] = [before, now].map(|counts| counts.get(function).copied().unwrap_or(0));
            (old.abs_diff(new), function, old, new)
        })
        .filter(|(difference, ..)| *difference > 0)
        .collect();
    changes.sort_by(|one, other| other.cmp(one));
    for (_, function, old, new) in changes.into_iter().take(NAMED) {
        text += &format!("\n  {old:>6} -> {new:>6}  {function}");
    }
    Some(text)
}

fn sum(functions: &Functions) -> u64 {
    functions.values().sum()
}

fn path() -> PathBuf {
    let file = format!("instructions/{}.json", std::env::consts::ARCH);
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(compiler: &str, functions: &[(&str, u64)]) -> Pins {
        let functions = functions
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count));
        Pins {
            compiler: compiler.to_owned(),
            messages: BTreeMap::from([("DISCOVER".to_owned(), functions.collect())]),
            ..Pins::default()
        }
    }

    #[test]
    fn a_count_may_leave_its_pin_by_the_tolerance_and_no_further() {
        let pinned = pins("1", &[("handle", 1000)]);
        for (count, is_right) in [
            (1000, true),
            (1030, true),
            (1031, false),
            (970, true),
            (969, false),
        ] {
            let deviations = pinned.deviations(&pins("1", &[("handle", count)]));
            assert_eq!(deviations.is_empty(), is_right, "{count}: {deviations:?}");
        }
    }

    #[test]
    fn what_has_changed_most_is_named_first() {
        let pinned = pins("1", &[("checksum", 100), ("read", 500), ("write", 400)]);
        let counted = pins(
            "1",
            &[
                ("checksum", 90),
                ("decide", 30),
                ("read", 900),
                ("write", 400),
            ],
        );
        assert_eq!(
            pinned.deviations(&counted),
            [
                "DISCOVER: 1000 -> 1420 instructions (+42.0 %, 3 % either way are allowed)\n     \
              500 ->    900  read\n       0 ->     30  decide\n     100 ->     90  checksum"
            ]
        );
    }

    #[test]
    fn the_code_of_another_compiler_may_be_further_away_and_is_said_to_be_another_one() {
        let pinned = pins("1", &[("handle", 1000)]);
        assert_eq!(pinned.deviations(&pins("2", &[("handle", 1250)])), [""; 0]);
        let deviations = pinned.deviations(&pins("2", &[("handle", 1251)]));
        assert_eq!(
            deviations.last().unwrap(),
            "pinned of rustc 1, counted of rustc 2"
        );
    }

    #[test]
    fn a_message_that_is_not_pinned_is_a_deviation_and_so_is_one_that_is_not_counted() {
        let nothing = Pins {
            messages: BTreeMap::new(),
            ..pins("1", &[])
        };
        let counted = pins("1", &[("handle", 1000)]);
        assert_eq!(
            nothing.deviations(&counted),
            ["DISCOVER: 1000 instructions, and no count is pinned"]
        );
        assert_eq!(
            counted.deviations(&nothing),
            ["DISCOVER: pinned, and not counted any more"]
        );
    }
}
