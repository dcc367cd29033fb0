//! A link's IPv6 settings. rtnetlink cannot set these two: they are files.

use std::{fs, io};

/// Switches IPv6 off on a link, or, when it is somebody else's, keeps the link from believing router advertisements.
///
/// Errors: `NotFound` when the link or IPv6 is gone; `ReadOnlyFilesystem` or `PermissionDenied` where /proc/sys cannot be
/// written.
pub(crate) fn set_ipv6(link: &str, disabled: bool) -> io::Result<()> {
    let (setting, value) = if disabled {
        ("disable_ipv6", "1")
    } else {
        ("accept_ra", "0")
    };
    fs::write(format!("/proc/sys/net/ipv6/conf/{link}/{setting}"), value)
}
