//! The part of the agent that does nothing: what the host is, what it should be, and the steps in between. Pure, so that it can be
//! measured without a host; only this package uses it.
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(
    missing_docs,
    reason = "of the program that it is a part of, not for others"
)]

pub mod encoded;
pub mod link;
pub mod plan;
pub mod route;
