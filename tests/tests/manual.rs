//! The man pages that are written by hand, against what they describe.
#![allow(missing_docs, clippy::unwrap_used)]

use slash32_tests::binary;
use std::{collections::BTreeSet, process::Command};

const CONFIG: &str = include_str!("../../packaging/man/slash32.toml.5");
const AGENT: &str = include_str!("../../packaging/man/slash32-agent.8");
const RESPONDER: &str = include_str!("../../packaging/man/slash32-responder.8");
/// It holds every key: `crates/policy` reads it without its comment signs.
const EXAMPLE: &str = include_str!("../../examples/slash32.toml");

#[test]
fn the_page_of_the_config_has_every_key_and_no_other() {
    let (mut tables, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with('[') {
            tables.insert(words[0]);
        } else if words.get(1) == Some(&"=") {
            // Of inline tables, too: each key stands before a "=".
            let before_equals = words.windows(2).filter(|pair| pair[1] == "=");
            keys.extend(before_equals.map(|pair| pair[0]));
        }
    }
    assert!(tables.len() > 5 && keys.len() > 40, "{tables:?} {keys:?}");
    let headings: BTreeSet<&str> = CONFIG
        .lines()
        .filter_map(|line| line.strip_prefix(".Ss "))
        .collect();
    assert_eq!(headings, tables);

    let marked = |line: &'static str| {
        let line = line.strip_prefix(".It ").or_else(|| line.strip_prefix('.'));
        let words = line.and_then(|line| line.strip_prefix("Cm "));
        words.unwrap_or_default().split_whitespace()
    };
    let described: BTreeSet<&str> = CONFIG
        .lines()
        .flat_map(marked)
        .filter(|word| word.len() > 1)
        .collect();
    // The example shows some keys of `match`, one selector of a reservation, and no network with `allocation = "mac"`.
    let facts = [
        "link",
        "vm",
        "uuid",
        "mac",
        "network",
        "tag",
        "vendor-class",
        "user-class",
        "architecture",
    ];
    let undescribed: Vec<_> = keys.difference(&described).collect();
    assert!(
        undescribed.is_empty(),
        "not in slash32.toml(5): {undescribed:?}"
    );
    let unknown: Vec<_> = described
        .difference(&keys)
        .filter(|key| !facts.contains(key) && **key != "mac-prefix")
        .collect();
    assert!(unknown.is_empty(), "only in slash32.toml(5): {unknown:?}");
}

#[test]
fn the_pages_of_the_daemons_have_every_option_and_no_other() {
    for (program, page) in [("slash32-agent", AGENT), ("slash32-responder", RESPONDER)] {
        let output = Command::new(binary(program).unwrap())
            .arg("--help")
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let options: BTreeSet<&str> = help
            .lines()
            .filter_map(|line| line.split("--").nth(1))
            .filter_map(|rest| rest.split([' ', ',', '<', '[']).next())
            .collect();
        assert!(options.contains("version"), "{program}: {help}");
        let described: BTreeSet<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix(".It Fl -"))
            .filter_map(|rest| rest.split_whitespace().next())
            .collect();
        assert_eq!(described, options, "{program}");
    }
}

#[test]
fn man_has_no_complaint_about_a_page() {
    for page in ["slash32.toml.5", "slash32-agent.8", "slash32-responder.8"] {
        let path = format!("{}/../packaging/man/{page}", env!("CARGO_MANIFEST_DIR"));
        let output = Command::new("man")
            .args(["--warnings=all", "--local-file", "-Tutf8", &path])
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("man is not installed (package man-db), and this case needs it");
        assert!(output.status.success(), "{page}: {output:?}");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(complaints.is_empty(), "{page}: {complaints}");
    }
}
