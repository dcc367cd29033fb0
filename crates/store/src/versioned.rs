//! One record as bytes: JSON with the version of its kind, `v`.

use crate::record::Record;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Versioned<'a, T> {
    v: u64,
    #[serde(flatten)]
    record: &'a T,
}

/// Why bytes are no record that can be read here.
#[derive(Debug, PartialEq)]
pub(crate) enum Unreadable {
    Newer { found: u64, known: u64 },
    Malformed(String),
}

/// Errors: none that a record of this crate can have.
pub(crate) fn encode<T: Record>(record: &T) -> Result<Vec<u8>, serde_json::Error> {
    let v = T::VERSION;
    serde_json::to_vec(&Versioned { v, record })
}

/// A record without a version is of version 1: format 1 had none.
pub(crate) fn decode<T: Record>(bytes: &[u8]) -> Result<T, Unreadable> {
    let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
    let mut value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    let version = match value.as_object_mut().and_then(|fields| fields.remove("v")) {
        None => 1,
        Some(v) => v
            .as_u64()
            .filter(|v| *v > 0)
            .ok_or_else(|| Unreadable::Malformed(format!("its version is {v}")))?,
    };
    let known = T::VERSION;
    if version > known {
        let found = version;
        return Err(Unreadable::Newer { found, known });
    }
    // Every version so far is read by one type: what a later one added may be missing.
    serde_json::from_value(value).map_err(malformed)
}
