//! A store as a document and back.

use crate::sample::{address, allocation, make_store, puts, some};
use proptest::prelude::*;
use slash32_store::{
    Allocation, Embedded, ImportError, Lease, Records, Reservation, SetAside, Store, export,
    import, parse_export,
};

#[test]
fn an_export_reads_like_this() {
    let records = Records {
        allocations: vec![allocation("virbr13", 7)],
        ..some()
    };
    assert_eq!(export(&records), include_str!("export.json"));
}

#[test]
fn the_same_records_give_the_same_text_in_any_order() {
    let mut records = some();
    records.allocations.reverse();
    records.reservations.reverse();
    records.set_asides.reverse();
    records.leases.reverse();
    records.attachments.reverse();
    assert_eq!(export(&records), export(&some()));
}

#[test]
fn an_export_of_before_leases_had_holders_is_read() {
    let held = |lease: Lease| Lease {
        holder: None,
        ..lease
    };
    let records = Records {
        leases: some().leases.into_iter().map(held).collect(),
        ..some()
    };
    let text = export(&records)
        .replace("\"slash32-store\": 2", "\"slash32-store\": 1")
        .replace(",\n      \"holder\": null", "");
    assert!(!text.contains("holder"), "{text}");
    assert_eq!(parse_export(&text), Ok(records));
}

#[test]
fn an_import_takes_the_place_of_all_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut store = Embedded::open(&path).unwrap();
    // An address of the import is held by another one, and a set-aside is not in it.
    let other = Records {
        allocations: vec![allocation("other", 7)],
        set_asides: vec![crate::sample::set_aside(50)],
        ..Records::default()
    };
    store.commit(&puts(other)).unwrap();
    assert_eq!(import(&mut store, &export(&some())), Ok(some().len()));
    drop(store);
    assert_eq!(Embedded::read(&path).unwrap(), some());
}

#[test]
fn an_import_that_cannot_be_stored_says_why() {
    let reason = slash32_store::StoreError::Unusable {
        path: "p".into(),
        detail: "d".into(),
    };
    let mut store = slash32_store::Unavailable::new(reason.clone(), None);
    let error = import(&mut store, &export(&some())).unwrap_err();
    assert_eq!(error, ImportError::Store(reason));
}

/// A document with these lists, the others empty.
fn document(lists: &str) -> String {
    let mut text = r#"{"slash32-store": 1"#.to_owned();
    for name in [
        "allocations",
        "reservations",
        "set_asides",
        "leases",
        "attachments",
    ] {
        if !lists.contains(&format!("\"{name}\"")) {
            text.push_str(&format!(", \"{name}\": []"));
        }
    }
    format!("{text},\n{lists}}}")
}

