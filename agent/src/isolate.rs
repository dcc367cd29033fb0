//! What the agent takes away from itself before it reads the first byte from outside.
//!
//! # Theory of operation
//!
//! The agent can change the host's routes and links, so it is kept from everything else. It never parses a byte that a guest
//! has sent; what is left to attack it with are the words of a responder that was taken over (see
//! [`conversation`](crate::conversation)), the calls of local users on the operator socket, and its config. Whoever gets
//! through one of these should be able to do no more than slash32 does.
//!
//! The stages, in this order:
//!
//! 1. [`keep_to_start`], before the config is read: no new privileges, and of the capabilities those of [`KEPT`], and CAP_CHOWN
//!    while it is needed to give the operator socket to its group. From here on root is bound by the modes of files, so
//!    what could not be read after a reload cannot be read at the start either.
//! 2. The folders and sockets are made, the store is opened, groups and users are looked up, netlink is connected to.
//! 3. [`isolate`]: CAP_CHOWN goes, and with Landlock every file but those of [`allowed`], and outgoing TCP.
//!
//! All three happen while the process has one thread: capabilities and Landlock domains belong to threads, and those that
//! wait for the disk, and the one that starts responders, are started later and inherit both. So do responders; each gives
//! up the rest by itself.
//!
//! After that the agent *should* be able to read its config, also one that was replaced, and libvirt's files of what runs (in
//! a folder that was there at the start), keep its store, make sockets in its runtime folder, set the links and routes of its network namespace, start responders from the folder of their
//! program and end them. It *must not* be able to read or write any other file, to run any other program, to trace or to
//! end what is not its own, to load modules, or to mount anything.
//!
//! What Landlock does not take: signals (the responders of an earlier agent are outside of its domain, and must be ended
//! when they lie), listening TCP (the metrics may come late, with their address), and unix sockets (systemd's and journald's).
//! A kernel without Landlock leaves the capabilities and the modes of the files, which systemd's sandbox of the unit narrows.

use anyhow::{Context, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};
use slash32_sys::capability::{CapabilitySet, keep};
use std::fs;
use std::path::{Path, PathBuf};

/// Every capability that the agent keeps, what it is for, and what does not work without it.
const KEPT: [(CapabilitySet, &str, &str); 7] = [
    (
        CapabilitySet::NET_ADMIN,
        "CAP_NET_ADMIN",
        "routes, gateway addresses and link settings cannot be set",
    ),
    (
        CapabilitySet::NET_RAW,
        "CAP_NET_RAW",
        "no packet socket can be opened, so no VM is answered",
    ),
    (
        CapabilitySet::NET_BIND_SERVICE,
        "CAP_NET_BIND_SERVICE",
        "UDP port 67 cannot be bound, so renewals are answered by port-unreachable as well",
    ),
    (
        CapabilitySet::SETUID,
        "CAP_SETUID",
        "responders cannot become their user, and end",
    ),
    (
        CapabilitySet::SETGID,
        "CAP_SETGID",
        "responders cannot become their group, and end",
    ),
    (
        CapabilitySet::SETPCAP,
        "CAP_SETPCAP",
        "responders cannot empty their bounding set, and end",
    ),
    (
        CapabilitySet::KILL,
        "CAP_KILL",
        "a responder that lies or hangs, and is of another user, cannot be ended",
    ),
];

/// Where the agent has its files.
pub(crate) struct Files<'a> {
    /// The config; files in conf.d beside it are read too.
    pub(crate) config: &'a Path,
    pub(crate) runtime_dir: &'a Path,
    pub(crate) state_dir: &'a Path,
    /// libvirt's runtime folder.
    pub(crate) libvirt_dir: &'a Path,
    /// The responder's program.
    pub(crate) responder: &'a Path,
}

fn kept() -> CapabilitySet {
    let all = KEPT.iter().map(|(capability, ..)| *capability);
    all.fold(CapabilitySet::empty(), CapabilitySet::union)
}

/// The first stage. What is missing of [`KEPT`] is told in one line: the agent goes on, as far as it goes.
///
/// Errors: the kernel does not let it give up what it has.
pub(crate) fn keep_to_start() -> Result<()> {
    let missing = keep(kept() | CapabilitySet::CHOWN).context("cannot give up capabilities")?;
    if let Some(sentence) = lacking(missing) {
        tracing::warn!("{sentence}");
    }
    Ok(())
}

