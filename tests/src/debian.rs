//! Debian with systemd, udev and all cgroup controllers under QEMU: what a container lacks. It runs one script by itself,
//! and what the script finds comes over the serial console.

use crate::{Boot, BootFiles, ContainerFiles, Host, Qemu, namespace::require};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};
use tempfile::TempDir;

/// The first process of the machine, from its initial RAM file system.
pub const INIT: &str = include_str!("debian/init");

/// What a line of the console begins with that the script has printed by `found NAME VALUE`.
const FOUND: &str = "found: ";
/// The name of the last line.
const END: &str = "end";

/// As for [`Linux`](crate::linux::Linux), and nothing of what starts is shown.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 mitigations=off nopti tsc=reliable no_timer_check lpj=4000000 \
                            systemd.show_status=0 loglevel=3";

/// Starts the script when everything else has started, with its output on the console.
const UNIT: &str = "[Unit]
After=systemd-udevd.service dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh /root/script
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
";

/// Before the script: `found NAME VALUE` prints a finding as one line, `wait_for COMMAND` repeats a command for up to half a
/// minute until it succeeds.
const PRELUDE: &str = r#"
found() { printf 'found: %s: %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"; }
wait_for() {
    for _ in $(seq 150); do
        if eval "$1" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    return 1
}
"#;

/// Runs as root in namespaces of its own: `$1` is the system, `$2` a folder with files for its root's home, `$3` the image.
const MAKE_IMAGE: &str = r#"
set -e
mkdir -p /run/disk/upper /run/disk/work /run/disk/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/run/disk/upper,workdir=/run/disk/work" /run/disk/root
cd /run/disk/root
cp -r "$2"/. root/
: >etc/fstab
mv root/script.service etc/systemd/system/
mkdir -p etc/systemd/system/multi-user.target.wants
ln -s ../script.service etc/systemd/system/multi-user.target.wants/
ln -s /dev/null etc/systemd/system/serial-getty@.service
truncate -s 1G "$3"
mke2fs -q -F -t ext4 -O ^has_journal -d . "$3"
cd /
umount /run/disk/root
"#;

/// What the script has found, by name.
pub struct Findings {
    found: BTreeMap<String, String>,
}

/// Boots the system with the package as `/root/slash32.deb`, runs `script` (sh) in it to its end, and returns what it found.
/// The machine has no network but what the script makes.
///
/// Errors: something is missing, or the script has not ended within `bound`; what the console said is part of the error.
pub fn run(host: &Host, script: &str, bound: Duration) -> Result<Findings> {
    require(&["mke2fs"])?;
    let (system, boot) = (ContainerFiles::prepared()?, BootFiles::prepared()?);
    let folder = tempfile::Builder::new().prefix("slash32-disk-").tempdir()?;
    let disk = image(host, &system, script, &folder)?;
    host.qemu_tap("vnet1", None)?;
    let machine = Qemu::start(
        host,
        "vnet1",
        1,
        &Boot::Disk {
            kernel: boot.path("vmlinux")?,
            initrd: boot.path("disk-initramfs")?,
            command_line: COMMAND_LINE.to_owned(),
            disk,
        },
    )?;
    let last = format!("{FOUND}{END}: ");
    let console = machine.console();
    let end = console.wait_line("the script to end", 0, bound, |line| {
        line.starts_with(&last)
    })?;
    let lines = console.lines();
    let found = lines[..=end]
        .iter()
        .filter_map(|line| line.strip_prefix(FOUND)?.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Ok(Findings { found })
}

fn image(
    host: &Host,
    system: &ContainerFiles,
    script: &str,
    folder: &TempDir,
) -> Result<std::path::PathBuf> {
    let (files, image) = (folder.path().join("files"), folder.path().join("disk"));
    fs::create_dir(&files)?;
    fs::copy(system.package()?, files.join("slash32.deb"))?;
    fs::write(
        files.join("script"),
        format!("{PRELUDE}{script}\nfound {END} $?\n"),
    )?;
    fs::write(files.join("script.service"), UNIT)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let arguments = ["-c", MAKE_IMAGE, "image"].map(str::to_owned).into_iter();
    let arguments: Vec<String> = arguments
        .chain([text(&system.root()?), text(&files), text(&image)])
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    host.namespace().run("sh", &arguments)?;
    Ok(image)
}

impl Findings {
    /// What was found under this name. Errors: nothing.
    pub fn get(&self, name: &str) -> Result<&str> {
        let value = self.found.get(name).map(String::as_str);
        value.with_context(|| format!("the script found no {name}: {:#?}", self.found))
    }

    /// Checks that `value` was found under this name.
    pub fn is(&self, name: &str, value: &str) -> Result<()> {
        let found = self.get(name)?;
        ensure!(
            found == value,
            "{name} is {found:?}, not {value:?}: {:#?}",
            self.found
        );
        Ok(())
    }

    /// Checks that what was found under this name has `part` in it.
    pub fn has(&self, name: &str, part: &str) -> Result<()> {
        let found = self.get(name)?;
        ensure!(
            found.contains(part),
            "{name} is {found:?}, without {part:?}: {:#?}",
            self.found
        );
        Ok(())
    }
}