#[test]
fn a_wrong_document_is_refused_with_one_sentence_that_says_where() {
    let held = |identity, last| {
        format!(
            r#"{{"network": "n", "identity": "{identity}", "address": "203.0.113.{last}", "boot": null, "since": null}}"#
        )
    };
    let list = |name, items: &[String]| document(&format!("\"{name}\": [{}]", items.join(",\n")));
    let cases = [
        ("", "the export cannot be read: EOF while parsing a value at line 1 column 0".to_owned()),
        ("{\"slash32-store\": 1,\n\"allocations\": [}", "the export cannot be read: expected value at line 2 column 17".into()),
        ("[]", "this is no export of slash32: it has no number \"slash32-store\" at its top".into()),
        ("{}", "this is no export of slash32: it has no number \"slash32-store\" at its top".into()),
        ("{\"slash32-store\": \"1\"}", "this is no export of slash32: it has no number \"slash32-store\" at its top".into()),
        ("{\"slash32-store\": 3, \"other\": 1}", "the export has version 3, and this slash32 knows 2: import it with the slash32 that made it".into()),
        ("{\"slash32-store\": 1}", "the export cannot be read: missing field `allocations` at line 1 column 20".into()),
    ].map(|(text, said)| (text.to_owned(), said)).into_iter().chain([
        (document("\"more\": []"), "the export cannot be read: unknown field `more`, expected one of `slash32-store`, `allocations`, `reservations`, `set_asides`, `leases`, `attachments` at line 2 column 6".into()),
        (document("\"allocations\": []") + "x", "the export cannot be read: trailing characters at line 2 column 19".into()),
        (list("allocations", &[held("a", "1"), held("b", "256")]), "the export cannot be read: invalid IPv4 address syntax at line 3 column 60".into()),
        (list("allocations", &[held("a", "1"), held("b", "2"), held("c", "1")]), "the export contradicts itself: allocations[0] and allocations[2] both have the address 203.0.113.1 (for a and c); take one of them out".into()),
        (list("allocations", &[held("a", "1"), held("a", "2")]), "the export contradicts itself: allocations[0] and allocations[1] both have the key a; take one of them out".into()),
        (document(r#""reservations": [
            {"link": "a", "address": "203.0.113.1", "made_at": 1},
            {"link": "b", "address": "203.0.113.1", "made_at": 1}]"#), "the export contradicts itself: reservations[0] and reservations[1] both have the address 203.0.113.1 (for a and b); take one of them out".into()),
        (document(r#""set_asides": [
            {"address": "203.0.113.1", "reason": "a", "since": 1},
            {"address": "203.0.113.1", "reason": "b", "since": 1}]"#), "the export contradicts itself: set_asides[0] and set_asides[1] both have the key 203.0.113.1; take one of them out".into()),
        (document(r#""set_asides": [
            {"address": "203.0.113.1", "reason": "a", "since": "yesterday"}]"#), "the export cannot be read: \"yesterday\" is not a time such as \"2026-01-31T12:00:00Z\", in whole seconds at line 3 column 75".into()),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    make_store(&path);
    let mut store = Embedded::open(&path).unwrap();
    for (text, said) in cases {
        let error = import(&mut store, &text).unwrap_err();
        assert_eq!(error.to_string(), said, "of {text}");
    }
    assert_eq!(store.load().unwrap(), some());
}

fn records() -> impl Strategy<Value = Records> {
    let allocation = (
        "\\PC{0,8}",
        any::<u16>(),
        any::<Option<String>>(),
        any::<Option<i64>>(),
    );
    let allocations = proptest::collection::vec(allocation, 0..4);
    let times = proptest::collection::vec((any::<i64>(), any::<Option<i64>>()), 0..4);
    (allocations, times).prop_map(|(allocations, times)| {
        let allocation = |(number, (network, low, boot, since))| Allocation {
            network,
            identity: format!("id{number}"),
            address: address((u32::from(low) << 3) + number),
            boot,
            since,
        };
        let times = || times.iter().zip(0..);
        let name = |number: u32| format!("virbr{number}");
        Records {
            allocations: (0..).zip(allocations).map(allocation).collect(),
            reservations: times()
                .map(|((time, _), number)| Reservation {
                    link: name(number),
                    address: address(number),
                    made_at: *time,
                })
                .collect(),
            set_asides: times()
                .map(|((time, _), number)| SetAside {
                    address: address(number),
                    reason: String::new(),
                    since: *time,
                })
                .collect(),
            leases: times()
                .map(|((acked_at, expires_at), number)| Lease {
                    link: name(number),
                    address: address(0),
                    acked_at: *acked_at,
                    expires_at: *expires_at,
                    holder: expires_at.map(|end| format!("vm:{end}")),
                })
                .collect(),
            ..Records::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_records_come_back_from_their_export(records in records()) {
        prop_assert_eq!(parse_export(&export(&records)), Ok(records));
    }

    #[test]
    fn no_text_makes_an_import_panic(text in "[\\[\\]{}\":,0-9a-z\\- ]{0,40}") {
        let _ = parse_export(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_records_come_back_from_the_store(records in records()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let mut store = Embedded::open(&path).unwrap();
        store.commit(&puts(records.clone())).unwrap();
        drop(store);
        prop_assert_eq!(Embedded::read(&path), Ok(records));
    }
}
