//! The Debian system that the package is tried in: a small root file system, made once by debootstrap from the archive that
//! this machine's own apt uses, and two versions of the package with the programs under test.
//!
//! It is of this machine's own release, because the programs were built against this machine's C library.

use crate::deb::{self, Profile};
use crate::{packages, privilege, step};
use anyhow::{Context, ensure};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let (package, previous) = (
        folder.join("slash32.deb"),
        folder.join("slash32-previous.deb"),
    );
    if !deb::is_fresh(&previous, programs)? {
        deb::build(programs, &deb::version(None), &package, Profile::Dev)?;
        step::step("pack it as an older version, too", || {
            repack(&package, PREVIOUS, &previous)
        })?;
    }
    Ok(folder)
}

/// Makes `to` of `package`: the same contents under another version.
fn repack(package: &Path, version: &str, to: &Path) -> anyhow::Result<()> {
    let work = tempfile::tempdir().context("cannot make a folder to unpack in")?;
    let contents = work.path().join("contents");
    let dpkg_deb = |arguments: &[&OsStr]| -> anyhow::Result<()> {
        let output = Command::new("dpkg-deb").args(arguments).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "dpkg-deb: {}", complaint.trim());
        Ok(())
    };
    dpkg_deb(&[
        "--raw-extract".as_ref(),
        package.as_ref(),
        contents.as_ref(),
    ])?;
    let control = contents.join("DEBIAN/control");
    let text = fs::read_to_string(&control)?;
    let lines = text
        .lines()
        .map(|line| match line.starts_with("Version: ") {
            true => format!("Version: {version}\n"),
            false => format!("{line}\n"),
        });
    fs::write(&control, lines.collect::<String>())?;
    let build = ["--root-owner-group", "-Zgzip", "-z1", "--build"].map(OsStr::new);
    dpkg_deb(&[&build[..], &[contents.as_ref(), to.as_ref()]].concat())
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
        let status = Command::new("dpkg")
            .args(["--compare-versions", PREVIOUS, "lt", &deb::version(None)])
            .status();
        assert!(status.unwrap().success());
    }
}
