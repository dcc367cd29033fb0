use crate::{Host, Process, namespace::require};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// How long an agent may take to answer after its start, on a machine that is busy with other cases.
const START: Duration = Duration::from_secs(20);

/// The folder, beside the programs, of those that were built with the feature `other-version` of `slash32-ipc`.
pub const OTHER_VERSION: &str = "other-version";

/// An agent in a [`Host`], with folders of its own, and the operator's program to talk to it.
///
/// What it logged goes to stderr when it is dropped (test runners show that for failed cases only), unless it was
/// [hushed](Agent::hush).
pub struct Agent<'h> {
    host: &'h Host,
    folder: TempDir,
    process: Option<Process>,
    program: PathBuf,
    environment: Vec<(String, String)>,
    hushed: bool,
}

/// Where a program of this project lies: in the folder `SLASH32_BIN_DIR`, else beside the running test program.
///
/// Errors: it is not there.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("SLASH32_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let program = std::env::current_exe()?;
            let folder = program.parent().context("a program without a folder")?;
            let deps = folder.ends_with("deps");
            folder
                .parent()
                .filter(|_| deps)
                .unwrap_or(folder)
                .to_owned()
        }
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "{} is missing; build the workspace, or name its folder with SLASH32_BIN_DIR",
            path.display()
        );
    }
    Ok(path)
}

/// Where a program of this project lies that speaks another version of the control protocol ([`OTHER_VERSION`]).
///
/// Errors: it is not there.
pub fn binary_of_other_version(name: &str) -> Result<PathBuf> {
    let ours = binary(name)?;
    let path = ours.with_file_name(OTHER_VERSION).join(name);
    if !path.is_file() {
        bail!("{} is missing; cargo xtask test builds it", path.display());
    }
    Ok(path)
}

/// The folder, beside the programs, of a responder that has std, where the one beside it has none.
pub const WITH_STD: &str = "with-std";

/// The responders that there are to test: the one that `binary` gives, and when that has no std, as the one that ships, the
/// other one too, which must be there then. A build by hand has the one with std only.
pub fn responders() -> Result<Vec<PathBuf>> {
    let ours = binary("slash32-responder")?;
    if !is_bare(&ours)? {
        return Ok(vec![ours]);
    }
    let other = ours.with_file_name(WITH_STD).join("slash32-responder");
    if !other.is_file() || is_bare(&other)? {
        bail!(
            "{} is no responder with std; cargo xtask test builds one",
            other.display()
        );
    }
    Ok(vec![ours, other])
}

/// The program at `path` has nothing below itself but the kernel: it asks for no dynamic linker (`PT_INTERP`, elf(5)).
pub fn is_bare(path: &Path) -> Result<bool> {
    const INTERPRETER: [u8; 4] = 3_u32.to_ne_bytes();
    let program = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let number = |at: usize| -> Result<usize> {
        let bytes = program.get(at..at + 8).context("no ELF header")?;
        Ok(usize::try_from(u64::from_ne_bytes(bytes.try_into()?))?)
    };
    // e_phoff, and e_phentsize and e_phnum, of which each has 16 bits.
    let (start, size, count) = (number(32)?, number(54)? & 0xffff, number(56)? & 0xffff);
    let headers = program.get(start..start + size * count);
    let mut headers = headers.context("no program headers")?.chunks(size);
    Ok(!headers.any(|header| header.starts_with(&INTERPRETER)))
}

/// Writes `config` to `slash32.toml` in `folder` and has both programs check it: `slash32 check FILE`, and
/// `slash32-agent --config FILE --check`.
pub fn check_config(folder: &Path, config: &str) -> Result<[Output; 2]> {
    let file = folder.join("slash32.toml");
    fs::write(&file, config)?;
    let cli = Command::new(binary("slash32")?)
        .arg("check")
        .arg(&file)
        .stdin(Stdio::null())
        .output()?;
    let agent = Command::new(binary("slash32-agent")?)
        .arg("--config")
        .arg(&file)
        .arg("--check")
        .output()?;
    Ok([cli, agent])
}

impl<'h> Agent<'h> {
    /// Starts an agent with this config, and waits until it answers. The table `[agent]` is written by the harness.
    ///
    /// Errors: it ended, or did not answer within 20 s; what it logged is part of the error.
    pub fn start(host: &'h Host, config: &str) -> Result<Self> {
        let mut agent = Self::prepare(host, config)?;
        agent.restart()?;
        Ok(agent)
    }

    /// Writes the config of an agent that is not started yet.
    pub fn prepare(host: &'h Host, config: &str) -> Result<Self> {
        require(&["ip"])?;
        // Short, because the path of a unix socket is at most 107 bytes long.
        let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
        let agent = Self {
            host,
            folder,
            process: None,
            program: binary("slash32-agent")?,
            environment: Vec::new(),
            hushed: false,
        };
        agent.configure(config)?;
        Ok(agent)
    }

    /// Replaces the config file; a running agent is not told.
    pub fn configure(&self, config: &str) -> Result<()> {
        let (runtime, state) = (self.runtime_dir(), self.state_dir());
        let agent = format!("[agent]\nruntime-dir = {runtime:?}\nstate-dir = {state:?}\n");
        Ok(fs::write(
            self.config_file(),
            format!("{agent}\n{config}\n"),
        )?)
    }

