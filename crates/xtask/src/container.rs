//! The Debian system that the package is tried in: a small root file system, made once by debootstrap from the archive that
//! this machine's own apt uses, and two versions of the package with the programs under test.
//!
//! It is of this machine's own release, because the programs were built against this machine's C library.

use crate::deb::{self, Profile};
use crate::{packages, privilege, step};
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};

/// What is in the system beside what debootstrap's smallest variant has: a service manager and its bus, device events,
/// what looks at links and processes, and a DHCP client for a guest inside.
const CONTENTS: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    "iproute2",
    "iputils-ping",
    "procps",
    "busybox",
    "udhcpc",
];

/// What the older of the two packages is called. `~` sorts before the end of a version.
const PREVIOUS: &str = concat!(env!("CARGO_PKG_VERSION"), "~previous");

/// Makes what is not in `cache` yet, packs the programs in `programs`, and tells the folder, as
/// [`ContainerFiles`](slash32_tests::ContainerFiles) wants it: `root`, `slash32.deb`, `slash32-previous.deb`.
///
/// The root file system belongs to root, as it has to.
///
/// # Errors
/// When debootstrap or cargo-deb fails.
pub(crate) fn prepare(cache: &Path, programs: &Path) -> anyhow::Result<PathBuf> {
    let folder = cache.join("container");
    fs::create_dir_all(&folder)?;
    let (root, made_of) = (folder.join("root"), folder.join("root.contents"));
    let wanted = format!("{}\n{}\n", release()?, CONTENTS.join("\n"));
    if !root.exists() || fs::read_to_string(&made_of).ok().as_ref() != Some(&wanted) {
        debootstrap(&root)?;
        fs::write(made_of, wanted)?;
    }
    for (version, name) in [
        (PREVIOUS, "slash32-previous.deb"),
        (&deb::version(None), "slash32.deb"),
    ] {
        deb::build(programs, version, &folder.join(name), Profile::Dev)?;
    }
    Ok(folder)
}

/// Runs as root: `$1` is the place, `$2` the contents, `$3` the release, `$4` the archive. At its place the system is whole,
/// or not there. It is made anew whenever it is doubted, so nothing has to be on the disk for sure.
const DEBOOTSTRAP: &str = r#"
set -eu
rm -rf "$1" "$1.new"
DPKG_FORCE=unsafe-io debootstrap --variant=minbase --include="$2" "$3" "$1.new" "$4"
rm -rf "$1.new"/var/cache/apt/archives/*.deb "$1.new"/var/lib/apt/lists/*
mv "$1.new" "$1"
"#;

fn debootstrap(root: &Path) -> anyhow::Result<()> {
    let mut command = privilege::as_root("sh");
    command
        .args(["-c", DEBOOTSTRAP, "debootstrap"])
        .arg(root)
        .arg(CONTENTS.join(","))
        .args([release()?, archive()?]);
    step::command("make a Debian system to boot", &mut command)
}

/// The code name of this machine's release.
fn release() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let name =
        name.context("/etc/os-release has no VERSION_CODENAME: this is no Debian release")?;
    Ok(name.trim_matches('"').to_owned())
}

/// Where this machine's own apt gets that release from.
fn archive() -> anyhow::Result<String> {
    let release = release()?;
    packages::archive(&release)?
        .with_context(|| format!("apt has no source with the component main of {release}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_package_is_older_than_the_next() {
        let status = std::process::Command::new("dpkg")
            .args(["--compare-versions", PREVIOUS, "lt", &deb::version(None)])
            .status();
        assert!(status.unwrap().success());
    }
}
