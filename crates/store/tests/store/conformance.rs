//! What every backend promises, whatever it is made of. A new backend implements [`Backend`] and adds a line at the end.

use crate::sample::{address, allocation, attachment, lease, puts, reservation, some};
use proptest::prelude::*;
use slash32_store::{Allocation, Change, Embedded, Records, Store, StoreError};
use std::collections::BTreeMap;

/// One place of a backend, empty at first.
pub(crate) trait Backend {
    type Store: Store;

    /// An empty place.
    fn new() -> Self;

    /// Opens what is there. The handle of before may still be open.
    fn open(&self) -> Result<Self::Store, StoreError>;
}

fn an_empty_place_has_no_records<B: Backend>() {
    let store = B::new().open().unwrap();
    assert_eq!(store.load().unwrap(), Records::default());
}

fn what_was_committed_is_there_after_reopening<B: Backend>() {
    let backend = B::new();
    let mut store = backend.open().unwrap();
    store.commit(&puts(some())).unwrap();
    drop(store);
    assert_eq!(backend.open().unwrap().load().unwrap(), some());
}

fn a_commit_adds_to_those_of_before<B: Backend>() {
    let mut store = B::new().open().unwrap();
    for change in puts(some()) {
        store.commit(&[change]).unwrap();
    }
    assert_eq!(store.load().unwrap(), some());
}

fn records_come_in_the_order_of_their_keys<B: Backend>() {
    let mut store = B::new().open().unwrap();
    let mut changes = puts(some());
    changes.reverse();
    store.commit(&changes).unwrap();
    assert_eq!(store.load().unwrap(), some());
}

fn the_last_writer_of_a_record_wins<B: Backend>() {
    let mut store = B::new().open().unwrap();
    store.commit(&puts(some())).unwrap();
    let later = Records {
        allocations: vec![allocation("virbr13", 21), allocation("virbr14", 22)],
        reservations: vec![reservation("virbr13", 23), reservation("virbr15", 24)],
        set_asides: some().set_asides.into_iter().map(renamed).collect(),
        leases: vec![lease("virbr13", 25), lease("virbr14", 26)],
        attachments: vec![attachment("virbr13", 27), attachment("virbr14", 28)],
    };
    store.commit(&puts(later.clone())).unwrap();
    assert_eq!(store.load().unwrap(), later);
}

fn renamed(mut record: slash32_store::SetAside) -> slash32_store::SetAside {
    record.reason = "another reason".into();
    record
}

fn a_removed_record_is_gone_and_may_be_removed_again<B: Backend>() {
    let mut store = B::new().open().unwrap();
    store.commit(&puts(some())).unwrap();
    let link = || "virbr13".to_owned();
    let removals = [
        Change::RemoveAllocation { identity: link() },
        Change::RemoveReservation { link: link() },
        Change::RemoveSetAside {
            address: address(10),
        },
        Change::RemoveLease { link: link() },
        Change::RemoveAttachment { link: link() },
    ];
    for _ in 0..2 {
        store.commit(&removals).unwrap();
        let mut left = some();
        left.allocations.remove(0);
        left.reservations.remove(0);
        left.set_asides.remove(0);
        left.leases.remove(0);
        left.attachments.remove(0);
        assert_eq!(store.load().unwrap(), left);
    }
}

fn of_two_changes_of_one_record_in_a_batch_the_later_counts<B: Backend>() {
    let mut store = B::new().open().unwrap();
    let put = |number| Change::PutAllocation(allocation("a", number));
    let remove = || Change::RemoveAllocation {
        identity: "a".into(),
    };
    store.commit(&[put(1), remove(), put(2)]).unwrap();
    assert_eq!(store.load().unwrap().allocations, [allocation("a", 2)]);
    store.commit(&[put(3), remove()]).unwrap();
    assert_eq!(store.load().unwrap(), Records::default());
}

fn an_empty_batch_changes_nothing<B: Backend>() {
    let mut store = B::new().open().unwrap();
    store.commit(&puts(some())).unwrap();
    store.commit(&[]).unwrap();
    assert_eq!(store.load().unwrap(), some());
}

