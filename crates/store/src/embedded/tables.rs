//! What is in the file: a table for each kind of record, and who owns which address.

use super::Fault;
use crate::record::Record;
use crate::versioned::{Unreadable, decode, encode};
use crate::{Allocation, Attachment, Change, Lease, Records, Reservation, SetAside};
use redb::WriteTransaction;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError};
use std::collections::BTreeMap;

/// Which tables there are. 1: allocations, leases and attachments, without versions. 2: all kinds, with versions and owners.
pub(super) const FORMAT: u64 = 2;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";

/// Keys are what a record is found by, values its JSON with its version.
const fn records_of<T: Record>() -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(T::TABLE)
}

/// By address, as a number: the key of the record that has it.
const fn owners(name: &'static str) -> TableDefinition<'static, u32, &'static str> {
    TableDefinition::new(name)
}

/// The format of a file; one that is newer is a fault.
pub(super) fn format(transaction: &ReadTransaction) -> Result<u64, Fault> {
    let table = match transaction.open_table(META) {
        Err(TableError::TableDoesNotExist(_)) => return Err(no_format()),
        table => table?,
    };
    let found = table.get(FORMAT_KEY)?.ok_or_else(no_format)?.value();
    match found {
        1..=FORMAT => Ok(found),
        0 => Err(no_format()),
        _ => Err(Fault::Newer {
            found,
            known: FORMAT,
        }),
    }
}

fn no_format() -> Fault {
    Fault::Damaged("it does not say its format".into())
}

/// Makes the tables of a new file.
pub(super) fn prepare(transaction: &WriteTransaction) -> Result<(), Fault> {
    transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
    prepare_kind::<Allocation>(transaction)?;
    prepare_kind::<Reservation>(transaction)?;
    prepare_kind::<SetAside>(transaction)?;
    prepare_kind::<Lease>(transaction)?;
    prepare_kind::<Attachment>(transaction)
}

fn prepare_kind<T: Record>(transaction: &WriteTransaction) -> Result<(), Fault> {
    transaction.open_table(records_of::<T>())?;
    if let Some(name) = T::OWNERS {
        transaction.open_table(owners(name))?;
    }
    Ok(())
}

/// Brings an older format to the present one: every record is written again, in the present version of its kind.
pub(super) fn migrate(transaction: &WriteTransaction) -> Result<(), Fault> {
    prepare(transaction)?;
    migrate_kind::<Allocation>(transaction)?;
    migrate_kind::<Lease>(transaction)?;
    migrate_kind::<Attachment>(transaction)
}

fn migrate_kind<T: Record>(transaction: &WriteTransaction) -> Result<(), Fault> {
    let records: Vec<T> = rows(&transaction.open_table(records_of::<T>())?)?;
    let puts = records.iter().map(|record| (record.key(), Some(record)));
    apply_kind(transaction, &puts.collect())
}

/// All records. A table that an older format does not have is empty.
pub(super) fn load(transaction: &ReadTransaction) -> Result<Records, Fault> {
    let mut records = Records {
        allocations: load_kind(transaction)?,
        reservations: load_kind(transaction)?,
        set_asides: load_kind(transaction)?,
        leases: load_kind(transaction)?,
        attachments: load_kind(transaction)?,
    };
    records.sort();
    Ok(records)
}

fn load_kind<T: Record>(transaction: &ReadTransaction) -> Result<Vec<T>, Fault> {
    match transaction.open_table(records_of::<T>()) {
        Err(TableError::TableDoesNotExist(_)) if format(transaction)? < FORMAT => Ok(Vec::new()),
        table => rows(&table?),
    }
}

fn rows<T: Record>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Vec<T>, Fault> {
    let mut records = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        records.push(readable(key.value(), value.value())?);
    }
    Ok(records)
}

fn readable<T: Record>(key: &str, bytes: &[u8]) -> Result<T, Fault> {
    let name = || format!("{} {key}", T::KIND);
    let record: T = decode(bytes).map_err(|unreadable| match unreadable {
        Unreadable::Newer { found, known } => Fault::NewerRecord {
            record: name(),
            found,
            known,
        },
        Unreadable::Malformed(detail) => {
            Fault::Damaged(format!("the {} is not readable: {detail}", name()))
        }
    })?;
    if record.key() != key {
        let other = record.key();
        return Err(Fault::Damaged(format!("the {} is that of {other}", name())));
    }
    Ok(record)
}

