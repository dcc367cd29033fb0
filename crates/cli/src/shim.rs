//! The scripts in libvirt's hook folders that call [`mod@crate::hook`].
//!
//! libvirt calls `/etc/libvirt/hooks/HOOK`, and since 6.5 each program in `/etc/libvirt/hooks/HOOK.d` after it. A script of
//! ours stands in the folder, beside whatever else is there; on an older libvirt it is the one script when there is none.
//! A script that is not ours is never touched.
//!
//! A daemon of libvirt looks whether there is any script for a hook when it starts, and calls none when there was none
//! (`virHookInitialize`); once there was one it reads the folder at each call. SIGHUP has it look again, and a restart has it
//! tell of the VMs that run, too: so a restart is what an operator is asked for.

mod libvirt;

pub(crate) use libvirt::{DAEMONS, Libvirt};

use crate::hook::Runtime;
use anyhow::{Context, bail};
use serde::{Serialize, Serializer};
use slash32_libvirt::Hook;
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where libvirt looks for its hooks.
pub(crate) const HOOKS_DIR: &str = "/etc/libvirt/hooks";

/// The name of our script in `HOOK.d`.
const NAME: &str = "slash32";

/// The line by which a script is known as ours. The package's postrm looks for it, too.
const MARK: &str = "# Written by slash32 hook install; slash32 hook uninstall takes it away.";

const MODE: u32 = 0o755;

/// What stands for one hook.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Status {
    #[serde(serialize_with = "name")]
    pub(crate) hook: Hook,
    /// The script, or where it would be.
    pub(crate) path: PathBuf,
    pub(crate) state: State,
    /// What there is to know or to do, in a part of a sentence.
    pub(crate) detail: Option<String>,
    /// The unit to restart before libvirt calls it.
    pub(crate) restart: Option<&'static str>,
}

/// Whether libvirt calls our script.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It does, or will when its daemon was restarted.
    Installed,
    /// There is none.
    Missing,
    /// It is there, and cannot be executed.
    NotExecutable,
    /// It is there, and this libvirt does not look there.
    NotCalled,
    /// Something else has its name.
    Foreign,
}

impl State {
    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Missing => "missing",
            Self::NotExecutable => "not executable",
            Self::NotCalled => "not called",
            Self::Foreign => "foreign",
        }
    }
}

fn name<S: Serializer>(hook: &Hook, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(hook.name())
}

/// The places of one hook.
struct Places {
    hook: Hook,
    /// libvirt's one script of the hook, whoever wrote it.
    script: PathBuf,
    /// Ours, beside others.
    drop_in: PathBuf,
}

impl Places {
    fn of(folder: &Path, hook: Hook) -> Self {
        Self {
            hook,
            script: folder.join(hook.name()),
            drop_in: folder.join(format!("{}.d/{NAME}", hook.name())),
        }
    }

    fn status(&self, libvirt: &Libvirt) -> Status {
        let is_called = libvirt.reads_folders() || self.is_called_by_script();
        let (script, drop_in) = (Found::at(&self.script), Found::at(&self.drop_in));
        let (path, found) = match (&drop_in, &script) {
            (Found::Ours { .. }, _) if is_called => (&self.drop_in, &drop_in),
            (_, Found::Ours { .. }) => (&self.script, &script),
            _ => (&self.drop_in, &drop_in),
        };
        let (state, detail) = match found {
            Found::Nothing => (State::Missing, None),
            Found::Other => (
                State::Foreign,
                Some("it is not of slash32: move it away, then slash32 hook install".to_owned()),
            ),
            Found::Ours { mode, .. } if mode & 0o100 == 0 => (
                State::NotExecutable,
                Some("slash32 hook install makes it so".to_owned()),
            ),
            Found::Ours { .. } if *path == self.drop_in && !is_called => {
                (State::NotCalled, Some(self.line_to_add(libvirt)))
            }
            Found::Ours { .. } => (State::Installed, self.beside(&script, libvirt)),
        };
        let restart = match found {
            Found::Ours { since, .. } if state == State::Installed => {
                let known = self.known_since(path, *since);
                libvirt.started_before(self.hook, known)
            }
            _ => None,
        };
        Status {
            hook: self.hook,
            path: path.clone(),
            state,
            detail,
            restart,
        }
    }

    /// The script of somebody else calls ours.
    fn is_called_by_script(&self) -> bool {
        let text = fs::read_to_string(&self.script).unwrap_or_default();
        text.contains(&*self.drop_in.to_string_lossy())
    }

    fn line_to_add(&self, libvirt: &Libvirt) -> String {
        format!(
            "libvirt {libvirt} calls nothing in {}.d: put the line {} \"$@\" || true into {}, which keeps its own work",
            self.hook.name(),
            self.drop_in.display(),
            self.script.display()
        )
    }

    fn beside(&self, script: &Found, libvirt: &Libvirt) -> Option<String> {
        if libvirt.is_missing() {
            return Some("libvirt was not found on this host".to_owned());
        }
        let is_other = *script == Found::Other && libvirt.reads_folders();
        is_other.then(|| format!("{} is called as before, and first", self.script.display()))
    }

    /// Since when libvirt could find a script of this hook: ours at `path` is there `since`.
    fn known_since(&self, path: &Path, since: SystemTime) -> SystemTime {
        let folder = self
            .drop_in
            .parent()
            .and_then(|folder| fs::read_dir(folder).ok());
        let entries = folder.into_iter().flatten().flatten();
        let others = entries
            .map(|entry| entry.path())
            .chain([self.script.clone()])
            .filter(|other| other != path);
        let executable = |other: PathBuf| {
            let about = fs::metadata(other).ok()?;
            let is_one = about.is_file() && about.mode() & 0o111 != 0;
            // Its times may have come with it; the kernel's own is when it came, or later.
            is_one.then(|| moment(about.ctime(), about.ctime_nsec()))
        };
        others.filter_map(executable).fold(since, SystemTime::min)
    }
}

