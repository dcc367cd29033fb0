use crate::StoreError;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

/// What went wrong, before it is said of which file.
#[derive(Debug)]
pub(super) enum Fault {
    /// From redb: the disk, the file, or its lock.
    Redb(redb::Error),
    /// The file is no whole store.
    Damaged(String),
    Newer {
        found: u64,
        known: u64,
    },
    NewerRecord {
        record: String,
        found: u64,
        known: u64,
    },
    OwnedTwice {
        address: Ipv4Addr,
        first: String,
        second: String,
    },
}

impl Fault {
    pub(super) fn of(self, path: &Path) -> StoreError {
        let path = path.display().to_string();
        match self {
            Self::Redb(redb::Error::DatabaseAlreadyOpen) => StoreError::InUse { path },
            // redb says "invalid data" of a file that is not its own, and "end of file" of one that is too short.
            Self::Redb(redb::Error::Io(error))
                if !matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                let detail = error.to_string();
                StoreError::Unusable { path, detail }
            }
            Self::Redb(error @ redb::Error::PreviousIo) => {
                let detail = error.to_string();
                StoreError::Unusable { path, detail }
            }
            Self::Redb(error) => {
                let detail = error.to_string();
                StoreError::Damaged { path, detail }
            }
            Self::Damaged(detail) => StoreError::Damaged { path, detail },
            Self::Newer { found, known } => StoreError::Newer { path, found, known },
            Self::NewerRecord {
                record,
                found,
                known,
            } => StoreError::NewerRecord {
                path,
                record,
                found,
                known,
            },
            Self::OwnedTwice {
                address,
                first,
                second,
            } => StoreError::OwnedTwice {
                path,
                address,
                first,
                second,
            },
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),+) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Redb(error.into())
            }
        })+
    };
}

from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Redb(redb::Error::Io(error))
    }
}