/// The tables of owners say what the records say.
pub(super) fn check_owners(transaction: &ReadTransaction, records: &Records) -> Result<(), Fault> {
    check_owners_of(transaction, &records.allocations)?;
    check_owners_of(transaction, &records.reservations)
}

fn check_owners_of<T: Record>(transaction: &ReadTransaction, records: &[T]) -> Result<(), Fault> {
    let Some(name) = T::OWNERS else {
        return Ok(());
    };
    let table = transaction.open_table(owners(name))?;
    let mut differ = table.len()? != records.len() as u64;
    for record in records {
        let owner = table.get(record.address().to_bits())?;
        differ |= owner.is_none_or(|owner| owner.value() != record.key());
    }
    if differ {
        let detail = format!("the table of {name} is not that of the {}", T::TABLE);
        return Err(Fault::Damaged(detail));
    }
    Ok(())
}

/// What a batch leaves of each record that it touches: the last change of it, `None` for a removal.
type Last<'a, T> = BTreeMap<String, Option<&'a T>>;

/// Makes all changes in a transaction. Errors: [`Fault::OwnedTwice`], and redb's; the transaction is then to be dropped.
pub(super) fn apply(transaction: &WriteTransaction, changes: &[Change]) -> Result<(), Fault> {
    let mut allocations: Last<Allocation> = Last::new();
    let mut reservations: Last<Reservation> = Last::new();
    let mut set_asides: Last<SetAside> = Last::new();
    let mut leases: Last<Lease> = Last::new();
    let mut attachments: Last<Attachment> = Last::new();
    for change in changes {
        match change {
            Change::PutAllocation(record) => put(&mut allocations, record),
            Change::RemoveAllocation { identity } => remove(&mut allocations, identity),
            Change::PutReservation(record) => put(&mut reservations, record),
            Change::RemoveReservation { link } => remove(&mut reservations, link),
            Change::PutSetAside(record) => put(&mut set_asides, record),
            Change::RemoveSetAside { address } => remove(&mut set_asides, &address.to_string()),
            Change::PutLease(record) => put(&mut leases, record),
            Change::RemoveLease { link } => remove(&mut leases, link),
            Change::PutAttachment(record) => put(&mut attachments, record),
            Change::RemoveAttachment { link } => remove(&mut attachments, link),
        }
    }
    apply_kind(transaction, &allocations)?;
    apply_kind(transaction, &reservations)?;
    apply_kind(transaction, &set_asides)?;
    apply_kind(transaction, &leases)?;
    apply_kind(transaction, &attachments)
}

fn put<'a, T: Record>(last: &mut Last<'a, T>, record: &'a T) {
    last.insert(record.key(), Some(record));
}

fn remove<T>(last: &mut Last<T>, key: &str) {
    last.insert(key.to_owned(), None);
}

fn apply_kind<T: Record>(transaction: &WriteTransaction, last: &Last<T>) -> Result<(), Fault> {
    if last.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(records_of::<T>())?;
    let mut given_up = Vec::new();
    for (key, record) in last {
        let before = match record {
            Some(record) => table.insert(&**key, &*bytes(*record)?)?,
            None => table.remove(&**key)?,
        };
        if T::OWNERS.is_some()
            && let Some(before) = before
        {
            given_up.push(readable::<T>(key, before.value())?.address());
        }
    }
    let Some(name) = T::OWNERS else {
        return Ok(());
    };
    // First every address that is given up, then every one that is taken: what counts is what the batch leaves.
    let mut owners = transaction.open_table(owners(name))?;
    for address in given_up {
        owners.remove(address.to_bits())?;
    }
    for (key, record) in last {
        let Some(record) = record else { continue };
        let address = record.address();
        if let Some(other) = owners.insert(address.to_bits(), &**key)? {
            return Err(Fault::OwnedTwice {
                address,
                first: other.value().to_owned(),
                second: key.clone(),
            });
        }
    }
    Ok(())
}

fn bytes(record: &impl Record) -> Result<Vec<u8>, Fault> {
    encode(record).map_err(|error| Fault::Damaged(error.to_string()))
}
