//! The Linux guest of `demo --qemu` and of the end-to-end cases: a stock Debian cloud kernel, its virtio modules and a static
//! busybox; and the same kernel for a machine that has a whole Debian on its disk.
//!
//! Both are Debian packages that are fetched and unpacked, not installed: a kernel would become the machine's next one, and
//! busybox-static conflicts with busybox. The kernel is unpacked to its `vmlinux`, which QEMU boots by the PVH entry: under
//! TCG the guest's own decompression costs more than everything else in the boot. A boot loader takes it as it comes.

use crate::initramfs::Initramfs;
use crate::{packages, step};
use anyhow::{Context, bail, ensure};
use slash32_tests::{debian, linux};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The metapackage that depends on the newest cloud kernel. The guest is a PC because the PVH entry is x86's.
const KERNEL_METAPACKAGE: &str = "linux-image-cloud-amd64";

/// The modules between a cloud kernel and a virtio network card, in the order in which they depend on each other. One that
/// is not there is built in.
const MODULES: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
];

/// The modules of a machine with a disk beside them, which has VM links of its own, in the same order.
const DISK_MODULES: [&str; 6] = ["virtio_blk", "llc", "stp", "bridge", "veth", "tun"];

/// The commands of busybox that the guest's scripts use, and those that a case types.
const APPLETS: &[&str] = &[
    "sh",
    "mount",
    "insmod",
    "ip",
    "udhcpc",
    "ping",
    "cat",
    "echo",
    "sleep",
    "hostname",
    "stty",
    "kill",
    "reboot",
    "switch_root",
    "uname",
    "wget",
    "tftp",
    "md5sum",
    "yes",
    "head",
    "cut",
    "grep",
    "test",
    "[",
];

/// Fetches and unpacks what is not in `cache` yet, writes the initial RAM file system where it is not up to date, and tells
/// the folder of both: `vmlinux`, `vmlinuz` and `initramfs`, as [`BootFiles`](slash32_tests::BootFiles) wants them.
///
/// # Errors
/// When a package cannot be fetched, or is not as expected.
pub(crate) fn prepare(cache: &Path) -> anyhow::Result<PathBuf> {
    let folder = cache.join("guest");
    // What an earlier version has fetched may lack a file; boot loaders that are in the folder are fetched again, too.
    let fetched = fs::read_to_string(folder.join("modules")).unwrap_or_default();
    let whole = fetched == modules().collect::<Vec<_>>().join("\n");
    if !whole || !folder.join("vmlinuz").exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        step::step("fetch a kernel and busybox for the guest", || {
            fetch(cache, &folder)
        })?;
    }
    for (name, init, modules) in [
        ("initramfs", linux::INIT, MODULES.to_vec()),
        ("disk-initramfs", debian::INIT, modules().collect()),
    ] {
        let (file, archive) = (folder.join(name), initramfs(&folder, init, &modules)?);
        // The demo comes here twice, as the user and as root; root leaves no file of its own in the user's target folder.
        if fs::read(&file).ok().as_ref() != Some(&archive) {
            fs::write(&file, archive)?;
        }
    }
    Ok(folder)
}

fn modules() -> impl Iterator<Item = &'static str> {
    MODULES.into_iter().chain(DISK_MODULES)
}

/// Fills `folder` with `vmlinux`, `vmlinuz`, `busybox`, the modules and their order: all of it or nothing.
fn fetch(cache: &Path, folder: &Path) -> anyhow::Result<()> {
    let work = tempfile::tempdir_in(cache).context("cannot make a folder to unpack in")?;
    let (kernel, busybox) = (work.path().join("kernel"), work.path().join("busybox"));
    packages::unpack(&packages::dependency(KERNEL_METAPACKAGE)?, &kernel)?;
    packages::unpack("busybox-static", &busybox)?;

    let done = work.path().join("done");
    fs::create_dir(&done)?;
    let image = find(&kernel, |name| name.starts_with("vmlinuz-"));
    let image = fs::read(image.context("the kernel package has no vmlinuz")?)?;
    unpack_kernel(&image, &work.path().join("payload"), &done.join("vmlinux"))?;
    fs::write(done.join("vmlinuz"), &image)?;
    let program = find(&busybox, |name| name == "busybox");
    let program = program.context("busybox-static has no busybox")?;
    fs::copy(program, done.join("busybox"))?;
    for name in modules() {
        if let Some(contents) = module(&kernel, name)? {
            fs::write(done.join(name).with_extension("ko"), contents)?;
        }
    }
    fs::write(
        done.join("modules"),
        modules().collect::<Vec<_>>().join("\n"),
    )?;
    fs::rename(&done, folder)?;
    Ok(())
}

