use super::{
    Client,
    software::{Program, replace, version_word},
    system_bus,
};
use crate::Guest;
use anyhow::{Context, Result};
use std::{fs, net::Ipv4Addr, process::Command};

/// Defaults, apart from the machine's own connections: `eth0` gets one that it makes by itself.
const CONFIG: &str = "[main]\nplugins=keyfile\n[keyfile]\npath=/run/NetworkManager/connections\n";
const CONFIG_FILE: &str = "/run/network-manager.conf";
const EMPTY_FOLDER: &str = "/run/network-manager.d";
const LEASES: &str = "/var/lib/NetworkManager";

/// NetworkManager with its internal DHCP client.
pub(super) struct NetworkManager;

impl Program for NetworkManager {
    fn name(&self) -> &'static str {
        "NetworkManager"
    }

    fn executable(&self) -> &'static str {
        "NetworkManager"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["dbus-daemon", "nmcli"]
    }

    fn version(&self) -> Result<String> {
        version_word("NetworkManager", 0)
    }

    fn prepare(&self, guest: &Guest) -> Result<()> {
        system_bus::start(guest)?;
        let namespace = guest.namespace();
        fs::write(namespace.path(CONFIG_FILE), CONFIG)?;
        for folder in [EMPTY_FOLDER, LEASES] {
            fs::create_dir_all(namespace.path(folder))?;
        }
        Ok(())
    }

    fn command(&self, _guest: &Guest) -> Result<Command> {
        let mut command = Command::new("NetworkManager");
        command.args(["-n", "--config", CONFIG_FILE]);
        command.args([
            "--config-dir",
            EMPTY_FOLDER,
            "--system-config-dir",
            EMPTY_FOLDER,
        ]);
        Ok(command)
    }

    fn release(&self, _client: &mut Client, guest: &Guest) -> Result<()> {
        guest
            .namespace()
            .run("nmcli", &["device", "disconnect", "eth0"])
            .map(drop)
    }

    fn forge_memory(&self, guest: &Guest, right: Ipv4Addr, wrong: Ipv4Addr) -> Result<()> {
        let (right, wrong) = (right.to_string(), wrong.to_string());
        let lease = fs::read_dir(guest.namespace().path(LEASES))?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ending| ending == "lease"));
        let lease = lease.context("NetworkManager has left no lease")?;
        replace(&lease, right.as_bytes(), wrong.as_bytes())
    }
}
