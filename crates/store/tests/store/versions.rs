//! Older and newer files.

use crate::sample::{address, make_store};
use redb::{Database, TableDefinition};
use slash32_store::{Allocation, Attachment, Embedded, Lease, Records, Store, StoreError};
use std::fs;
use std::path::Path;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

fn records(table: &str) -> TableDefinition<'_, &'static str, &'static [u8]> {
    TableDefinition::new(table)
}

/// Puts one row into a file behind the store's back.
fn put(path: &Path, table: &str, key: &str, value: &str) {
    let database = Database::create(path).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(records(table))
        .unwrap()
        .insert(key, value.as_bytes())
        .unwrap();
    write.commit().unwrap();
}

fn set_format(path: &Path, format: u64) {
    let database = Database::create(path).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(META)
        .unwrap()
        .insert("format", format)
        .unwrap();
    write.commit().unwrap();
}

/// As slash32 wrote it before records had versions.
fn make_format_1(path: &Path) {
    set_format(path, 1);
    put(
        path,
        "allocations",
        "virbr13",
        r#"{"network":"public","identity":"virbr13","address":"203.0.113.7"}"#,
    );
    put(
        path,
        "leases",
        "virbr13",
        r#"{"link":"virbr13","address":"203.0.113.7","acked_at":1700000000,"expires_at":null}"#,
    );
    put(
        path,
        "attachments",
        "virbr13",
        r#"{"link":"virbr13","ifindex":7,"port":8,"carrier_ups":1,"generation":3,"address":"203.0.113.7","boot":"b"}"#,
    );
}

fn of_format_1() -> Records {
    let link = || "virbr13".to_owned();
    Records {
        allocations: vec![Allocation {
            network: "public".into(),
            identity: link(),
            address: address(7),
            boot: None,
            since: None,
        }],
        leases: vec![Lease {
            link: link(),
            address: address(7),
            acked_at: 1_700_000_000,
            expires_at: None,
            holder: None,
        }],
        attachments: vec![Attachment {
            link: link(),
            ifindex: 7,
            port: 8,
            carrier_ups: 1,
            generation: 3,
            address: address(7),
            boot: "b".into(),
        }],
        ..Records::default()
    }
}

/// What is refused stays as it is, byte for byte. Returns the sentence.
fn refused(path: &Path) -> (StoreError, String) {
    let before = fs::read(path).unwrap();
    let error = Embedded::open(path).err().unwrap();
    assert_eq!(Embedded::read(path).unwrap_err(), error);
    assert!(
        fs::read(path).unwrap() == before,
        "the file was changed: {error}"
    );
    let text = error.to_string();
    (error, text)
}

#[test]
fn a_file_of_format_1_is_read_without_changing_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    make_format_1(&path);
    let before = fs::read(&path).unwrap();
    assert_eq!(Embedded::read(&path).unwrap(), of_format_1());
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn a_file_of_format_1_is_opened_and_is_one_of_format_2_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    make_format_1(&path);
    for _ in 0..2 {
        let store = Embedded::open(&path).unwrap();
        assert_eq!(store.load().unwrap(), of_format_1());
    }
    let database = Database::open(&path).unwrap();
    let read = redb::ReadableDatabase::begin_read(&database).unwrap();
    let format = read.open_table(META).unwrap().get("format").unwrap();
    assert_eq!(format.unwrap().value(), 2);
    let row = read
        .open_table(records("leases"))
        .unwrap()
        .get("virbr13")
        .unwrap();
    assert_eq!(
        std::str::from_utf8(row.unwrap().value()).unwrap(),
        r#"{"v":3,"link":"virbr13","address":"203.0.113.7","acked_at":"2023-11-14T22:13:20Z","expires_at":null,"holder":null}"#
    );
}

#[test]
fn a_lease_of_before_its_holder_was_noted_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    make_store(&path);
    put(
        &path,
        "leases",
        "x",
        r#"{"v":2,"link":"x","address":"203.0.113.9","acked_at":"2023-11-14T22:13:20Z","expires_at":null}"#,
    );
    let leases = Embedded::read(&path).unwrap().leases;
    let lease = leases.iter().find(|lease| lease.link == "x").unwrap();
    assert_eq!((lease.address, &lease.holder), (address(9), &None));
}

