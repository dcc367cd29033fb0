use super::{
    Client, connman::Connman, dhclient::Dhclient, dhcpcd::Dhcpcd, klibc::Klibc,
    network_manager::NetworkManager, networkd::Networkd, udhcpc::Udhcpc,
};
use crate::{Guest, namespace::PATH};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
};

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
    /// systemd-networkd, and systemd-hostnamed for the host name (reads option 121).
    Networkd,
    /// NetworkManager with its own DHCP client (reads option 121).
    NetworkManager,
    /// ConnMan (reads option 3 only).
    Connman,
    /// klibc's ipconfig, as in Debian's initramfs: it ends with its ACK (reads option 121).
    Klibc,
}

/// What the harness knows of a client in order to run it. Everything happens in the guest, on `eth0`.
pub(super) trait Program: Sync {
    /// As it stands in the matrix.
    fn name(&self) -> &'static str;

    /// The executable: its name, or its path where it is not on the PATH.
    fn executable(&self) -> &'static str;

    /// What must be installed beside the executable, named as it.
    fn needs(&self) -> &'static [&'static str] {
        &[]
    }

    /// The version that the program itself tells.
    fn version(&self) -> Result<String>;

    /// Puts into the guest what the client expects to find there. Called before each start.
    fn prepare(&self, _guest: &Guest) -> Result<()> {
        Ok(())
    }

    /// Runs it in the foreground.
    fn command(&self, guest: &Guest) -> Result<Command>;

    /// The `[options]` of a lease that this client renews after a few seconds, and rebinds a few seconds later.
    fn short_lease(&self) -> &'static str {
        "lease-time = \"120s\"\nt1 = \"4s\"\nt2 = \"8s\""
    }

    /// Asks it to renew its lease now. Errors: it cannot be asked.
    fn renew(&self, _client: &Client, _guest: &Guest) -> Result<()> {
        bail!("{} renews when T1 is over, and only then", self.name())
    }

    /// Ends its lease as its operator would.
    fn release(&self, client: &mut Client, guest: &Guest) -> Result<()>;

    /// Lets a client that does not run remember `wrong` where it remembered `right`. Errors: it remembers nothing.
    fn forge_memory(&self, _guest: &Guest, _right: Ipv4Addr, _wrong: Ipv4Addr) -> Result<()> {
        bail!("{} remembers no address once it has ended", self.name())
    }

    /// The name servers that it has set, or offers to who asks it.
    fn name_servers(&self, guest: &Guest) -> Result<Vec<Ipv4Addr>> {
        let text = fs::read_to_string(guest.namespace().path("/etc/resolv.conf"))?;
        let addresses = text
            .lines()
            .filter_map(|line| line.strip_prefix("nameserver "));
        Ok(addresses
            .filter_map(|text| text.trim().parse().ok())
            .collect())
    }
}

impl Software {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Dhclient,
        Self::Udhcpc,
        Self::UdhcpcClassless,
        Self::Dhcpcd,
        Self::Networkd,
        Self::NetworkManager,
        Self::Connman,
        Self::Klibc,
    ];

    pub(super) fn about(self) -> &'static dyn Program {
        match self {
            Self::Dhclient => &Dhclient,
            Self::Udhcpc => &Udhcpc::Debian,
            Self::UdhcpcClassless => &Udhcpc::Classless,
            Self::Dhcpcd => &Dhcpcd,
            Self::Networkd => &Networkd,
            Self::NetworkManager => &NetworkManager,
            Self::Connman => &Connman,
            Self::Klibc => &Klibc,
        }
    }

    /// The name of the program.
    pub fn program(self) -> &'static str {
        let path = Path::new(self.about().executable());
        path.file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }

    /// As it stands in the [matrix](crate::matrix).
    pub fn name(self) -> &'static str {
        self.about().name()
    }

    /// The version that the program itself tells. Errors: it is not installed, or tells none.
    pub fn version(self) -> Result<String> {
        self.about().version()
    }

    /// Lines of the table `[options]`: a lease that this client renews after a few seconds. Not every client believes
    /// options 58 and 59, and each has a shortest lease of its own.
    pub fn short_lease(self) -> &'static str {
        self.about().short_lease()
    }
}

/// What `program` says, on stdout and stderr, whatever its exit code.
pub(super) fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The word number `at` (from 0) of what `program --version` says.
pub(super) fn version_word(program: &str, at: usize) -> Result<String> {
    let text = said(program, &["--version"])?;
    let word = text.split_whitespace().nth(at);
    Ok(word
        .with_context(|| format!("{program} --version says {text:?}"))?
        .to_owned())
}

/// Writes `wrong` over each `right` in the file `path`. Errors: there is no `right`.
pub(super) fn replace(path: &Path, right: &[u8], wrong: &[u8]) -> Result<()> {
    let mut bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut places = 0;
    let mut at = 0;
    while at + right.len() <= bytes.len() {
        if bytes[at..].starts_with(right) {
            bytes.splice(at..at + right.len(), wrong.iter().copied());
            at += wrong.len();
            places += 1;
        } else {
            at += 1;
        }
    }
    ensure!(
        places > 0,
        "the address is not in {}: {:?}",
        path.display(),
        String::from_utf8_lossy(&bytes)
    );
    Ok(fs::write(path, bytes)?)
}