    /// Starts it again, or for the first time, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        self.launch()?;
        crate::until("the agent to answer", START, || {
            if !self.process.as_mut().is_some_and(Process::is_running) {
                bail!("slash32-agent ended");
            }
            Ok(self.list().ok())
        })
        .with_context(|| format!("slash32-agent said:\n{}", self.log()))
        .map(drop)
    }

    /// Starts it without waiting for anything.
    pub fn launch(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut command = Command::new(&self.program);
        command
            .arg("--config")
            .arg(self.config_file())
            .env("RUST_BACKTRACE", "1")
            .envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.process = Some(self.host.namespace().spawn(&mut command)?);
        Ok(())
    }

    /// From its next start on, this program is the agent; it finds its responder beside itself.
    pub fn use_program(&mut self, program: PathBuf) {
        self.program = program;
    }

    /// The config file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("slash32.toml")
    }

    /// The folder of the store. It is there once the agent has run.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The folder of its sockets and of the hooks' spool. It is there once the agent has run.
    pub fn runtime_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// The operator API's socket.
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir().join("agent.sock")
    }

    /// A variable of its environment, from its next start on.
    pub fn set_variable(&mut self, key: &str, value: &str) {
        self.environment.push((key.to_owned(), value.to_owned()));
    }

    /// The file that its stdout and stderr are. It is there once the agent was started.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What it logged so far, over all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Keeps its log to itself when it is dropped.
    pub fn hush(&mut self) {
        self.hushed = true;
    }

    /// The running program. Errors: it was killed and not started again.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the agent does not run")
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process()?.signal(signal)
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.process()?.wait(Duration::from_secs(5))?;
        self.process = None;
        Ok(())
    }

    /// SIGTERM, and waits for its end, at most 10 s. Returns its exit code.
    pub fn stop(&mut self) -> Result<Option<i32>> {
        self.signal(Signal::SIGTERM)?;
        let code = self.process()?.wait(Duration::from_secs(10))?;
        self.process = None;
        Ok(code)
    }

    /// `slash32 --socket … ARGUMENTS`, ready to be started.
    pub fn cli_command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("slash32")?);
        command
            .arg("--socket")
            .arg(self.socket())
            .args(arguments)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs `slash32 --socket … ARGUMENTS` to its end.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.cli_command(arguments)?.output()?)
    }

    /// Runs `slash32 --socket … ARGUMENTS --json` and reads what it printed.
    ///
    /// Errors: it did not succeed, or printed no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.cli(&[arguments, &["--json"]].concat())?;
        if !output.status.success() {
            bail!(
                "slash32 {arguments:?}: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "slash32 {arguments:?} printed {:?}",
                String::from_utf8_lossy(&output.stdout)
            )
        })
    }

    /// What `slash32 --socket … ARGUMENTS` printed. Errors: it did not succeed, or complained.
    pub fn succeeds(&self, arguments: &[&str]) -> Result<String> {
        let output = self.cli(arguments)?;
        if !output.status.success() || !output.stderr.is_empty() {
            bail!("slash32 {arguments:?}: {output:?}");
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The one sentence that `slash32 --socket … ARGUMENTS` complained in.
    ///
    /// Errors: its exit code was not 1, it printed something, or it said more than a line, or nothing.
    pub fn fails(&self, arguments: &[&str]) -> Result<String> {
        let output = self.cli(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let is_sentence = said.lines().count() == 1;
        if output.status.code() != Some(1) || !output.stdout.is_empty() || !is_sentence {
            bail!("slash32 {arguments:?}: {output:?}");
        }
        Ok(said.into_owned())
    }

    /// The rows of `slash32 list --json`.
    pub fn list(&self) -> Result<Vec<Value>> {
        match self.json(&["list"])? {
            Value::Array(rows) => Ok(rows),
            other => bail!("slash32 list --json printed no array: {other}"),
        }
    }

    /// The row of one link, or `None` when the agent does not know it as a VM link.
    pub fn row(&self, link: &str) -> Result<Option<Value>> {
        Ok(self.list()?.into_iter().find(|row| row["link"] == link))
    }

    /// Waits until the row of `link` is as `wanted` says. Errors: it is not within `bound`; the row is in the error.
    pub fn wait_row(
        &self,
        link: &str,
        what: &str,
        bound: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = None;
        crate::until(&format!("{link} to be {what}"), bound, || {
            last = self.row(link)?;
            Ok(last.clone().filter(&wanted))
        })
        .with_context(|| format!("the row is {last:?}"))
    }

    /// Waits until `link` is in `state` (`idle`, `unassigned`, `ready`, `bound`, `failed`), at most for `bound`.
    pub fn wait(&self, link: &str, state: &str, bound: Duration) -> Result<Value> {
        self.wait_row(link, state, bound, |row| row["state"] == state)
    }

    /// The pid of the responder of `link`, as processes of the host's namespace see it.
    pub fn responder(&self, link: &str) -> Result<u64> {
        let row = self
            .row(link)?
            .with_context(|| format!("{link} is not in the list"))?;
        row["responder"]["pid"]
            .as_u64()
            .with_context(|| format!("no responder's pid in {row}"))
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        self.process = None;
        if !self.hushed {
            eprintln!("--- slash32-agent said:\n{}", self.log());
        }
    }
}
