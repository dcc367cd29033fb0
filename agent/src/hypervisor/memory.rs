//! What outlives the agent: all that libvirt has told, and what of it counts for the VMs that are there, in
//! `RUNTIME/libvirt.json`.

use super::status::Of;
use crate::presence::Stay;
use serde::{Deserialize, Serialize};
use slash32_libvirt::{Knowledge, Nic};
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
    pub(super) stays: Vec<KeptStay>,
}

/// What counts for a VM while it stays on a link.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptStay {
    pub(super) ifindex: u32,
    port: u32,
    carrier_ups: u32,
    pub(super) nic: Nic,
}

impl KeptStay {
    pub(super) fn new(ifindex: u32, stay: Stay, nic: Nic) -> Self {
        Self {
            ifindex,
            port: stay.port,
            carrier_ups: stay.carrier_ups,
            nic,
        }
    }

    pub(super) fn stay(&self) -> Stay {
        Stay {
            port: self.port,
            carrier_ups: self.carrier_ups,
        }
    }
}

impl Memory {
    pub(super) fn new<'f>(
        boot: &str,
        knowledge: Knowledge,
        files: impl Iterator<Item = &'f (Of, String)>,
        stays: Vec<KeptStay>,
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
            stays,
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
