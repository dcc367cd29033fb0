//! Records to try things with.

use slash32_store::{Allocation, Attachment, Change, Embedded, Lease, Records};
use slash32_store::{Reservation, SetAside, Store};
use std::net::Ipv4Addr;
use std::path::Path;

pub(crate) fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(203, 0, 113, 0).to_bits() + number)
}

pub(crate) fn allocation(identity: &str, number: u32) -> Allocation {
    Allocation {
        network: "public".into(),
        identity: identity.into(),
        address: address(number),
        boot: None,
        since: Some(1_700_000_000),
    }
}

pub(crate) fn reservation(link: &str, number: u32) -> Reservation {
    Reservation {
        link: link.into(),
        address: address(number),
        made_at: 1_700_000_001,
    }
}

pub(crate) fn set_aside(number: u32) -> SetAside {
    SetAside {
        address: address(number),
        reason: "announced by another host".into(),
        since: 1_700_000_002,
    }
}

pub(crate) fn lease(link: &str, number: u32) -> Lease {
    Lease {
        link: link.into(),
        address: address(number),
        acked_at: 1_700_000_003,
        expires_at: Some(1_700_086_403),
        holder: None,
    }
}

pub(crate) fn attachment(link: &str, number: u32) -> Attachment {
    Attachment {
        link: link.into(),
        ifindex: 7,
        port: 8,
        carrier_ups: 1,
        generation: 3,
        address: address(number),
        boot: "b".into(),
    }
}

/// Some of every kind.
pub(crate) fn some() -> Records {
    Records {
        allocations: vec![
            Allocation {
                boot: Some("b".into()),
                since: None,
                ..allocation("virbr13", 7)
            },
            allocation("virbr14", 8),
        ],
        reservations: vec![reservation("virbr13", 7), reservation("virbr15", 9)],
        set_asides: vec![set_aside(10), set_aside(100)],
        leases: vec![
            lease("virbr13", 7),
            Lease {
                expires_at: None,
                holder: Some("vm:4dea22b3-1d52-d8f3-2516-782e98ab3fa0/52:54:00:12:34:56".into()),
                ..lease("virbr14", 7)
            },
        ],
        attachments: vec![attachment("virbr13", 7), attachment("virbr14", 8)],
    }
}

/// The changes that put all of `records` in.
pub(crate) fn puts(records: Records) -> Vec<Change> {
    let allocations = records.allocations.into_iter().map(Change::PutAllocation);
    let reservations = records.reservations.into_iter().map(Change::PutReservation);
    let set_asides = records.set_asides.into_iter().map(Change::PutSetAside);
    let leases = records.leases.into_iter().map(Change::PutLease);
    let attachments = records.attachments.into_iter().map(Change::PutAttachment);
    allocations
        .chain(reservations)
        .chain(set_asides)
        .chain(leases)
        .chain(attachments)
        .collect()
}

/// A closed store with [`some`] records.
pub(crate) fn make_store(path: &Path) {
    let mut store = Embedded::open(path).unwrap();
    store.commit(&puts(some())).unwrap();
}
