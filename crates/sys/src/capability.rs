//! Capabilities of the calling thread (capabilities(7)), and of every thread and process that it starts afterwards.

use crate::{Errno, Result};
use rustix::thread::{CapabilitySets, capabilities, set_capabilities};

pub use rustix::thread::CapabilitySet;

/// Gives up every capability but `keep`, in every set; what it executes can gain none back (`PR_SET_NO_NEW_PRIVS`).
///
/// The bounding set stays as it is where CAP_SETPCAP is missing: it cannot be made smaller then.
///
/// Returns those of `keep` that the thread does not have.
pub fn keep(keep: CapabilitySet) -> Result<CapabilitySet> {
    rustix::thread::set_no_new_privs(true)?;
    let held = capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..u64::BITS {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            if keep.contains(capability) {
                continue;
            }
            match rustix::thread::remove_capability_from_bounding_set(capability) {
                // One that this kernel does not know.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return Err(error),
            }
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let kept = held.permitted & keep;
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(keep - kept)
}
