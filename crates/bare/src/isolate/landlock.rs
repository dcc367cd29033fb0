//! Landlock (linux/landlock.h): a process gives up files, TCP and its reach to other processes, as far as the kernel can.
//!
//! A ruleset that *handles* an access right denies it wherever no rule allows it, and there is no rule here. What the
//! kernel does not know cannot be handled, so the ruleset is cut to its version of the interface (ABI).

use crate::fd::OwnedFd;
use crate::syscall::{call, plain};
use crate::{Errno, Result};
use core::mem::size_of;
use linux_raw_sys::general::{__NR_landlock_create_ruleset, __NR_landlock_restrict_self};

/// `struct landlock_ruleset_attr`. Older kernels know its front only, and take zeroes behind that.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ruleset {
    /// `LANDLOCK_ACCESS_FS_*`.
    files: u64,
    /// `LANDLOCK_ACCESS_NET_*`.
    network: u64,
    /// `LANDLOCK_SCOPE_*`.
    scopes: u64,
}

/// `LANDLOCK_CREATE_RULESET_VERSION`: asks for the ABI.
const VERSION: usize = 1;

/// ABI 1: execute, write, read, list, remove and make files of any kind (bits 0 to 12).
const FILES: u64 = (1 << 13) - 1;
/// ABI 2: link or rename to another folder.
const REFER: u64 = 1 << 13;
/// ABI 3.
const TRUNCATE: u64 = 1 << 14;
/// ABI 4: bind a TCP socket, connect one.
const TCP: u64 = 0b11;
/// ABI 5: ioctl(2) on a device.
const IOCTL_DEVICE: u64 = 1 << 15;
/// ABI 6: connect to an abstract unix socket of, or send a signal to, a process outside.
const OUTSIDE: u64 = 0b11;

impl Ruleset {
    /// Everything that a kernel with this ABI can deny.
    fn of(abi: usize) -> Self {
        let since = |first: usize, rights: u64| if abi >= first { rights } else { 0 };
        Self {
            files: since(1, FILES) | since(2, REFER) | since(3, TRUNCATE) | since(5, IOCTL_DEVICE),
            network: since(4, TCP),
            scopes: since(6, OUTSIDE),
        }
    }
}

/// Denies the calling thread, and what it starts, all that the kernel's landlock knows; there is no way back. Descriptors
/// that are open already go on working. Returns the kernel's ABI, 0 when it has no landlock, has it switched off, or a container
/// manager's syscall filter keeps it from this process: then nothing is taken away.
///
/// Errors: `PERM` when new privileges can still be gained ([`no_new_privileges`](super::no_new_privileges)).
pub fn deny_all() -> Result<usize> {
    // With this flag the call takes no ruleset and gives a number.
    let abi = match plain(__NR_landlock_create_ruleset, [0, 0, VERSION]) {
        Ok(abi) => abi,
        Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => return Ok(0),
        Err(error) => return Err(error),
    };
    let rules = Ruleset::of(abi);
    let arguments = [
        (&raw const rules).expose_provenance(),
        size_of::<Ruleset>(),
        0,
        0,
        0,
        0,
    ];
    // SAFETY: `rules` is readable for its size and outlives the call, which copies it.
    let number = unsafe { call(__NR_landlock_create_ruleset, arguments) }?;
    let ruleset = OwnedFd::of_the_kernel(number as u32);
    plain(__NR_landlock_restrict_self, [ruleset.as_fd().argument(), 0])?;
    Ok(abi)
}

#[cfg(test)]
mod tests {
    use super::Ruleset;

    #[test]
    fn each_abi_is_asked_for_what_it_knows() {
        // The highest right of each field, from the table in the kernel's Documentation/userspace-api/landlock.rst.
        for (abi, files, network, scopes) in [
            (0, 0, 0, 0),
            (1, 0x1fff, 0, 0),
            (2, 0x3fff, 0, 0),
            (3, 0x7fff, 0, 0),
            (4, 0x7fff, 3, 0),
            (5, 0xffff, 3, 0),
            (6, 0xffff, 3, 3),
            (9, 0xffff, 3, 3),
        ] {
            let expected = Ruleset {
                files,
                network,
                scopes,
            };
            assert_eq!(Ruleset::of(abi), expected, "ABI {abi}");
        }
    }
}