fn a_batch_that_gives_a_held_address_away_is_refused_whole<B: Backend>() {
    let backend = B::new();
    let mut store = backend.open().unwrap();
    store.commit(&puts(some())).unwrap();
    let error = store
        .commit(&[
            Change::PutLease(lease("new", 50)),
            Change::RemoveAttachment {
                link: "virbr13".into(),
            },
            Change::PutAllocation(allocation("thief", 7)),
            Change::PutReservation(reservation("new", 51)),
        ])
        .unwrap_err();
    let StoreError::OwnedTwice {
        address: found,
        first,
        second,
        ..
    } = error
    else {
        panic!("{error}")
    };
    let mut owners = [first, second];
    owners.sort();
    assert_eq!(
        (found, owners),
        (address(7), ["thief".into(), "virbr13".into()])
    );
    assert_eq!(store.load().unwrap(), some());
    // And it goes on working.
    store
        .commit(&[Change::PutAllocation(allocation("thief", 99))])
        .unwrap();
    drop(store);
    assert_eq!(backend.open().unwrap().load().unwrap().allocations.len(), 3);
}

fn a_batch_that_gives_one_address_twice_is_refused_whole<B: Backend>() {
    let mut store = B::new().open().unwrap();
    let error = store
        .commit(&[
            Change::PutAllocation(allocation("a", 1)),
            Change::PutAllocation(allocation("b", 1)),
        ])
        .unwrap_err();
    assert!(matches!(error, StoreError::OwnedTwice { .. }), "{error}");
    assert_eq!(store.load().unwrap(), Records::default());
}

fn an_address_reserved_for_a_link_is_not_reserved_for_another<B: Backend>() {
    let mut store = B::new().open().unwrap();
    let reserve = |link, number| [Change::PutReservation(reservation(link, number))];
    store.commit(&reserve("virbr1", 1)).unwrap();
    let error = store.commit(&reserve("virbr2", 1)).unwrap_err();
    assert!(matches!(error, StoreError::OwnedTwice { .. }), "{error}");
    store.commit(&reserve("virbr1", 2)).unwrap();
    store.commit(&reserve("virbr2", 1)).unwrap();
}

fn two_identities_may_swap_their_addresses_in_one_batch<B: Backend>() {
    let mut store = B::new().open().unwrap();
    let give = |a, b| {
        [
            Change::PutAllocation(allocation("a", a)),
            Change::PutAllocation(allocation("b", b)),
        ]
    };
    store.commit(&give(1, 2)).unwrap();
    store.commit(&give(2, 1)).unwrap();
    let expected = [allocation("a", 2), allocation("b", 1)];
    assert_eq!(store.load().unwrap().allocations, expected);
}

fn an_address_given_up_in_a_batch_may_be_taken_in_it<B: Backend>() {
    let mut store = B::new().open().unwrap();
    let put = |identity| Change::PutAllocation(allocation(identity, 1));
    store.commit(&[put("a")]).unwrap();
    let remove = Change::RemoveAllocation {
        identity: "a".into(),
    };
    // Even before it is given up: what counts is what the batch leaves.
    store.commit(&[put("b"), remove]).unwrap();
    assert_eq!(store.load().unwrap().allocations, [allocation("b", 1)]);
}

fn ten_thousand_records_are_one_batch<B: Backend>() {
    let backend = B::new();
    let mut store = backend.open().unwrap();
    let records: Vec<Allocation> = (0..10_000)
        .map(|number| allocation(&format!("identity{number:05}"), number))
        .collect();
    let changes: Vec<Change> = records.iter().cloned().map(Change::PutAllocation).collect();
    store.commit(&changes).unwrap();
    drop(store);
    let mut store = backend.open().unwrap();
    assert!(store.load().unwrap().allocations == records);
    let removals: Vec<Change> = records
        .into_iter()
        .map(|record| {
            let identity = record.identity;
            Change::RemoveAllocation { identity }
        })
        .collect();
    store.commit(&removals).unwrap();
    assert_eq!(store.load().unwrap(), Records::default());
}

