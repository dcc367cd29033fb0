//! Goldens: requests of real clients, recorded behind our responder, each with its expected reply.
//!
//! `tests/golden/BINDING/CLIENT-VERSION/STORY.pcap` holds what a responder was given in one story (`first-boot`,
//! `reboot`, ...), each request followed by its reply where it has one, and opens in Wireshark. The times in it only
//! say the order. `tests/golden/BINDING.toml` is the config that was served: from its text the responder's binding is
//! built again.
//!
//! The replies are expected values. When the core changes on purpose, `cargo xtask golden --bless` shows what differs
//! and writes the new replies; the requests stay as they were recorded. `cargo xtask golden CLIENT` records again.
#![allow(missing_docs, clippy::unwrap_used)]

mod difference;
mod firmware;
mod golden;
mod record;
mod replay;
mod served;
