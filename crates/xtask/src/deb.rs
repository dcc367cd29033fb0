//! `cargo xtask deb`: the Debian package, made by cargo-deb and judged by lintian.
//!
//! What goes where stands in this crate's Cargo.toml, `[package.metadata.deb]`; the files that only the package has are in
//! packaging/. cargo-deb reads the built ones from "target/release", wherever cargo's target folder is: here that is a
//! folder of our own, filled with the stripped programs and with what they print about themselves.

use crate::{cargo, packages, privilege, step};
use anyhow::{Context, ensure};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The programs in the package.
const PROGRAMS: [&str; 3] = ["slash32-agent", "slash32-responder", "slash32"];

/// Arguments of `cargo xtask deb`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How the programs are built
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// The package's version instead of that of the workspace, for example 0.2.0-1
    #[arg(long)]
    version: Option<String>,
}

/// How the programs are built, and how thoroughly the package is compressed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// As it is shipped
    Release,
    /// Quick to build: for trying the package itself
    Dev,
}

/// Builds the package, has lintian look at it, and prints where it is.
///
/// # Errors
/// When a step fails, or lintian finds an error.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    privilege::ask("Missing packages are installed, which needs root.")?;
    packages::install(packages::PACKAGING)?;
    prepare()?;
    let programs = cargo::programs(arguments.profile == Profile::Release)?;
    let version = version(arguments.version.as_deref());
    let folder = cargo::target()?.join("debian");
    fs::create_dir_all(&folder)?;
    let package = folder.join(format!("slash32_{version}_{}.deb", architecture()?));
    build(&programs, &version, &package, arguments.profile)?;
    lint(&package)?;
    println!("{}", package.display());
    Ok(())
}

/// Makes sure that cargo-deb is there.
///
/// # Errors
/// [`step::Failed`] when it cannot be installed.
pub(crate) fn prepare() -> anyhow::Result<()> {
    cargo::subcommand("deb", "cargo-deb")
}

/// The version of the package: what was asked for, or the workspace's with the first Debian revision.
pub(crate) fn version(asked: Option<&str>) -> String {
    asked.map_or_else(
        || concat!(env!("CARGO_PKG_VERSION"), "-1").to_owned(),
        str::to_owned,
    )
}

/// Packs the programs in `programs` as `version` into the file `package`.
///
/// # Errors
/// [`step::Failed`] when cargo-deb fails, after its messages were shown; another when a program cannot be packed.
pub(crate) fn build(
    programs: &Path,
    version: &str,
    package: &Path,
    profile: Profile,
) -> anyhow::Result<()> {
    let staged = cargo::cache()?.join("deb");
    let products = staged.join("release");
    step::step("collect what the package holds", || {
        stage(programs, version, &products)
    })?;
    let mut deb = cargo::cargo();
    deb.args(["deb", "--package", "xtask", "--no-build", "--no-strip"])
        .args(["--deb-version", version, "--output"])
        .arg(package)
        .args((profile == Profile::Dev).then_some("--fast"))
        .env("CARGO_TARGET_DIR", &staged);
    step::command(&format!("pack slash32 {version}"), &mut deb)
}

