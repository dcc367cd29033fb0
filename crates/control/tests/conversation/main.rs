//! The server and the client over a real unix socket, with an operator that the test moves by hand.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod fake;
mod limits;
mod methods;
mod operations;
mod watch;
mod wire;

use std::time::Duration;

/// Longer than anything here takes: a test that needs it has failed.
const MINUTE: Duration = Duration::from_secs(60);
