//! slash32 in a lab: an agent that waits for its sign, in a cgroup with all its responders.

use super::cgroup::Cgroup;
use super::gate::{Gate, Sign};
use super::lab::Lab;
use super::link::CONFIG;
use anyhow::{Context, Result, ensure};
use slash32_tests::{Agent, binary, until};
use std::fs::{File, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the agent may take for all links.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the log is looked at while the agent starts.
const PAUSE: Duration = Duration::from_millis(1);
/// What the agent logs when it has looked at every link.
const IN_CHARGE: &str = "in charge";

/// An agent on the links of a lab.
pub(super) struct Slash32<'l> {
    lab: &'l Lab,
    agent: Agent<'l>,
    cgroup: &'l Cgroup,
    gate: Gate,
    stopped: bool,
    // Last: it goes when nobody uses it any more.
    _folder: TempDir,
}

impl<'l> Slash32<'l> {
    /// Writes its config. Nothing runs. Agent and responders will be in `cgroup`, which is empty.
    pub(super) fn prepare(lab: &'l Lab, cgroup: &'l Cgroup) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
        let gate = Gate::new(folder.path().join("gate"))?;
        let program = binary("slash32-agent")?;
        let script = folder.path().join("agent");
        let text = format!(
            "#!/bin/sh\n{}exec '{}' \"$@\"\n",
            gate.line(),
            program.display()
        );
        std::fs::write(&script, text)?;
        std::fs::set_permissions(&script, Permissions::from_mode(0o700))?;
        let mut agent = Agent::prepare(lab.host(), CONFIG)?;
        agent.use_program(script);
        agent.hush();
        Ok(Self {
            lab,
            agent,
            cgroup,
            gate,
            stopped: false,
            _folder: folder,
        })
    }

    /// Has the agent wait for its sign.
    pub(super) fn arm(&mut self) -> Result<Sign> {
        self.agent.launch()?;
        self.cgroup.take_in(self.agent.process()?)?;
        self.gate.arrived()
    }

    /// Starts the agent, and returns the time from there until it says that it is in charge.
    pub(super) fn start(&mut self) -> Result<Duration> {
        let sign = self.arm()?;
        let mut log = File::open(self.agent.log_file())?;
        log.seek(SeekFrom::End(0))?;
        let start = Instant::now();
        sign.give()?;
        let mut said = String::new();
        loop {
            log.read_to_string(&mut said)?;
            if said.contains(IN_CHARGE) {
                return Ok(start.elapsed());
            }
            ensure!(
                start.elapsed() < PATIENCE && self.agent.process()?.is_running(),
                "slash32-agent is not in charge; it said:\n{said}"
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until every link is in `state`, as `slash32 list` has it.
    pub(super) fn wait_all(&self, state: &str) -> Result<()> {
        let count = usize::from(self.lab.count());
        until(&format!("every link to be {state}"), PATIENCE, || {
            let rows = self.agent.list()?;
            let rows = rows.iter().filter(|row| row["state"] == state);
            Ok((rows.count() == count).then_some(()))
        })
        .with_context(|| format!("slash32-agent said:\n{}", self.agent.log()))
    }

    /// The end without a warning; the responders go on.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.agent.kill()
    }

    /// Ends the agent and takes away what it has put on the host. It is done when it is dropped, too.
    pub(super) fn stop(mut self) -> Result<()> {
        let code = self.agent.stop()?;
        ensure!(code == Some(0), "slash32-agent ended with {code:?}");
        self.withdraw()
    }

    fn withdraw(&mut self) -> Result<()> {
        self.stopped = true;
        let mut withdraw = Command::new(binary("slash32-agent")?);
        withdraw
            .arg("--config")
            .arg(self.agent.config_file())
            .arg("--withdraw");
        let output = self.lab.host().namespace().output(&mut withdraw)?;
        ensure!(output.status.success(), "--withdraw: {output:?}");
        self.cgroup.end()
    }
}

impl Drop for Slash32<'_> {
    fn drop(&mut self) {
        if !self.stopped {
            let ended = self.cgroup.end();
            if let Err(error) = ended.and_then(|()| self.withdraw()) {
                eprintln!("slash32 cannot be ended: {error:#}");
            }
        }
    }
}