/// What stands at a place.
#[derive(PartialEq, Eq)]
enum Found {
    Nothing,
    /// Of us: its permissions, and when it was first put there.
    Ours {
        mode: u32,
        since: SystemTime,
    },
    Other,
}

impl Found {
    fn at(path: &Path) -> Self {
        let about = match fs::symlink_metadata(path) {
            Ok(about) => about,
            Err(error)
                if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) =>
            {
                return Self::Nothing;
            }
            Err(_) => return Self::Other,
        };
        let text = match about.is_file() {
            true => fs::read(path).unwrap_or_default(),
            false => Vec::new(),
        };
        if !text
            .split(|byte| *byte == b'\n')
            .any(|line| line == MARK.as_bytes())
        {
            return Self::Other;
        }
        Self::Ours {
            mode: about.mode(),
            since: moment(about.mtime(), about.mtime_nsec()),
        }
    }

    fn is_ours(&self) -> bool {
        matches!(self, Self::Ours { .. })
    }
}

fn moment(seconds: i64, nanoseconds: i64) -> SystemTime {
    let since = |seconds: u64| {
        SystemTime::UNIX_EPOCH + std::time::Duration::new(seconds, nanoseconds as u32)
    };
    u64::try_from(seconds).map_or(SystemTime::UNIX_EPOCH, since)
}

/// What stands in libvirt's hook folder, a hook each.
pub(crate) fn status(folder: &Path, libvirt: &Libvirt) -> Vec<Status> {
    let places = Hook::ALL.map(|hook| Places::of(folder, hook));
    places.iter().map(|places| places.status(libvirt)).collect()
}

/// Puts our scripts where this libvirt calls them. What is right already stays as it is.
///
/// Errors: a script cannot be written.
pub(crate) fn install(
    folder: &Path,
    runtime: Option<&Runtime>,
    libvirt: &Libvirt,
) -> anyhow::Result<()> {
    for hook in Hook::ALL {
        let places = Places::of(folder, hook);
        let text = text(hook, runtime)?;
        let is_free = !matches!(Found::at(&places.script), Found::Other);
        let (path, other) = if !libvirt.reads_folders() && is_free {
            (&places.script, &places.drop_in)
        } else {
            (&places.drop_in, &places.script)
        };
        if Found::at(path) == Found::Other {
            continue;
        }
        let failed = |error: io::Error| {
            let hint = match error.kind() {
                ErrorKind::PermissionDenied => "; run it as root",
                _ => "",
            };
            anyhow::anyhow!("cannot write {}: {error}{hint}", path.display())
        };
        write(folder, path, &text).map_err(failed)?;
        // One that an older libvirt needed, or a newer one would call as well.
        if Found::at(other).is_ours() {
            fs::remove_file(other).with_context(|| format!("cannot remove {}", other.display()))?;
        }
    }
    Ok(())
}

/// Takes our scripts away, and a folder that this leaves empty. Returns the scripts that are gone.
///
/// Errors: one cannot be removed.
pub(crate) fn uninstall(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut gone = Vec::new();
    for hook in Hook::ALL {
        let Places {
            script, drop_in, ..
        } = Places::of(folder, hook);
        for path in [drop_in, script] {
            if !Found::at(&path).is_ours() {
                continue;
            }
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            if let Some(parent) = path.parent().filter(|parent| *parent != folder) {
                // Not when something else is in it.
                let _ = fs::remove_dir(parent);
            }
            gone.push(path);
        }
    }
    Ok(gone)
}

/// The script of one hook, which calls this program.
fn text(hook: Hook, runtime: Option<&Runtime>) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let program = quoted(&program)?;
    let option = match runtime {
        None => String::new(),
        Some(Runtime::Config(file)) => format!(" --config {}", quoted(file)?),
        Some(Runtime::Folder(folder)) => format!(" --runtime-dir {}", quoted(folder)?),
    };
    let hook = hook.name();
    Ok(format!(
        "#!/bin/sh\n{MARK}\n\
         # Tells slash32 which VM is behind which link. libvirt waits for its hooks and takes a failure for a veto, so this one\n\
         # says nothing and never fails, not even when slash32 is gone.\n\
         exec >/dev/null 2>&1\n\
         [ -x {program} ] && {program} hook{option} {hook} \"$@\"\n\
         exit 0\n"
    ))
}

/// An absolute path as a word of sh.
fn quoted(path: &Path) -> anyhow::Result<String> {
    let path = std::path::absolute(path)?;
    let Some(path) = path.to_str() else {
        bail!("{} is no text, and a script is", path.display());
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:".contains(c);
    Ok(if path.chars().all(is_plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    })
}

/// Writes a script whole or not at all. libvirt reads `HOOK.d` at any time, and never sees it unfinished. When it takes the
/// place of an older one it takes over its time: [`Status::restart`] goes by that.
fn write(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let before = fs::metadata(path).ok();
    let own = fs::metadata("/proc/self")?.uid();
    if let Some(before) = &before
        && fs::read_to_string(path).is_ok_and(|old| old == text)
        && before.mode() & 0o7777 == MODE
        && before.uid() == own
    {
        return Ok(());
    }
    let unfinished = folder.join(format!(".{NAME}.{}", std::process::id()));
    let written = fill(
        &unfinished,
        text,
        before.and_then(|before| before.modified().ok()),
    )
    .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn fill(path: &Path, text: &str, modified: Option<SystemTime>) -> io::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    if let Some(modified) = modified {
        file.set_times(FileTimes::new().set_modified(modified))?;
    }
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.sync_all()
}
