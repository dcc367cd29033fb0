//! What the end-to-end cases boot over the network: Debian's iPXE and GRUB, fetched and unpacked, not installed.

use crate::{packages, step};
use anyhow::Context;
use std::fs;
use std::path::Path;

/// Package, place of the file in it, name of the file.
const LOADERS: [(&str, &str, &str); 4] = [
    ("ipxe", "usr/lib/ipxe", "undionly.kpxe"),
    ("ipxe", "boot", "ipxe.efi"),
    ("ipxe", "boot", "ipxe.lkrn"),
    (
        "grub-efi-amd64-bin",
        "usr/lib/grub/x86_64-efi/monolithic",
        "grubnetx64.efi",
    ),
];

/// Puts what is missing into `folder`, the one that [`BootFiles`](slash32_tests::BootFiles) reads.
///
/// # Errors
/// When a package cannot be fetched, or is not as expected.
pub(crate) fn add_to(folder: &Path) -> anyhow::Result<()> {
    let mut names = LOADERS.iter().map(|(_, _, name)| name);
    if names.all(|name| folder.join(name).exists()) {
        return Ok(());
    }
    step::step("fetch iPXE and GRUB for the guests", || fetch(folder))
}

fn fetch(folder: &Path) -> anyhow::Result<()> {
    let work = tempfile::tempdir_in(folder).context("cannot make a folder to unpack in")?;
    for (package, place, name) in LOADERS {
        let unpacked = work.path().join(package);
        if !unpacked.exists() {
            packages::unpack(package, &unpacked)?;
        }
        // At its place it is whole, or not there.
        let file = work.path().join(name);
        fs::copy(unpacked.join(place).join(name), &file)
            .with_context(|| format!("{package} has no {name}"))?;
        fs::rename(&file, folder.join(name))?;
    }
    Ok(())
}
