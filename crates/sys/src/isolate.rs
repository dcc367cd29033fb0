//! What a responder takes away from itself before it reads the first byte of a guest.
//!
//! # Theory of operation
//!
//! The agent starts a responder as root, with nothing but its standard descriptors: plain spawning is the fast way, and the
//! child can do all that follows by itself. The stages run in this order, each needing what a later one takes away:
//!
//! 1. [`close_descriptors`]: nothing that leaked from the parent may survive.
//! 2. [`no_new_privileges`]: no program that it could start would gain a right; also lets step 6 run without one.
//! 3. [`drop_identity`]: groups, gid, uid, and every capability set, the bounding set first, while CAP_SETPCAP is held.
//! 4. [`not_dumpable`]: other processes of the same uid can neither trace it nor read its memory.
//! 5. [`limit_resources`]: few descriptors, no new processes, no files, no cores.
//! 6. [`syscalls::filter`]: of the kernel's calls only those remain that answering DHCP needs.
//!
//! After that it *should* be able to accept a connection, receive sockets over it, read and write them, wait, tell the
//! time, and exit. It *must not* be able to name an address: a packet socket that it holds can be bound to another link by
//! anyone who may call `bind` or `sendto`, so those are gone.

use crate::{Result, checked};
use rustix::process::{DumpableBehavior, Resource, Rlimit};

pub mod syscalls;

/// Closes every descriptor but the standard three.
pub fn close_descriptors() -> Result<()> {
    // SAFETY: no descriptor above 2 is owned by anything in this process yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    checked(result).map(drop)
}

/// Sets `PR_SET_NO_NEW_PRIVS`.
pub fn no_new_privileges() -> Result<()> {
    rustix::thread::set_no_new_privs(true)
}

/// Becomes `uid` and `gid` without supplementary groups and without any capability. Does only the latter when the process
/// is not root: then somebody else, such as systemd, has chosen the user already.
///
/// Errors: `INVAL` when either id is not one a process can have.
pub fn drop_identity(uid: u32, gid: u32) -> Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets};
    if rustix::process::geteuid().is_root() {
        for capability in CapabilitySet::all() {
            match rustix::thread::remove_capability_from_bounding_set(capability) {
                // One that this kernel does not know.
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(error),
            }
        }
        if uid == u32::MAX || gid == u32::MAX {
            return Err(rustix::io::Errno::INVAL);
        }
        let (uid, gid) = (
            rustix::process::Uid::from_raw(uid),
            rustix::process::Gid::from_raw(gid),
        );
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}

/// Sets `PR_SET_DUMPABLE` to 0.
pub fn not_dumpable() -> Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// At most 16 descriptors; no process, file or core of its own.
pub fn limit_resources() -> Result<()> {
    for (resource, limit) in [
        (Resource::Nofile, 16),
        (Resource::Nproc, 0),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Msgqueue, 0),
    ] {
        rustix::process::setrlimit(
            resource,
            Rlimit {
                current: Some(limit),
                maximum: Some(limit),
            },
        )?;
    }
    Ok(())
}
