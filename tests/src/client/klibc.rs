use super::{
    Client,
    software::{Program, said},
};
use crate::Guest;
use anyhow::{Context, Result, bail};
use std::{fs, net::Ipv4Addr, process::Command};

const IPCONFIG: &str = "/usr/lib/klibc/bin/ipconfig";

/// klibc's ipconfig: an initramfs runs it once.
pub(super) struct Klibc;

impl Program for Klibc {
    fn name(&self) -> &'static str {
        "klibc ipconfig"
    }

    fn executable(&self) -> &'static str {
        IPCONFIG
    }

    fn version(&self) -> Result<String> {
        // It is the one that does not tell.
        let version = said("dpkg-query", &["-W", "-f", "${Version}", "klibc-utils"])?;
        let upstream = version.split('-').next();
        Ok(upstream.context("klibc-utils has no version")?.to_owned())
    }

    fn command(&self, _guest: &Guest) -> Result<Command> {
        let mut command = Command::new(IPCONFIG);
        command.args(["-t", "20", "eth0"]);
        Ok(command)
    }

    fn release(&self, _client: &mut Client, _guest: &Guest) -> Result<()> {
        bail!("ipconfig has ended with its ACK")
    }

    fn name_servers(&self, guest: &Guest) -> Result<Vec<Ipv4Addr>> {
        // What the initramfs's scripts read.
        let text = fs::read_to_string(guest.namespace().path("/run/net-eth0.conf"))?;
        let servers = text.lines().filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.starts_with("IPV4DNS")
                .then(|| value.trim_matches('\''))
                .filter(|value| *value != "0.0.0.0")
        });
        servers.map(|server| Ok(server.parse()?)).collect()
    }
}
