mod connman;
mod dhclient;
mod dhcpcd;
mod klibc;
mod network_manager;
mod networkd;
mod software;
mod system_bus;
mod udhcpc;

pub use software::Software;

use crate::{Guest, Process, namespace::require};
use anyhow::{Context, Result};
use std::{fs, net::Ipv4Addr, process::Stdio, time::Duration};
use tempfile::NamedTempFile;

/// Gives the guest an /etc of its own that looks like the machine's, with no name server and no host name in it: clients
/// and their scripts write there as they please, and no two guests write to the same file.
const PRIVATE_ETC: &str = "
set -e
[ ! -d /run/etc ] || exit 0
mkdir -p /run/etc/upper /run/etc/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc
rm -f /etc/resolv.conf
: >/etc/resolv.conf
: >/etc/hostname
";

/// A client that runs in a guest, on `eth0`. Dropping it kills it, without a RELEASE.
///
/// What it printed goes to stderr then (test runners show that for failed cases only), unless it was
/// [hushed](Client::hush).
pub struct Client {
    hushed: bool,
    software: Software,
    process: Process,
    log: NamedTempFile,
}

impl Guest {
    /// Starts a client on `eth0`. What it stored before in this guest is still there.
    ///
    /// Errors: it, or what it cannot run without, is not installed.
    pub fn start(&self, software: Software) -> Result<Client> {
        let about = software.about();
        require(&[about.executable()])?;
        require(about.needs())?;
        self.namespace().run("sh", &["-c", PRIVATE_ETC])?;
        about.prepare(self)?;
        let mut command = about.command(self)?;
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
        })
    }

    /// Lets a client that ran before, and does not run now, remember `wrong` where it remembered `right`, as a disk that was
    /// copied from another machine does. Errors: it keeps nothing.
    pub fn forge_memory(&self, software: Software, right: Ipv4Addr, wrong: Ipv4Addr) -> Result<()> {
        software.about().forge_memory(self, right, wrong)
    }

    /// The name servers that the client has set.
    pub fn name_servers(&self, software: Software) -> Result<Vec<Ipv4Addr>> {
        software.about().name_servers(self)
    }

    /// The routes through `eth0` as `ip route` prints them, the default route first.
    pub fn routes(&self) -> Result<Vec<String>> {
        let text = self.namespace().ip("-4 route show dev eth0")?;
        Ok(text.lines().map(|line| line.trim().to_owned()).collect())
    }

    /// The largest packet that leaves through the default route, in bytes: the route's own MTU, or else that of `eth0`.
    pub fn mtu(&self) -> Result<u64> {
        let routes = self
            .namespace()
            .ip_json("-4 -details route show default dev eth0")?;
        let of_route = routes
            .iter()
            .flat_map(|route| route["metrics"].as_array().into_iter().flatten())
            .find_map(|metrics| metrics["mtu"].as_u64());
        if let Some(mtu) = of_route {
            return Ok(mtu);
        }
        let links = self.namespace().ip_json("link show dev eth0")?;
        let of_link = links.iter().find_map(|link| link["mtu"].as_u64());
        of_link.context("eth0 has no MTU")
    }

    /// Its host name.
    pub fn host_name(&self) -> Result<String> {
        Ok(self.namespace().run("hostname", &[])?.trim().to_owned())
    }

    /// Lets it forget its address and its routes, as a reboot does. Its disk is left alone.
    pub fn flush(&self) -> Result<()> {
        self.namespace().ip("addr flush dev eth0").map(drop)
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
        self.software.about().renew(self, guest)
    }

    /// Ends its lease as its operator would. Errors: this client has no such command.
    pub fn release(&mut self, guest: &Guest) -> Result<()> {
        self.software.about().release(self, guest)
    }

    /// Waits for its own end, at most for `bound`. Returns its exit code, or `None` when a signal ended it.
    pub fn wait(&mut self, bound: Duration) -> Result<Option<i32>> {
        self.process.wait(bound)
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
