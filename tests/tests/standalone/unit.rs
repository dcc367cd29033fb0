//! An instance of the units, without systemd.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use slash32_tests::{Agent, Host, Process, RawClient, binary, dhcp::message_type, expect};
use std::{
    fs,
    net::Ipv4Addr,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

pub(crate) const BOUND: Duration = Duration::from_secs(15);
/// nobody and nogroup: as good as DynamicUser= for what a responder may do.
pub(crate) const NOBODY: u32 = 65534;
pub(crate) const HOME: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 77);

/// A started instance of `slash32-responder@.service` with its socket.
pub(crate) struct Unit<'a> {
    pub(crate) host: &'a Host,
    pub(crate) config: PathBuf,
    pub(crate) name: String,
    pub(crate) listener: OwnedFd,
    pub(crate) socket: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) responder: Option<Process>,
}

impl<'a> Unit<'a> {
    /// Starts the responder of `name` beside `agent`, which need not run. `path` is what systemd makes of `%I`.
    pub(crate) fn start(host: &'a Host, agent: &Agent<'_>, name: &str, path: &str) -> Result<Self> {
        let config = agent.config_file();
        let folder = config.parent().context("no folder")?;
        let path = folder.join(format!("run/standalone/{path}.sock"));
        fs::create_dir_all(path.parent().context("no folder")?)?;
        let listener = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        bind(listener.as_raw_fd(), &UnixAddr::new(&path)?)?;
        listen(&listener, Backlog::new(8)?)?;
        // Where nobody may read and execute it.
        let program = tempfile::Builder::new()
            .prefix("s32-responder-")
            .tempfile_in("/tmp")?
            .into_temp_path()
            .keep()?;
        fs::copy(binary("slash32-responder")?, &program)?;
        let mut unit = Self {
            host,
            config,
            name: name.to_owned(),
            listener,
            socket: path,
            program,
            responder: None,
        };
        unit.start_responder()?;
        Ok(unit)
    }

    /// The main process: without a right, as a user of its own, its listening socket as standard input.
    pub(crate) fn start_responder(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .stdin(Stdio::from(self.listener.try_clone()?))
            .uid(NOBODY)
            .gid(NOBODY);
        self.responder = Some(self.host.namespace().spawn(&mut command)?);
        Ok(())
    }

    pub(crate) fn once(&self, arguments: &[&str], result: Option<&str>) -> Result<Output> {
        let mut command = Command::new(binary("slash32-agent")?);
        command
            .arg("--config")
            .arg(&self.config)
            .args(["--once", &self.name])
            .args(arguments)
            .env_remove("SERVICE_RESULT");
        if let Some(result) = result {
            command.env("SERVICE_RESULT", result);
        }
        self.host.namespace().output(&mut command)
    }

    /// `ExecStartPost=`. Errors: what it said, when it did not succeed.
    pub(crate) fn prepare(&self) -> Result<String> {
        let output = self.once(&[], None)?;
        ensure!(output.status.success(), "--once failed: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The one sentence in which `ExecStartPost=` fails.
    pub(crate) fn fails(&self) -> Result<String> {
        let output = self.once(&[], None)?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(1), "it did not fail: {said}");
        Ok(said)
    }

    /// `ExecStopPost=`.
    pub(crate) fn withdraw(&self, result: &str) -> Result<()> {
        let output = self.once(&["--withdraw"], Some(result))?;
        ensure!(output.status.success(), "--withdraw failed: {output:?}");
        Ok(())
    }

    /// SIGTERM, the socket's end, `ExecStopPost=`.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let mut responder = self.responder.take().context("no responder")?;
        responder.signal(Signal::SIGTERM)?;
        responder.wait(BOUND)?;
        self.withdraw("success")?;
        Ok(fs::remove_file(&self.socket)?)
    }
}

impl Drop for Unit<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.program);
    }
}

/// A config beside which the file of `link` says `text`.
pub(crate) fn link_file<'h>(
    host: &'h Host,
    config: &str,
    link: &str,
    text: &str,
) -> Result<Agent<'h>> {
    let agent = Agent::prepare(host, config)?;
    write_link_file(&agent, link, text)?;
    Ok(agent)
}

pub(crate) fn write_link_file(agent: &Agent<'_>, link: &str, text: &str) -> Result<()> {
    let folder = agent.config_file().with_file_name("links");
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(format!("{link}.toml")), text)?)
}

pub(crate) fn address(address: Ipv4Addr) -> String {
    format!("address = \"{address}\"\n")
}

pub(crate) fn is_renewed(client: &mut RawClient, ack: &slash32_tests::dhcp::Message) -> Result<()> {
    let renewal = client.renewing(ack);
    let answer = expect(message_type::ACK, client.ask(&renewal)?)?;
    ensure!(answer.yiaddr == ack.yiaddr, "renewed as {}", answer.yiaddr);
    Ok(())
}

pub(crate) fn addresses(host: &Host, link: &str) -> Result<String> {
    host.namespace().ip(&format!("-o -4 addr show dev {link}"))
}
