//! What the core costs, in instructions that a processor carries out: of each message that matters, as callgrind counts them.
//!
//! A count is the same on every run, unlike a time; so a change that makes an answer dearer is seen however busy the machine is,
//! and one that makes it cheaper has to be written down, so that it is not lost again. The pinned counts are in
//! `tests/instructions/ARCHITECTURE.json`, function by function, with the compiler that they are of and with how far a count
//! may be from them, in per cent. Another compiler makes other code of the same text: it may be further away.
//!
//! `cargo xtask instructions` builds what is counted and runs this; with `--bless` it pins what is counted now.
#![allow(missing_docs, clippy::unwrap_used)]

mod count;
mod pins;

use anyhow::{Context, Result, ensure};
use pins::Pins;
use slash32_tests::COUNTED_VARIABLE;
use std::path::Path;

/// Set by `cargo xtask instructions --bless`: what differs is shown and written.
const BLESS: &str = "SLASH32_BLESS";

#[test]
fn each_message_takes_the_core_as_many_instructions_as_are_pinned() -> Result<()> {
    let program = std::env::var_os(COUNTED_VARIABLE).with_context(|| {
        format!(
            "{COUNTED_VARIABLE} names no program whose instructions could be counted; `cargo xtask instructions` builds one"
        )
    })?;
    let program = Path::new(&program);
    let counted = Pins {
        compiler: count::compiler(program)?,
        messages: count::messages(program)?,
        ..Pins::default()
    };
    if std::env::var_os(BLESS).is_some() {
        let pinned = Pins::read().unwrap_or_default();
        for change in pinned.with_tolerance(0).deviations(&counted) {
            println!("{change}");
        }
        return pinned.renewed(counted).write();
    }
    let deviations = Pins::read()?.deviations(&counted);
    ensure!(
        deviations.is_empty(),
        "{}\nif that is right, `cargo xtask instructions --bless` pins what is counted now",
        deviations.join("\n")
    );
    Ok(())
}
