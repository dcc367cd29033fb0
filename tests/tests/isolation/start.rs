//! A real responder's start under ptrace(2): which calls it makes, and what it does when the kernel refuses one.

use crate::{BOUND, responder::NOBODY, tracer::wait};
use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    sys::{
        ptrace,
        signal::{Signal, kill},
        wait::WaitStatus,
    },
    unistd::Pid,
};
use slash32_sys::seqpacket;
use slash32_tests::{Host, Process, binary, until};
use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

/// How a start ended.
pub(crate) struct Start {
    /// The calls from its execve(2) on, by number.
    pub(crate) calls: BTreeSet<i64>,
    /// Its exit code; `None` when it waits for its agent.
    pub(crate) exit: Option<i32>,
    /// What it said on stderr, when it has exited.
    pub(crate) said: String,
}

#[test]
fn a_responder_serves_on_a_kernel_without_landlock() -> Result<()> {
    // The last one is a container manager's word.
    for missing in [Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::EPERM] {
        let start = trace(Some((libc::SYS_landlock_create_ruleset, missing)))?;
        ensure!(
            start.exit.is_none() && !start.calls.contains(&libc::SYS_landlock_restrict_self),
            "{missing}: {:?} {}",
            start.exit,
            start.said
        );
    }
    Ok(())
}

#[test]
fn a_stage_that_fails_ends_the_start_with_its_name() -> Result<()> {
    for (call, stage) in [
        (libc::SYS_close_range, "close_range"),
        (libc::SYS_setresuid, "user and capabilities"),
        (libc::SYS_capset, "user and capabilities"),
        (libc::SYS_landlock_restrict_self, "landlock"),
    ] {
        let start = trace(Some((call, Errno::EPERM)))?;
        let sentence = format!("slash32-responder: cannot isolate itself ({stage}): ");
        ensure!(
            start.exit == Some(1)
                && start.said.starts_with(&sentence)
                && start.said.lines().count() == 1,
            "{:?}: {}",
            start.exit,
            start.said
        );
    }
    Ok(())
}

/// Follows a start to its first wait, or to its end. The call with the number in `refused` is not made, and fails so.
pub(crate) fn trace(refused: Option<(i64, Errno)>) -> Result<Start> {
    let host = Host::new()?;
    let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
    let mut process = stopped(&host, &folder.path().join("link.sock"))?;
    let pid = Pid::from_raw(process.pid().try_into()?);
    let options = ptrace::Options::PTRACE_O_TRACESYSGOOD
        | ptrace::Options::PTRACE_O_TRACEEXEC
        | ptrace::Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options)?;
    kill(pid, Signal::SIGCONT)?;
    let mut start = Start {
        calls: BTreeSet::new(),
        exit: None,
        said: String::new(),
    };
    let (mut is_responder, mut refusing) = (false, None);
    while !start.calls.contains(&libc::SYS_ppoll) {
        let mut signal = None;
        match wait(pid)? {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => is_responder = true,
            WaitStatus::PtraceEvent(..) => {}
            WaitStatus::PtraceSyscall(_) if is_responder => {
                let mut registers = ptrace::getregs(pid)?;
                if let Some(error) = refusing.take() {
                    registers.rax = i64::from(-(error as i32)).cast_unsigned();
                    ptrace::setregs(pid, registers)?;
                } else {
                    let number = registers.orig_rax.cast_signed();
                    start.calls.insert(number);
                    refusing = refused
                        .filter(|(one, _)| *one == number)
                        .map(|(_, error)| error);
                    if refusing.is_some() {
                        // A call that there is not: the kernel makes none.
                        registers.orig_rax = u64::MAX;
                        ptrace::setregs(pid, registers)?;
                    }
                }
            }
            WaitStatus::PtraceSyscall(_) => {}
            WaitStatus::Stopped(_, other) => signal = Some(other),
            WaitStatus::Exited(_, code) => {
                start.exit = Some(code);
                let said = process.child().stderr.as_mut().context("no stderr")?;
                said.read_to_string(&mut start.said)?;
                return Ok(start);
            }
            other => bail!("the responder became {other:?}, after {:?}", start.calls),
        }
        ptrace::syscall(pid, signal)?;
    }
    Ok(start)
}

/// A shell that has stopped itself, and becomes a responder with a listening socket as its standard input.
fn stopped(host: &Host, path: &Path) -> Result<Process> {
    let listener = seqpacket::listen(path.to_str().context("a path of UTF-8")?)?;
    let process = host.namespace().spawn(
        Command::new("/bin/sh")
            .args(["-c", r#"kill -STOP $$; exec "$0" "$@""#])
            .arg(binary("slash32-responder")?)
            .args(["--user", &format!("{NOBODY}:{NOBODY}")])
            .env_clear()
            .stdin(Stdio::from(listener))
            .stdout(Stdio::null())
            .stderr(Stdio::piped()),
    )?;
    until("the shell to stop itself", BOUND, || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid()))?;
        Ok(stat.contains(") T ").then_some(()))
    })?;
    Ok(process)
}