/// What does not work without `missing`, in one sentence.
fn lacking(missing: CapabilitySet) -> Option<String> {
    let lacks: Vec<String> = KEPT
        .iter()
        .filter(|(capability, ..)| missing.contains(*capability))
        .map(|(_, name, without)| format!("without {name} {without}"))
        .collect();
    let what_to_do = "start slash32-agent as root, with these in its bounding set";
    (!lacks.is_empty()).then(|| format!("{}: {what_to_do}", lacks.join("; ")))
}

/// The last stage.
///
/// Errors: the kernel does not let it give up what it has. A kernel without Landlock is none.
pub(crate) fn isolate(files: &Files<'_>) -> Result<()> {
    keep(kept()).context("cannot give up capabilities")?;
    match landlock(files).context("cannot restrict itself to its own files (Landlock)")? {
        RulesetStatus::NotEnforced => tracing::info!(
            "this kernel has no Landlock, or it is off (lsm= on its command line): other files are guarded by their modes alone"
        ),
        RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => {}
    }
    Ok(())
}

/// Denies what is not among [`allowed`], as far as this kernel can.
fn landlock(files: &Files<'_>) -> Result<RulesetStatus> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::ConnectTcp)?
        .create()?;
    for (path, access) in allowed(files) {
        // One that is not there needs no rule.
        let Ok(place) = PathFd::new(&path) else {
            continue;
        };
        let access = if path.is_dir() {
            access
        } else {
            access & AccessFs::from_file(ABI::V6)
        };
        ruleset = ruleset.add_rule(PathBeneath::new(place, access))?;
    }
    Ok(ruleset.restrict_self()?.ruleset)
}

/// Every place that the agent may touch, with all that is below it, and how.
fn allowed(files: &Files<'_>) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::WriteFile | AccessFs::Truncate;
    let own = read
        | write
        | AccessFs::MakeReg
        | AccessFs::MakeSock
        | AccessFs::RemoveFile
        | AccessFs::Refer;
    let mut places = vec![
        (files.runtime_dir.to_owned(), own),
        (files.state_dir.to_owned(), own),
        // Which VM is where.
        (files.libvirt_dir.to_owned(), read),
        // The switches of IPv6 on a VM link.
        ("/proc/sys/net".into(), read | write),
        // What the kernel says of itself; the mode of each file tells which of it a root without capabilities may read.
        ("/proc".into(), read),
        ("/sys".into(), read),
        // The standard output of a responder.
        ("/dev/null".into(), read | write),
    ];
    places.extend(config_places(files.config).map(|place| (place, read)));
    // The folder, as an upgrade puts another file there.
    let program = files.responder.parent().unwrap_or(Path::new("/"));
    places.push((program.to_owned(), read | AccessFs::Execute));
    // The dynamic loader, and the libraries that it maps.
    let loader = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"];
    places.extend(loader.map(|folder| (folder.into(), read | AccessFs::Execute)));
    places.push(("/etc/ld.so.cache".into(), read));
    places
}

