//! `slash32 hook install`, `uninstall` and `status`.

use crate::{Stage, json};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use slash32_tests::{Process, binary, until};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
    time::{Duration, SystemTime},
};

const FOLDER: &str = "/run/libvirt-hooks";

/// A machine with this version of libvirt, or with none.
fn stage(version: Option<&str>) -> Result<Stage> {
    let stage = Stage::new()?;
    let text = match version {
        Some(version) => format!("#!/bin/sh\necho \"libvirtd (libvirt) {version}\"\n"),
        None => "#!/bin/sh\nexit 1\n".to_owned(),
    };
    fs::write(stage.namespace.path("/run/libvirtd"), text)?;
    stage.sh(
        "chmod 0755 /run/libvirtd
         for program in /usr/sbin/libvirtd /usr/sbin/virtqemud /usr/sbin/virtnetworkd /usr/bin/virsh; do
             if [ -e $program ]; then mount --bind /run/libvirtd $program; fi
         done",
    )?;
    Ok(stage)
}

/// `slash32 hook COMMAND --json`: what it prints, and its exit code.
fn hook(stage: &Stage, command: &str) -> Result<(Value, Option<i32>)> {
    json(
        &stage
            .namespace
            .output(&mut program(command, &["--json"])?)?,
    )
}

/// What it prints for people.
fn text(stage: &Stage, command: &str) -> Result<String> {
    let output = stage.namespace.output(&mut program(command, &[])?)?;
    Ok(String::from_utf8(output.stdout)?)
}

fn program(command: &str, options: &[&str]) -> Result<Command> {
    let mut program = Command::new(binary("slash32")?);
    program
        .args(["hook", command, "--hooks-dir", FOLDER])
        .args(options);
    Ok(program)
}

fn one(hook: &str, path: &str, state: &str, detail: Value, restart: Value) -> Value {
    let path = format!("{FOLDER}/{path}");
    json!({ "hook": hook, "path": path, "state": state, "detail": detail, "restart": restart })
}

/// Both hooks in the same state in their folders.
fn both(state: &str) -> Value {
    json!([
        one(
            "network",
            "network.d/slash32",
            state,
            Value::Null,
            Value::Null
        ),
        one("qemu", "qemu.d/slash32", state, Value::Null, Value::Null),
    ])
}

/// Puts an operator's own script there.
fn operators_script(stage: &Stage, path: &str, text: &str) -> Result<()> {
    let file = stage.namespace.path(format!("{FOLDER}/{path}"));
    fs::create_dir_all(file.parent().context("no folder")?)?;
    fs::write(&file, text)?;
    fs::set_permissions(file, PermissionsExt::from_mode(0o755)).map_err(Into::into)
}

/// A process that is called libvirtd, and does nothing.
fn daemon(stage: &Stage) -> Result<Process> {
    stage.sh("mkdir -p /run/bin; cp /bin/sleep /run/bin/libvirtd")?;
    let mut command = Command::new("/run/bin/libvirtd");
    let process = stage.namespace.spawn(command.arg("1000"))?;
    let comm = format!("/proc/{}/comm", process.pid());
    until("the daemon", Duration::from_secs(10), || {
        Ok((fs::read_to_string(&comm)?.trim() == "libvirtd").then_some(()))
    })?;
    Ok(process)
}

#[test]
fn install_makes_status_good_and_uninstall_leaves_nothing() -> Result<()> {
    let stage = stage(Some("9.0.0"))?;
    ensure!(hook(&stage, "status")? == (both("missing"), Some(1)));
    ensure!(hook(&stage, "install")? == (both("installed"), Some(0)));
    ensure!(hook(&stage, "status")? == (both("installed"), Some(0)));
    for path in ["network.d/slash32", "qemu.d/slash32"] {
        let about = fs::metadata(stage.namespace.path(format!("{FOLDER}/{path}")))?;
        ensure!(about.mode() & 0o7777 == 0o755 && about.uid() == 0);
    }
    ensure!(hook(&stage, "uninstall")? == (both("missing"), Some(0)));
    let left: Vec<_> = fs::read_dir(stage.namespace.path(FOLDER))?.collect();
    ensure!(left.is_empty(), "{left:?}");
    ensure!(text(&stage, "uninstall")? == "nothing was installed\n");
    Ok(())
}

