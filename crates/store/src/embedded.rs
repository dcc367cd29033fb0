//! The store of one host: one redb file.

use crate::{Change, Records, Store, StoreError};
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition,
};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;

/// The format of the records below; a file with another one is not touched.
const FORMAT: u64 = 1;
/// Everything that is kept fits in this much; redb's own default is a gigabyte.
const CACHE: usize = 1 << 20;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
// Keys are what the record is found by, values are JSON: a record can grow a field without a new format.
const ALLOCATIONS: TableDefinition<&str, &[u8]> = TableDefinition::new("allocations");
const LEASES: TableDefinition<&str, &[u8]> = TableDefinition::new("leases");
const ATTACHMENTS: TableDefinition<&str, &[u8]> = TableDefinition::new("attachments");

/// Records in a redb file. Every commit is in two phases, so that a torn write is never taken for a whole one.
pub struct Embedded {
    database: Database,
    path: String,
}

impl Embedded {
    /// Opens the file at `path`, or makes it. Errors: see [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create(path)
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: name.clone() },
                DatabaseError::Storage(StorageError::Io(error))
                    if error.kind() != std::io::ErrorKind::InvalidData =>
                {
                    StoreError::Unusable {
                        path: name.clone(),
                        detail: error.to_string(),
                    }
                }
                error => StoreError::Damaged {
                    path: name.clone(),
                    detail: error.to_string(),
                },
            })?;
        let store = Self {
            database,
            path: name,
        };
        store.prepare()?;
        Ok(store)
    }

    /// Makes the tables of a new file; checks the format of an old one.
    fn prepare(&self) -> Result<(), StoreError> {
        let found = self.attempt(|| {
            let read = self.database.begin_read()?;
            match read.open_table(META) {
                Ok(meta) => Ok(meta.get("format")?.map(|format| format.value())),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        match found {
            Some(FORMAT) => Ok(()),
            Some(found) => Err(StoreError::Newer {
                path: self.path.clone(),
                found,
                known: FORMAT,
            }),
            None => self.attempt(|| {
                let write = self.begin()?;
                write.open_table(META)?.insert("format", FORMAT)?;
                write.open_table(ALLOCATIONS)?;
                write.open_table(LEASES)?;
                write.open_table(ATTACHMENTS)?;
                Ok(write.commit()?)
            }),
        }
    }

    fn begin(&self) -> Result<redb::WriteTransaction, redb::Error> {
        let mut write = self.database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        write.set_two_phase_commit(true);
        Ok(write)
    }

    fn attempt<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
        work().map_err(|error| match error {
            redb::Error::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
                StoreError::Unusable {
                    path: self.path.clone(),
                    detail: error.to_string(),
                }
            }
            error => StoreError::Damaged {
                path: self.path.clone(),
                detail: error.to_string(),
            },
        })
    }
}

impl Store for Embedded {
    fn load(&self) -> Result<Records, StoreError> {
        self.attempt(|| {
            let read = self.database.begin_read()?;
            let mut records = Records::default();
            for row in read.open_table(ALLOCATIONS)?.iter()? {
                records.allocations.push(decode(row?.1.value())?);
            }
            for row in read.open_table(LEASES)?.iter()? {
                records.leases.push(decode(row?.1.value())?);
            }
            for row in read.open_table(ATTACHMENTS)?.iter()? {
                records.attachments.push(decode(row?.1.value())?);
            }
            Ok(records)
        })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.attempt(|| {
            let write = self.begin()?;
            {
                let mut allocations = write.open_table(ALLOCATIONS)?;
                let mut leases = write.open_table(LEASES)?;
                let mut attachments = write.open_table(ATTACHMENTS)?;
                for change in changes {
                    match change {
                        Change::PutAllocation(a) => {
                            allocations.insert(&*a.identity, &*encode(a)?)?;
                        }
                        Change::RemoveAllocation { identity } => {
                            allocations.remove(&**identity)?;
                        }
                        Change::PutLease(lease) => {
                            leases.insert(&*lease.link, &*encode(lease)?)?;
                        }
                        Change::RemoveLease { link } => {
                            leases.remove(&**link)?;
                        }
                        Change::PutAttachment(attachment) => {
                            attachments.insert(&*attachment.link, &*encode(attachment)?)?;
                        }
                        Change::RemoveAttachment { link } => {
                            attachments.remove(&**link)?;
                        }
                    }
                }
            }
            Ok(write.commit()?)
        })
    }
}

fn encode(record: &impl Serialize) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(record).map_err(|error| redb::Error::Corrupted(error.to_string()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| redb::Error::Corrupted(format!("a record is not readable: {error}")))
}
