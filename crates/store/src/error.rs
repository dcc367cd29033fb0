use std::net::Ipv4Addr;

/// Why the store cannot be used, as a sentence with the next thing to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
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
    /// A record in the file was written by a newer slash32.
    #[error(
        "in the store {path} the {record} has version {found}, which is newer than the {known} that this slash32 knows: install the newer one again, or move the file away to start without it"
    )]
    NewerRecord {
        /// The file.
        path: String,
        /// Which one, such as `allocation virbr13`.
        record: String,
        /// The version of the record.
        found: u64,
        /// The newest version of its kind known here.
        known: u64,
    },
    /// The file is damaged or no store at all.
    #[error(
        "the store {path} is damaged ({detail}): move it away, start again, and slash32 store import your last export; VMs with a reservation in the config keep address and route, the others may get another address, and are off the network until they ask"
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
    /// A batch would leave an address with two owners; nothing of it was committed.
    #[error(
        "the store {path} refuses to give {address} to both {first} and {second}: this is a fault of slash32, please report it"
    )]
    OwnedTwice {
        /// The file.
        path: String,
        /// The address.
        address: Ipv4Addr,
        /// One owner: an identity, or a link when it is about reservations.
        first: String,
        /// The other.
        second: String,
    },
}
