//! What a call of libvirt's hook costs: libvirt waits for it at each step of a VM's life.
//!
//! Beside it what any program costs here, and what it costs as libvirt calls it: by the script that `slash32 hook install`
//! writes. The processor time is the kernel's account of the ended process, and of those that it waited for.

use crate::figures::Figures;
use crate::step::step;
use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use slash32_tests::{Namespace, binary};
use std::io::{Seek, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each program is run.
const RUNS: usize = 200;
/// As large as the XML of a VM with a dozen devices.
const XML_BYTES: usize = 8 << 10;
/// What libvirt says first.
const ARGUMENTS: [&str; 4] = ["vm13", "started", "begin", "-"];

/// Measures. Errors: a program did not end well.
pub(super) fn measure() -> Result<Vec<Figures>> {
    let namespace = Namespace::new("hook")?;
    let slash32 = binary("slash32")?;
    let mut install = Command::new(&slash32);
    install.args(["hook", "install", "--hooks-dir", "/run/hooks"]);
    install.args(["--runtime-dir", "/run/slash32"]);
    let installed = namespace.output(&mut install)?;
    ensure!(installed.status.success(), "{installed:?}");

    let mut hook = Command::new(&slash32);
    hook.args(["hook", "--runtime-dir", "/run/slash32", "qemu"]);
    let programs = [
        (
            "/bin/true: time",
            "/bin/true: processor",
            Command::new("/bin/true"),
        ),
        ("slash32 hook: time", "slash32 hook: processor", hook),
        (
            "the hook's script: time",
            "the hook's script: processor",
            Command::new("/run/hooks/qemu.d/slash32"),
        ),
    ];
    let mut figures = Vec::new();
    step(&format!("{RUNS} calls of libvirt's hook"), || {
        for (time, processor, mut command) in programs {
            command.args(ARGUMENTS);
            let runs = (0..RUNS).map(|_| call(&namespace, &mut command));
            let (wall, used) = runs.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            figures.push(Figures::new(time, wall));
            figures.push(Figures::new(processor, used));
        }
        Ok(())
    })?;
    Ok(figures)
}

/// One call: the time until it has ended, and the processor time that it took.
fn call(namespace: &Namespace, command: &mut Command) -> Result<(Duration, Duration)> {
    let mut xml = tempfile::tempfile()?;
    xml.write_all(&[b' '; XML_BYTES])?;
    xml.rewind()?;
    command
        .stdin(xml)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let before = used()?;
    let start = Instant::now();
    let mut process = namespace.spawn(command)?;
    let status = process.child().wait().context("it cannot be waited for")?;
    let took = start.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    Ok((took, used()?.saturating_sub(before)))
}

/// The processor time of the children that have ended.
fn used() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let times = [usage.user_time(), usage.system_time()];
    let microseconds = times.map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Ok(Duration::from_micros(u64::try_from(
        microseconds.iter().sum::<i64>(),
    )?))
}
