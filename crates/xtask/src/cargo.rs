//! What is asked of cargo: the workspace's place, the programs, and the subcommands that do not come with Rust.

use crate::privilege::PROGRAMS_VARIABLE;
use crate::step;
use anyhow::{Context, bail};
use slash32_tests::{OTHER_VERSION, WITH_STD};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program of each link, by package and by the name of its executable.
const RESPONDER: (&str, &str) = ("slash32-responder", "slash32-responder");
/// The programs under test, in the same way.
const PROGRAMS: [(&str, &str); 3] = [
    ("slash32-agent", "slash32-agent"),
    RESPONDER,
    ("slash32-cli", "slash32"),
];

/// Cargo, in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// The workspace's folder: that of the root Cargo.toml.
pub(crate) fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

/// Where fetched things are kept between runs: below cargo's target folder, so that `cargo clean` forgets them.
///
/// # Errors
/// When cargo does not tell, or the folder cannot be made.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let folder = target()?.join("xtask");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Cargo's target folder: the user's to choose.
///
/// # Errors
/// When cargo does not tell.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")?;
    let target = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target folder")?;
    Ok(target.into())
}

/// Builds the three programs and tells the folder that they are in. With `SLASH32_BIN_DIR` set nothing is built: the
/// programs there are taken as they are.
///
/// The responder is the one that ships, without std, which a debug build is not: see [`as_shipped`].
///
/// # Errors
/// [`step::Failed`] when the build fails, after its messages were shown; else when a program is missing.
pub(crate) fn programs(release: bool) -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os(PROGRAMS_VARIABLE) {
        return Ok(folder.into());
    }
    let built = build(
        "build the programs",
        &PROGRAMS,
        release.then_some("--release"),
    )?;
    if release {
        return Ok(built);
    }
    as_shipped(&built)
}

/// Builds the responder without std, and puts it beside the agent and the operator's program of the folder `debug`, into a
/// folder of their own: in the other one cargo would replace it with the next build. The responder with std lies there in
/// a folder [`WITH_STD`], and what was built with [another version](programs_of_other_version) is there too.
fn as_shipped(debug: &Path) -> anyhow::Result<PathBuf> {
    let bare = build(
        "build the responder without std",
        &[RESPONDER],
        ["--profile", "bare"],
    )?;
    let folder = debug.join("as-shipped");
    let with_std = folder.join(WITH_STD);
    std::fs::create_dir_all(&with_std)?;
    for (from, to) in [
        (debug.join("slash32-agent"), folder.join("slash32-agent")),
        (debug.join("slash32"), folder.join("slash32")),
        (bare.join(RESPONDER.1), folder.join(RESPONDER.1)),
        (debug.join(RESPONDER.1), with_std.join(RESPONDER.1)),
    ] {
        put(&from, &to, |from, to| std::fs::hard_link(from, to))?;
    }
    let other = debug.join(OTHER_VERSION);
    put(&other, &folder.join(OTHER_VERSION), |from, to| {
        std::os::unix::fs::symlink(from, to)
    })?;
    Ok(folder)
}

/// Links `from` at `to`, in the place of what is there.
fn put(
    from: &Path,
    to: &Path,
    link: impl Fn(&Path, &Path) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    if to.symlink_metadata().is_ok() {
        std::fs::remove_file(to).with_context(|| format!("cannot replace {}", to.display()))?;
    }
    link(from, to).with_context(|| format!("cannot link {} at {}", from.display(), to.display()))
}

/// Builds the programs once more, with another version of the control protocol between agent and responder, and puts these two
/// where the tests of an upgrade look: in a folder beside the [programs], which are to be built after this. With
/// `SLASH32_BIN_DIR` set nothing is built.
///
/// # Errors
/// [`step::Failed`] when the build fails, after its messages were shown; else when a program cannot be copied.
pub(crate) fn programs_of_other_version() -> anyhow::Result<()> {
    if std::env::var_os(PROGRAMS_VARIABLE).is_some() {
        return Ok(());
    }
    let other = [
        "--package",
        "slash32-ipc",
        "--features",
        "slash32-ipc/other-version",
    ];
    let folder = build("build the programs of another version", &PROGRAMS, other)?;
    let programs = ["slash32-agent", "slash32-responder"];
    copy_aside(&folder, OTHER_VERSION, &programs)
}

/// Builds the responder that uses the standard library, as for a release, and puts it where the bench looks: in a folder beside
/// the [programs], which are to be built after this. With `SLASH32_BIN_DIR` set nothing is built.
///
/// # Errors
/// [`step::Failed`] when the build fails, after its messages were shown; else when it cannot be copied.
pub(crate) fn responder_with_std() -> anyhow::Result<()> {
    if std::env::var_os(PROGRAMS_VARIABLE).is_some() {
        return Ok(());
    }
    let with_std = ["--release", "--features", "slash32-responder/std"];
    let folder = build("build the responder with std", &[RESPONDER], with_std)?;
    copy_aside(&folder, WITH_STD, &["slash32-responder"])
}

