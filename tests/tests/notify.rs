//! What systemd is told of the agent (sd_notify(3)): the cases are its socket.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use slash32_tests::{Agent, Host, Process, binary, static_network, until};
use std::{
    os::unix::net::UnixDatagram,
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const BOUND: Duration = Duration::from_secs(20);

/// An agent that was started by the case as systemd starts it.
struct Service {
    process: Process,
    socket: UnixDatagram,
    _folder: TempDir,
}

impl Service {
    fn start(host: &Host, agent: &Agent<'_>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path)?;
        let mut command = Command::new(binary("slash32-agent")?);
        command
            .arg("--config")
            .arg(agent.config_file())
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "150000000");
        Ok(Self {
            process: host.namespace().spawn(&mut command)?,
            socket,
            _folder: folder,
        })
    }

    /// The next message, within `bound`.
    fn next(&self, bound: Duration) -> Result<Option<String>> {
        self.socket
            .set_read_timeout(Some(bound.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Ok(Some(String::from_utf8(buffer[..length].to_vec())?)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads on until a line of a message begins with `wanted`; returns all that was read.
    fn told(&self, wanted: &str) -> Result<Vec<String>> {
        let end = Instant::now() + BOUND;
        let mut told = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.next(left)?;
            let message =
                message.with_context(|| format!("{wanted} was not told, but {told:?}"))?;
            let is_it = message.lines().any(|line| line.starts_with(wanted));
            told.push(message);
            if is_it {
                return Ok(told);
            }
        }
    }
}

#[test]
fn systemd_is_told_when_the_agent_is_ready_reloads_and_stops() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::prepare(&host, &static_network(&[("virbr1", 1)], ""))?;
    let mut service = Service::start(&host, &agent)?;
    service.told("READY=1")?;
    service.process.signal(Signal::SIGHUP)?;
    let reload = service.told("RELOADING=1")?;
    let reload = reload.last().context("nothing")?;
    ensure!(reload.contains("MONOTONIC_USEC="), "{reload}");
    service.told("READY=1")?;
    // One that fails is over as well.
    agent.configure("nonsense")?;
    service.process.signal(Signal::SIGHUP)?;
    service.told("RELOADING=1")?;
    service.told("READY=1")?;
    service.process.signal(Signal::SIGTERM)?;
    service.told("STOPPING=1")?;
    ensure!(service.process.wait(BOUND)? == Some(0));
    Ok(())
}

#[test]
fn the_status_line_counts_the_links_by_state() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::prepare(&host, &static_network(&[("virbr1", 1), ("virbr2", 2)], ""))?;
    let service = Service::start(&host, &agent)?;
    service.told("STATUS=no link; store ok")?;
    let mut first = host.raw_vm(1)?;
    let _second = host.raw_vm(2)?;
    service.told("STATUS=2 links: 2 ready; store ok")?;
    first.bind()?;
    service.told("STATUS=2 links: 1 bound, 1 ready; store ok")?;
    Ok(())
}

#[test]
fn the_status_line_follows_a_link_that_flaps_at_most_once_a_second() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::prepare(&host, &static_network(&[("virbr1", 1)], ""))?;
    let service = Service::start(&host, &agent)?;
    let _vm = host.raw_vm(1)?;
    service.told("STATUS=1 link: 1 ready")?;
    let start = Instant::now();
    let mut flaps = 0;
    while start.elapsed() < Duration::from_secs(3) {
        host.namespace()
            .ip_batch("link set vnet1 down\nlink set vnet1 up\n")?;
        flaps += 1;
    }
    // The end of it, so that all before has been told.
    host.bridge("virbr2")?;
    let told = service.told("STATUS=2 links")?;
    let lines = told
        .iter()
        .filter(|message| message.starts_with("STATUS="))
        .count();
    let seconds = start.elapsed().as_secs() as usize + 2;
    ensure!(
        flaps > seconds && lines <= seconds,
        "{lines} lines in {seconds} s: {told:?}"
    );
    Ok(())
}

#[test]
fn the_sign_of_life_is_the_reconcile_tasks_own() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::prepare(&host, &static_network(&[("virbr1", 1)], ""))?;
    let service = Service::start(&host, &agent)?;
    service.told("READY=1")?;
    service.told("WATCHDOG=1")?;
    // It goes round when something happens, and says so; while nothing happens, nothing wakes it to say so.
    let quiet = until("the agent to have nothing to do", BOUND, || {
        Ok(service
            .next(Duration::from_secs(3))?
            .is_none()
            .then_some(()))
    });
    quiet?;
    host.bridge("virbr1")?;
    service.told("WATCHDOG=1")?;
    Ok(())
}
