//! The unit file and the table of syscalls, side by side. The unit's filter is there before the program starts, the
//! responder's own once it is ready; each must keep up the wall without the other, and the unit's must not hinder the start.

use crate::start;
use anyhow::{Context, Result, ensure};
use slash32_sys::isolate::syscalls::{ALLOWED, ALLOWED_WITH_STD};
use std::{collections::BTreeSet, fs, process::Command};

const UNIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../systemd/slash32-responder@.service"
);

/// What the wall is there for: DESIGN names these, and what leads to the same.
const WALL: &[&str] = &[
    "bind",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "connect",
    "setsockopt",
    "socket",
    "socketpair",
    "kill",
    "tkill",
    "tgkill",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_open",
    "pidfd_getfd",
    "pidfd_send_signal",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "unshare",
    "setns",
    "mount",
    "bpf",
    "io_uring_setup",
    "ioctl",
    "keyctl",
    "userfaultfd",
    "perf_event_open",
];

/// Only a responder that root starts makes these: it changes its user, which systemd has done for one that has a unit.
const AS_ROOT: &[&str] = &["setgroups", "setresuid", "setresgid"];

/// The names of the calls that a start may take: what is not here is added with the C library that needs it.
macro_rules! named {
    ($($name:ident = $number:ident),* $(,)?) => {
        &[$((libc::$number, stringify!($name))),*]
    };
}
const STARTING: &[(i64, &str)] = named![
    access = SYS_access,
    arch_prctl = SYS_arch_prctl,
    brk = SYS_brk,
    capget = SYS_capget,
    capset = SYS_capset,
    clock_gettime = SYS_clock_gettime,
    close = SYS_close,
    close_range = SYS_close_range,
    execve = SYS_execve,
    faccessat = SYS_faccessat,
    fcntl = SYS_fcntl,
    fstat = SYS_fstat,
    futex = SYS_futex,
    getegid = SYS_getegid,
    geteuid = SYS_geteuid,
    getgid = SYS_getgid,
    getpid = SYS_getpid,
    getrandom = SYS_getrandom,
    getsockopt = SYS_getsockopt,
    gettid = SYS_gettid,
    getuid = SYS_getuid,
    landlock_create_ruleset = SYS_landlock_create_ruleset,
    landlock_restrict_self = SYS_landlock_restrict_self,
    listen = SYS_listen,
    madvise = SYS_madvise,
    mmap = SYS_mmap,
    mprotect = SYS_mprotect,
    munmap = SYS_munmap,
    newfstatat = SYS_newfstatat,
    open = SYS_open,
    openat = SYS_openat,
    poll = SYS_poll,
    ppoll = SYS_ppoll,
    prctl = SYS_prctl,
    pread64 = SYS_pread64,
    prlimit64 = SYS_prlimit64,
    read = SYS_read,
    readlink = SYS_readlink,
    rseq = SYS_rseq,
    rt_sigaction = SYS_rt_sigaction,
    rt_sigprocmask = SYS_rt_sigprocmask,
    sched_getaffinity = SYS_sched_getaffinity,
    seccomp = SYS_seccomp,
    set_robust_list = SYS_set_robust_list,
    set_tid_address = SYS_set_tid_address,
    setgroups = SYS_setgroups,
    setresgid = SYS_setresgid,
    setresuid = SYS_setresuid,
    setrlimit = SYS_setrlimit,
    sigaltstack = SYS_sigaltstack,
    statx = SYS_statx,
    write = SYS_write,
];

#[test]
fn the_unit_allows_each_call_in_the_table() -> Result<()> {
    let unit = allowed_by_the_unit()?;
    let missing: Vec<_> = ALLOWED
        .iter()
        .chain(&ALLOWED_WITH_STD)
        .map(|(_, name, _)| *name)
        .filter(|name| !unit.contains(*name))
        .collect();
    ensure!(missing.is_empty(), "{UNIT} does not allow {missing:?}");
    Ok(())
}

