use slash32_libvirt::spool;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The part of its file system that the spool leaves to others: a runtime folder is on that of /run, which the whole system
/// needs.
const KEPT_FREE: u64 = 8;

/// A call's file in the spool that the agent does not see yet.
pub(super) struct Unfinished {
    path: PathBuf,
    /// The path of the whole file.
    whole: PathBuf,
}

impl Unfinished {
    /// Leaves a file with `bytes` in the spool below `runtime`, which will be called `name`. The folders are made as the agent
    /// makes them, so that one that starts later finds the call.
    ///
    /// Errors: why it is not there, in a part of a sentence.
    pub(super) fn leave(runtime: &Path, name: &str, bytes: &[u8]) -> Result<Self, String> {
        let folder = runtime.join(spool::FOLDER);
        if !folder.is_dir() {
            make(runtime, 0o755).map_err(|error| about(runtime, error))?;
            make(&folder, 0o700).map_err(|error| about(&folder, error))?;
        }
        ask_for_room(&folder)?;
        let unfinished = Self {
            path: folder.join(spool::temporary(name)),
            whole: folder.join(name),
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        unfinished.write(&options, bytes)?;
        Ok(unfinished)
    }

    /// The one that another process has left at `path`. None when it is no name of such a file.
    pub(super) fn left(path: &Path) -> Option<Self> {
        let whole = path.file_name()?.to_str()?.strip_prefix('.')?;
        spool::is_call(whole).then(|| Self {
            path: path.to_owned(),
            whole: path.with_file_name(whole),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds to it what came since.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            ask_for_room(folder).inspect_err(|_| self.remove())?;
        }
        self.write(OpenOptions::new().append(true), bytes)
    }

    /// From now on the agent sees it.
    pub(super) fn finish(self) -> Result<(), String> {
        fs::rename(&self.path, &self.whole).map_err(|error| {
            self.remove();
            about(&self.whole, error)
        })
    }

    pub(super) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }

    fn write(&self, options: &OpenOptions, bytes: &[u8]) -> Result<(), String> {
        let written = options
            .open(&self.path)
            .and_then(|mut file| file.write_all(bytes));
        written.map_err(|error| {
            self.remove();
            about(&self.whole, error)
        })
    }
}

fn about(path: &Path, error: io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Errors: there is none, in a part of a sentence.
fn ask_for_room(folder: &Path) -> Result<(), String> {
    match has_room(folder) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!(
            "{}: less than an eighth of its file system is free",
            folder.display()
        )),
        Err(error) => Err(about(folder, error)),
    }
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
