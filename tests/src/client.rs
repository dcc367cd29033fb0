use crate::{Guest, Process, namespace::require};
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, Permissions},
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::{NamedTempFile, TempDir};

/// The DHCP clients that the cases run for real.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Software {
    /// ISC dhclient with Debian's script and hooks (reads option 121).
    Dhclient,
    /// BusyBox udhcpc with Debian's script (reads option 3 only).
    Udhcpc,
    /// BusyBox udhcpc with a script that reads option 121 only.
    UdhcpcClassless,
    /// dhcpcd with Debian's configuration (reads option 121, probes the address for about 5 s).
    Dhcpcd,
}

/// A client that runs in a guest, on `eth0`. Dropping it kills it, without a RELEASE.
///
/// What it printed goes to stderr then (test runners show that for failed cases only), unless it was
/// [hushed](Client::hush).
pub struct Client {
    hushed: bool,
    software: Software,
    process: Process,
    log: NamedTempFile,
    _folder: TempDir,
}

impl Software {
    /// The name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Dhclient => "dhclient",
            Self::Udhcpc | Self::UdhcpcClassless => "udhcpc",
            Self::Dhcpcd => "dhcpcd",
        }
    }
}

impl Guest {
    /// Starts a client on `eth0`. What it stored before in this guest is still there.
    ///
    /// Errors: the program is not installed.
    pub fn start(&self, software: Software) -> Result<Client> {
        require(&[software.program()])?;
        let folder = tempfile::Builder::new()
            .prefix("slash32-client-")
            .tempdir()?;
        let script = folder.path().join("udhcpc.script");
        fs::write(&script, include_str!("udhcpc.script"))?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        let mut command = Command::new(software.program());
        match software {
            Software::Dhclient => {
                command.args([
                    "-4",
                    "-d",
                    "-v",
                    "-lf",
                    "/var/lib/dhcp/leases",
                    "-pf",
                    "/run/dhclient.pid",
                    "eth0",
                ]);
            }
            Software::Udhcpc => {
                command.args(["-f", "-i", "eth0", "-t", "20", "-T", "1", "-A", "1"]);
                command.args(["-s", "/etc/udhcpc/default.script"]);
            }
            Software::UdhcpcClassless => {
                command.args([
                    "-f",
                    "-i",
                    "eth0",
                    "-t",
                    "20",
                    "-T",
                    "1",
                    "-A",
                    "1",
                    "-O",
                    "staticroutes",
                ]);
                command.arg("-s").arg(&script);
            }
            Software::Dhcpcd => {
                command.args(["-4", "-B", "--nohook", "resolv.conf", "eth0"]);
            }
        }
        let log = NamedTempFile::new()?;
        command
            .stdin(Stdio::null())
            .stdout(log.reopen()?)
            .stderr(log.reopen()?);
        let process = self.namespace().spawn(&mut command)?;
        Ok(Client {
            hushed: false,
            software,
            process,
            log,
            _folder: folder,
        })
    }

    /// The IPv4 addresses of `eth0`, with their prefix lengths.
    pub fn addresses(&self) -> Result<Vec<(Ipv4Addr, u8)>> {
        let links = self.namespace().ip_json("-4 addr show dev eth0")?;
        let infos = links
            .iter()
            .flat_map(|link| link["addr_info"].as_array().into_iter().flatten());
        infos
            .map(|info| {
                let address = info["local"]
                    .as_str()
                    .context("an address without \"local\"")?
                    .parse()?;
                Ok((
                    address,
                    u8::try_from(info["prefixlen"].as_u64().unwrap_or(0))?,
                ))
            })
            .collect()
    }

    /// Waits, at most for `bound`, until `eth0` has `address`/32, a way to the gateway on the link, and a default
    /// route through it.
    pub fn wait_configured(
        &self,
        address: Ipv4Addr,
        gateway: Ipv4Addr,
        bound: Duration,
    ) -> Result<()> {
        let mut last = String::new();
        crate::until("a configured guest", bound, || {
            let addresses = self.addresses()?;
            let routes = self
                .namespace()
                .ip_json("-4 -details route show dev eth0")?;
            let via = |route: &serde_json::Value| route["gateway"] == gateway.to_string();
            let onlink = |route: &serde_json::Value| {
                route["flags"]
                    .as_array()
                    .is_some_and(|flags| flags.iter().any(|flag| flag == "onlink"))
            };
            let default = routes
                .iter()
                .find(|route| route["dst"] == "default" && via(route));
            let direct = routes
                .iter()
                .any(|route| route["dst"] == gateway.to_string() && route["gateway"].is_null());
            let complete = addresses == [(address, 32)]
                && default.is_some_and(|route| direct || onlink(route));
            last = format!("{addresses:?}, {routes:?}");
            Ok(complete.then_some(()))
        })
        .with_context(|| format!("the guest has {last}"))
    }
}

impl Client {
    /// What it printed so far.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.log.path())?)
    }

    /// Keeps what it printed to itself when it is dropped.
    pub fn hush(&mut self) {
        self.hushed = true;
    }

    /// Ends it at once, without a RELEASE, as pulling the plug does.
    pub fn kill(mut self) -> Result<()> {
        self.process.child().kill()?;
        self.process.wait(Duration::from_secs(5)).map(drop)
    }

    /// Asks it to renew its lease now, by unicast to its server. Errors: this client cannot be asked.
    pub fn renew(&self, guest: &Guest) -> Result<()> {
        match self.software {
            Software::Udhcpc | Software::UdhcpcClassless => {
                self.process.signal(nix::sys::signal::Signal::SIGUSR1)
            }
            Software::Dhcpcd => guest
                .namespace()
                .run("dhcpcd", &["-4", "-N", "eth0"])
                .map(drop),
            Software::Dhclient => bail!("dhclient renews when T1 is over, and only then"),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.hushed {
            eprintln!(
                "--- {} said:\n{}",
                self.software.program(),
                self.log().unwrap_or_default()
            );
        }
    }
}
