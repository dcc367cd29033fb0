//! The store of one host: one redb file.

mod fault;
mod file;
mod tables;

use crate::{Change, Opened, Records, Store, StoreError, Unavailable};
use fault::Fault;
use redb::{Database, Durability, ReadableDatabase, WriteTransaction};
use std::path::{Path, PathBuf};

/// Everything that is kept fits in this much; redb's own default is a gigabyte.
const CACHE: usize = 1 << 20;

/// Records in a redb file. Every commit is in two phases, so that a torn write is never taken for a whole one.
pub struct Embedded {
    /// `None` after a failed write that could not be recovered from yet: the next commit tries again.
    database: Option<Database>,
    path: PathBuf,
}

impl Embedded {
    /// Opens the file at `path`, or makes it where there is none; brings an older format to the present one. A file that
    /// cannot be used is left as it is. Errors: all of [`StoreError`] but [`StoreError::OwnedTwice`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Self::open_or_make(path).map_err(|fault| fault.of(path))?;
        Ok(Self {
            database: Some(database),
            path: path.to_owned(),
        })
    }

    /// As [`Embedded::open`], for an agent that is to keep its bound VMs served in any case. Where only writing is impossible
    /// (a read-only file system), what is there is loaded all the same.
    ///
    /// Errors: [`StoreError::InUse`] only, because two agents on one state must not be.
    pub fn open_or_explain(path: &Path) -> Result<Opened, StoreError> {
        match Self::open(path) {
            Ok(store) => Ok(Opened::Usable(store)),
            Err(reason @ StoreError::InUse { .. }) => Err(reason),
            Err(reason) => {
                let records = Self::read(path).ok();
                Ok(Opened::Degraded(Unavailable::new(reason, records)))
            }
        }
    }

    /// The records of the file at `path`, without changing anything about it. Errors: as for [`Embedded::open`].
    pub fn read(path: &Path) -> Result<Records, StoreError> {
        match file::examine(path) {
            Ok((_, records)) => Ok(records),
            Err(fault) => Err(fault.of(path)),
        }
    }

    fn open_or_make(path: &Path) -> Result<Database, Fault> {
        if !path.try_exists()? {
            file::make(path)?;
        }
        let (format, _) = file::examine(path)?;
        let database = file::open(path)?;
        if format < tables::FORMAT {
            write(&database, tables::migrate)?;
        }
        Ok(database)
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), Fault> {
        let database = match self.database.take() {
            Some(database) => database,
            None => file::open(&self.path)?,
        };
        let result = write(&database, |transaction| tables::apply(transaction, changes));
        self.database = match &result {
            // redb does nothing more after a failed write: only opening the file again finds what is whole in it.
            Err(Fault::Redb(_)) => {
                drop(database);
                file::open(&self.path).ok()
            }
            _ => Some(database),
        };
        result
    }
}

impl Store for Embedded {
    fn load(&self) -> Result<Records, StoreError> {
        match &self.database {
            Some(database) => read(database).map_err(|fault| fault.of(&self.path)),
            None => Self::read(&self.path),
        }
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write(changes).map_err(|fault| fault.of(&self.path))
    }
}

fn read(database: &Database) -> Result<Records, Fault> {
    tables::load(&database.begin_read()?)
}

/// Does `work` in one durable transaction, or not at all.
fn write(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    work(&transaction)?;
    Ok(transaction.commit()?)
}
