//! How a hook call waits for the agent: one file a call in `RUNTIME/hooks`, which a rename puts there whole.

use crate::{Call, Fault};

/// The name of the file of a call made at `boottime` (nanoseconds since boot) by process `pid`. Names sort as the calls were
/// made.
pub fn name(boottime: u64, pid: u32) -> String {
    format!("{boottime:020}-{pid}.hook")
}

/// What the file holds.
pub fn encode(_call: &Call) -> Vec<u8> {
    Vec::new()
}

/// What a file held. Errors: it is no such file, or of another version.
pub fn decode(_bytes: &[u8]) -> Result<Call, Fault> {
    Err(Fault("not a hook call".into()))
}
