//! A VM's link on a hypervisor, without a VM: a bridge with one port.

use super::client::PATIENCE;
use super::peer::PeerLink;
use anyhow::{Context, Result};
use slash32_tests::{Agent, Host, Namespace, RawClient, Tap, guest_mac};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

/// The config of an agent that gives every link an address.
pub(super) const CONFIG: &str = r#"
[[network]]
name = "bench"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"

[[network.subnet]]
prefix = "203.0.112.0/20"
pools = ["203.0.112.1-203.0.127.254"]
"#;

/// So many links are deleted at once: each time the kernel waits once, and stands still no longer than that.
const GROUP: usize = 40;

/// What a VM's port is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A veth: the client is a packet socket on its far end, with the kernel's timestamps.
    Veth,
    /// A tap: the client holds its far end, as QEMU does. The link goes with it.
    Tap,
}

/// Makes bridge and VM link `number`, complete but for the port, which is down.
pub(super) fn make(
    host: &Host,
    clients: &Namespace,
    kind: Kind,
    number: usize,
) -> Result<RawClient> {
    let (bridge, port) = (format!("virbr{number}"), format!("vnet{number}"));
    host.bridge(&bridge)?;
    match kind {
        Kind::Veth => {
            let pid = clients.pid();
            host.namespace().ip(&format!(
                "link add {port} master {bridge} type veth peer name vm{number} netns {pid}"
            ))?;
            clients.ip(&format!("link set vm{number} up"))?;
            Ok(RawClient::on(clients, &format!("vm{number}"))?.of_any_server())
        }
        Kind::Tap => {
            let tap = Tap::open(host.namespace(), &port)?;
            host.namespace()
                .ip(&format!("link set {port} master {bridge}"))?;
            Ok(RawClient::new(tap, guest_mac(u16::try_from(number)?)))
        }
    }
}

/// The same, when the agent knows it.
pub(super) fn link(
    host: &Host,
    clients: &Namespace,
    agent: &Agent<'_>,
    kind: Kind,
    number: usize,
) -> Result<RawClient> {
    let client = make(host, clients, kind, number)?;
    agent.wait(&format!("virbr{number}"), "idle", PATIENCE)?;
    Ok(client)
}

/// Has the port of link `number` come up, and waits until it forwards.
pub(super) fn raise(host: &Host, number: usize) -> Result<()> {
    let port = format!("vnet{number}");
    host.namespace().ip(&format!("link set {port} up"))?;
    host.wait_forwarding(&port)
}

/// Link 1 as a peer is told of it.
pub(super) fn for_peer(client: &RawClient) -> PeerLink {
    PeerLink {
        bridge: "virbr1".to_owned(),
        number: 1,
        vm: client.mac(),
    }
}

/// Deletes the links that [`make`] has made, by their numbers. A namespace that is deleted with many links in it holds up
/// everything that is measured after that.
pub(super) fn delete(host: &Host, numbers: std::ops::RangeInclusive<usize>) -> Result<()> {
    let numbers: Vec<usize> = numbers.collect();
    for numbers in numbers.chunks(GROUP) {
        let mut commands = String::new();
        for number in numbers {
            commands += &format!("link set vnet{number} group 7\nlink set virbr{number} group 7\n");
        }
        commands += "link del group 7\n";
        host.namespace().ip_batch(&commands)?;
    }
    Ok(())
}

/// Sets links up without the time that starting a program takes: an `ip` that waits for its next line.
pub(super) struct Switch(Child);

impl Switch {
    pub(super) fn new(namespace: &Namespace) -> Result<Self> {
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        Ok(Self(
            namespace.inside(|| ip.spawn().context("cannot start ip"))?,
        ))
    }

    /// Returns the time before it.
    pub(super) fn up(&mut self, port: &str) -> Result<SystemTime> {
        let stdin = self.0.stdin.as_mut().context("ip has no input")?;
        let start = SystemTime::now();
        stdin.write_all(format!("link set {port} up\n").as_bytes())?;
        stdin.flush()?;
        Ok(start)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