#[test]
fn a_migrated_file_still_gives_no_address_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    make_format_1(&path);
    let mut store = Embedded::open(&path).unwrap();
    let thief = crate::sample::allocation("thief", 7);
    let error = store
        .commit(&[slash32_store::Change::PutAllocation(thief)])
        .unwrap_err();
    assert!(matches!(error, StoreError::OwnedTwice { .. }), "{error}");
}

#[test]
fn a_file_of_a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    make_store(&path);
    set_format(&path, 3);
    let (error, text) = refused(&path);
    assert!(matches!(
        error,
        StoreError::Newer {
            found: 3,
            known: 2,
            ..
        }
    ));
    assert!(text.contains("has format 3, which is newer than the 2"));
}

#[test]
fn a_record_of_a_newer_version_is_refused_and_named() {
    for (table, name, newer) in [
        ("allocations", "allocation x", 3),
        ("reservations", "reservation x", 2),
        ("set_asides", "set-aside address x", 2),
        ("leases", "lease x", 4),
        ("attachments", "attachment x", 2),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        make_store(&path);
        put(
            &path,
            table,
            "x",
            &format!(r#"{{"v":{newer},"unheard":"of"}}"#),
        );
        let (error, text) = refused(&path);
        assert!(matches!(error, StoreError::NewerRecord { found, .. } if found == newer));
        let known = newer - 1;
        let said = format!("the {name} has version {newer}, which is newer than the {known}");
        assert!(text.contains(&said), "{text}");
    }
}

#[test]
fn a_row_that_is_no_record_is_damage_and_is_named() {
    for (value, said) in [
        ("", "the lease x is not readable: EOF"),
        ("[]", "the lease x is not readable"),
        (
            r#"{"v":0}"#,
            "the lease x is not readable: its version is 0",
        ),
        (
            r#"{"v":"2"}"#,
            "the lease x is not readable: its version is \"2\"",
        ),
        (r#"{"v":2}"#, "missing field `link`"),
        (
            r#"{"v":2,"link":"x","address":"203.0.113.7","acked_at":"today","expires_at":null}"#,
            "\"today\" is not a time",
        ),
        (
            r#"{"v":2,"link":"x","address":"203.0.113.7","acked_at":1,"expires_at":1,"more":1}"#,
            "unknown field `more`",
        ),
        (
            r#"{"v":2,"link":"y","address":"203.0.113.7","acked_at":1,"expires_at":1}"#,
            "the lease x is that of y",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        make_store(&path);
        put(&path, "leases", "x", value);
        let (error, text) = refused(&path);
        assert!(matches!(error, StoreError::Damaged { .. }), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn an_address_with_two_holders_in_the_file_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    make_format_1(&path);
    put(
        &path,
        "allocations",
        "virbr14",
        r#"{"network":"public","identity":"virbr14","address":"203.0.113.7"}"#,
    );
    let (error, text) = refused(&path);
    assert!(matches!(error, StoreError::Damaged { .. }), "{text}");
    assert!(
        text.contains("the address 203.0.113.7 (for virbr13 and virbr14)"),
        "{text}"
    );
}

#[test]
fn a_holder_table_that_contradicts_the_records_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    make_store(&path);
    let holders: TableDefinition<u32, &str> = TableDefinition::new("holders");
    let database = Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(holders)
        .unwrap()
        .insert(address(7).to_bits(), "virbr14")
        .unwrap();
    write.commit().unwrap();
    drop(database);
    let (error, text) = refused(&path);
    assert!(matches!(error, StoreError::Damaged { .. }), "{text}");
    assert!(text.contains("the table of holders"), "{text}");
}

#[test]
fn a_redb_file_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    put(&path, "recipes", "soup", "{}");
    let (error, text) = refused(&path);
    assert!(matches!(error, StoreError::Damaged { .. }), "{text}");
    assert!(text.contains("it does not say its format"), "{text}");
}
