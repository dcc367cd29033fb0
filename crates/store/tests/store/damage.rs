//! Files that lost or changed bytes.

use crate::sample::{make_store, some};
use slash32_store::{Embedded, Opened, Store, StoreError};
use std::fs;
use std::path::{Path, PathBuf};

fn make(folder: &Path) -> (PathBuf, Vec<u8>) {
    let path = folder.join("store.redb");
    make_store(&path);
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

/// The file is called damaged, is not changed, and there is a degraded store in its place.
fn damaged(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let error = Embedded::open(path).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let Opened::Degraded(store) = Embedded::open_or_explain(path).unwrap() else {
        panic!("opened: {error}")
    };
    assert_eq!(store.reason(), &error);
    assert!(store.load().unwrap().is_empty() && !store.has_records());
    assert!(fs::read(path).unwrap() == before, "changed: {error}");
    error.to_string()
}

#[test]
fn an_empty_file_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    fs::write(&path, "").unwrap();
    let text = damaged(&path);
    assert!(text.contains("is damaged (it is empty): move it away"));
}

#[test]
fn a_file_that_is_no_store_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    for content in [&b"x"[..], &[b'x'; 8192], &[0; 8192]] {
        fs::write(&path, content).unwrap();
        damaged(&path);
    }
}

#[test]
fn a_truncated_file_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = make(folder.path());
    for length in [1, 9, 64, 320, 4095, 4096, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        damaged(&path);
    }
}

#[test]
fn a_page_of_zeros_is_never_taken_for_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = make(folder.path());
    let mut found = 0;
    for page in 0..bytes.len() / 4096 {
        let mut torn = bytes.clone();
        torn[page * 4096..][..4096].fill(0);
        if torn == bytes {
            continue;
        }
        fs::write(&path, &torn).unwrap();
        match Embedded::read(&path) {
            Ok(records) => assert_eq!(records, some(), "page {page}"),
            Err(_) => {
                damaged(&path);
                found += 1;
            }
        }
    }
    assert!(found > 5, "only {found} pages matter");
}

#[test]
fn a_flipped_bit_is_never_taken_for_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = make(folder.path());
    // One bit of each byte of the header, all of its flags (byte 9), and a bit here and there behind it.
    let header = (0..320).map(|place| (place, place % 8));
    let flags = (0..8).map(|bit| (9, bit));
    let body = (320..bytes.len())
        .step_by(211)
        .map(|place| (place, place % 8));
    for (place, bit) in header.chain(flags).chain(body) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << bit;
        fs::write(&path, &flipped).unwrap();
        match Embedded::read(&path) {
            Ok(records) => assert_eq!(records, some(), "bit {bit} of byte {place}"),
            Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{error}"),
        }
        assert!(fs::read(&path).unwrap() == flipped);
    }
}
