use super::{
    Client,
    software::{Program, replace, version_word},
    system_bus,
};
use crate::Guest;
use anyhow::{Context, Result};
use std::{fs, net::Ipv4Addr, process::Command};

const CONFIG: &str = "[General]\nEnableOnlineCheck=false\n";
const CONFIG_FILE: &str = "/run/connman.conf";

/// ConnMan. It knows no T1 and T2 but those of RFC 2131's defaults.
pub(super) struct Connman;

impl Program for Connman {
    fn name(&self) -> &'static str {
        "connman"
    }

    fn executable(&self) -> &'static str {
        "connmand"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["dbus-daemon", "connmanctl"]
    }

    fn version(&self) -> Result<String> {
        version_word("connmand", 0)
    }

    fn prepare(&self, guest: &Guest) -> Result<()> {
        system_bus::start(guest)?;
        let namespace = guest.namespace();
        for folder in ["/run/connman", "/var/lib/connman"] {
            fs::create_dir_all(namespace.path(folder))?;
        }
        Ok(fs::write(namespace.path(CONFIG_FILE), CONFIG)?)
    }

    fn command(&self, _guest: &Guest) -> Result<Command> {
        let mut command = Command::new("connmand");
        command.args(["-n", "-i", "eth0", "--config", CONFIG_FILE]);
        Ok(command)
    }

    fn short_lease(&self) -> &'static str {
        "lease-time = \"12s\""
    }

    fn release(&self, _client: &mut Client, guest: &Guest) -> Result<()> {
        let service = service(guest)?;
        guest
            .namespace()
            .run("connmanctl", &["disconnect", &service])
            .map(drop)
    }

    fn forge_memory(&self, guest: &Guest, right: Ipv4Addr, wrong: Ipv4Addr) -> Result<()> {
        let settings = fs::read_dir(guest.namespace().path("/var/lib/connman"))?
            .filter_map(Result::ok)
            .map(|entry| entry.path().join("settings"))
            .find(|path| path.exists());
        let settings = settings.context("connman has left no settings of a service")?;
        let (right, wrong) = (right.to_string(), wrong.to_string());
        replace(&settings, right.as_bytes(), wrong.as_bytes())
    }

    fn name_servers(&self, guest: &Guest) -> Result<Vec<Ipv4Addr>> {
        // In resolv.conf it names itself: it is a proxy for these.
        let service = guest
            .namespace()
            .run("connmanctl", &["services", &service(guest)?])?;
        let servers = service
            .lines()
            .find_map(|line| line.trim().strip_prefix("Nameservers = ["));
        let servers = servers.with_context(|| format!("no name servers in {service:?}"))?;
        servers
            .split(|separator: char| !(separator.is_ascii_digit() || separator == '.'))
            .filter(|word| !word.is_empty())
            .map(|server| Ok(server.parse()?))
            .collect()
    }
}

/// What it calls the network behind `eth0`.
fn service(guest: &Guest) -> Result<String> {
    let services = guest.namespace().run("connmanctl", &["services"])?;
    let name = services.split_whitespace().last();
    Ok(name.context("connman knows no service")?.to_owned())
}
