//! The systemd units that are shipped, held against systemd's own judgement. No systemd need run.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_sys::isolate::syscalls::{ALLOWED, ALLOWED_WITH_STD};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// Where the units lie.
const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd");
/// What systemd-analyze is asked about; templates by one instance each.
const INSTANCES: [&str; 6] = [
    "slash32.target",
    "slash32-agent.service",
    "slash32-responders.service",
    "slash32-responder@virbr13.service",
    "slash32-responder@virbr13.socket",
    r"slash32-responder@br\x2dlan.100\x40x.service",
];

/// A root folder with the units, systemd's own units, and something that can be executed for each program that they name.
struct Root {
    folder: TempDir,
}

impl Root {
    fn new() -> Result<Self> {
        let root = Self {
            folder: tempfile::tempdir()?,
        };
        let units = root.path("usr/lib/systemd/system");
        fs::create_dir_all(&units)?;
        for unit in unit_files()? {
            let name = unit.file_name().context("no name")?;
            fs::copy(&unit, units.join(name))?;
            for program in programs(&fs::read_to_string(&unit)?) {
                root.stand_in(&program)?;
            }
        }
        // Those that every unit depends on.
        for name in [
            "sysinit",
            "basic",
            "shutdown",
            "multi-user",
            "sockets",
            "paths",
            "timers",
        ] {
            fs::write(
                units.join(format!("{name}.target")),
                "[Unit]\nDefaultDependencies=no\n",
            )?;
        }
        Ok(root)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    fn stand_in(&self, program: &str) -> Result<()> {
        let path = self.path(program);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(&path, "#!/bin/sh\n")?;
        Ok(fs::set_permissions(
            path,
            fs::Permissions::from_mode(0o755),
        )?)
    }

    fn analyze(&self, arguments: &[&str]) -> Result<Output> {
        Command::new("systemd-analyze")
            .args(arguments)
            .arg("--root")
            .arg(self.folder.path())
            .output()
            .context("systemd-analyze is of the package systemd, and this case needs it")
    }

    /// The exposure that `systemd-analyze security` gives a unit, in tenths, and all that it said.
    fn exposure(&self, unit: &str, threshold: u32) -> Result<String> {
        let threshold = format!("--threshold={threshold}");
        let output = self.analyze(&["security", "--offline=true", &threshold, unit])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success() && said.contains("Overall exposure level"),
            "{unit}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }
}

fn unit_files() -> Result<Vec<PathBuf>> {
    let is_unit = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("service" | "socket" | "target"))
    };
    let files = fs::read_dir(UNITS)?.filter_map(|entry| Some(entry.ok()?.path()));
    let files: Vec<_> = files.filter(|path| is_unit(path)).collect();
    ensure!(files.len() == 5, "{files:?}");
    Ok(files)
}

/// The programs of the `Exec…=` lines, and those that they run in turn.
fn programs(unit: &str) -> Vec<String> {
    let commands = unit.lines().filter_map(|line| {
        let (key, command) = line.split_once('=')?;
        key.starts_with("Exec").then_some(command)
    });
    commands
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_start_matches(['+', '-', '!', '@']))
        .filter(|word| word.starts_with('/'))
        .map(str::to_owned)
        .collect()
}

fn text(unit: &str) -> Result<String> {
    Ok(fs::read_to_string(Path::new(UNITS).join(unit))?)
}

/// The words of every line of a key, as systemd adds them up.
fn words(unit: &str, key: &str) -> Vec<String> {
    let lines = unit
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() -> Result<()> {
    let root = Root::new()?;
    for unit in INSTANCES {
        // It succeeds whatever it finds, so what it says counts.
        let output = root.analyze(&["verify", "--man=no", "--recursive-errors=no", unit])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.is_empty(), "{unit}: {said}");
    }
    Ok(())
}

#[test]
fn a_fault_in_a_unit_is_found() -> Result<()> {
    let root = Root::new()?;
    let unit = root.path("usr/lib/systemd/system/slash32-agent.service");
    let right = fs::read_to_string(&unit)?;
    for (text, complaint) in [
        (
            right.replace("ProtectClock=", "ProtectClok="),
            "ProtectClok",
        ),
        (
            right.replace("/usr/sbin/slash32-agent", "/usr/sbin/absent"),
            "absent",
        ),
    ] {
        fs::write(&unit, text)?;
        let output = root.analyze(&[
            "verify",
            "--man=no",
            "--recursive-errors=no",
            "slash32-agent.service",
        ])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            said.contains(complaint),
            "{complaint} was not found: {said}"
        );
    }
    Ok(())
}

