//! What a guest gains that takes over its responder: nothing. The wall seen from outside ([`outside`]), each stage that can be
//! tried alone ([`landlock`], [`rebind`]) and that fails ([`start`]), every syscall tried from inside a real responder
//! ([`calls`], by [`tracer`]), the unit file held against the table ([`unit`]), and what a guest can make its agent do
//! ([`reports`]).
#![allow(missing_docs, clippy::unwrap_used)]

mod calls;
mod landlock;
mod outside;
mod rebind;
mod reports;
mod responder;
mod start;
mod tracer;
mod unit;

use std::time::Duration;

/// How long anything may take on a machine that is busy with other cases.
const BOUND: Duration = Duration::from_secs(15);
