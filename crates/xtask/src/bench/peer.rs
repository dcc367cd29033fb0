//! The other DHCP servers, as people run them to give a VM its /32: one process a bridge (Kea: one for all), started by a shell
//! one after the other in two loops at once, in the mode in which they become daemons.
//!
//! Each bridge has the gateway's address, and the VM's host route leads to it before anything is measured: none of these
//! servers makes routes. Everything that a server writes is in a folder of its own.

mod dhcpd;
mod dnsmasq;
mod kea;
mod udhcpd;

use super::cgroup::Cgroup;
use super::gate::{Gate, Sign};
use super::report::Subject;
use anyhow::{Context, Result, bail, ensure};
use slash32_tests::{MacAddr, Namespace, Process};
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// So many shells start daemons at once: as many as the reference machine has processors.
const LOOPS: usize = 2;
/// How long a loop may go on after the clients have given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A VM's link as a peer's config names it.
#[derive(Clone, Debug)]
pub(super) struct PeerLink {
    /// The bridge.
    pub(super) bridge: String,
    /// 1 to 4,094: the VM's number, from which its address comes.
    pub(super) number: u16,
    /// The VM's hardware address.
    pub(super) vm: MacAddr,
}

/// A process: what it reads, and the line of shell that starts it.
struct Daemon {
    file: PathBuf,
    config: String,
    command: String,
}

/// A server that is ready to be started on its links.
pub(super) struct Peer<'n> {
    subject: Subject,
    namespace: &'n Namespace,
    links: Vec<PeerLink>,
    cgroup: &'n Cgroup,
    loops: Vec<Process>,
    signs: Vec<Sign>,
    stopped: bool,
    // Last: it goes when nobody uses it any more.
    folder: TempDir,
}

impl PeerLink {
    /// The address that the VM is given: 203.0.112.0 and its number.
    pub(super) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::new(203, 0, 112, 0).to_bits() + u32::from(self.number))
    }

    /// The gateway on this link: the same everywhere, but for Kea, which cannot do that (its sockets for unicast clash).
    fn gateway(&self, subject: Subject) -> Ipv4Addr {
        let number = if subject == Subject::Kea {
            self.number
        } else {
            1
        };
        Ipv4Addr::from_bits(Ipv4Addr::new(169, 254, 0, 0).to_bits() + u32::from(number))
    }
}

impl<'n> Peer<'n> {
    /// Writes the configs, gives the bridges the gateway's address and the VMs' routes, and has the shells at their gates. All
    /// processes will be in `cgroup`, which is empty.
    ///
    /// Errors: `subject` is no peer, or not installed.
    pub(super) fn prepare(
        subject: Subject,
        namespace: &'n Namespace,
        links: &[PeerLink],
        cgroup: &'n Cgroup,
    ) -> Result<Self> {
        match subject {
            Subject::Udhcpd => udhcpd::fetch()?,
            _ => drop(version(subject)?),
        }
        let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
        let daemons = daemons(subject, folder.path(), links)?;
        for daemon in &daemons {
            std::fs::write(&daemon.file, &daemon.config)?;
        }
        let mut peer = Self {
            subject,
            namespace,
            links: links.to_vec(),
            cgroup,
            loops: Vec::new(),
            signs: Vec::new(),
            stopped: false,
            folder,
        };
        peer.addresses("replace")?;
        for number in 0..LOOPS.min(daemons.len()) {
            let commands = daemons.iter().skip(number).step_by(LOOPS);
            let script = commands.fold(String::new(), |script, daemon| {
                script + &daemon.command + "\n"
            });
            peer.arm(number, &script)?;
        }
        Ok(peer)
    }

    /// Has a shell wait to run `script`.
    fn arm(&mut self, number: usize, script: &str) -> Result<()> {
        let path = |name: &str| self.folder.path().join(format!("{name}{number}"));
        let gate = Gate::new(path("gate"))?;
        // A thousand commands are more than an argument may be long (execve(2)).
        let file = path("loop");
        std::fs::write(&file, gate.line() + script)?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut shell = Command::new("sh");
        shell
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let shell = self.namespace.spawn(&mut shell)?;
        self.cgroup.take_in(&shell)?;
        self.signs.push(gate.arrived()?);
        self.loops.push(shell);
        Ok(())
    }

    /// Lets the shells go: from here on daemons start. Returns at once.
    pub(super) fn start(&mut self) -> Result<()> {
        self.signs.drain(..).try_for_each(Sign::give)
    }

    /// Waits until the shells have started the last daemon.
    pub(super) fn wait_started(&mut self) -> Result<()> {
        if self.subject == Subject::Kea {
            // Its shell has become Kea itself.
            return Ok(());
        }
        for shell in &mut self.loops {
            let code = shell.wait(PATIENCE)?;
            ensure!(
                code == Some(0),
                "{} did not start: {}",
                self.subject.name(),
                self.log()
            );
        }
        Ok(())
    }

    /// What the daemons and their shells printed.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Ends every process and takes away addresses, routes and neighbours. It is done when it is dropped, too.
    pub(super) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.stopped = true;
        self.signs.clear();
        self.loops.clear();
        self.cgroup.end()?;
        self.addresses("del")
    }

    /// Adds or deletes the gateway's address on each bridge, and the VM's route.
    fn addresses(&self, verb: &str) -> Result<()> {
        let mut commands = String::new();
        for link in &self.links {
            let (bridge, address) = (&link.bridge, link.address());
            let gateway = link.gateway(self.subject);
            let route = format!("route {verb} {address}/32 dev {bridge} proto static scope link\n");
            let address = format!("addr {verb} {gateway}/32 dev {bridge}\n");
            // A route goes with the last address of its link.
            commands += &match verb {
                "del" => format!("{route}neigh flush dev {bridge}\n{address}"),
                _ => address + &route,
            };
        }
        self.namespace.ip_batch(&commands)
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        if !self.stopped
            && let Err(error) = self.end()
        {
            eprintln!("{} cannot be ended: {error:#}", self.subject.name());
        }
    }
}

/// The processes that serve `links`.
fn daemons(subject: Subject, folder: &Path, links: &[PeerLink]) -> Result<Vec<Daemon>> {
    let each = |daemon: fn(&Path, &PeerLink) -> Daemon| {
        links.iter().map(|link| daemon(folder, link)).collect()
    };
    Ok(match subject {
        Subject::Dhcpd => each(dhcpd::daemon),
        Subject::Dnsmasq => each(dnsmasq::daemon),
        Subject::Udhcpd => each(udhcpd::daemon),
        Subject::Kea => vec![kea::daemon(folder, links)],
        _ => bail!("{} is no peer", subject.name()),
    })
}

/// What the program itself says that it is, in one line. Errors: it is not installed.
pub(super) fn version(subject: Subject) -> Result<String> {
    let (program, argument) = match subject {
        Subject::Dhcpd => ("dhcpd", "--version"),
        Subject::Dnsmasq => ("dnsmasq", "--version"),
        Subject::Udhcpd => ("udhcpd", "--help"),
        Subject::Kea => ("kea-dhcp4", "-V"),
        _ => bail!("{} is no peer", subject.name()),
    };
    let output = Command::new(program)
        .arg(argument)
        .env("PATH", PATH)
        .output()
        .with_context(|| format!("{program} is not installed"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().find(|line| !line.trim().is_empty());
    let line = line.with_context(|| format!("{program} does not tell its version"))?;
    // Who wrote it stands behind two spaces.
    Ok(line.split("  ").next().unwrap_or(line).trim().to_owned())
}

/// Where daemons are: a user's PATH often lacks the sbin folders.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