/// The file system: busybox under each of its names, the modules with their order, and the two scripts.
fn initramfs(folder: &Path, init: &str, modules: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut archive = Initramfs::default();
    for name in ["bin", "dev", "disk", "etc", "modules", "proc", "run", "sys"] {
        archive.folder(name);
    }
    archive.file("bin/busybox", &fs::read(folder.join("busybox"))?);
    for applet in APPLETS {
        archive.link(&format!("bin/{applet}"), "busybox");
    }
    let module = |name: &str| folder.join(name).with_extension("ko");
    let modules: Vec<&str> = modules
        .iter()
        .copied()
        .filter(|name| module(name).exists())
        .collect();
    archive.file("modules/order", modules.join("\n").as_bytes());
    for name in modules {
        archive.file(&format!("modules/{name}.ko"), &fs::read(module(name))?);
    }
    archive.file("etc/udhcpc.script", linux::UDHCPC_SCRIPT.as_bytes());
    archive.file("init", init.as_bytes());
    Ok(archive.finish())
}

/// The module `name` of the kernel below `files`, decompressed (Debian compresses modules since 13); `None` when it has none.
fn module(files: &Path, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let (plain, compressed) = (format!("{name}.ko"), format!("{name}.ko.xz"));
    let Some(path) = find(files, |file| file == plain || file == compressed) else {
        return Ok(None);
    };
    let contents = if path.extension() == Some(OsStr::new("xz")) {
        Command::new("xz")
            .args(["-dc"])
            .arg(&path)
            .output()
            .context("cannot start xz")?
            .stdout
    } else {
        fs::read(&path)?
    };
    Ok(Some(contents))
}

/// Writes the ELF kernel that the bzImage `image` carries to `vmlinux`. The header fields are those of the Linux/x86 boot
/// protocol: setup_sects at 0x1f1, payload_offset at 0x248, payload_length at 0x24c.
fn unpack_kernel(image: &[u8], payload_file: &Path, vmlinux: &Path) -> anyhow::Result<()> {
    let payload = payload(image).context("this is no bzImage")?;
    let program = match payload {
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        [0x1f, 0x8b, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0x02, 0x21, 0x4c, 0x18, ..] => "lz4",
        _ => bail!("the kernel is compressed in a way that is not known here"),
    };
    fs::write(payload_file, payload)?;
    // Its exit code says nothing: after the compressed kernel come four bytes with its size, which it stumbles over.
    Command::new(program)
        .arg("-dc")
        .stdin(File::open(payload_file)?)
        .stdout(File::create(vmlinux)?)
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    let mut magic = [0; 4];
    std::io::Read::read_exact(&mut File::open(vmlinux)?, &mut magic)
        .context("the kernel could not be unpacked")?;
    ensure!(&magic == b"\x7fELF", "the unpacked kernel is no ELF file");
    Ok(())
}

/// The compressed kernel within a bzImage.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let field =
        |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?) as usize);
    if image.get(0x202..0x206)? != b"HdrS".as_slice()
        && image.get(0x202..0x206)? != b"SrdH".as_slice()
    {
        return None;
    }
    // 0 means 4 sectors of setup code, for images older than the field.
    let setup_sectors = match *image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (setup_sectors + 1) * 512 + field(0x248)?;
    image.get(start..start.checked_add(field(0x24c)?)?)
}

/// The first file below `folder` whose name is `wanted`.
fn find(folder: &Path, wanted: impl Fn(&str) -> bool + Copy) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    entries.into_iter().find_map(|path| {
        if path.is_dir() && !path.is_symlink() {
            return find(&path, wanted);
        }
        path.file_name()
            .and_then(OsStr::to_str)
            .is_some_and(wanted)
            .then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bzimage(setup_sectors: u8, payload: &[u8]) -> Vec<u8> {
        let start = (usize::from(setup_sectors.max(if setup_sectors == 0 { 4 } else { 0 })) + 1)
            * 512
            + 0x10;
        let mut image = vec![0; start];
        image[0x1f1] = setup_sectors;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&0x10_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        image.extend(payload);
        image.extend(b"and more");
        image
    }

    #[test]
    fn the_payload_of_a_kernel_image_stands_after_its_setup_sectors() {
        assert_eq!(
            payload(&bzimage(27, b"\x1f\x8bkernel")),
            Some(&b"\x1f\x8bkernel"[..])
        );
    }

    #[test]
    fn no_setup_sectors_means_four() {
        assert_eq!(payload(&bzimage(0, b"kernel")), Some(&b"kernel"[..]));
    }

    #[test]
    fn a_file_without_the_boot_protocols_mark_is_no_kernel() {
        let mut image = bzimage(4, b"kernel");
        image[0x202] = 0;
        assert_eq!(payload(&image), None);
        assert_eq!(payload(b"short"), None);
    }
}