fn names_may_be_any_text<B: Backend>() {
    let backend = B::new();
    let mut store = backend.open().unwrap();
    let names = ["", " ", "a/b", "\"", "ä\u{1F4BB}", "v\u{0}"];
    let allocations = names.iter().zip(0..);
    let mut records = Records {
        allocations: allocations
            .map(|(name, number)| allocation(name, number))
            .collect(),
        ..Records::default()
    };
    store.commit(&puts(records.clone())).unwrap();
    drop(store);
    records
        .allocations
        .sort_by(|a, b| a.identity.cmp(&b.identity));
    assert_eq!(backend.open().unwrap().load().unwrap(), records);
}

/// One process writes. A backend may let others read; then they see whole batches.
fn a_second_handle_is_refused_or_reads_whole_batches<B: Backend>() {
    let backend = B::new();
    let mut first = backend.open().unwrap();
    first.commit(&puts(some())).unwrap();
    match backend.open() {
        Ok(second) => assert_eq!(second.load().unwrap(), some()),
        Err(error) => assert!(matches!(error, StoreError::InUse { .. }), "{error}"),
    }
    first
        .commit(&[Change::PutLease(lease("virbr14", 8))])
        .unwrap();
}

/// Batches of allocations of a few identities and addresses, so that many of them clash.
fn batches() -> impl Strategy<Value = Vec<Vec<(u32, Option<u32>)>>> {
    let change = (0..5u32, proptest::option::weighted(0.8, 0..5u32));
    let batch = proptest::collection::vec(change, 1..6);
    proptest::collection::vec(batch, 1..8)
}

fn any_batch_does_what_a_map_does_or_nothing<B: Backend>() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&batches(), |batches| {
        let mut store = B::new().open().unwrap();
        let mut model: BTreeMap<String, u32> = BTreeMap::new();
        for batch in batches {
            let mut after = model.clone();
            let mut changes = Vec::new();
            for (identity, number) in batch {
                let identity = format!("id{identity}");
                changes.push(match number {
                    Some(number) => {
                        after.insert(identity.clone(), number);
                        Change::PutAllocation(allocation(&identity, number))
                    }
                    None => {
                        after.remove(&identity);
                        Change::RemoveAllocation { identity }
                    }
                });
            }
            let mut numbers: Vec<u32> = after.values().copied().collect();
            numbers.sort_unstable();
            let clash = numbers.windows(2).any(|pair| pair[0] == pair[1]);
            let result = store.commit(&changes);
            prop_assert_eq!(result.is_err(), clash);
            if !clash {
                model = after;
            }
            let expected: Vec<Allocation> = model
                .iter()
                .map(|(identity, number)| allocation(identity, *number))
                .collect();
            prop_assert_eq!(store.load().unwrap().allocations, expected);
        }
        Ok(())
    });
    result.unwrap();
}

/// The whole suite as tests of one backend.
macro_rules! hold_to_the_suite {
    ($module:ident, $backend:ty: $($case:ident)+) => {
        mod $module {
            $(#[test]
            fn $case() {
                super::$case::<$backend>();
            })+
        }
    };
    ($module:ident, $backend:ty) => {
        hold_to_the_suite! { $module, $backend:
            an_empty_place_has_no_records
            what_was_committed_is_there_after_reopening
            a_commit_adds_to_those_of_before
            records_come_in_the_order_of_their_keys
            the_last_writer_of_a_record_wins
            a_removed_record_is_gone_and_may_be_removed_again
            of_two_changes_of_one_record_in_a_batch_the_later_counts
            an_empty_batch_changes_nothing
            a_batch_that_gives_a_held_address_away_is_refused_whole
            a_batch_that_gives_one_address_twice_is_refused_whole
            an_address_reserved_for_a_link_is_not_reserved_for_another
            two_identities_may_swap_their_addresses_in_one_batch
            an_address_given_up_in_a_batch_may_be_taken_in_it
            ten_thousand_records_are_one_batch
            names_may_be_any_text
            a_second_handle_is_refused_or_reads_whole_batches
            any_batch_does_what_a_map_does_or_nothing
        }
    };
}

struct RedbFile(tempfile::TempDir);

impl Backend for RedbFile {
    type Store = Embedded;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Result<Embedded, StoreError> {
        Embedded::open(&self.0.path().join("store.redb"))
    }
}

hold_to_the_suite!(embedded, super::RedbFile);
