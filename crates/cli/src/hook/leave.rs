use slash32_libvirt::spool;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The part of its file system that the spool leaves to others: a runtime folder is on that of /run, which the whole system
/// needs.
const KEPT_FREE: u64 = 8;

/// Puts `bytes` into the spool below `runtime` as the file `name`, whole or not at all. The folders are made as the agent
/// makes them, so that one that starts later finds the call.
///
/// Errors: why it is not there, in a part of a sentence.
pub(super) fn leave(runtime: &Path, name: &str, bytes: &[u8]) -> Result<(), String> {
    let folder = runtime.join(spool::FOLDER);
    let about = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    if !folder.is_dir() {
        make(runtime, 0o755).map_err(|error| about(runtime, error))?;
        make(&folder, 0o700).map_err(|error| about(&folder, error))?;
    }
    let has_room = has_room(&folder).map_err(|error| about(&folder, error))?;
    if !has_room {
        return Err(format!(
            "{}: less than an eighth of its file system is free",
            folder.display()
        ));
    }
    let unfinished = folder.join(spool::temporary(name));
    write(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, folder.join(name)))
        .map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            about(&folder, error)
        })
}

/// Makes a folder with this mode, whatever the umask is. One that is there stays as it is.
fn make(folder: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(mode)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the file system of `folder` has room for calls. Errors: it is not there.
pub(crate) fn has_room(folder: &Path) -> io::Result<bool> {
    let stat = rustix::fs::statvfs(folder)?;
    let has = |free: u64, all: u64| all == 0 || free >= all / KEPT_FREE;
    Ok(has(stat.f_bavail, stat.f_blocks) && has(stat.f_favail, stat.f_files))
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file: File = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(bytes)
}
