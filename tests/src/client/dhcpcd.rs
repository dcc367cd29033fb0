use super::{
    Client,
    software::{Program, replace, version_word},
};
use crate::Guest;
use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use std::{net::Ipv4Addr, process::Command, time::Duration};

/// dhcpcd with its ARP probes, which take about 5 s between an ACK and its address.
pub(super) struct Dhcpcd;

impl Program for Dhcpcd {
    fn name(&self) -> &'static str {
        "dhcpcd"
    }

    fn executable(&self) -> &'static str {
        "dhcpcd"
    }

    fn version(&self) -> Result<String> {
        version_word("dhcpcd", 1)
    }

    fn command(&self, _guest: &Guest) -> Result<Command> {
        let mut command = Command::new("dhcpcd");
        command.args(["-4", "-B", "eth0"]);
        Ok(command)
    }

    fn renew(&self, _client: &Client, guest: &Guest) -> Result<()> {
        guest
            .namespace()
            .run("dhcpcd", &["-4", "-N", "eth0"])
            .map(drop)
    }

    fn release(&self, client: &mut Client, _guest: &Guest) -> Result<()> {
        // `dhcpcd -k` sends this, and would wait for a process that only we can reap. Right after it is bound it may miss one.
        for _ in 0..5 {
            client.process.signal(Signal::SIGALRM)?;
            if client.process.wait(Duration::from_secs(3)).is_ok() {
                return Ok(());
            }
        }
        bail!("dhcpcd does not end")
    }

    fn forge_memory(&self, guest: &Guest, right: Ipv4Addr, wrong: Ipv4Addr) -> Result<()> {
        // The file is the ACK as it came.
        replace(
            &guest.namespace().path("/var/lib/dhcpcd/eth0.lease"),
            &right.octets(),
            &wrong.octets(),
        )
    }
}
