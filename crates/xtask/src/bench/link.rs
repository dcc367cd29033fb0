//! A VM's link on a hypervisor without a VM: a bridge, and a veth pair whose far end is in the clients' namespace.

use super::client::PATIENCE;
use anyhow::{Context, Result};
use slash32_tests::{Agent, Host, Namespace, RawClient};
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

/// Makes bridge and VM link `number`, complete but for the port, which is down.
pub(super) fn make(host: &Host, clients: &Namespace, number: usize) -> Result<RawClient> {
    let bridge = format!("virbr{number}");
    host.bridge(&bridge)?;
    let pid = clients.pid();
    host.namespace().ip(&format!(
        "link add vnet{number} master {bridge} type veth peer name vm{number} netns {pid}"
    ))?;
    clients.ip(&format!("link set vm{number} up"))?;
    RawClient::on(clients, &format!("vm{number}"))
}

/// The same, when the agent knows it.
pub(super) fn link(
    host: &Host,
    clients: &Namespace,
    agent: &Agent<'_>,
    number: usize,
) -> Result<RawClient> {
    let client = make(host, clients, number)?;
    agent.wait(&format!("virbr{number}"), "idle", PATIENCE)?;
    Ok(client)
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
