//! Many VM links, made once and used by one subject after the other.
//!
//! ```text
//!   vms ── vmN ──veth── vnetN ── virbrN ── hypervisor (the subject)
//! ```
//!
//! The VMs' ends are in a namespace apart, so that their packet socket is none of the hypervisor's. IPv6 is off. Making a
//! thousand links takes one to two seconds and removing them twenty; all at once, with their namespace, that would hold up
//! every other change of links on the machine, so they are removed in groups.

use super::peer::PeerLink;
use anyhow::{Context, Result, ensure};
use slash32_tests::{Host, Namespace, bridge_mac, guest_mac, until};
use std::fmt::Write as _;
use std::io::Write;
use std::ops::RangeInclusive;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a thousand ports may take to forward, or to go down.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many VMs are removed in one transaction.
const GROUP: u16 = 40;
/// What the kernel has put off when links, sockets or processes went is done by then: two of its grace periods are 32 ms, its
/// link watch waits up to a second.
const SETTLE: Duration = Duration::from_millis(1500);

/// A hypervisor with links `virbr1` to `virbrN`, and their VMs' ends.
pub(super) struct Lab {
    host: Host,
    vms: Namespace,
    count: u16,
}

/// An `ip` that waits for its commands.
pub(super) struct Batch {
    ip: Child,
    commands: String,
}

impl Lab {
    /// A hypervisor without links.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            host: Host::new()?,
            vms: Namespace::new("vms")?,
            count: 0,
        })
    }

    /// Makes links until there are `count`. Their ports are down.
    pub(super) fn grow(&mut self, count: u16) -> Result<()> {
        let pid = self.vms.pid();
        let (mut near, mut far) = (String::new(), String::new());
        for number in self.count + 1..=count {
            let bridge = format!("virbr{number}");
            let (bridge_mac, vm_mac) = (bridge_mac(&bridge), guest_mac(number));
            near += &format!(
                "link add {bridge} address {bridge_mac} type bridge forward_delay 0 stp_state 0\n\
                 link set {bridge} up\n\
                 link add vnet{number} type veth peer name vm{number} address {vm_mac} netns {pid}\n\
                 link set vnet{number} master {bridge}\n"
            );
            writeln!(far, "link set vm{number} up")?;
        }
        self.host.namespace().ip_batch(&near)?;
        self.vms.ip_batch(&far)?;
        self.count = self.count.max(count);
        self.settle();
        Ok(())
    }

    /// The hypervisor.
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// Where the VMs' ends are: `vm1` and so on.
    pub(super) fn vms(&self) -> &Namespace {
        &self.vms
    }

    /// How many links there are.
    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// The links, as peers are told of them.
    pub(super) fn links(&self) -> Vec<PeerLink> {
        self.numbers()
            .map(|number| PeerLink {
                bridge: format!("virbr{number}"),
                number,
                vm: guest_mac(number),
            })
            .collect()
    }

    fn numbers(&self) -> RangeInclusive<u16> {
        1..=self.count
    }

    /// An `ip` that will set all ports up.
    pub(super) fn raise(&self) -> Result<Batch> {
        let up = |number| format!("link set vnet{number} up\n");
        Batch::new(self.host.namespace(), self.numbers().map(up).collect())
    }

    /// Sets all ports up and waits until they forward and their bridges have a carrier.
    pub(super) fn up(&self) -> Result<()> {
        self.raise()?.run()?.end()?;
        self.wait("3", "up")
    }

    /// Sets all ports down and waits until their bridges have no carrier.
    pub(super) fn down(&self) -> Result<()> {
        let down = |number| format!("link set vnet{number} down\n");
        let commands: String = self.numbers().map(down).collect();
        self.host.namespace().ip_batch(&commands)?;
        self.wait("0", "down")?;
        self.settle();
        Ok(())
    }

    /// Waits until each port is in this state (`BR_STATE_…` of linux/if_bridge.h), and each bridge in that one.
    fn wait(&self, port: &str, bridge: &str) -> Result<()> {
        let links = self.host.namespace().path("/sys/class/net");
        let is = |path: String, wanted: &str| -> Result<bool> {
            let path = links.join(path);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Ok(text.trim() == wanted)
        };
        let mut next = 1;
        until(&format!("every link to be {bridge}"), PATIENCE, || {
            while next <= self.count {
                let ready = is(format!("vnet{next}/brport/state"), port)?
                    && is(format!("virbr{next}/operstate"), bridge)?;
                if !ready {
                    return Ok(None);
                }
                next += 1;
            }
            Ok(Some(()))
        })
    }

    /// Takes away what a subject has left on the hypervisor's links: neighbours, addresses, and the routes that go with them.
    pub(super) fn clean(&self) -> Result<()> {
        let host = self.host.namespace();
        host.ip("neigh flush all")?;
        let left = host.ip("-4 -oneline address show scope global")?;
        ensure!(left.is_empty(), "addresses are left:\n{left}");
        let left = host.ip("route show table main")?;
        ensure!(left.is_empty(), "routes are left:\n{left}");
        Ok(())
    }

    /// Gives the kernel the time to do what it has put off.
    pub(super) fn settle(&self) {
        std::thread::sleep(SETTLE);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let mut commands = String::new();
        for number in self.numbers() {
            let group = 1000 + (number - 1) / GROUP;
            commands += &format!(
                "link set vnet{number} group {group}\nlink set virbr{number} group {group}\n"
            );
            if number % GROUP == 0 || number == self.count {
                commands += &format!("link del group {group}\n");
            }
        }
        if let Err(error) = self.host.namespace().ip_batch(&commands) {
            eprintln!("the bench's links cannot be removed: {error:#}");
        }
    }
}

impl Batch {
    fn new(namespace: &Namespace, commands: String) -> Result<Self> {
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let ip = namespace.inside(|| ip.spawn().context("cannot start ip"))?;
        Ok(Self { ip, commands })
    }

    /// Gives it its commands; returns at once, when they fit in a pipe.
    pub(super) fn run(mut self) -> Result<Self> {
        let mut stdin = self.ip.stdin.take().context("it has run already")?;
        stdin.write_all(self.commands.as_bytes())?;
        Ok(self)
    }

    /// Waits for its end. Errors: a command failed.
    pub(super) fn end(mut self) -> Result<()> {
        let status = self.ip.wait()?;
        ensure!(status.success(), "ip -batch: {status}");
        Ok(())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let _ = self.ip.kill();
        let _ = self.ip.wait();
    }
}
