//! The file of the embedded store, when all is well or in the way.

use crate::sample::{allocation, make_store, puts, some};
use slash32_store::{Change, Embedded, Opened, Records, Store, StoreError};
use std::fs;

#[test]
fn a_store_that_is_open_elsewhere_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let _first = Embedded::open(&path).unwrap();
    let error = Embedded::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("state-dir"));
}

#[test]
fn two_agents_on_one_store_are_an_error_and_not_a_degraded_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let _first = Embedded::open(&path).unwrap();
    let error = Embedded::open_or_explain(&path).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn a_store_in_a_missing_folder_is_refused_with_the_path() {
    let path = "/nonexistent/store.redb";
    let error = Embedded::open(path.as_ref()).err().unwrap();
    assert!(
        matches!(&error, StoreError::Unusable { path: found, .. } if found == path),
        "{error}"
    );
}

#[test]
fn a_new_store_is_alone_in_its_folder_and_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    Embedded::open(&path).unwrap();
    let names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["store.redb"]);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn reading_a_closed_store_gives_its_records_and_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    make_store(&path);
    let before = fs::read(&path).unwrap();
    assert_eq!(Embedded::read(&path).unwrap(), some());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn reading_a_store_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let _open = Embedded::open(&path).unwrap();
    let error = Embedded::read(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn without_a_store_there_is_nothing_loaded_and_every_commit_says_why() {
    let path = "/nonexistent/store.redb";
    let Opened::Degraded(mut store) = Embedded::open_or_explain(path.as_ref()).unwrap() else {
        panic!("opened")
    };
    assert_eq!(store.load().unwrap(), Records::default());
    let error = store
        .commit(&[Change::PutAllocation(allocation("a", 1))])
        .unwrap_err();
    assert_eq!(&error, store.reason());
    assert!(
        error.to_string().starts_with(
            "the store /nonexistent/store.redb cannot be used (No such file or directory"
        ),
        "{error}"
    );
}

#[test]
fn a_store_that_can_be_used_is_opened_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let Opened::Usable(mut store) = Embedded::open_or_explain(&path).unwrap() else {
        panic!("degraded")
    };
    store.commit(&puts(some())).unwrap();
    assert_eq!(store.load().unwrap(), some());
}
