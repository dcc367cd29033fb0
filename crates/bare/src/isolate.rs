//! What a responder takes away from itself before it reads the first byte of a guest.
//!
//! # Theory of operation
//!
//! A responder talks to a stranger's VM. The frames are taken apart by code without `unsafe`, and yet the design
//! assumes that one day a guest runs code of its own here. Then it must have gained nothing: it holds one packet socket on a
//! link that is the guest's anyway, and one binding that the guest was told anyway.
//!
//! The agent starts a responder as root, with nothing but its standard descriptors: plain spawning is the fast way, and the
//! child can do all that follows by itself. Started by systemd it is an unprivileged user already, and every stage works
//! without a privilege. The stages run in this order, because each needs what a later one takes away; when one fails, the
//! program ends with that stage's name, and serves nobody half-isolated.
//!
//! ## 1. [`close_descriptors`]
//! *Should* leave the standard three: the listening socket, and where start-up errors are said. *Mustn't* leave anything that
//! leaked from the parent, whose descriptors reach netlink and the store.
//!
//! ## 2. [`no_new_privileges`]
//! *Should* leave everything that the process may do now. *Mustn't* leave a way to gain a right by starting a set-user-ID
//! program. It is also what lets stages 5 and 7 run without a privilege, so it comes before the user is changed.
//!
//! ## 3. [`drop_identity`]
//! *Should* leave a uid and a gid that own nothing. *Mustn't* leave a group, nor a capability in any set: the bounding set
//! goes first, while CAP_SETPCAP is held, then the groups and ids, while CAP_SETGID and CAP_SETUID are, then the rest. The
//! packet socket that comes later needs no capability: CAP_NET_RAW is asked for when one is made.
//!
//! ## 4. [`not_dumpable`]
//! *Should* leave the process to root's tools. *Mustn't* leave it to its kin: every responder has the same uid, and without
//! this one could trace another and take its socket. After stage 3, since a change of the user sets it to whatever
//! `fs.suid_dumpable` says.
//!
//! ## 5. [`landlock::deny_all`]
//! *Should* leave the descriptors that are open and those that are passed later: they are not looked at again. *Mustn't*
//! leave a path to any file, TCP to anywhere, or a signal or an abstract unix socket to a process outside. What a kernel does
//! not know it cannot deny: TCP came with Linux 6.7, signals with 6.12, and a kernel without landlock, with it switched off, or
//! behind a container manager's filter, denies nothing here. That is no failure, since stage 7 is the wall for all of it, and this one stands behind it: the
//! filter looks at numbers, landlock at what is reached.
//!
//! ## 6. [`limit_resources`]
//! *Should* leave room for the nine descriptors that the busiest moment takes. *Mustn't* leave the means to become many or
//! large.
//!
//! ## 7. [`syscalls::filter`]
//! *Should* leave what answering DHCP takes: accept a connection, receive sockets over it, read and write them, wait, tell
//! the time, exit. *Mustn't* leave a call that names an address, a process or a file, that makes a descriptor or maps memory,
//! nor a word on a stderr that is somebody's log or terminal. The agent gives a pipe of one page instead, which never blocks:
//! a panic's message may go there, and is read when the responder is finished, 512 bytes of it at most, as one quoted line.
//!
//! # Why a call with an address is part of the wall
//!
//! The agent locks its filter on the packet socket, so nobody can widen what it *receives*. The kernel has no such lock for
//! the link: whoever holds a packet socket may `bind` it to another one, or name another one in `sendto`, without any
//! capability and even from an empty network namespace, for the socket belongs to the one in which it was made. A guest that
//! has taken over its responder would speak on the uplink, or to its neighbour. `setsockopt` would add promiscuous mode or a
//! ring, `connect` would aim the idle socket. So these calls are denied, and with them every way to a second such process: by
//! `ptrace`, `process_vm_*`, `pidfd_getfd` or a signal. Each has a test that makes the call from inside.
//!
//! # What is left to whoever takes it over
//!
//! To send any frame to the VM of its own link, to say to the agent what the control protocol allows, at the rate at which the
//! agent listens, to choose its last words, to keep a processor busy, to stop answering, and to exit. The agent reads nothing else into its words, and
//! ends it when they make no sense.

