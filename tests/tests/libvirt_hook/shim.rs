//! The scripts that libvirt calls.

use crate::Stage;
use anyhow::{Result, ensure};
use slash32_tests::binary;
use std::process::Command;

const FOLDER: &str = "/run/libvirt-hooks";
const XML: &[u8] = b"<domain/>";

/// A machine with the scripts, which call the program at `/run/slash32-program`.
fn installed(options: &[&str]) -> Result<Stage> {
    let stage = Stage::new()?;
    let program = binary("slash32")?;
    stage.sh(&format!("cp {} /run/slash32-program", program.display()))?;
    let mut arguments = vec!["hook", "install", "--hooks-dir", FOLDER];
    arguments.extend(options);
    stage.namespace.run("/run/slash32-program", &arguments)?;
    Ok(stage)
}

/// As libvirtd calls it, which keeps most of its environment to itself.
fn script(hook: &str) -> Command {
    let mut command = Command::new(format!("{FOLDER}/{hook}.d/slash32"));
    command
        .args(["vm 13's", "started", "begin", "-"])
        .env_clear()
        .env("LC_ALL", "C")
        .env("HOME", "/");
    command
}

#[test]
fn a_script_hands_on_what_libvirt_says() -> Result<()> {
    let stage = installed(&["--runtime-dir", crate::RUNTIME])?;
    for (number, hook) in (1..).zip(["network", "qemu"]) {
        stage.call(&mut script(hook), XML)?;
        let calls = stage.calls()?;
        ensure!(calls.len() == number, "{calls:?}");
        let last = &calls[number - 1];
        ensure!(last.hook.name() == hook, "{last:?}");
        ensure!(
            last.arguments == ["vm 13's", "started", "begin", "-"],
            "{last:?}"
        );
        ensure!(last.xml.as_bytes() == XML, "{last:?}");
    }
    Ok(())
}

#[test]
fn a_script_knows_the_config_that_it_was_installed_with() -> Result<()> {
    let config = "/run/its own/slash32.toml";
    let stage = installed(&["--config", config])?;
    stage.sh(&format!(
        "mkdir '/run/its own'; echo 'agent.runtime-dir = \"{}\"' >'{config}'",
        crate::RUNTIME
    ))?;
    stage.call(&mut script("qemu"), XML)?;
    ensure!(stage.calls()?.len() == 1);
    Ok(())
}

#[test]
fn a_script_without_the_program_or_with_one_that_dies_keeps_no_vm_from_starting() -> Result<()> {
    let table = [
        "rm /run/slash32-program",
        "chmod 0644 /run/slash32-program",
        "echo nonsense >/run/slash32-program",
        "printf '#!/nonexistent\\n' >/run/slash32-program",
        "printf '#!/bin/sh\\necho out; echo err >&2; exit 3\\n' >/run/slash32-program",
        "printf '#!/bin/sh\\nkill -KILL $$\\n' >/run/slash32-program",
        "printf '#!/bin/sh\\nkill -SEGV $$\\n' >/run/slash32-program",
    ];
    for broken in table {
        let stage = installed(&[])?;
        stage.sh(broken)?;
        // No XML: nobody would read it.
        stage
            .call(&mut script("qemu"), b"")
            .map_err(|error| error.context(broken))?;
    }
    Ok(())
}
