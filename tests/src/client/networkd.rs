use super::{
    Client,
    software::{Program, version_word},
    system_bus,
};
use crate::Guest;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::{fs, net::Ipv4Addr, process::Command, time::Duration};

const NETWORKD: &str = "/lib/systemd/systemd-networkd";
const HOSTNAMED: &str = "/lib/systemd/systemd-hostnamed";

const PREPARE: &str = "
set -e
[ ! -d /run/systemd/network ] || exit 0
rm -rf /etc/systemd/network
cd /run/systemd 2>/dev/null || { mkdir /run/systemd; cd /run/systemd; }
mkdir -p netif/links netif/leases netif/lldp network
chown -R systemd-network: netif
cat >network/eth0.network <<END
[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
END
/lib/systemd/systemd-hostnamed >/dev/null 2>&1 &
";

/// systemd-networkd. It keeps its lease in memory only, and gives it back when it is stopped.
pub(super) struct Networkd;

impl Program for Networkd {
    fn name(&self) -> &'static str {
        "systemd-networkd"
    }

    fn executable(&self) -> &'static str {
        NETWORKD
    }

    fn needs(&self) -> &'static [&'static str] {
        &[HOSTNAMED, "dbus-daemon", "dbus-send", "networkctl"]
    }

    fn version(&self) -> Result<String> {
        version_word(NETWORKD, 1)
    }

    fn prepare(&self, guest: &Guest) -> Result<()> {
        system_bus::start(guest)?;
        let first = !guest.namespace().path("/run/systemd/network").exists();
        guest.namespace().run("sh", &["-c", PREPARE])?;
        if first {
            // It ends by itself when it has nothing to do for half a minute; by then the name is set.
            system_bus::wait_for(guest, "org.freedesktop.hostname1")?;
        }
        Ok(())
    }

    fn command(&self, _guest: &Guest) -> Result<Command> {
        Ok(Command::new(NETWORKD))
    }

    fn renew(&self, _client: &Client, guest: &Guest) -> Result<()> {
        guest
            .namespace()
            .run("networkctl", &["renew", "eth0"])
            .map(drop)
    }

    fn release(&self, client: &mut Client, _guest: &Guest) -> Result<()> {
        client.process.signal(Signal::SIGTERM)?;
        client.process.wait(Duration::from_secs(10)).map(drop)
    }

    fn name_servers(&self, guest: &Guest) -> Result<Vec<Ipv4Addr>> {
        // What systemd-resolved reads.
        let state = fs::read_to_string(guest.namespace().path("/run/systemd/netif/state"))?;
        let servers = state.lines().find_map(|line| line.strip_prefix("DNS="));
        let servers = servers.with_context(|| format!("no DNS in {state:?}"))?;
        servers
            .split_whitespace()
            .map(|server| Ok(server.parse()?))
            .collect()
    }
}