#[test]
fn installing_again_changes_nothing_but_what_is_wrong() -> Result<()> {
    let stage = stage(Some("9.0.0"))?;
    let file = stage.namespace.path(format!("{FOLDER}/qemu.d/slash32"));
    let about = || -> Result<(u64, i64, u32)> {
        let about = fs::metadata(&file)?;
        Ok((about.ino(), about.ctime_nsec(), about.mode()))
    };
    hook(&stage, "install")?;
    let before = about()?;
    hook(&stage, "install")?;
    ensure!(about()? == before, "it was written again");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
    let (status, code) = hook(&stage, "status")?;
    ensure!(
        status[1]["state"] == "not_executable" && code == Some(1),
        "{status}"
    );
    hook(&stage, "install")?;
    ensure!(hook(&stage, "status")? == (both("installed"), Some(0)));
    Ok(())
}

#[test]
fn an_operators_scripts_stay_as_they_are() -> Result<()> {
    let stage = stage(Some("9.0.0"))?;
    let own = "#!/bin/sh\necho mine\n";
    for path in ["qemu", "qemu.d/50-own", "network.d/slash32"] {
        operators_script(&stage, path, own)?;
    }
    let (status, code) = hook(&stage, "install")?;
    let foreign = "it is not of slash32: move it away, then slash32 hook install";
    let beside = format!("{FOLDER}/qemu is called as before, and first");
    let expected = json!([
        one(
            "network",
            "network.d/slash32",
            "foreign",
            foreign.into(),
            Value::Null
        ),
        one(
            "qemu",
            "qemu.d/slash32",
            "installed",
            beside.into(),
            Value::Null
        ),
    ]);
    ensure!(
        (&status, code) == (&expected, Some(1)),
        "{status:#} {code:?}"
    );
    hook(&stage, "uninstall")?;
    for path in ["qemu", "qemu.d/50-own", "network.d/slash32"] {
        let text = fs::read_to_string(stage.namespace.path(format!("{FOLDER}/{path}")))?;
        ensure!(text == own, "{path}: {text}");
    }
    Ok(())
}

#[test]
fn an_old_libvirt_gets_the_one_script_that_it_calls() -> Result<()> {
    let stage = stage(Some("6.4.0"))?;
    let expected = json!([
        one("network", "network", "installed", Value::Null, Value::Null),
        one("qemu", "qemu", "installed", Value::Null, Value::Null),
    ]);
    let (status, code) = hook(&stage, "install")?;
    ensure!((&status, code) == (&expected, Some(0)), "{status:#}");
    // A newer one gets the folders, and is not told twice.
    fs::write(
        stage.namespace.path("/run/libvirtd"),
        "#!/bin/sh\necho 'libvirtd (libvirt) 6.5.0'\n",
    )?;
    ensure!(hook(&stage, "install")? == (both("installed"), Some(0)));
    ensure!(!stage.namespace.path(format!("{FOLDER}/qemu")).exists());
    Ok(())
}