/// Copies programs from their folder to the folder `aside` in it.
fn copy_aside(folder: &Path, aside: &str, programs: &[&str]) -> anyhow::Result<()> {
    let aside = folder.join(aside);
    std::fs::create_dir_all(&aside)?;
    for program in programs {
        let (from, to) = (folder.join(program), aside.join(program));
        std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}

/// Builds the program whose instructions are counted, as the programs of a release are built, and tells where it is.
///
/// # Errors
/// [`step::Failed`] when the build fails, after its messages were shown.
pub(crate) fn counted() -> anyhow::Result<PathBuf> {
    const PACKAGE: &str = "slash32-instructions";
    let arguments = ["build", "--package", PACKAGE, "--profile", "counted"];
    let built = executables("build what is counted", &arguments)?;
    let counted = built.into_iter().find(|path| path.ends_with(PACKAGE));
    counted.context("cargo built no program whose instructions could be counted")
}

/// Builds these programs, with these arguments too, and tells the folder that they are in.
fn build(
    step: &str,
    programs: &[(&'static str, &'static str)],
    arguments: impl IntoIterator<Item = &'static str>,
) -> anyhow::Result<PathBuf> {
    let mut all = vec!["build"];
    all.extend(
        programs
            .iter()
            .flat_map(|(package, _)| ["--package", package]),
    );
    all.extend(arguments);
    folder_of_programs(programs, &executables(step, &all)?)
}

/// Runs cargo with these arguments and tells what executables it has built.
fn executables(step: &str, arguments: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    step::command(step, cargo().args(arguments))?;
    // Built already, so this only tells where: the target folder is the user's to choose, in four ways.
    let output = cargo()
        .args(arguments)
        .args(["--message-format", "json"])
        .stderr(Stdio::null())
        .output()?;
    Ok(named(&String::from_utf8_lossy(&output.stdout)))
}

/// The executables that cargo's messages (a JSON object a line) name.
fn named(messages: &str) -> Vec<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect()
}

/// The folder of the programs, which are all among the executables.
fn folder_of_programs(
    programs: &[(&str, &str)],
    executables: &[PathBuf],
) -> anyhow::Result<PathBuf> {
    let mut folder = None;
    for (_, program) in programs {
        let Some(path) = executables.iter().find(|path| path.ends_with(program)) else {
            bail!("cargo built no program {program}");
        };
        folder = path.parent().map(Path::to_owned);
    }
    folder.context("cargo built no program")
}

/// Makes sure that `cargo SUBCOMMAND` is there, installing `package` from crates.io when it is not.
///
/// # Errors
/// [`step::Failed`] when it cannot be installed.
pub(crate) fn subcommand(subcommand: &str, package: &str) -> anyhow::Result<()> {
    if answers(&[subcommand, "--version"]) {
        return Ok(());
    }
    eprintln!(
        "cargo {subcommand} is missing and is installed now; this takes a few minutes, once."
    );
    step::command(
        &format!("cargo install {package}"),
        cargo().args(["install", "--locked", package]),
    )
}

/// Makes sure that rustfmt and clippy are there: a minimal toolchain lacks them.
///
/// # Errors
/// [`step::Failed`] when rustup cannot add them.
pub(crate) fn components() -> anyhow::Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !answers(&[subcommand, "--version"]) {
            let mut rustup = Command::new("rustup");
            step::command(
                &format!("rustup component add {component}"),
                rustup.args(["component", "add", component]),
            )?;
        }
    }
    Ok(())
}

fn answers(arguments: &[&str]) -> bool {
    cargo()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The variable that names the program which cargo puts before test executables of this machine's own kind.
///
/// # Errors
/// When rustc does not tell its host.
pub(crate) fn runner_variable() -> anyhow::Result<String> {
    let host = host()?.to_uppercase().replace('-', "_");
    Ok(format!("CARGO_TARGET_{host}_RUNNER"))
}

/// The target triple of this machine.
///
/// # Errors
/// When rustc does not tell it.
pub(crate) fn host() -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let answer = String::from_utf8_lossy(&output.stdout);
    let host = answer.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_the_programs_is_read_from_cargos_messages() {
        let messages = PROGRAMS
            .map(|(_, program)| {
                format!(r#"{{"reason":"compiler-artifact","executable":"/t/debug/{program}"}}"#)
            })
            .join("\n");
        assert_eq!(
            folder_of_programs(&PROGRAMS, &named(&messages)).unwrap(),
            Path::new("/t/debug")
        );
    }

    #[test]
    fn a_program_that_cargo_did_not_build_is_named() {
        let messages = r#"{"reason":"compiler-artifact","executable":"/t/debug/slash32-agent"}"#;
        assert_eq!(
            folder_of_programs(&PROGRAMS, &named(messages))
                .unwrap_err()
                .to_string(),
            "cargo built no program slash32-responder"
        );
    }
}
