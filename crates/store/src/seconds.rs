//! Seconds since 1970 as people read them: `"2026-01-31T12:00:00Z"` (RFC 3339). A number is read too: format 1 wrote those.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// What a time is written as. A number that is no time of jiff's (beyond the year 9999) stays one.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(i64),
    Text(String),
}

impl Written {
    fn of(seconds: i64) -> Self {
        match Timestamp::from_second(seconds) {
            Ok(time) => Self::Text(time.to_string()),
            Err(_) => Self::Number(seconds),
        }
    }

    fn seconds<E: Error>(self) -> Result<i64, E> {
        match self {
            Self::Number(seconds) => Ok(seconds),
            Self::Text(text) => match text.parse::<Timestamp>() {
                Ok(time) if time.subsec_nanosecond() == 0 => Ok(time.as_second()),
                _ => Err(E::custom(format_args!(
                    "{text:?} is not a time such as \"2026-01-31T12:00:00Z\", in whole seconds"
                ))),
            },
        }
    }
}

pub(crate) fn serialize<S: Serializer>(seconds: &i64, to: S) -> Result<S::Ok, S::Error> {
    Written::of(*seconds).serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    Written::deserialize(from)?.seconds()
}

/// The same for a time that may be missing.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        seconds: &Option<i64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        seconds.map(Written::of).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        Option::<Written>::deserialize(from)?
            .map(Written::seconds)
            .transpose()
    }
}
