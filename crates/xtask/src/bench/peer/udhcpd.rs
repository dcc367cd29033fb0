//! busybox udhcpd. `-a 1` makes its ARP check for a free address as short as it can be.
//!
//! It is that of busybox-static, at whose size it is the smallest of the peers: linked with glibc it has twice as much private
//! memory. That package cannot be installed beside busybox, so it is fetched and unpacked.

use super::{Daemon, PeerLink};
use crate::bench::report::Subject;
use crate::{cargo, packages};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where the program is, once it is fetched.
static BUSYBOX: OnceLock<PathBuf> = OnceLock::new();

/// Fetches the program. Errors: it is not here yet, and apt-get cannot fetch it.
pub(super) fn fetch() -> Result<()> {
    if BUSYBOX.get().is_none() {
        let folder = cargo::cache()?.join("busybox-static");
        let program = folder.join("bin/busybox");
        if !program.exists() {
            packages::unpack("busybox-static", &folder)?;
        }
        BUSYBOX.get_or_init(|| program);
    }
    Ok(())
}

pub(super) fn daemon(folder: &Path, link: &PeerLink) -> Daemon {
    let (bridge, address) = (&link.bridge, link.address());
    let gateway = link.gateway(Subject::Udhcpd);
    let path = |kind: &str| folder.join(format!("{bridge}.{kind}"));
    let (file, leases) = (path("conf"), path("leases"));
    let config = format!(
        "start {address}
end {address}
interface {bridge}
max_leases 1
lease_file {leases}
pidfile {pid}
auto_time 0
offer_time 10
option subnet 255.255.255.255
option router {gateway}
option staticroutes {gateway}/32 0.0.0.0, 0.0.0.0/0 {gateway}
option dns 9.9.9.10 8.8.8.8
option lease 3600
",
        leases = leases.display(),
        pid = path("pid").display(),
    );
    let busybox = BUSYBOX.get().map_or(Path::new("busybox"), PathBuf::as_path);
    let command = format!(
        ">{leases}; '{busybox}' udhcpd -a 1 {file}",
        leases = leases.display(),
        busybox = busybox.display(),
        file = file.display(),
    );
    Daemon {
        file,
        config,
        command,
    }
}
