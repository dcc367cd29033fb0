use super::{
    Client,
    software::{Program, said},
};
use crate::Guest;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::{
    fs::{self, Permissions},
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    process::Command,
};

/// An address that it is to ask for (`-r`); the harness's own file, udhcpc has none.
const REQUESTED: &str = "/run/udhcpc.requested";
const CLASSLESS_SCRIPT: &str = "/run/udhcpc.script";

/// BusyBox udhcpc, by its script. It knows no T1 and T2 but those of RFC 2131's defaults, and no lease below 30 s.
pub(super) enum Udhcpc {
    Debian,
    Classless,
}

impl Program for Udhcpc {
    fn name(&self) -> &'static str {
        match self {
            Self::Debian => "udhcpc, Debian's script",
            Self::Classless => "udhcpc, a script for option 121",
        }
    }

    fn executable(&self) -> &'static str {
        "udhcpc"
    }

    fn version(&self) -> Result<String> {
        let text = said("udhcpc", &["--help"])?;
        let version = text
            .split_whitespace()
            .find_map(|word| word.strip_prefix('v'));
        Ok(version
            .with_context(|| format!("udhcpc --help says {text:?}"))?
            .to_owned())
    }

    fn prepare(&self, guest: &Guest) -> Result<()> {
        let script = guest.namespace().path(CLASSLESS_SCRIPT);
        fs::write(&script, include_str!("../udhcpc.script"))?;
        Ok(fs::set_permissions(&script, Permissions::from_mode(0o755))?)
    }

    fn command(&self, guest: &Guest) -> Result<Command> {
        let mut command = Command::new("udhcpc");
        command.args(["-f", "-i", "eth0", "-t", "20", "-T", "1", "-A", "1"]);
        match self {
            Self::Debian => command.args(["-s", "/etc/udhcpc/default.script"]),
            Self::Classless => command.args(["-s", CLASSLESS_SCRIPT, "-O", "staticroutes"]),
        };
        if let Ok(address) = fs::read_to_string(guest.namespace().path(REQUESTED)) {
            command.arg("-r").arg(address);
        }
        Ok(command)
    }

    fn short_lease(&self) -> &'static str {
        "lease-time = \"30s\""
    }

    fn renew(&self, client: &Client, _guest: &Guest) -> Result<()> {
        client.process.signal(Signal::SIGUSR1)
    }

    fn release(&self, client: &mut Client, _guest: &Guest) -> Result<()> {
        client.process.signal(Signal::SIGUSR2)
    }

    fn forge_memory(&self, guest: &Guest, _right: Ipv4Addr, wrong: Ipv4Addr) -> Result<()> {
        Ok(fs::write(
            guest.namespace().path(REQUESTED),
            wrong.to_string(),
        )?)
    }
}
