//! Who holds which address, kept through a crash.
//!
//! Three kinds of record, each small, each under a key of its own: an [`Allocation`] (an identity holds an address of a
//! pool), a [`Lease`] (an address was acknowledged to a VM until some time, so that its host route can be put back without
//! waiting for DHCP) and an [`Attachment`] (which VM's time on a link a running responder serves, so that an agent that
//! starts again knows whether it is still the same one).
//!
//! The agent commits the [`Change`]s of one reconcile pass in one transaction, before anybody is told of them; what
//! [`Store::commit`] has returned from survives a crash of the process and of the machine. [`Embedded`] is the backend of
//! one host (redb, two-phase commit); a cluster's backend would be another implementation of [`Store`].

mod embedded;
mod record;

pub use embedded::Embedded;
pub use record::{Allocation, Attachment, Change, Lease, Records};

/// A place where records are durable.
pub trait Store: Send {
    /// Everything that was committed.
    fn load(&self) -> Result<Records, StoreError>;

    /// Makes all changes durable in one transaction, or none of them.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}

/// Why the store cannot be used, as a sentence with the next thing to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is in use by another process.
    #[error(
        "the store {path} is in use by another slash32-agent: end that one, or give this one a state-dir of its own"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// The file was written by a newer slash32.
    #[error(
        "the store {path} has format {found}, which is newer than the {known} that this slash32 knows: install the newer one again, or move the file away to start without it"
    )]
    Newer {
        /// The file.
        path: String,
        /// The format of the file.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
    /// The file is damaged or no store at all.
    #[error(
        "the store {path} is damaged ({detail}): move it away and start again; VMs with a reservation keep their addresses, the others get theirs anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What was found.
        detail: String,
    },
    /// The file system does not do what is needed.
    #[error(
        "the store {path} cannot be used ({detail}): look at the state-dir's owner, space and mount options"
    )]
    Unusable {
        /// The file.
        path: String,
        /// What the file system says.
        detail: String,
    },
}
