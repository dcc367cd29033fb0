//! Where and of what the figures are: the machine, and the programs with their versions and sizes.

use super::report::{PEERS, Subject};
use crate::cargo;
use anyhow::{Context, Result};
use slash32_tests::binary;
use std::fs;
use std::process::{Command, Stdio};

/// What the figures depend on most.
pub(crate) struct Machine {
    /// The model, as the kernel names it.
    pub(crate) processor: String,
    pub(crate) cores: usize,
    /// KiB.
    pub(crate) memory: u64,
    pub(crate) kernel: String,
    /// The distribution.
    pub(crate) system: String,
}

/// What was measured: ours, or a peer.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Of the program's file, in bytes; ours alone.
    pub(crate) size: Option<u64>,
}

/// How many processes wanted to run, over 1, 5 and 15 minutes: proc_loadavg(5).
pub(crate) type Load = [f64; 3];

impl Machine {
    /// This one. What cannot be told is `unknown`.
    pub(crate) fn this() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let kibibytes = |text: &str| text.split_whitespace().next()?.parse().ok();
        let known = |text: Option<&str>| text.map_or("unknown", |text| text.trim()).to_owned();
        Self {
            processor: known(value_of(&processors, "model name", ':')),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: value_of(&memory, "MemTotal", ':')
                .and_then(kibibytes)
                .unwrap_or_default(),
            kernel: known(Some(&kernel)),
            system: known(value_of(&system, "PRETTY_NAME", '=')).replace('"', ""),
        }
    }
}

/// The value of the first line `key SEPARATOR value`.
fn value_of<'t>(text: &'t str, key: &str, separator: char) -> Option<&'t str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(separator));
    lines
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
}

/// The load now; zeros when it cannot be told.
pub(crate) fn load() -> Load {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut words = text.split_whitespace().map(|word| word.parse());
    std::array::from_fn(|_| words.next().and_then(Result::ok).unwrap_or_default())
}

/// Our programs, the tree that they are of, and the peers. Errors: one of ours is missing.
pub(crate) fn programs() -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for name in ["slash32-agent", "slash32-responder", "slash32"] {
        let file = binary(name)?;
        let version = says(Command::new(&file).arg("--version"))
            .with_context(|| format!("{} tells no version", file.display()))?;
        programs.push(Program {
            name: name.to_owned(),
            version: version.trim_start_matches(name).trim().to_owned(),
            size: Some(fs::metadata(&file)?.len()),
        });
    }
    programs.push(Program {
        name: "the tree of this bench".to_owned(),
        version: tree(),
        size: None,
    });
    for peer in PEERS {
        programs.push(Program {
            name: peer.name().to_owned(),
            version: package_version(package(peer)),
            size: None,
        });
    }
    Ok(programs)
}

/// The Debian package of a peer's program.
fn package(peer: Subject) -> &'static str {
    match peer {
        Subject::Udhcpd => "udhcpd",
        Subject::Dhcpd => "isc-dhcp-server",
        Subject::Kea => "kea-dhcp4-server",
        _ => "dnsmasq-base",
    }
}

/// Tag and commit of this tree, and whether it has changes that are in no commit.
fn tree() -> String {
    let mut git = Command::new("git");
    git.current_dir(cargo::workspace())
        .args(["describe", "--always", "--tags", "--dirty"]);
    match says(&mut git) {
        Some(name) => match name.strip_suffix("-dirty") {
            Some(name) => format!("{name}, with changes"),
            None => format!("{name}, clean"),
        },
        None => "unknown".to_owned(),
    }
}

fn package_version(package: &str) -> String {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${Package} ${Version}", package]);
    says(&mut query).unwrap_or_else(|| "unknown".to_owned())
}

/// What a program that succeeds prints.
fn says(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text = "model\t\t: 1\nmodel name\t: AMD EPYC\n";
        assert_eq!(value_of(text, "model name", ':'), Some("AMD EPYC"));
        assert_eq!(value_of(text, "name", ':'), None);
    }
}
