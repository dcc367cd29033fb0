//! What callgrind counts while the core handles one message.

use crate::pins::Functions;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The function of the counted program during which callgrind counts, and at whose end it writes what it has counted.
const COUNTED: &str = "slash32_instructions::handled";

/// How many instructions each function takes itself, by the name of the message.
///
/// # Errors
/// When callgrind cannot be run, or has not counted each message.
pub(crate) fn messages(program: &Path) -> Result<BTreeMap<String, Functions>> {
    let folder = tempfile::tempdir()?;
    let profile = folder.path().join("profile");
    // Where the stack begins depends on the environment and on the program's name, and how many instructions a copy takes on
    // where on the stack it lies: so both are always the same.
    let folder = program.parent().context("a program without a folder")?;
    let name = program.file_name().context("a program without a name")?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder)
        .args([
            "--tool=callgrind",
            "--compress-strings=no",
            "--compress-pos=no",
        ])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(Path::new(".").join(name));
    let output = valgrind.output().context(
        "cannot start valgrind, of the Debian package of that name; `cargo xtask test` installs it",
    )?;
    ensure!(output.status.success(), "{output:?}");
    let names = String::from_utf8(output.stdout)?;
    let counted = names.lines().zip(1..).map(|(name, number)| {
        let file = profile.with_extension(number.to_string());
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("callgrind has not counted the message {name}"))?;
        Ok((name.to_owned(), functions(&text)?))
    });
    counted.collect()
}

/// The functions of a profile in callgrind's format, without what they call.
///
/// Errors: they do not add up to what the profile says that they do.
fn functions(profile: &str) -> Result<Functions> {
    let mut functions = Functions::new();
    let (mut function, mut is_of_callee, mut total) = ("", false, None);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if line.starts_with("calls=") {
            is_of_callee = true;
        } else if let Some(text) = line.strip_prefix("totals: ") {
            total = Some(text.trim().parse::<u64>()?);
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let cost = line
                .split_whitespace()
                .nth(1)
                .context("a line without a cost")?;
            if !std::mem::take(&mut is_of_callee) {
                *functions.entry(function.to_owned()).or_default() += cost.parse::<u64>()?;
            }
        }
    }
    let sum: u64 = functions.values().sum();
    ensure!(
        total == Some(sum) && sum > 0,
        "the functions take {sum} instructions, and all together {total:?}"
    );
    functions.retain(|_, count| *count > 0);
    Ok(functions)
}

/// The compiler that made `program`, as it has written into it: `1.95.0 (59807616e 2026-04-14)`.
pub(crate) fn compiler(program: &Path) -> Result<String> {
    const MARK: &[u8] = b"rustc version ";
    let bytes =
        std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let at = bytes.windows(MARK.len()).position(|window| window == MARK);
    let rest = at.map(|at| &bytes[at + MARK.len()..]);
    let version = rest.and_then(|rest| rest.split(|byte| *byte == 0).next());
    let version = version.context("the counted program does not say what compiled it")?;
    Ok(String::from_utf8_lossy(version)
        .trim_end_matches("))")
        .to_owned())
}

#[test]
fn only_what_a_function_takes_itself_is_counted() {
    let profile = "positions: line\nevents: Ir\n\nfn=outer\n10 4\nfi=inlined.rs\n3 2\ncfn=inner\ncalls=1 20\n11 7\n12 1\n\nfn=inner\n20 7\n\ntotals: 14\n";
    let expected = [("inner", 7), ("outer", 7)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(functions(profile).unwrap(), Functions::from(expected));
    assert!(functions(&profile.replace("14", "15")).is_err());
}
