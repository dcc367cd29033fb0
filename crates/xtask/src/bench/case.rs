//! The cases: which there are, what measures them, and about how long a run of each takes.

use super::extent::Extent;
use super::report::Report;
use super::{flood, growth, handshake, leave, scale, start};
use anyhow::{Result, bail};

/// What measures everything of its case, or cases, once, and takes the readings into the report.
pub(crate) type Measure = fn(Extent, usize, &mut Report) -> Result<()>;

/// One of the groups of figures, or some that share their links.
pub(crate) struct Case {
    /// A letter for each group that it measures.
    pub(crate) letters: &'static str,
    /// What the line of progress says.
    pub(crate) name: &'static str,
    /// How long a run takes about, in seconds: quick, standard, full.
    seconds: [u32; 3],
    pub(crate) measure: Measure,
}

/// In the order in which they are run.
pub(crate) const CASES: &[Case] = &[
    Case {
        letters: "a",
        name: "start to first OFFER",
        seconds: [15, 40, 40],
        measure: start::measure,
    },
    Case {
        letters: "b",
        name: "handshakes",
        seconds: [15, 40, 40],
        measure: handshake::measure,
    },
    Case {
        letters: "cdgh",
        name: "many links: served, memory, idle, restart",
        seconds: [70, 240, 660],
        measure: scale::measure,
    },
    Case {
        letters: "e",
        name: "one guest floods",
        seconds: [35, 35, 150],
        measure: flood::measure,
    },
    Case {
        letters: "f",
        name: "a VM goes, the next one comes",
        seconds: [5, 10, 10],
        measure: leave::measure,
    },
    Case {
        letters: "i",
        name: "planning and allocation, without a kernel",
        seconds: [30, 60, 60],
        measure: growth::measure,
    },
];

/// What the tables say above the figures of a letter.
pub(crate) fn title(letter: char) -> &'static str {
    match letter {
        'a' => "Start to first OFFER",
        'b' => "Handshakes",
        'c' => "Many links at once",
        'd' => "Memory",
        'e' => "One guest floods",
        'f' => "A VM goes, the next one comes",
        'g' => "Idle",
        'h' => "The agent restarts",
        _ => "Planning and allocation",
    }
}

impl Case {
    /// How long a run takes about, in seconds.
    pub(crate) fn seconds(&self, extent: Extent) -> u32 {
        self.seconds[match extent {
            Extent::Quick => 0,
            Extent::Standard => 1,
            Extent::Full => 2,
        }]
    }
}

/// The cases that measure one of `letters`; all of them when there is none.
///
/// # Errors
/// A letter of which there is no case.
pub(crate) fn chosen(letters: &[char]) -> Result<Vec<&'static Case>> {
    for letter in letters {
        if !CASES.iter().any(|case| case.letters.contains(*letter)) {
            let all: String = CASES.iter().map(|case| case.letters).collect();
            bail!("there is no case {letter}; the cases are {all}");
        }
    }
    let wanted =
        |case: &&Case| letters.is_empty() || case.letters.contains(|one| letters.contains(&one));
    Ok(CASES.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_letter_is_one_cases() {
        let mut letters: Vec<char> = CASES.iter().flat_map(|case| case.letters.chars()).collect();
        letters.sort_unstable();
        let all = letters.len();
        letters.dedup();
        assert_eq!(letters.len(), all);
    }

    #[test]
    fn a_letter_chooses_its_case_and_none_chooses_all() {
        let letters = |chosen: Vec<&Case>| -> Vec<_> {
            chosen.into_iter().map(|case| case.letters).collect()
        };
        assert_eq!(letters(chosen(&['b']).unwrap()), ["b"]);
        assert_eq!(chosen(&[]).unwrap().len(), CASES.len());
        assert!(chosen(&['z']).is_err());
    }
}
