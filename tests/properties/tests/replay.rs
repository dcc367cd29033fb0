//! Every seed, and everything that a fuzzer ever found, holds: without a fuzzer, in every run of the tests.
#![allow(missing_docs, clippy::unwrap_used)]

use slash32_ipc::{ToAgent, ToResponder};
use slash32_properties::{Property, TARGETS};
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The files of a folder, by name; none when it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn replay(property: Property, paths: &[PathBuf]) {
    let failed: Vec<_> = paths
        .iter()
        .filter(|path| catch_unwind(|| property(&fs::read(path).unwrap())).is_err())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

fn property(name: &str) -> Property {
    TARGETS.iter().find(|target| target.0 == name).unwrap().1
}

#[test]
fn every_seed_of_every_fuzz_target_passes() {
    for (name, property) in TARGETS {
        let seeds = files(&fuzz().join("seeds").join(name));
        assert!(seeds.len() >= 4, "{name} has {} seeds", seeds.len());
        replay(property, &seeds);
    }
}

#[test]
fn every_example_config_passes_as_a_seed() {
    let mut examples = files(&fuzz().join("../../examples"));
    examples.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    assert!(examples.len() >= 7, "{examples:?}");
    replay(property("config"), &examples);
}

#[test]
fn everything_that_a_fuzzer_ever_found_passes() {
    for (name, property) in TARGETS {
        replay(property, &files(&fuzz().join("regressions").join(name)));
    }
}

#[test]
fn every_fuzz_target_calls_the_property_of_its_name() {
    let names: Vec<_> = files(&fuzz().join("fuzz_targets"))
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let code = fs::read_to_string(path).unwrap();
            assert!(
                code.contains(&format!("slash32_properties::{name}(input)")),
                "{code}"
            );
            name
        })
        .collect();
    let mut targets = TARGETS.map(|target| target.0);
    targets.sort_unstable();
    assert_eq!(names, targets);
}

/// After a change of the version they are not: `cargo run -p slash32-properties --example seeds` writes new ones.
#[test]
fn the_ipc_seeds_are_records_of_this_version() {
    for path in files(&fuzz().join("seeds/ipc")) {
        let bytes = fs::read(&path).unwrap();
        let known = ToAgent::decode(&bytes).is_ok() || ToResponder::decode(&bytes).is_ok();
        assert!(known, "{}", path.display());
    }
}
