use crate::{Host, Process, binary};
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Gives the host an `/etc` and a `/usr/bin` of its own that look like the machine's, and puts into them what the package
/// does: `$1` is the folder of the programs.
const INSTALL: &str = r#"
for folder in etc usr/bin; do
    mkdir -p "/run/overlay/$folder/upper" "/run/overlay/$folder/work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=/run/overlay/$folder/upper,workdir=/run/overlay/$folder/work" "/$folder"
done
for program in slash32 slash32-agent slash32-responder; do
    touch "/usr/bin/$program"
    mount --bind "$1/$program" "/usr/bin/$program"
done
mkdir -p /etc/slash32/conf.d /root
"#;
/// Where the package puts the config, and what stands in it.
const CONFIG: (&str, &str) = (
    "/etc/slash32/slash32.toml",
    include_str!("../../examples/slash32.toml"),
);
/// How long the agent may take to answer on a machine that is busy with other cases.
const START: Duration = Duration::from_secs(20);

/// A host on which slash32 is installed where the package puts it: programs, config, and an agent that runs. Commands of the
/// operator's guide work on it as they stand.
pub struct Installed<'h> {
    host: &'h Host,
    agent: Process,
    folder: TempDir,
}

impl<'h> Installed<'h> {
    /// Installs it, and waits until the agent answers. Once a host, and before a [`Libvirtd`](crate::libvirt::Libvirtd).
    pub fn on(host: &'h Host) -> Result<Self> {
        let program = binary("slash32")?;
        let programs = program.parent().context("a program without a folder")?;
        let programs = programs.to_str().context("a path that is no UTF-8")?;
        let namespace = host.namespace();
        namespace.run("sh", &["-ec", INSTALL, "install", programs])?;
        fs::write(namespace.path(CONFIG.0), CONFIG.1)?;
        let folder = tempfile::Builder::new()
            .prefix("slash32-guide-")
            .tempdir()?;
        let log = File::create(folder.path().join("log"))?;
        let mut command = Command::new("slash32-agent");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let agent = namespace.spawn(&mut command)?;
        let mut installed = Self {
            host,
            agent,
            folder,
        };
        crate::until("the agent to answer", START, || {
            if !installed.agent.is_running() {
                bail!("slash32-agent ended: {}", installed.log());
            }
            Ok(installed.shell("slash32 list").ok())
        })?;
        Ok(installed)
    }

    /// What lines of shell printed, run by the host's root in a folder of his own; the first that fails ends them.
    ///
    /// Errors: one failed; what it said is in the error.
    pub fn shell(&self, lines: &str) -> Result<String> {
        let mut shell = Command::new("sh");
        shell.args(["-ec", lines]).current_dir(self.folder.path());
        let output = self.host.namespace().output(&mut shell)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (printed, said) = (text(&output.stdout), text(&output.stderr));
        if !output.status.success() {
            bail!("{lines}\n{}: {printed}{said}", output.status);
        }
        Ok(printed)
    }

    /// The host that it is installed on.
    pub fn host(&self) -> &'h Host {
        self.host
    }

    /// The folder in which [`shell`](Self::shell) works.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the agent logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        eprintln!("--- slash32-agent said:\n{}", self.log());
    }
}
