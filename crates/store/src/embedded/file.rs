//! The file as a whole: made, looked at, opened.

use super::{CACHE, Fault, tables, write};
use crate::{Records, unique};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, StorageBackend};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes an empty store beside its place, and moves it there when it is whole. One that was made there meanwhile stays.
pub(super) fn make(path: &Path) -> Result<(), Fault> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let beside = path.with_file_name(name);
    // What a process with our number has left: it was never a store.
    let _ = fs::remove_file(&beside);
    let made = make_beside(&beside).and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    });
    let _ = fs::remove_file(&beside);
    made?;
    // The name is as durable as the content.
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    Ok(File::open(folder)?.sync_all()?)
}

fn make_beside(path: &Path) -> Result<(), Fault> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let database = Database::builder().set_cache_size(CACHE).create(path)?;
    write(&database, tables::prepare)
}

/// Opens the file for writing.
pub(super) fn open(path: &Path) -> Result<Database, Fault> {
    Ok(Database::builder().set_cache_size(CACHE).open(path)?)
}

/// The format and the records of the file, every checksum verified, in a copy: whatever is in the file, it stays as it is.
pub(super) fn examine(path: &Path) -> Result<(u64, Records), Fault> {
    let mut file = File::open(path)?;
    // redb's lock of a file that it writes: a copy made meanwhile would be torn.
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(redb::DatabaseError::DatabaseAlreadyOpen.into());
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    drop(file);
    if bytes.is_empty() {
        return Err(Fault::Damaged("it is empty".into()));
    }
    // From here on there is no disk that could fail: any fault of redb is one of the bytes.
    examine_bytes(bytes).map_err(|fault| match fault {
        Fault::Redb(error) => Fault::Damaged(error.to_string()),
        fault => fault,
    })
}

fn examine_bytes(bytes: Vec<u8>) -> Result<(u64, Records), Fault> {
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64)?;
    copy.write(0, &bytes)?;
    drop(bytes);
    let database = Database::builder()
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true)
        .create_with_backend(copy)?;
    let transaction = database.begin_read()?;
    let format = tables::format(&transaction)?;
    let records = tables::load(&transaction)?;
    unique::check(&records).map_err(|twice| Fault::Damaged(twice.to_string()))?;
    if format == tables::FORMAT {
        tables::check_owners(&transaction, &records)?;
    }
    Ok((format, records))
}
