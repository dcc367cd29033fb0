use crate::record::{Record, Records};
use std::collections::HashMap;
use std::fmt;

/// Two records of a kind that cannot both be: one key, or one address where an address has one owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Twice {
    /// Where the first is: `allocations[3]`.
    pub first: String,
    /// Where the second is.
    pub second: String,
    /// What both have, as a phrase: `the address 203.0.113.7 (for virbr13 and virbr14)`.
    pub what: String,
}

impl fmt::Display for Twice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first,
            second,
            what,
        } = self;
        write!(f, "{first} and {second} both have {what}")
    }
}

/// Errors: the first two records that cannot both be.
pub(crate) fn check(records: &Records) -> Result<(), Twice> {
    check_kind(&records.allocations)?;
    check_kind(&records.reservations)?;
    check_kind(&records.set_asides)?;
    check_kind(&records.leases)?;
    check_kind(&records.attachments)
}

fn check_kind<T: Record>(records: &[T]) -> Result<(), Twice> {
    let place = |index: usize| format!("{}[{index}]", T::TABLE);
    let mut keys = HashMap::with_capacity(records.len());
    let mut owners = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        if let Some(first) = keys.insert(record.key(), index) {
            return Err(Twice {
                first: place(first),
                second: place(index),
                what: format!("the key {}", record.key()),
            });
        }
        if T::OWNERS.is_some()
            && let Some(first) = owners.insert(record.address(), index)
        {
            let (one, other) = (records[first].key(), record.key());
            return Err(Twice {
                first: place(first),
                second: place(index),
                what: format!("the address {} (for {one} and {other})", record.address()),
            });
        }
    }
    Ok(())
}
