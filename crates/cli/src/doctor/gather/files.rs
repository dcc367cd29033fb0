//! What stands in files: of /proc, /sys, /run and /etc.

use super::super::facts::{Known, Space, Spool};
use crate::hook::has_room;
use crate::shim::DAEMONS;
use slash32_libvirt::spool;
use slash32_policy::Glob;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// BIRD's own default.
const BIRD: &str = "/etc/bird/bird.conf";
const FRR: &str = "/etc/frr/frr.conf";
const DNSMASQ: &str = "/var/lib/libvirt/dnsmasq";
const SECURITY_MODULES: &str = "/sys/kernel/security/lsm";
/// `include` within `include`, more often than this, is a loop.
const DEPTH: u32 = 8;

/// The name and a pid of each kind of process that shares our network namespace.
pub(crate) fn processes() -> BTreeMap<String, u32> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let own = namespace("self");
    let mut processes = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let is_elsewhere = namespace(&pid.to_string()).is_some_and(|other| Some(other) != own);
        if let Ok(comm) = fs::read_to_string(format!("/proc/{pid}/comm"))
            && !is_elsewhere
        {
            processes.insert(comm.trim_end().to_owned(), pid);
        }
    }
    processes
}

/// `ADMIN_STATE` in systemd-networkd's file of a link.
pub(super) fn networkd(index: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/run/systemd/netif/links/{index}")).ok()?;
    let state = text
        .lines()
        .find_map(|line| line.strip_prefix("ADMIN_STATE="))?;
    Some(state.to_owned())
}

/// The text of each file in `folder` whose name ends so, in the order of their names. A folder that is not there has none.
fn each_in(folder: &str, ending: &str) -> std::io::Result<Vec<(PathBuf, String)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().ends_with(ending))
        {
            let text = fs::read_to_string(&path)?;
            files.push((path, text));
        }
    }
    files.sort();
    Ok(files)
}

/// A line of sysctl.d(5) switches IPv4 forwarding on.
pub(super) fn forwarding_at_boot() -> bool {
    let folders = ["/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"];
    let texts = folders
        .iter()
        .flat_map(|folder| each_in(&format!("{folder}/sysctl.d"), ".conf").unwrap_or_default())
        .map(|(_, text)| text);
    let switches_on = |text: &str| {
        text.lines().any(|line| {
            let Some((key, value)) = line.split_once('=') else {
                return false;
            };
            let key = key.trim().trim_start_matches('-').replace('/', ".");
            let is_meant = key == "net.ipv4.ip_forward" || key == "net.ipv4.conf.all.forwarding";
            is_meant && value.trim() == "1"
        })
    };
    texts
        .chain(fs::read_to_string("/etc/sysctl.conf"))
        .any(|text| switches_on(&text))
}

/// iproute2's names of routing protocols.
pub(super) fn protocol_names() -> String {
    let mut names = String::new();
    for folder in ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"] {
        names += &fs::read_to_string(format!("{folder}/rt_protos")).unwrap_or_default();
        for (_, text) in each_in(&format!("{folder}/rt_protos.d"), ".conf").unwrap_or_default() {
            names.push('\n');
            names += &text;
        }
        names.push('\n');
    }
    names
}

/// The config of the BIRD with this pid, with what it includes.
pub(super) fn bird(pid: u32) -> (PathBuf, Known<String>) {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0);
    let file = words
        .by_ref()
        .find_map(|word| word.strip_prefix(b"-c").map(<[u8]>::to_vec))
        .map(|rest| {
            if rest.is_empty() {
                words.next().unwrap_or_default().to_vec()
            } else {
                rest
            }
        });
    let file = file.map_or(PathBuf::from(BIRD), |file| OsString::from_vec(file).into());
    let text = included(&file, 0);
    (file, text)
}

/// The text of `file`, with each `include "...";` replaced by what it names, `*` and `?` in the file's name included.
fn included(file: &Path, depth: u32) -> Known<String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut whole = String::new();
    for line in text.lines() {
        let named = line
            .trim()
            .strip_prefix("include")
            .and_then(|rest| rest.split('"').nth(1));
        match named {
            Some(named) if depth < DEPTH => {
                for path in matching(&file.with_file_name(named)) {
                    whole += &included(&path, depth + 1)?;
                }
            }
            _ => whole += line,
        }
        whole.push('\n');
    }
    Ok(whole)
}

fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains(['*', '?']) {
        return vec![pattern.to_owned()];
    }
    let (Some(folder), Ok(glob)) = (pattern.parent(), Glob::parse_text(&name)) else {
        return Vec::new();
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter(|entry| glob.matches(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// FRR's config, where vtysh writes it.
pub(super) fn frr() -> (PathBuf, Known<String>) {
    let text = fs::read_to_string(FRR).map_err(|error| error.to_string());
    (FRR.into(), text)
}

/// The configs that libvirt writes for its dnsmasq, one a network.
pub(super) fn dnsmasq() -> Known<Vec<(PathBuf, String)>> {
    each_in(DNSMASQ, ".conf").map_err(|error| format!("libvirt's networks are not known: {error}"))
}

/// A daemon of libvirt runs, or systemd would start it: the folder of its sockets is there.
pub(super) fn has_libvirt(processes: &BTreeMap<String, u32>) -> bool {
    let runs = |name: &&str| processes.contains_key(*name);
    DAEMONS.iter().any(runs) || Path::new("/run/libvirt").is_dir()
}

/// The spool below the agent's runtime folder.
pub(super) fn spool(runtime: &Path) -> Known<Spool> {
    let folder = runtime.join(spool::FOLDER);
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut ages = Vec::new();
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        entries => Some(entries.map_err(failed)?),
    };
    for entry in entries.into_iter().flatten() {
        let entry = entry.map_err(failed)?;
        let is_call = spool::is_call(&entry.file_name().to_string_lossy());
        // One that the agent has just taken is gone.
        if let Ok(modified) = entry.metadata().and_then(|about| about.modified())
            && is_call
        {
            ages.push(modified.elapsed().unwrap_or_default());
        }
    }
    Ok(Spool {
        is_read_only: space(&folder)?.is_read_only,
        has_room: has_room(&folder).unwrap_or(true),
        folder,
        ages,
    })
}

pub(super) fn security_modules() -> Known<String> {
    fs::read_to_string(SECURITY_MODULES).map_err(|error| {
        format!("Whether the kernel has it is not known: {SECURITY_MODULES}: {error}")
    })
}

/// The file system of `folder`, or of the nearest folder above it that is there.
pub(super) fn space(folder: &Path) -> Known<Space> {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    let there = there.unwrap_or(Path::new("/"));
    let stat =
        rustix::fs::statvfs(there).map_err(|error| format!("{}: {error}", there.display()))?;
    Ok(Space {
        is_read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        free_files: (stat.f_files > 0).then_some(stat.f_ffree),
    })
}
