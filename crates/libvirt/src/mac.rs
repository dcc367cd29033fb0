//! A MAC address in its usual text form, for serde.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use slash32_binding::MacAddr;

pub(crate) fn serialize<S: Serializer>(mac: &MacAddr, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(mac)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MacAddr, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}
