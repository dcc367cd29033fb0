//! Links that are served without the agent: `slash32-responder@NAME.service` and `slash32-agent --once NAME` (see
//! [`crate::once`]). NAME is the link's, as it is or as systemd-escape writes it.
//!
//! They have a folder of their own, `RUNTIME/standalone`. systemd listens in it while a unit is started, so nobody but
//! `--once` may connect there: it would start the responder. Beside the sockets lies a [`Record`] of what `--once` did to the
//! host, for each link by its number. A link counts as served alone while both are there: then the agent leaves it alone,
//! with its route and its addresses, even when a network of its config claims it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What `--once` did to the host, so that it can be taken back whatever the config says by then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) ifindex: u32,
    /// Of the host route, and of the gateway's address on the link.
    pub(crate) protocol: u8,
    pub(crate) table: u32,
    /// The instance of the unit.
    pub(crate) name: String,
}

impl Record {
    fn read(path: &Path) -> Option<Self> {
        let ifindex = path.file_name()?.to_str()?.strip_suffix(".link")?;
        let text = fs::read_to_string(path).ok()?;
        let mut words = text.split_whitespace();
        Some(Self {
            ifindex: ifindex.parse().ok()?,
            protocol: words.next()?.parse().ok()?,
            table: words.next()?.parse().ok()?,
            name: words.next()?.to_owned(),
        })
    }
}

/// The folder `RUNTIME/standalone`.
#[derive(Clone, Debug)]
pub(crate) struct Standalone {
    folder: PathBuf,
}

impl Standalone {
    pub(crate) fn new(runtime: &Path) -> Self {
        Self {
            folder: runtime.join("standalone"),
        }
    }

    /// The control socket of the responder of `name`: `%I.sock` of the socket unit. Not `%i`: systemd loses a socket with a
    /// `\` in its path at a daemon-reload (seen with 252).
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        let path = unescape(&name.replace('-', "/"));
        self.folder.join(format!("{path}.sock"))
    }

    fn file(&self, ifindex: u32) -> PathBuf {
        self.folder.join(format!("{ifindex}.link"))
    }

    fn records(&self) -> Vec<Record> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| Record::read(&entry.ok()?.path()))
            .collect()
    }

    /// What was done for `name`, if anything.
    pub(crate) fn record(&self, name: &str) -> Option<Record> {
        self.records()
            .into_iter()
            .find(|record| record.name == name)
    }

    /// Keeps what is done for a link, and nothing else of that name. Errors: those of writing and renaming a file.
    pub(crate) fn keep(&self, record: &Record) -> io::Result<()> {
        let Record {
            ifindex,
            protocol,
            table,
            name,
        } = record;
        let (new, file) = (self.folder.join("new"), self.file(*ifindex));
        fs::write(&new, format!("{protocol} {table} {name}\n"))?;
        fs::rename(&new, file)?;
        let is_of_before = |other: &Record| other.name == *name && other.ifindex != *ifindex;
        for other in self.records().iter().filter(|other| is_of_before(other)) {
            self.forget(other);
        }
        Ok(())
    }

    pub(crate) fn forget(&self, record: &Record) {
        let _ = fs::remove_file(self.file(record.ifindex));
    }

    /// The links that are served alone now, by their ifindex, with the instance that serves them.
    pub(crate) fn links(&self) -> BTreeMap<u32, String> {
        self.records()
            .into_iter()
            .filter(|record| self.socket(&record.name).exists())
            .map(|record| (record.ifindex, record.name))
            .collect()
    }
}

/// `br\x2dlan` is br-lan (systemd.unit(5)). A name that is not escaped stays as it is.
pub(crate) fn unescape(name: &str) -> String {
    let mut parts = name.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2);
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (Some(byte), Some(rest)) = (byte, part.as_bytes().get(2..)) else {
            return name.to_owned();
        };
        bytes.push(byte);
        bytes.extend_from_slice(rest);
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

/// Why the agent does not serve a link that a network of its config claims.
pub(crate) fn reason(name: &str) -> String {
    format!(
        "served without the agent, by slash32-responder@{name}.service: to give it to the agent, systemctl disable --now slash32-responder@{name}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_a_link_name_or_what_systemd_escape_makes_of_it() {
        for (instance, link, socket) in [
            ("virbr13", "virbr13", "virbr13.sock"),
            ("br-lan.100@x", "br-lan.100@x", "br/lan.100@x.sock"),
            (r"br\x2dlan.100\x40x", "br-lan.100@x", "br-lan.100@x.sock"),
            (r"\x2ehidden", ".hidden", ".hidden.sock"),
            (r"br\x2", r"br\x2", r"br\x2.sock"),
            (r"br\xzz", r"br\xzz", r"br\xzz.sock"),
            (r"br\xff", r"br\xff", r"br\xff.sock"),
        ] {
            assert_eq!(unescape(instance), link, "{instance}");
            let path = Standalone::new(Path::new("/run")).socket(instance);
            assert_eq!(path, Path::new("/run/standalone").join(socket));
        }
    }
}
