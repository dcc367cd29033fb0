//! Every item of the checklist is a test that carries its number, or a decision; and the page that says so says the truth.
//!
//! The page has a table row an item: number, what is checked, section, what we do, and where it is shown: names of tests
//! in backquotes, or the word "Decision" with its reason. A test carries the numbers at the start of its name:
//! `item_7_`, `items_2_to_5_`, `items_32_and_109_and_114_`, behind `load_` where it runs alone.

use anyhow::{Context, Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const ITEMS: std::ops::RangeInclusive<u32> = 1..=120;
/// The page, in the folder of the workspace.
const PAGE: &str = "docs/rfc-checklist.md";
/// How a row says that there is nothing to test, and why.
const DECISION: &str = "Decision:";
/// The folders that hold tests.
const SOURCES: [&str; 4] = ["agent", "crates", "responder", "tests"];

#[test]
fn every_item_is_a_test_or_a_decision() -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no workspace")?;
    let faults = faults(workspace, ITEMS)?;
    if !faults.is_empty() {
        bail!("{PAGE} and the tests differ:\n{}", faults.join("\n"));
    }
    Ok(())
}

/// What is wrong with the page in `workspace`, a sentence each; every item in `items` is to have its row.
fn faults(workspace: &Path, items: impl Iterator<Item = u32>) -> Result<Vec<String>> {
    let page = fs::read_to_string(workspace.join(PAGE))?;
    let mut tests = BTreeSet::new();
    for folder in SOURCES {
        collect_tests(&workspace.join(folder), &mut tests)?;
    }
    let mut faults = Vec::new();
    let mut rows: BTreeMap<u32, &str> = BTreeMap::new();
    for (item, row) in page.lines().filter_map(row) {
        if rows.insert(item, row).is_some() {
            faults.push(format!("item {item} has two rows"));
        }
    }
    for named in names(&page).filter(|name| !tests.contains(*name)) {
        faults.push(format!("{named} is named, and is no test"));
    }
    for item in items {
        let Some(row) = rows.remove(&item) else {
            faults.push(format!("item {item} has no row"));
            continue;
        };
        let is_shown = names(row).any(|name| tests.contains(name) && numbers(name).contains(&item));
        let reason = row.split_once(DECISION).map(|(_, text)| reason(text));
        match reason {
            Some("") => faults.push(format!("item {item} is decided without a reason")),
            None if !is_shown => faults.push(format!(
                "item {item} has neither a test with its number nor a decision"
            )),
            _ => {}
        }
    }
    faults.extend(rows.keys().map(|item| format!("there is no item {item}")));
    Ok(faults)
}

/// The number and the text of a table row.
fn row(line: &str) -> Option<(u32, &str)> {
    let (number, _) = line.strip_prefix('|')?.split_once('|')?;
    Some((number.trim().parse().ok()?, line))
}

/// What follows in the same cell of the table.
fn reason(text: &str) -> &str {
    text.split('|').next().unwrap_or_default().trim()
}

/// The names of tests in a text: what stands in backquotes and is a sentence in snake case.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|quoted| {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        quoted.chars().all(is_name) && quoted.matches('_').count() >= 3
    })
}

/// The numbers that the name of a test carries.
fn numbers(name: &str) -> BTreeSet<u32> {
    let name = name.strip_prefix("load_").unwrap_or(name);
    let rest = name
        .strip_prefix("items_")
        .or_else(|| name.strip_prefix("item_"));
    let mut numbers = BTreeSet::new();
    let mut words = rest.unwrap_or_default().split('_').peekable();
    while let Some(number) = words.peek().and_then(|word| word.parse::<u32>().ok()) {
        words.next();
        numbers.insert(number);
        match words.peek() {
            Some(&"and") => drop(words.next()),
            Some(&"to") => {
                words.next();
                let end = words.next().and_then(|word| word.parse().ok());
                numbers.extend(number..=end.unwrap_or(number));
                if words.peek() == Some(&"and") {
                    words.next();
                }
            }
            _ => break,
        }
    }
    numbers
}