#[test]
fn on_an_old_libvirt_a_script_that_stands_there_gets_a_line() -> Result<()> {
    let stage = stage(Some("6.4.0"))?;
    operators_script(&stage, "qemu", "#!/bin/sh\n")?;
    let (status, code) = hook(&stage, "install")?;
    ensure!(
        status[0]["state"] == "installed" && code == Some(1),
        "{status:#}"
    );
    let line = format!("{FOLDER}/qemu.d/slash32 \"$@\" || true");
    let detail = format!(
        "libvirt 6.4 calls nothing in qemu.d: put the line {line} into {FOLDER}/qemu, which keeps its own work"
    );
    let expected = one(
        "qemu",
        "qemu.d/slash32",
        "not_called",
        detail.into(),
        Value::Null,
    );
    ensure!(status[1] == expected, "{status:#}");

    operators_script(&stage, "qemu", &format!("#!/bin/sh\n{line}\nexit 0\n"))?;
    let (status, code) = hook(&stage, "status")?;
    ensure!(
        status[1]["state"] == "installed" && code == Some(0),
        "{status:#}"
    );
    // The line does no harm when its script is gone.
    hook(&stage, "uninstall")?;
    stage
        .namespace
        .run(&format!("{FOLDER}/qemu"), &["vm13", "start", "begin", "-"])?;
    Ok(())
}

#[test]
fn a_host_without_libvirt_is_said_to_be_one() -> Result<()> {
    let stage = stage(None)?;
    let (status, code) = hook(&stage, "install")?;
    ensure!(code == Some(0), "{status:#}");
    ensure!(
        status[0]["detail"] == "libvirt was not found on this host",
        "{status:#}"
    );
    Ok(())
}

#[test]
fn a_daemon_that_runs_since_before_is_to_be_restarted() -> Result<()> {
    let stage = stage(Some("9.0.0"))?;
    let before = daemon(&stage)?;
    let (status, code) = hook(&stage, "install")?;
    ensure!(
        status[0]["restart"] == "libvirtd" && status[1]["restart"] == "libvirtd",
        "{status:#}"
    );
    ensure!(code == Some(0), "{status:#}");
    let page = text(&stage, "status")?;
    ensure!(
        page.contains("systemctl restart libvirtd, which leaves VMs running"),
        "{page}"
    );
    drop(before);
    ensure!(hook(&stage, "status")? == (both("installed"), Some(0)));
    later_than(&stage, "qemu.d/slash32")?;
    let _after = daemon(&stage)?;
    ensure!(hook(&stage, "status")? == (both("installed"), Some(0)));
    // A script that changes is called as the one before.
    let mut again = program("install", &["--runtime-dir", "/run/x"])?;
    ensure!(stage.namespace.output(&mut again)?.status.success());
    ensure!(hook(&stage, "status")? == (both("installed"), Some(0)));
    Ok(())
}

#[test]
fn a_daemon_that_calls_another_script_of_the_hook_calls_ours_at_once() -> Result<()> {
    let stage = stage(Some("9.0.0"))?;
    operators_script(&stage, "qemu.d/50-own", "#!/bin/sh\n")?;
    later_than(&stage, "qemu.d/50-own")?;
    let _daemon = daemon(&stage)?;
    let (status, _) = hook(&stage, "install")?;
    ensure!(status[0]["restart"] == "libvirtd", "{status:#}");
    ensure!(status[1]["restart"].is_null(), "{status:#}");
    Ok(())
}

/// Waits until a process that starts now is seen to start after the file came: the kernel counts hundredths of a second.
fn later_than(stage: &Stage, path: &str) -> Result<()> {
    let file = fs::metadata(stage.namespace.path(format!("{FOLDER}/{path}")))?;
    let modified = file.modified()?;
    until("the next hundredth", Duration::from_secs(1), || {
        let passed = SystemTime::now().duration_since(modified)?;
        Ok((passed > Duration::from_millis(30)).then_some(()))
    })
}

#[test]
fn somebody_who_may_not_install_is_told_how() -> Result<()> {
    let stage = stage(Some("9.0.0"))?;
    stage.sh(&format!(
        "mkdir {FOLDER}; mount -t tmpfs -o ro tmpfs {FOLDER}"
    ))?;
    let output = stage.namespace.output(&mut program("install", &[])?)?;
    let complaint = String::from_utf8(output.stderr)?;
    let expected = format!(
        "slash32: cannot write {FOLDER}/network.d/slash32: Read-only file system (os error 30)\n"
    );
    ensure!(
        complaint == expected && output.status.code() == Some(1),
        "{complaint}"
    );
    Ok(())
}