#[test]
fn the_exposure_of_a_responder_is_at_most_1() -> Result<()> {
    Root::new()?.exposure("slash32-responder@virbr13.service", 10)?;
    Ok(())
}

/// 2.0 cannot be had: what is left is what the agent is for. Each setting that is missing is named here with its reason, so
/// that another one that goes missing is seen.
#[test]
fn the_agent_is_exposed_by_what_it_is_for_and_by_nothing_else() -> Result<()> {
    const NEEDED: [(&str, &str); 17] = [
        ("PrivateNetwork=", "the host's links are its work"),
        (
            "User=/DynamicUser=",
            "responders become another user, which takes root",
        ),
        ("CapabilityBoundingSet=~CAP_SET(UID|GID|PCAP)", "the same"),
        (
            "CapabilityBoundingSet=~CAP_KILL",
            "it ends responders, which are another user's",
        ),
        (
            "CapabilityBoundingSet=~CAP_NET_ADMIN",
            "routes, addresses, link settings",
        ),
        (
            "CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)",
            "packet sockets, UDP port 67",
        ),
        (
            "RestrictAddressFamilies=~AF_(INET|INET6)",
            "idle sockets, probes, metrics",
        ),
        (
            "RestrictAddressFamilies=~AF_PACKET",
            "the responders' packet sockets",
        ),
        ("RestrictAddressFamilies=~AF_NETLINK", "rtnetlink"),
        (
            "RestrictAddressFamilies=~AF_UNIX",
            "responders and operators",
        ),
        ("IPAddressDeny=", "probes and metrics may have any address"),
        ("PrivateUsers=", "its responders' user is the host's"),
        (
            "SystemCallFilter=~@privileged",
            "responders give up their user and capabilities",
        ),
        ("ProcSubset=", "net.ipv6.conf is below /proc/sys"),
        (
            "RootDirectory=/RootImage=",
            "its config, store and sockets are the host's",
        ),
        (
            "DeviceAllow=",
            "/dev/rtc for reading, as ProtectClock= has it",
        ),
        ("SupplementaryGroups=", "does not matter for root"),
    ];
    let said = Root::new()?.exposure("slash32-agent.service", 26)?;
    let missing = said.lines().filter_map(|line| line.strip_prefix('✗'));
    for line in missing {
        let setting = line.split_whitespace().next().context("an empty line")?;
        ensure!(
            NEEDED.iter().any(|(needed, _)| *needed == setting),
            "the agent can do without: {line}"
        );
    }
    Ok(())
}

#[test]
fn a_standalone_responder_may_make_the_calls_of_its_own_filter() -> Result<()> {
    let unit = text("slash32-responder@.service")?;
    let allowed = words(&unit, "SystemCallFilter");
    for (_, name, reason) in ALLOWED.into_iter().chain(ALLOWED_WITH_STD) {
        ensure!(
            allowed.iter().any(|word| word == name),
            "SystemCallFilter= of slash32-responder@.service lacks {name}: {reason}"
        );
    }
    // Nothing by which a socket that it holds could be led to another link, or another process reached.
    for denied in [
        "bind",
        "connect",
        "sendto",
        "sendmsg",
        "sendmmsg",
        "setsockopt",
        "socket",
        "kill",
        "ptrace",
        "pidfd_open",
        "clone",
        "fork",
        "process_vm_readv",
    ] {
        ensure!(
            !allowed.iter().any(|word| word == denied),
            "{denied} is allowed"
        );
    }
    Ok(())
}

#[test]
fn the_agents_end_is_not_the_end_of_its_responders() -> Result<()> {
    let unit = text("slash32-agent.service")?;
    for (key, value) in [
        ("KillMode", "process"),
        ("OOMPolicy", "continue"),
        ("RuntimeDirectoryPreserve", "yes"),
        ("Type", "notify"),
        ("PartOf", "slash32.target"),
    ] {
        ensure!(
            words(&unit, key) == [value],
            "{key}= is {:?}",
            words(&unit, key)
        );
    }
    for daemon in [
        "libvirtd.service",
        "virtqemud.service",
        "virtnetworkd.service",
    ] {
        ensure!(
            words(&unit, "Before").contains(&daemon.to_owned()),
            "not before {daemon}"
        );
    }
    ensure!(!unit.contains("network-online.target"));
    // Two looks at everything are missed before systemd ends an agent that is stuck, and one is not enough for that.
    ensure!(words(&unit, "WatchdogSec") == ["150s"]);
    Ok(())
}