use crate::syscall::{call, plain};
use crate::{Errno, Result};
use linux_raw_sys::general::{
    __NR_capset, __NR_close_range, __NR_geteuid, __NR_prctl, __NR_prlimit64, __NR_setgroups,
    __NR_setresgid, __NR_setresuid, __user_cap_data_struct, __user_cap_header_struct,
    _LINUX_CAPABILITY_VERSION_3, RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_MSGQUEUE, RLIMIT_NOFILE,
    RLIMIT_NPROC, rlimit64,
};
use linux_raw_sys::prctl::{
    PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_CAPBSET_DROP, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS,
};

pub mod landlock;
pub mod syscalls;

/// Closes every descriptor but the standard three.
pub fn close_descriptors() -> Result<()> {
    // No descriptor above 2 is owned by anything in this process yet.
    plain(__NR_close_range, [3, u32::MAX as usize, 0]).map(drop)
}

/// Sets `PR_SET_NO_NEW_PRIVS`.
pub fn no_new_privileges() -> Result<()> {
    prctl(PR_SET_NO_NEW_PRIVS, 1)
}

/// prctl(2) with an option that takes a number.
fn prctl(option: u32, value: usize) -> Result<()> {
    plain(__NR_prctl, [option as usize, value]).map(drop)
}

/// Becomes `uid` and `gid` without supplementary groups and without any capability. Does only the latter when the process
/// is not root: then somebody else, such as systemd, has chosen the user already.
///
/// Errors: `INVAL` when either id is not one a process can have.
pub fn drop_identity(uid: u32, gid: u32) -> Result<()> {
    if plain(__NR_geteuid, [])? == 0 {
        clear_bounding_set()?;
        if uid == u32::MAX || gid == u32::MAX {
            return Err(Errno::INVAL);
        }
        let (uid, gid) = (uid as usize, gid as usize);
        plain(__NR_setgroups, [0, 0])?;
        plain(__NR_setresgid, [gid, gid, gid])?;
        plain(__NR_setresuid, [uid, uid, uid])?;
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL as usize)?;
    clear_capabilities()
}

/// Takes every capability out of the bounding set: one call each, from 0 up to the first that this kernel does not know.
fn clear_bounding_set() -> Result<()> {
    for capability in 0..u64::BITS as usize {
        match prctl(PR_CAPBSET_DROP, capability) {
            Ok(()) => {}
            // There is at least one, so it is the number that is wrong, not the call.
            Err(Errno::INVAL) if capability > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Empties the effective, the permitted and the inheritable set of capabilities (capset(2)).
fn clear_capabilities() -> Result<()> {
    let mut header = __user_cap_header_struct {
        version: _LINUX_CAPABILITY_VERSION_3,
        pid: 0,
    };
    let none = __user_cap_data_struct {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    };
    // This version takes 32 capabilities in each of two.
    let sets = [none; 2];
    let header = (&raw mut header).expose_provenance();
    let sets = sets.as_ptr().expose_provenance();
    // SAFETY: the header is writable, both sets are readable, and all outlive the call.
    unsafe { call(__NR_capset, [header, sets, 0, 0, 0, 0]) }.map(drop)
}

/// Sets `PR_SET_DUMPABLE` to 0.
pub fn not_dumpable() -> Result<()> {
    prctl(PR_SET_DUMPABLE, 0)
}

/// At most 16 descriptors; no process, file or core of its own.
pub fn limit_resources() -> Result<()> {
    for (resource, limit) in [
        (RLIMIT_NOFILE, 16),
        (RLIMIT_NPROC, 0),
        (RLIMIT_FSIZE, 0),
        (RLIMIT_CORE, 0),
        (RLIMIT_MSGQUEUE, 0),
    ] {
        let limit = rlimit64 {
            rlim_cur: limit,
            rlim_max: limit,
        };
        let place = (&raw const limit).expose_provenance();
        // SAFETY: the limit is readable and outlives the call; the former one is not asked for.
        unsafe { call(__NR_prlimit64, [0, resource as usize, place, 0, 0, 0]) }?;
    }
    Ok(())
}