/// Whether `package` is younger than everything that a package with the programs in `programs` is made of.
///
/// # Errors
/// When a part of it cannot be looked at.
pub(crate) fn is_fresh(package: &Path, programs: &Path) -> anyhow::Result<bool> {
    let Ok(made) = fs::metadata(package).and_then(|package| package.modified()) else {
        return Ok(false);
    };
    let sources = [
        "systemd",
        "packaging",
        "monitoring",
        "examples",
        "CHANGELOG.md",
        "crates/xtask/Cargo.toml",
    ];
    let sources = sources.map(|name| cargo::workspace().join(name));
    for part in sources
        .into_iter()
        .chain(PROGRAMS.map(|name| programs.join(name)))
    {
        if changed(&part)? >= made {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When a file, or the youngest file or folder below a folder, was last changed.
fn changed(path: &Path) -> anyhow::Result<SystemTime> {
    let of = |path: &Path| -> std::io::Result<SystemTime> { fs::metadata(path)?.modified() };
    let mut last = of(path).with_context(|| format!("cannot look at {}", path.display()))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            last = last.max(changed(&entry?.path())?);
        }
    }
    Ok(last)
}

/// Fills `products` anew.
fn stage(programs: &Path, version: &str, products: &Path) -> anyhow::Result<()> {
    if products.exists() {
        fs::remove_dir_all(products)?;
    }
    let (man, completions) = (products.join("man"), products.join("completions"));
    for folder in [&man, &completions] {
        fs::create_dir_all(folder)?;
    }
    for program in PROGRAMS {
        let mut strip = Command::new("strip");
        strip
            .arg("--strip-unneeded")
            .arg("--remove-section=.comment")
            .arg("-o")
            .arg(products.join(program))
            .arg(programs.join(program));
        succeed(&mut strip)?;
    }
    let cli = || Command::new(products.join("slash32"));
    succeed(cli().arg("man").arg("--dir").arg(&man))?;
    for (shell, file) in [
        ("bash", "slash32"),
        ("zsh", "_slash32"),
        ("fish", "slash32.fish"),
    ] {
        let script = File::create(completions.join(file))?;
        succeed(cli().args(["completions", shell]).stdout(script))?;
    }
    let changelog = products.join("changelog.Debian");
    fs::write(&changelog, debian_changelog(version, &date()?))?;
    let pages = fs::read_dir(&man)?.map(|page| Ok(page?.path()));
    let pages: Vec<_> = pages.collect::<std::io::Result<_>>()?;
    succeed(Command::new("gzip").arg("-9n").arg(&changelog).args(pages))
}

/// The changelog of the packaging, whose only news is a new version; what is new in it stands in CHANGELOG.md.
fn debian_changelog(version: &str, date: &str) -> String {
    format!(
        "slash32 ({version}) unstable; urgency=medium\n\n  * What is new: /usr/share/doc/slash32/changelog.gz.\n\n \
         -- {MAINTAINER}  {date}\n"
    )
}

/// As in Cargo.toml: `the_maintainer_is_one` holds them together.
const MAINTAINER: &str = "The slash32 contributors <slash32@localhost>";

/// When the sources were last changed, or now where git does not tell, as RFC 5322 writes it.
fn date() -> anyhow::Result<String> {
    let committed = Command::new("git")
        .current_dir(cargo::workspace())
        .args(["log", "-1", "--format=%cD"])
        .stderr(Stdio::null())
        .output();
    let date = match committed {
        Ok(output) if output.status.success() => output.stdout,
        _ => Command::new("date").arg("-R").output()?.stdout,
    };
    Ok(String::from_utf8(date)?.trim().to_owned())
}

/// Debian's name of this machine's architecture.
fn architecture() -> anyhow::Result<String> {
    let output = Command::new("dpkg")
        .arg("--print-architecture")
        .output()
        .context("cannot run dpkg: Debian packages are made on Debian")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Has lintian look at `package`.
///
/// # Errors
/// [`step::Failed`] when it finds an error that packaging/lintian-overrides has no reason for; all that it found was shown.
pub(crate) fn lint(package: &Path) -> anyhow::Result<()> {
    let mut lintian = Command::new("lintian");
    lintian
        .args(["--allow-root", "--fail-on", "error"])
        .arg(package);
    step::command("lintian", &mut lintian)
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maintainer_is_one() {
        let manifest = fs::read_to_string(cargo::workspace().join("crates/xtask/Cargo.toml"));
        let line = format!("maintainer = {MAINTAINER:?}");
        assert!(manifest.unwrap().contains(&line), "{line}");
    }

    #[test]
    fn the_debian_changelog_names_version_and_date() {
        assert_eq!(
            debian_changelog("0.1.0-1", "Sat, 28 Nov 2026 12:00:00 +0000"),
            "slash32 (0.1.0-1) unstable; urgency=medium\n\n  * What is new: /usr/share/doc/slash32/changelog.gz.\n\n \
             -- The slash32 contributors <slash32@localhost>  Sat, 28 Nov 2026 12:00:00 +0000\n"
        );
    }
}
