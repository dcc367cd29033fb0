//! libvirt's own files of what runs: `qemu/NAME.xml` and `network/NAME.xml` in its runtime folder. Only what has changed is
//! read again.

use super::watch::Woken;
use slash32_libvirt::{Fact, Fault, domain_status, network_status};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const MOST: u64 = 4 << 20;

/// What a file is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Of {
    Domain,
    Network,
}

impl Of {
    /// The folder in libvirt's.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Domain => "qemu",
            Self::Network => "network",
        }
    }

    fn read(self, xml: &str) -> Result<Vec<Fact>, Fault> {
        match self {
            Self::Domain => domain_status(xml),
            Self::Network => network_status(xml),
        }
    }

    fn gone(self, name: &str) -> Fact {
        match self {
            Self::Domain => Fact::StatusGone(name.to_owned()),
            Self::Network => Fact::NetworkGone(name.to_owned()),
        }
    }
}

/// Inode, time of the last change in nanoseconds, and size.
type Stamp = (u64, i128, u64);

/// The files, as far as they were read.
#[derive(Clone)]
pub(super) struct StatusFiles {
    /// libvirt's runtime folder.
    folder: PathBuf,
    /// By what they are of and the name of that; one of which an earlier agent knew has no stamp.
    seen: BTreeMap<(Of, String), Option<Stamp>>,
    /// What cannot be read was told.
    complained: BTreeSet<PathBuf>,
}

impl StatusFiles {
    /// `seen`: the files that an earlier agent has read.
    pub(super) fn new(folder: PathBuf, seen: impl IntoIterator<Item = (Of, String)>) -> Self {
        Self {
            folder,
            seen: seen.into_iter().map(|file| (file, None)).collect(),
            complained: BTreeSet::new(),
        }
    }

    /// Every file that was read and is there.
    pub(super) fn seen(&self) -> impl Iterator<Item = &(Of, String)> {
        self.seen.keys()
    }

    /// The facts of the files that `woken` names, or of all that have changed.
    pub(super) fn look(&mut self, woken: &Woken) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut files = woken.files.clone();
        if woken.all {
            files.extend(self.all(Of::Domain));
            files.extend(self.all(Of::Network));
        }
        // Networks first: what a domain says rests on what its network does.
        for (of, name) in files.into_iter().rev() {
            self.look_at(of, name, &mut facts);
        }
        facts
    }

    /// Every file that is there, or was.
    fn all(&mut self, of: Of) -> Vec<(Of, String)> {
        let folder = self.folder.join(of.folder());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // A host without libvirt.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self
                    .seen
                    .keys()
                    .filter(|(is, _)| *is == of)
                    .cloned()
                    .collect();
            }
            Err(error) => {
                let note = match error.kind() {
                    // Landlock's doing, when the folder was made later.
                    io::ErrorKind::PermissionDenied => {
                        "; slash32-agent may read only what was there when it started: restart it"
                    }
                    _ => "",
                };
                self.complain(&folder, &format!("{error}{note}"));
                return Vec::new();
            }
        };
        let there =
            entries.filter_map(|entry| name_of(&entry.ok()?.file_name().into_string().ok()?));
        let there: BTreeSet<_> = there.map(|name| (of, name)).collect();
        let before = self.seen.keys().filter(|(is, _)| *is == of).cloned();
        there.into_iter().chain(before).collect()
    }

    fn look_at(&mut self, of: Of, name: String, facts: &mut Vec<Fact>) {
        let path = self.folder.join(of.folder()).join(format!("{name}.xml"));
        let read = File::open(&path).and_then(|file| Ok((stamp(&file)?, file)));
        let (stamp, file) = match read {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let gone = of.gone(&name);
                if self.seen.remove(&(of, name)).is_some() {
                    facts.push(gone);
                }
                return;
            }
            Err(error) => return self.complain(&path, &error.to_string()),
        };
        let key = (of, name);
        if self.seen.get(&key) == Some(&Some(stamp)) {
            return;
        }
        let mut bytes = Vec::new();
        let told = match file.take(MOST).read_to_end(&mut bytes) {
            Ok(_) => of.read(&String::from_utf8_lossy(&bytes)),
            Err(error) => Err(Fault(error.to_string())),
        };
        self.seen.insert(key, Some(stamp));
        match told {
            Ok(told) => {
                self.complained.remove(&path);
                facts.extend(told);
            }
            Err(fault) => self.complain(&path, &fault.to_string()),
        }
    }

    /// Once for each file or folder.
    fn complain(&mut self, path: &Path, what: &str) {
        if self.complained.insert(path.to_owned()) {
            tracing::warn!(
                "{}: what libvirt says there is not known: {what}",
                path.display()
            );
        }
    }
}

/// What a file of this name is of, if it is one of libvirt's.
pub(super) fn name_of(file: &str) -> Option<String> {
    let name = file.strip_suffix(".xml")?;
    (!name.is_empty() && !name.starts_with('.')).then(|| name.to_owned())
}

fn stamp(file: &File) -> io::Result<Stamp> {
    let data = file.metadata()?;
    let changed = i128::from(data.mtime()) * 1_000_000_000 + i128::from(data.mtime_nsec());
    Ok((data.ino(), changed, data.size()))
}
