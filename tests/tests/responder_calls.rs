//! What one message of a guest costs a responder in system calls: most of the time of an answer is the kernel's, and this is
//! where it is spent. The clock is read when a frame has come, and before the responder waits again.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result};
use slash32_tests::{Agent, Host, Process, RawClient, dhcp::Message, static_network, until};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(10);

/// The second look at the socket finds it empty.
const ANSWER: [&str; 6] = [
    "ppoll",
    "recvmsg",
    "clock_gettime",
    "write",
    "recvmsg",
    "clock_gettime",
];

#[test]
fn an_answer_costs_a_wait_two_reads_a_write_and_two_looks_at_the_clock() -> Result<()> {
    let host = Host::new()?;
    let mut watched = Watched::new(&host)?;
    let discover = watched.client.discover();
    assert_eq!(watched.calls(&discover)?, ANSWER);
    Ok(())
}

#[test]
fn a_renewal_costs_what_any_answer_does() -> Result<()> {
    let host = Host::new()?;
    let mut watched = Watched::new(&host)?;
    let renewing = watched.client.renewing(&watched.ack);
    assert_eq!(watched.calls(&renewing)?, ANSWER);
    Ok(())
}

#[test]
fn a_message_that_is_ignored_costs_the_same_without_the_write() -> Result<()> {
    let host = Host::new()?;
    let mut watched = Watched::new(&host)?;
    let mut relayed = watched.client.discover();
    relayed.giaddr = watched.ack.yiaddr;
    assert_eq!(
        watched.calls(&relayed)?,
        [
            "ppoll",
            "recvmsg",
            "clock_gettime",
            "recvmsg",
            "clock_gettime"
        ]
    );
    Ok(())
}

/// A responder under strace, and its client, which was acknowledged. There is no agent, to which it would tell something once
/// a second.
struct Watched<'h> {
    host: &'h Host,
    client: RawClient,
    ack: Message,
    /// The responder's, inside.
    pid: u64,
    trace: PathBuf,
    _strace: Process,
    _folder: tempfile::TempDir,
    _agent: Agent<'h>,
}

impl<'h> Watched<'h> {
    fn new(host: &'h Host) -> Result<Self> {
        let mut agent = Agent::start(host, &static_network(&[("virbr1", 1)], ""))?;
        let mut client = host.raw_vm(1)?;
        let ack = client.bind()?;
        let pid = agent.responder("virbr1")?;
        agent.kill()?;
        let folder = tempfile::tempdir()?;
        let trace = folder.path().join("trace");
        let mut strace = Command::new("strace");
        strace
            .args([
                "--quiet=all",
                "--signal=none",
                &format!("--attach={pid}"),
                "--output",
            ])
            .arg(&trace)
            .stderr(Stdio::null());
        let strace = host.namespace().spawn(&mut strace).context(
            "strace, of the Debian package of that name; `cargo xtask test` installs it",
        )?;
        let mut watched = Self {
            host,
            client,
            ack,
            pid,
            trace,
            _strace: strace,
            _folder: folder,
            _agent: agent,
        };
        // The call in which strace has found it is not written as what it is.
        until("strace to see a call", BOUND, || {
            let discover = watched.client.discover();
            watched.client.ask(&discover)?;
            Ok((watched.seen()?.len() > 1).then_some(()))
        })?;
        watched.asleep(0)?;
        Ok(watched)
    }

    /// The calls that the responder makes from the arrival of `message` until it waits again.
    fn calls(&mut self, message: &Message) -> Result<Vec<String>> {
        let before = self.seen()?.len();
        self.client.send(message)?;
        self.asleep(before)
    }

    /// Waits until the responder has made more than one call after the first `before`, and waits for more; returns these calls.
    fn asleep(&self, before: usize) -> Result<Vec<String>> {
        let file = self
            .host
            .namespace()
            .path(format!("/proc/{}/syscall", self.pid));
        let waiting = format!("{} ", libc::SYS_ppoll);
        until("the responder to wait again", BOUND, || {
            let has_made_some = self.seen()?.len() > before + 1;
            if !has_made_some || !std::fs::read_to_string(&file)?.starts_with(&waiting) {
                return Ok(None);
            }
            // It waits, so all are there.
            Ok(Some(self.seen()?.split_off(before)))
        })
    }

    /// The names of the calls that have ended.
    fn seen(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let names = lines.filter_map(|line| Some(line.split_once('(')?.0.to_owned()));
        Ok(names.collect())
    }
}
