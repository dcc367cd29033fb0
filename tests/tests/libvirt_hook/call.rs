//! One call.

use crate::{BOUND, RUNTIME, Stage};
use anyhow::{Context, Result, ensure};
use slash32_libvirt::{Call, Hook};
use slash32_tests::binary;
use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    process::{Command, Stdio},
};

const XML: &str = "<domain type='kvm'>\n  <name>Müller</name>\n</domain>\n";
const STARTED: [&str; 5] = ["qemu", "vm13", "started", "begin", "-"];
/// The same without the hook's name.
const ARGUMENTS: [&str; 4] = ["vm13", "started", "begin", "-"];

#[test]
fn a_call_waits_in_folders_as_the_agent_would_make_them_when_there_is_none() -> Result<()> {
    let stage = Stage::new()?;
    stage.call(&mut stage.hook(&STARTED)?, XML.as_bytes())?;
    let expected = Call {
        hook: Hook::Qemu,
        arguments: ARGUMENTS.map(str::to_owned).into(),
        xml: XML.into(),
    };
    ensure!(stage.calls()? == [expected], "{:?}", stage.calls()?);
    let mode = |path| Ok::<_, anyhow::Error>(fs::metadata(path)?.permissions().mode() & 0o7777);
    ensure!(mode(stage.namespace.path(RUNTIME))? == 0o755);
    ensure!(mode(stage.spool())? == 0o700);
    let file = stage.spool().join(&stage.names()?[0]);
    ensure!(mode(file)? == 0o600);
    ensure!(stage.logged().is_empty());
    Ok(())
}

#[test]
fn the_config_of_the_agent_tells_where_a_call_waits() -> Result<()> {
    let stage = Stage::new()?;
    stage.sh("mkdir -p /run/etc/conf.d; echo '[[network]]' >/run/etc/slash32.toml")?;
    fs::write(
        stage.namespace.path("/run/etc/conf.d/10-agent.toml"),
        format!("[agent]\nruntime-dir = \"{RUNTIME}\"\n"),
    )?;
    let mut hook = Command::new(binary("slash32")?);
    hook.args(["hook", "--config", "/run/etc/slash32.toml"])
        .args(STARTED);
    stage.call(&mut hook, XML.as_bytes())?;
    ensure!(stage.calls()?.len() == 1);
    Ok(())
}

#[test]
fn a_spool_that_cannot_be_written_is_a_line_in_the_log() -> Result<()> {
    let table = [
        (
            "read-only",
            "mount -t tmpfs -o ro tmpfs /run/slash32",
            "Read-only file system",
        ),
        (
            "nearly full",
            "mount -t tmpfs -o size=64k tmpfs /run/slash32; mkdir /run/slash32/hooks
             head -c 60K /dev/zero >/run/slash32/other",
            "less than an eighth of its file system is free",
        ),
        (
            "a file",
            "rmdir /run/slash32; echo >/run/slash32",
            "Not a directory",
        ),
    ];
    for (what, prepare, expected) in table {
        let stage = Stage::new()?;
        stage.sh(&format!("mkdir /run/slash32; {prepare}"))?;
        stage.call(&mut stage.hook(&STARTED)?, XML.as_bytes())?;
        let line = stage.complaint()?;
        ensure!(line.contains(expected), "{what}: {line}");
        ensure!(line.contains("qemu vm13 started begin -"), "{what}: {line}");
        if stage.spool().exists() {
            ensure!(stage.names()?.is_empty(), "{what}: {:?}", stage.names()?);
        }
    }
    Ok(())
}

#[test]
fn a_call_that_does_not_fit_leaves_nothing_behind() -> Result<()> {
    let stage = Stage::new()?;
    stage.sh("mkdir /run/slash32; mount -t tmpfs -o size=512k tmpfs /run/slash32; mkdir /run/slash32/hooks")?;
    stage.call(&mut stage.hook(&STARTED)?, &vec![b' '; 1 << 20])?;
    let line = stage.complaint()?;
    ensure!(line.contains("No space left on device"), "{line}");
    ensure!(stage.names()?.is_empty(), "{:?}", stage.names()?);
    Ok(())
}

#[test]
fn without_a_log_a_lost_call_is_lost_in_silence() -> Result<()> {
    let stage = Stage::new()?;
    stage.sh("rm /dev/log; mkdir /run/slash32; mount -t tmpfs -o ro tmpfs /run/slash32")?;
    stage.call(&mut stage.hook(&STARTED)?, XML.as_bytes())
}

#[test]
fn a_large_domain_is_kept_whole() -> Result<()> {
    let stage = Stage::new()?;
    let xml = "<disk/>".repeat((1 << 20) / 7);
    in_time(&stage, xml.as_bytes())?;
    let calls = stage.calls()?;
    let last = calls.last().context("no call")?;
    ensure!(last.xml == xml, "{} bytes", last.xml.len());
    ensure!(stage.logged().is_empty());
    Ok(())
}

#[test]
fn what_is_beyond_all_measure_is_read_and_not_kept() -> Result<()> {
    let stage = Stage::new()?;
    // libvirt writes it all: it would take a closed pipe for a fault of its own.
    in_time(&stage, &vec![b'x'; 8 << 20])?;
    ensure!(!stage.spool().exists() || stage.whole()?.is_empty());
    let line = stage.complaint()?;
    ensure!(line.contains("larger than 4 MiB"), "{line}");
    Ok(())
}

