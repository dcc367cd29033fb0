//! What every backend promises.

#![allow(clippy::unwrap_used)]

use slash32_store::{Allocation, Attachment, Change, Embedded, Lease, Records, Store, StoreError};
use std::fs;
use std::net::Ipv4Addr;

fn allocation(identity: &str, last: u8) -> Allocation {
    let address = Ipv4Addr::new(203, 0, 113, last);
    Allocation {
        network: "public".into(),
        identity: identity.into(),
        address,
    }
}

fn lease() -> Lease {
    let address = Ipv4Addr::new(203, 0, 113, 7);
    Lease {
        link: "virbr13".into(),
        address,
        acked_at: 1_700_000_000,
        expires_at: Some(1_700_086_400),
    }
}

fn attachment() -> Attachment {
    let address = Ipv4Addr::new(203, 0, 113, 7);
    Attachment {
        link: "virbr13".into(),
        ifindex: 7,
        port: 8,
        carrier_ups: 1,
        generation: 3,
        address,
        boot: "b".into(),
    }
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut store = Embedded::open(&path).unwrap();
    assert_eq!(store.load().unwrap(), Records::default());
    store
        .commit(&[
            Change::PutAllocation(allocation("virbr13", 7)),
            Change::PutAllocation(allocation("virbr14", 8)),
            Change::PutLease(lease()),
            Change::PutAttachment(attachment()),
        ])
        .unwrap();
    drop(store);
    let store = Embedded::open(&path).unwrap();
    let expected = Records {
        allocations: vec![allocation("virbr13", 7), allocation("virbr14", 8)],
        leases: vec![lease()],
        attachments: vec![attachment()],
    };
    assert_eq!(store.load().unwrap(), expected);
}

#[test]
fn a_later_record_takes_the_place_of_an_earlier_one_and_removal_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Embedded::open(&folder.path().join("store.redb")).unwrap();
    store
        .commit(&[
            Change::PutAllocation(allocation("virbr13", 7)),
            Change::PutLease(lease()),
        ])
        .unwrap();
    store
        .commit(&[Change::PutAllocation(allocation("virbr13", 9))])
        .unwrap();
    assert_eq!(
        store.load().unwrap().allocations,
        [allocation("virbr13", 9)]
    );
    let removal = Change::RemoveAllocation {
        identity: "virbr13".into(),
    };
    store
        .commit(&[
            removal.clone(),
            Change::RemoveLease {
                link: "virbr13".into(),
            },
        ])
        .unwrap();
    store.commit(&[removal]).unwrap();
    assert_eq!(store.load().unwrap(), Records::default());
}

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
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    fs::write(&path, [b'x'; 8192]).unwrap();
    let error = Embedded::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), [b'x'; 8192]);
}

#[test]
fn a_store_in_a_missing_folder_is_refused_with_the_path() {
    let error = Embedded::open("/nonexistent/store.redb".as_ref())
        .err()
        .unwrap();
    assert!(
        matches!(&error, StoreError::Unusable { path, .. } if path == "/nonexistent/store.redb"),
        "{error}"
    );
}
