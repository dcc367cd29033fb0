//! Who holds which address, kept through a crash.
//!
//! Five kinds of record, each small, each under a key of its own:
//!
//! | record | says | key |
//! |---|---|---|
//! | [`Allocation`] | an identity holds an address of a pool | identity |
//! | [`Reservation`] | an operator fixed a link's address with `slash32 bind` | link |
//! | [`SetAside`] | an address is in use elsewhere and is given to nobody here | address |
//! | [`Lease`] | an address was acknowledged to a VM until some time: its host route can come back without DHCP | link |
//! | [`Attachment`] | which VM's time on a link a running responder serves: an agent that starts again knows it | link |
//!
//! The agent commits the [`Change`]s of one reconcile pass in one transaction, before anybody is told of them. [`Embedded`]
//! is the backend of one host (redb, two-phase commit); a cluster's backend would be another implementation of [`Store`],
//! held to the same conformance suite (`tests/store/conformance.rs`). [`Unavailable`] stands in for a store that cannot be opened.
//! [`export`] and [`import`] turn a whole store into one JSON document and back.
//!
//! # Invariants
//!
//! - What [`Store::commit`] has returned from survives a crash of the process and of the machine. A batch is there whole or
//!   not at all; a commit that failed may be repeated as it is.
//! - No address is held by two identities, nor reserved for two links: a batch that would leave it so is refused whole. Only
//!   what a batch leaves counts, so two identities may swap their addresses in one.
//! - A file that is damaged, or has a record that a newer slash32 wrote, is not opened and not changed by one byte: every
//!   file is first read whole, into memory, with all its checksums, and only then opened for writing.
//! - A file is made beside its place and moved there when it is whole, so an empty or half-made file is a damaged one.
//!
//! # Versions
//!
//! A file has a format (which tables there are, and what they are keyed by); each record in it carries the version of its
//! kind as `v`. An older format is brought to the present one when the file is opened, in one transaction. A newer format,
//! or one record of a newer version, is refused with a sentence: reading around it could give an address away twice.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod embedded;
mod error;
mod export;
mod record;
mod seconds;
mod unavailable;
mod unique;
mod versioned;

pub use embedded::Embedded;
pub use error::StoreError;
pub use export::{ImportError, export, import, parse_export};
pub use record::{Allocation, Attachment, Change, Lease, Records, Reservation, SetAside};
pub use unavailable::{Opened, Unavailable};
pub use unique::Twice;

/// A place where records are durable.
pub trait Store: Send {
    /// Everything that was committed, as of one point in time: of a batch all or nothing. Each kind is in the order of its key.
    fn load(&self) -> Result<Records, StoreError>;

    /// Makes all changes durable in one transaction, or none of them. Of two changes of one record the later one counts.
    ///
    /// After an error the records are as before, or (when it was the last step that failed) as after; never in between. The
    /// same changes can be committed again. [`StoreError::OwnedTwice`] is no fault of the store: the batch is wrong.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}