/// A call whose XML takes many turns of writer and hook: the first of some that a busy machine did not hold up.
fn in_time(stage: &Stage, xml: &[u8]) -> Result<()> {
    let mut failure = None;
    for _ in 0..10 {
        if stage.spool().exists() {
            stage.sh("rm -r /run/slash32")?;
        }
        stage.logged();
        match stage.call(&mut stage.hook(&STARTED)?, xml) {
            Ok(()) => return Ok(()),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(()), Err)
}

#[test]
fn a_call_without_xml_is_a_call() -> Result<()> {
    let stage = Stage::new()?;
    let program = binary("slash32")?;
    let program = program.display();
    for (number, stdin) in (1..).zip(["</dev/null", "<&-", "</run"]) {
        let script =
            format!("exec {program} hook --runtime-dir {RUNTIME} network n1 start begin - {stdin}");
        stage.call(Command::new("sh").args(["-c", &script]), b"")?;
        let calls = stage.calls()?;
        ensure!(calls.len() == number, "{stdin}: {calls:?}");
        ensure!(calls[number - 1].xml.is_empty(), "{stdin}");
    }
    ensure!(stage.logged().is_empty());
    Ok(())
}

#[test]
fn no_argument_is_taken_for_anything_but_an_argument() -> Result<()> {
    let stage = Stage::new()?;
    let table: [&[&[u8]]; 9] = [
        &[b"-"],
        &[b"--", b"-x", b"--json", b"--socket"],
        &[b"--help", b"prepare", b"begin", b"-"],
        &[b"--version"],
        &[b"--config", b"/nonexistent", b"begin", b"-"],
        &[b"install"],
        &[b"a VM's \"name\"\n\x1b[31m", b"", b"$(reboot)", b"%s"],
        &[b"vm\xff\xfe", b"started"],
        &[],
    ];
    for arguments in table {
        let words: Vec<&OsStr> = arguments
            .iter()
            .map(|word| OsStr::from_bytes(word))
            .collect();
        let mut hook = stage.hook(&["qemu"])?;
        stage.call(hook.args(&words), XML.as_bytes())?;
        let calls = stage.calls()?;
        let last = calls.last().context("no call")?;
        let expected: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        ensure!(last.arguments == expected, "{last:?}");
    }
    ensure!(stage.calls()?.len() == table.len());
    ensure!(stage.logged().is_empty());
    Ok(())
}

#[test]
fn a_vms_name_cannot_forge_a_line_of_the_log() -> Result<()> {
    let stage = Stage::new()?;
    stage.sh("mkdir /run/slash32; mount -t tmpfs -o ro tmpfs /run/slash32")?;
    let mut hook = stage.hook(&["qemu", "vm\n<0>kernel: panic\x1b[2J", "start"])?;
    stage.call(&mut hook, XML.as_bytes())?;
    let line = stage.complaint()?;
    ensure!(!line.contains(char::is_control), "{line:?}");
    Ok(())
}

#[test]
fn calls_at_once_wait_each_in_a_file_and_in_their_callers_order() -> Result<()> {
    const CALLERS: usize = 10;
    const CALLS: usize = 5;
    let stage = Stage::new()?;
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let stage = &stage;
                scope.spawn(move || {
                    (0..CALLS).try_for_each(|call| {
                        let words = ["network".to_owned(), caller.to_string(), call.to_string()];
                        stage.call(&mut stage.hook(&words)?, XML.as_bytes())
                    })
                })
            })
            .collect();
        callers
            .into_iter()
            .try_for_each(|caller| caller.join().unwrap())
    })?;
    let calls = stage.calls()?;
    ensure!(calls.len() == CALLERS * CALLS, "{} calls", calls.len());
    ensure!(stage.names()?.len() == calls.len(), "{:?}", stage.names()?);
    for caller in 0..CALLERS {
        let own = calls
            .iter()
            .filter(|call| call.arguments[0] == caller.to_string());
        let order: Vec<&str> = own.map(|call| call.arguments[1].as_str()).collect();
        ensure!(order == ["0", "1", "2", "3", "4"], "{caller}: {order:?}");
    }
    Ok(())
}

#[test]
fn an_operator_who_asks_is_told_what_a_hook_is() -> Result<()> {
    let stage = Stage::new()?;
    for hook in ["network", "qemu"] {
        let output = stage
            .namespace
            .output(&mut stage.hook(&[hook, "--help"])?)?;
        let help = String::from_utf8(output.stdout)?;
        ensure!(help.contains("What libvirt calls when it starts"), "{help}");
    }
    ensure!(!stage.spool().exists());
    Ok(())
}

#[test]
fn output_that_nobody_takes_changes_nothing() -> Result<()> {
    let stage = Stage::new()?;
    let full = File::options().write(true).open("/dev/full")?;
    let mut hook = stage.hook(&STARTED)?;
    hook.stdin(Stdio::null())
        .stdout(full.try_clone()?)
        .stderr(full);
    let mut process = stage.namespace.spawn(&mut hook)?;
    ensure!(process.wait(BOUND)? == Some(0));
    ensure!(stage.calls()?.len() == 1);
    Ok(())
}
