//! Who is at the other end of a unix socket, as the kernel knows it since `connect`.

use crate::{Result, checked};
use alloc::vec;
use alloc::vec::Vec;
use rustix::fd::{AsRawFd, BorrowedFd};

extern crate alloc;

/// The supplementary groups of the process that connected (`SO_PEERGROUPS`, unix(7)).
pub fn groups(connection: BorrowedFd<'_>) -> Result<Vec<u32>> {
    // The kernel says how many there are when there is too little room.
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let room = groups.len() * size_of::<libc::gid_t>();
        let mut length = room as libc::socklen_t;
        // SAFETY: the descriptor is open while it is borrowed, and `groups` has room for `length` bytes of which every
        // pattern is a gid; the kernel writes no more than that.
        let result = unsafe {
            libc::getsockopt(
                connection.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<libc::gid_t>();
        match checked(libc::c_long::from(result)) {
            Ok(_) => {
                groups.truncate(count);
                return Ok(groups);
            }
            Err(crate::Errno::RANGE) if count > groups.len() => groups.resize(count, 0),
            Err(error) => return Err(error),
        }
    }
}
