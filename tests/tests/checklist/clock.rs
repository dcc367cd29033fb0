//! The clock of what answers guests.

use anyhow::{Context, Result, ensure};
use std::{fs, path::Path};

/// What a responder is made of.
const SOURCES: [&str; 5] = [
    "crates/binding/src",
    "crates/dhcp/src",
    "crates/ipc/src",
    "crates/sys/src",
    "responder/src",
];
/// What reads the wall clock in Rust, in rustix, and in C.
const WALL_CLOCKS: [&str; 5] = [
    "SystemTime",
    "Realtime",
    "CLOCK_REALTIME",
    "gettimeofday",
    "Timestamp::now",
];

#[test]
fn item_58_what_answers_guests_never_reads_the_wall_clock() -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no workspace")?;
    let mut clocks = 0;
    for folder in SOURCES {
        for entry in fs::read_dir(workspace.join(folder))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let source = fs::read_to_string(&path)?;
            for clock in WALL_CLOCKS {
                ensure!(!source.contains(clock), "{} says {clock}", path.display());
            }
            clocks += source.matches("ClockId::").count();
        }
    }
    ensure!(
        clocks == 1,
        "the boot-time clock is read in {clocks} places"
    );
    Ok(())
}
