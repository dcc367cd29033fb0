//! The vocabulary of slash32: the words that every other room uses, and nothing that acts.
//!
//! `no_std`, without dependencies and without allocation, so that a responder of a few KiB and an agent full of tokio
//! mean the same thing by the same value. Everything here is plain data of a bounded size; the only invariants are that a
//! [`Prefix`] has no host bits set and that a [`List`] never holds more than its capacity.
#![no_std]

mod binding;
mod list;
mod mac;
mod outcome;
mod overlay;
mod prefix;
mod setting;
mod time;

pub use binding::{Binding, Routers};
pub use core::net::Ipv4Addr;
pub use list::{Bytes, Full, List, Text};
pub use mac::{MacAddr, ParseMacError};
pub use outcome::{Outcome, Reason, Verdict};
pub use overlay::{Claim, MOST_OVERLAY_BYTES, Overlay, Overlays};
pub use prefix::{ParsePrefixError, Prefix, Route};
pub use setting::Setting;
pub use time::{Generation, Instant};
