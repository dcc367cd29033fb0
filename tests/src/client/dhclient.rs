use super::{
    Client,
    software::{Program, replace, version_word},
};
use crate::Guest;
use anyhow::Result;
use std::{net::Ipv4Addr, process::Command};

const LEASES: &str = "/var/lib/dhcp/leases";
const FILES: [&str; 4] = ["-lf", LEASES, "-pf", "/run/dhclient.pid"];

/// ISC dhclient. Its T1 is a little shorter than option 58 says, and not always the same.
pub(super) struct Dhclient;

impl Program for Dhclient {
    fn name(&self) -> &'static str {
        "dhclient"
    }

    fn executable(&self) -> &'static str {
        "dhclient"
    }

    fn version(&self) -> Result<String> {
        let said = version_word("dhclient", 0)?;
        Ok(said.trim_start_matches("isc-dhclient-").to_owned())
    }

    fn command(&self, _guest: &Guest) -> Result<Command> {
        let mut command = Command::new("dhclient");
        command.args(["-4", "-d", "-v"]).args(FILES).arg("eth0");
        Ok(command)
    }

    fn release(&self, _client: &mut Client, guest: &Guest) -> Result<()> {
        let arguments = [&["-4", "-r", "-v"][..], &FILES, &["eth0"]].concat();
        guest.namespace().run("dhclient", &arguments).map(drop)
    }

    fn forge_memory(&self, guest: &Guest, right: Ipv4Addr, wrong: Ipv4Addr) -> Result<()> {
        let (right, wrong) = (format!("{right};"), format!("{wrong};"));
        replace(
            &guest.namespace().path(LEASES),
            right.as_bytes(),
            wrong.as_bytes(),
        )
    }
}
