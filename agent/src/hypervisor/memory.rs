//! What outlives the agent: all that libvirt has told, and what of it counts for the VMs that are there, in
//! `RUNTIME/libvirt.json`.

use super::status::Of;
use crate::presence::Stay;
use serde::{Deserialize, Serialize};
use slash32_libvirt::{Knowledge, Nic};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Of the file's form. A file of another version is moved aside.
const VERSION: u32 = 1;

/// What the file holds.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Memory {
    version: u32,
    /// The boot that all of it is of (`/proc/sys/kernel/random/boot_id`).
    boot: String,
    pub(super) knowledge: Knowledge,
    /// Domains whose files in libvirt's runtime folder have been read.
    pub(super) domains: Vec<String>,
    /// The same of networks.
    pub(super) networks: Vec<String>,
    /// By the ifindex of the link.
    pub(super) kept: BTreeMap<u32, Kept>,
}

/// What counts for the VM on a link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) stay: Stay,
    pub(crate) nic: Nic,
    /// The VM was told its address: nothing else counts for it until its next start.
    pub(crate) settled: bool,
    /// libvirt has told since that the VM ended, or starts: it is another start that this was of.
    #[serde(default)]
    pub(super) over: bool,
}

impl Memory {
    pub(super) fn new<'f>(
        boot: &str,
        knowledge: Knowledge,
        files: impl Iterator<Item = &'f (Of, String)>,
        kept: BTreeMap<u32, Kept>,
    ) -> Self {
        let (mut domains, mut networks) = (Vec::new(), Vec::new());
        for (of, name) in files {
            match of {
                Of::Domain => domains.push(name.clone()),
                Of::Network => networks.push(name.clone()),
            }
        }
        Self {
            version: VERSION,
            boot: boot.to_owned(),
            knowledge,
            domains,
            networks,
            kept,
        }
    }

    /// What an agent before has left in this boot. A file that cannot be used is moved aside, with a line that says so.
    pub(super) fn load(path: &Path, boot: &str) -> Self {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(error) => {
                tracing::warn!(
                    "{}: what libvirt told before is not known: {error}",
                    path.display()
                );
                return Self::default();
            }
        };
        match Self::read(&text) {
            Ok(memory) if memory.boot == boot => memory,
            Ok(_) => Self::default(),
            Err(what) => {
                let aside = with_ending(path, ".damaged");
                let moved = match fs::rename(path, &aside) {
                    Ok(()) => format!("it is moved to {}", aside.display()),
                    Err(error) => format!("it cannot be moved aside: {error}"),
                };
                tracing::warn!(
                    "{}: what libvirt told before is not known: {what}; {moved}",
                    path.display()
                );
                Self::default()
            }
        }
    }

    fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if head.version != VERSION {
            return Err(format!("it is of version {}, not {VERSION}", head.version));
        }
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    /// Writes the file whole, or not at all.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let new = with_ending(path, ".new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(&new, path)
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