/// Adds the names of all functions with `#[test]` in the Rust files under `folder`.
fn collect_tests(folder: &Path, tests: &mut BTreeSet<String>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect_tests(&path, tests)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests.extend(tests_of(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// The names of the functions behind `#[test]`, whatever other attributes and comments stand between.
fn tests_of(source: &str) -> Vec<String> {
    let mut is_test = false;
    let mut names = Vec::new();
    for line in source.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(function) = line.strip_prefix("fn ") {
            let name = function.split(['(', '<']).next().unwrap_or_default();
            if std::mem::take(&mut is_test) {
                names.push(name.to_owned());
            }
        } else if !line.is_empty() && !line.starts_with("#[") && !line.starts_with("//") {
            is_test = false;
        }
    }
    names
}

#[test]
fn a_name_carries_its_numbers_at_its_start() {
    for (name, expected) in [
        ("item_7_the_cookie_comes_first", &[7][..]),
        ("items_2_to_5_what_is_echoed", &[2, 3, 4, 5]),
        ("items_103_and_104_are_echoed", &[103, 104]),
        ("items_32_and_109_and_114_are_silent", &[32, 109, 114]),
        ("items_1_and_7_to_9_are_so", &[1, 7, 8, 9]),
        ("load_item_118_all_at_once", &[118]),
        ("item_81_of_255_bytes_and_3_more", &[81]),
        ("a_reply_of_300_bytes", &[]),
        ("items_of_all_7_kinds", &[]),
    ] {
        let numbers: Vec<u32> = numbers(name).into_iter().collect();
        assert_eq!(numbers, expected, "{name}");
    }
}

#[test]
fn a_page_that_does_not_say_the_truth_is_found_out() -> Result<()> {
    let good = "| 1 | a | - | b | `item_1_it_does_a` |\n\
                | 2 | c | - | d | Decision: it cannot, see `item_1_it_does_a` |\n\
                | 3 | e | - | f | `items_3_and_4_it_does_e_and_g` |\n\
                | 4 | g | - | h | `items_3_and_4_it_does_e_and_g`, `allocation = \"static\"` |\n";
    for (page, expected) in [
        (good.to_owned(), None),
        (
            good.replace("Decision: it", "It"),
            Some("item 2 has neither"),
        ),
        (
            good.replace("`item_1_it_does_a` |", "`item_1_it_does_z` |"),
            Some("item_1_it_does_z is named"),
        ),
        (
            good.replace("`item_1_it_does_a` |", "`it_does_a_as_well` |"),
            Some("item 1 has neither"),
        ),
        (
            good.replace("`item_1_it_does_a` |", "`item_1_it_did_a` |"),
            Some("item_1_it_did_a is named"),
        ),
        (
            good.replace("it cannot, see `item_1_it_does_a`", ""),
            Some("item 2 is decided without a reason"),
        ),
        (good.replace("| 4 |", "| 3 |"), Some("item 3 has two rows")),
        (good.replace("| 4 |", "| 5 |"), Some("there is no item 5")),
        (good.replace("| 4 |", "| four |"), Some("item 4 has no row")),
    ] {
        let tree = a_tree(&page)?;
        let faults = faults(tree.path(), 1..=4)?;
        match expected {
            None => assert_eq!(faults, Vec::<String>::new()),
            Some(start) => assert!(
                faults.iter().any(|fault| fault.starts_with(start)),
                "{start}: {faults:?}"
            ),
        }
    }
    Ok(())
}

/// A workspace with this page and a few tests.
fn a_tree(page: &str) -> Result<tempfile::TempDir> {
    let tree = tempfile::tempdir()?;
    let write = |file: &str, text: &str| -> Result<()> {
        let path = tree.path().join(file);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        Ok(fs::write(path, text)?)
    };
    write(PAGE, page)?;
    write(
        "crates/dhcp/src/lib.rs",
        "#[test]\n#[should_panic]\n// Why.\nfn item_1_it_does_a() {}\nfn item_1_it_did_a() {}\n",
    )?;
    write(
        "tests/tests/wire.rs",
        "proptest! {\n    #[test]\n    fn items_3_and_4_it_does_e_and_g(x in any()) {}\n    #[test]\n    fn it_does_a_as_well() {}\n}\n",
    )?;
    for folder in ["agent", "responder"] {
        fs::create_dir(tree.path().join(folder))?;
    }
    Ok(tree)
}