#[test]
fn the_unit_allows_each_call_that_a_responders_start_takes() -> Result<()> {
    let unit = allowed_by_the_unit()?;
    let started = calls_of_a_start()?;
    ensure!(
        started.contains("landlock_restrict_self") && started.contains("ppoll"),
        "this is no start: {started:?}"
    );
    let missing: Vec<_> = started
        .iter()
        .filter(|name| !unit.contains(**name) && !AS_ROOT.contains(*name))
        .collect();
    ensure!(missing.is_empty(), "{UNIT} does not allow {missing:?}");
    Ok(())
}

#[test]
fn the_unit_refuses_what_the_wall_is_there_for() -> Result<()> {
    let unit = allowed_by_the_unit()?;
    let open: Vec<_> = WALL.iter().filter(|name| unit.contains(**name)).collect();
    ensure!(open.is_empty(), "{UNIT} allows {open:?}");
    let table: BTreeSet<_> = ALLOWED
        .iter()
        .chain(&ALLOWED_WITH_STD)
        .map(|(_, name, _)| *name)
        .collect();
    let open: Vec<_> = WALL.iter().filter(|name| table.contains(*name)).collect();
    ensure!(open.is_empty(), "the table allows {open:?}");
    Ok(())
}

#[test]
fn the_unit_gives_no_right_that_the_responder_would_give_up() -> Result<()> {
    for (key, value) in [
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("NoNewPrivileges", "yes"),
        ("SystemCallArchitectures", "native"),
        ("SystemCallErrorNumber", "EPERM"),
        ("LimitCORE", "0"),
    ] {
        let given = settings(key)?;
        ensure!(
            given == [value],
            "{UNIT}: {key} is {given:?}, not {value:?}"
        );
    }
    Ok(())
}

/// The values of a key, one a line of the unit.
fn settings(key: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(UNIT).with_context(|| format!("cannot read {UNIT}"))?;
    let values = text
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    Ok(values.map(str::to_owned).collect())
}

/// Every call that the unit's filter lets through: what it lists, and what systemd adds to any list.
fn allowed_by_the_unit() -> Result<BTreeSet<String>> {
    let mut allowed = group("@default")?;
    let lines = settings("SystemCallFilter")?;
    ensure!(!lines.is_empty(), "{UNIT} has no SystemCallFilter=");
    for line in &lines {
        ensure!(
            !line.starts_with('~'),
            "{UNIT}: a list of what is denied lets everything else through: {line}"
        );
        for word in line.split_whitespace() {
            if word.starts_with('@') {
                allowed.extend(group(word)?);
            } else {
                allowed.insert(word.to_owned());
            }
        }
    }
    Ok(allowed)
}

/// The calls of one of systemd's groups.
fn group(name: &str) -> Result<BTreeSet<String>> {
    let output = Command::new("systemd-analyze")
        .args(["syscall-filter", name])
        .output()
        .context("cannot run systemd-analyze, of the package systemd")?;
    let text = String::from_utf8(output.stdout)?;
    let mut calls = BTreeSet::new();
    for word in text.lines().filter_map(|line| line.strip_prefix("    ")) {
        if word.starts_with('@') {
            calls.extend(group(word)?);
        } else if !word.starts_with('#') {
            calls.insert(word.to_owned());
        }
    }
    ensure!(
        !calls.is_empty(),
        "systemd-analyze knows no group {name}: {text}"
    );
    Ok(calls)
}

/// The calls that a real responder makes from its execve(2) to its first wait.
fn calls_of_a_start() -> Result<BTreeSet<&'static str>> {
    let start = start::trace(None)?;
    ensure!(start.exit.is_none(), "it ended: {}", start.said);
    start.calls.into_iter().map(name).collect()
}

fn name(number: i64) -> Result<&'static str> {
    STARTING
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, name)| *name)
        .with_context(|| format!("the start makes call {number}, which has no name here"))
}
