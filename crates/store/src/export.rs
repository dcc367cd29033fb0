//! A whole store as one JSON document, for people and for moving house.

use crate::{
    Allocation, Attachment, Lease, Records, Reservation, SetAside, Store, StoreError, Twice, unique,
};
use serde::{Deserialize, Serialize};

/// The version of the document; it changes with the version of any record.
const VERSION: u64 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "slash32-store")]
    version: u64,
    allocations: Vec<Allocation>,
    reservations: Vec<Reservation>,
    set_asides: Vec<SetAside>,
    leases: Vec<Lease>,
    attachments: Vec<Attachment>,
}

/// As much of a document as tells whether the rest can be read.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "slash32-store")]
    version: Option<u64>,
}

/// Why a document is not imported; the store is as it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON, or a field is missing, unknown or wrong; the text says where.
    #[error("the export cannot be read: {0}")]
    Malformed(String),
    /// JSON, but not of `slash32 store export`.
    #[error("this is no export of slash32: it has no number \"slash32-store\" at its top")]
    NotAnExport,
    /// Of a newer slash32.
    #[error(
        "the export has version {found}, and this slash32 knows {known}: import it with the slash32 that made it"
    )]
    OtherVersion {
        /// Of the document.
        found: u64,
        /// The one known here.
        known: u64,
    },
    /// Two records contradict each other.
    #[error("the export contradicts itself: {0}; take one of them out")]
    Twice(Twice),
    /// The document is good and the store is not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The document of `slash32 store export`: each kind in the order of its key, so that the same records give the same text.
pub fn export(records: &Records) -> String {
    let mut records = records.clone();
    records.sort();
    let document = Document {
        version: VERSION,
        allocations: records.allocations,
        reservations: records.reservations,
        set_asides: records.set_asides,
        leases: records.leases,
        attachments: records.attachments,
    };
    let text = serde_json::to_string_pretty(&document);
    text.expect("lists of structs of texts, numbers and addresses are always JSON") + "\n"
}

/// Reads and checks a document of [`export`]. Errors: all of [`ImportError`] but the store's.
pub fn parse_export(text: &str) -> Result<Records, ImportError> {
    let malformed = |error: serde_json::Error| ImportError::Malformed(error.to_string());
    let head: Head = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ImportError::NotAnExport,
        _ => malformed(error),
    })?;
    match head.version {
        None => return Err(ImportError::NotAnExport),
        // What later versions added may be missing.
        Some(1..=VERSION) => {}
        Some(found) => {
            let known = VERSION;
            return Err(ImportError::OtherVersion { found, known });
        }
    }
    let document: Document = serde_json::from_str(text).map_err(malformed)?;
    let mut records = Records {
        allocations: document.allocations,
        reservations: document.reservations,
        set_asides: document.set_asides,
        leases: document.leases,
        attachments: document.attachments,
    };
    unique::check(&records).map_err(ImportError::Twice)?;
    records.sort();
    Ok(records)
}

/// Makes the records of a document those of the store, in place of all that were there, in one transaction. Returns how many
/// there are now.
pub fn import(store: &mut dyn Store, text: &str) -> Result<usize, ImportError> {
    let records = parse_export(text)?;
    let count = records.len();
    let mut changes = store.load()?.into_removals();
    changes.extend(records.into_puts());
    store.commit(&changes)?;
    Ok(count)
}