/// The folder of the config, and where links in it lead to: files there may be replaced, and conf.d may be made later.
fn config_places(config: &Path) -> impl Iterator<Item = PathBuf> {
    let folder = match config.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => ".".into(),
    };
    let drop_ins = folder.join("conf.d");
    let targets = fs::read_dir(&drop_ins)
        .into_iter()
        .flatten()
        .filter_map(|entry| fs::canonicalize(entry.ok()?.path()).ok());
    let target = fs::canonicalize(config)
        .ok()
        .and_then(|target| Some(target.parent()?.to_owned()));
    targets.chain(target).chain([drop_ins, folder])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_in_one_sentence_with_what_to_do() {
        assert_eq!(lacking(CapabilitySet::empty()), None);
        // CAP_CHOWN is needed only for a group that the operator has made.
        assert_eq!(lacking(CapabilitySet::CHOWN), None);
        assert_eq!(
            lacking(CapabilitySet::NET_RAW | CapabilitySet::KILL).unwrap(),
            "without CAP_NET_RAW no packet socket can be opened, so no VM is answered; without CAP_KILL a responder that lies \
             or hangs, and is of another user, cannot be ended: start slash32-agent as root, with these in its bounding set"
        );
    }

    /// In a thread of its own: a domain is a thread's, and its children's.
    #[test]
    fn behind_landlock_are_the_agents_own_files_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for made in ["etc/conf.d", "run", "state", "libvirt", "bin", "elsewhere"] {
            fs::create_dir_all(path(made)).unwrap();
        }
        for file in [
            "etc/slash32.toml",
            "state/store",
            "libvirt/vm.xml",
            "elsewhere/file",
        ] {
            fs::write(path(file), "before").unwrap();
        }
        fs::copy("/bin/true", path("bin/responder")).unwrap();
        fs::copy("/bin/true", path("elsewhere/program")).unwrap();
        let restricted = std::thread::scope(|scope| {
            let work = || {
                let files = Files {
                    config: &path("etc/slash32.toml"),
                    runtime_dir: &path("run"),
                    state_dir: &path("state"),
                    libvirt_dir: &path("libvirt"),
                    responder: &path("bin/responder"),
                };
                if landlock(&files).unwrap() == RulesetStatus::NotEnforced {
                    return false;
                }
                // Its own: a store that is moved aside, a socket that is renamed, a config that is replaced.
                fs::write(path("state/new"), "new").unwrap();
                fs::rename(path("state/store"), path("state/damaged")).unwrap();
                let _socket = std::os::unix::net::UnixListener::bind(path("run/a.sock")).unwrap();
                fs::rename(path("run/a.sock"), path("run/b.sock")).unwrap();
                fs::remove_file(path("run/b.sock")).unwrap();
                fs::read_dir(path("etc/conf.d")).unwrap();
                fs::read_to_string(path("etc/slash32.toml")).unwrap();
                fs::read_to_string(path("libvirt/vm.xml")).unwrap();
                let run = |program: PathBuf| {
                    let mut command = std::process::Command::new(program);
                    command.stdin(std::process::Stdio::null()).status()
                };
                assert!(run(path("bin/responder")).unwrap().success());
                // No other.
                let denied: [(&str, std::io::Result<()>); 8] = [
                    ("read", fs::read(path("elsewhere/file")).map(drop)),
                    ("list", fs::read_dir(path("elsewhere")).map(drop)),
                    ("write", fs::write(path("elsewhere/file"), "after")),
                    ("make", fs::write(path("elsewhere/new"), "new")),
                    (
                        "write its config",
                        fs::write(path("etc/slash32.toml"), "after"),
                    ),
                    (
                        "write a file of libvirt's",
                        fs::write(path("libvirt/vm.xml"), "after"),
                    ),
                    ("write a program", fs::write(path("bin/responder"), "after")),
                    ("run", run(path("elsewhere/program")).map(drop)),
                ];
                for (what, result) in denied {
                    let kind = result.map_err(|error| error.kind());
                    assert_eq!(kind, Err(std::io::ErrorKind::PermissionDenied), "{what}");
                }
                let moved = fs::rename(path("state/new"), path("elsewhere/new"));
                assert!(moved.is_err(), "a file was moved elsewhere");
                true
            };
            scope.spawn(work).join().unwrap()
        });
        assert!(
            restricted,
            "this kernel has no Landlock, or it is off, and this case needs it"
        );
    }

    #[test]
    fn a_linked_config_is_read_where_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for made in ["etc/conf.d", "srv", "elsewhere"] {
            fs::create_dir_all(path(made)).unwrap();
        }
        for file in ["srv/real.toml", "elsewhere/drop-in.toml"] {
            fs::write(path(file), "").unwrap();
        }
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(path(to), path(at)).unwrap();
        link("srv/real.toml", "etc/slash32.toml");
        link("elsewhere/drop-in.toml", "etc/conf.d/10.toml");
        let places: Vec<_> = config_places(&path("etc/slash32.toml")).collect();
        let expected = ["elsewhere/drop-in.toml", "srv", "etc/conf.d", "etc"].map(path);
        assert_eq!(places, expected);
    }
}
