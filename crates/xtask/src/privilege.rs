//! Root, where it is needed and nowhere else.

use anyhow::{Context, bail};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The variable that names the folder of the programs under test.
pub(crate) const PROGRAMS_VARIABLE: &str = "SLASH32_BIN_DIR";

/// Whether this process is root. The effective user decides about namespaces, packages and network settings alike.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A command that runs `program` as root: plainly when we are, else through sudo with our environment and our PATH
/// (sudo's own PATH lacks the Rust toolchain). `-n`: it never asks, because its output may be captured; see [`ask`].
pub(crate) fn as_root(program: &str) -> Command {
    let prefix = runner();
    let mut words = prefix.iter().map(String::as_str).chain([program]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words);
    command
}

/// The words before a command that make it run as root; none when we are root.
pub(crate) fn runner() -> Vec<String> {
    if is_root() {
        return Vec::new();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    ["sudo", "-n", "-E", "env"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("PATH={path}")])
        .collect()
}

/// Says why root is needed, lets sudo ask for the password once, and keeps that answer fresh for as long as we run.
/// Does nothing when we are root.
///
/// # Errors
/// When there is no sudo, or it refuses.
pub(crate) fn ask(why: &str) -> anyhow::Result<()> {
    if is_root() {
        return Ok(());
    }
    eprintln!("{why} Your password is asked for by sudo; everything else runs as you.");
    let status = Command::new("sudo")
        .arg("-v")
        .status()
        .context("there is no sudo here: run this as root")?;
    if !status.success() {
        bail!("sudo refused: run this as root, or as a user that sudo lets run everything");
    }
    // Builds can take longer than sudo remembers (15 minutes). The thread ends with the process.
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(60));
            let _ = Command::new("sudo")
                .args(["-n", "-v"])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    });
    Ok(())
}

/// Goes on as root with the programs under test in `SLASH32_BIN_DIR`, where the harness looks for them: replaces this process
/// by the same program with the same arguments. Returns when we are there already.
///
/// # Errors
/// When there is no sudo, or it refuses.
pub(crate) fn continue_as_root(programs: &Path) -> anyhow::Result<()> {
    if is_root() && std::env::var_os(PROGRAMS_VARIABLE).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    let mut command = as_root(&program.to_string_lossy());
    command
        .args(std::env::args_os().skip(1))
        .env(PROGRAMS_VARIABLE, programs);
    Err(command.exec()).context("cannot go on as root")
}
