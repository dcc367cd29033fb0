//! A VM of the demo: a real DHCP client in a namespace, or a real guest under QEMU, behind a bridge or a bare tap.

use anyhow::{Result, ensure};
use slash32_tests::linux::Linux;
use slash32_tests::{BootFiles, Client, GATEWAY, Guest, Host, Namespace, Qemu, Software};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The link that a VM is behind.
#[derive(Clone, Copy)]
pub(crate) enum Behind {
    /// A bridge with this name, which only this VM is a port of.
    Bridge(&'static str),
    /// A tap with this name, in no bridge.
    Tap(&'static str),
}

impl Behind {
    /// The name of the VM link.
    pub(crate) fn link(self) -> &'static str {
        match self {
            Self::Bridge(name) | Self::Tap(name) => name,
        }
    }

    /// Kind and name, for people.
    pub(crate) fn kind(self) -> String {
        match self {
            Self::Bridge(name) => format!("the bridge {name}"),
            Self::Tap(name) => format!("the bare tap {name}"),
        }
    }
}

/// What asks for an address.
pub(crate) enum Machine {
    /// This client, in a namespace.
    Namespace(Software),
    /// A guest under QEMU, without KVM.
    Qemu(BootFiles),
}

impl Machine {
    /// The client's program, or QEMU.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Namespace(software) => software.program(),
            Self::Qemu(_) => "QEMU",
        }
    }
}

/// A VM that runs. Dropping it is pulling its plug.
pub(crate) struct Vm {
    number: u16,
    behind: Behind,
    machine: &'static str,
    running: Running,
    address: Ipv4Addr,
}

enum Running {
    // The client before its guest: a namespace cannot end while it holds a process that nobody has reaped.
    Namespace { client: Client, guest: Guest },
    Qemu(Linux),
}

impl Vm {
    /// Makes the link on `host` and starts the machine behind it.
    ///
    /// # Errors
    /// When a link cannot be made or a program is missing.
    pub(crate) fn start(
        host: &Host,
        number: u16,
        behind: Behind,
        machine: Machine,
    ) -> Result<Self> {
        if let Behind::Bridge(bridge) = behind {
            host.bridge(bridge)?;
        }
        let name = machine.name();
        let running = match machine {
            Machine::Namespace(software) => {
                let guest = match behind {
                    Behind::Bridge(bridge) => host.guest(bridge, number)?,
                    Behind::Tap(tap) => host.guest_behind_tap(tap, number)?,
                };
                let client = guest.start(software)?;
                Running::Namespace { guest, client }
            }
            Machine::Qemu(files) => {
                let (tap, bridge) = match behind {
                    Behind::Bridge(bridge) => (format!("vnet{number}"), Some(bridge)),
                    Behind::Tap(tap) => (tap.to_owned(), None),
                };
                host.qemu_tap(&tap, bridge)?;
                let machine = Qemu::start(host, &tap, number, &Linux::boot(&files)?)?;
                Running::Qemu(Linux::on(machine))
            }
        };
        Ok(Self {
            number,
            behind,
            machine: name,
            running,
            address: Ipv4Addr::UNSPECIFIED,
        })
    }

    /// Waits until the guest has `address`/32 and its default route, and reaches its gateway.
    ///
    /// # Errors
    /// When it has not within `bound`.
    pub(crate) fn configured(&mut self, address: Ipv4Addr, bound: Duration) -> Result<()> {
        match &mut self.running {
            Running::Namespace { guest, .. } => {
                guest.wait_configured(address, GATEWAY, bound)?;
                guest.ping(GATEWAY)?;
            }
            Running::Qemu(guest) => {
                guest.wait_ready(bound)?;
                let lines = guest.lines();
                let says = |what: &str| lines.iter().any(|line| line.contains(what));
                ensure!(
                    says(&format!("inet {address}/32 ")),
                    "the guest has no {address}/32: {lines:#?}"
                );
                ensure!(
                    says(&format!("default via {GATEWAY} ")),
                    "the guest has no default route: {lines:#?}"
                );
                ensure!(
                    says(" 0% packet loss"),
                    "the guest does not reach its gateway: {lines:#?}"
                );
            }
        }
        self.address = address;
        Ok(())
    }

    /// Its addresses and routes, as `ip` prints them, and for a QEMU guest what else its console says.
    ///
    /// # Errors
    /// When `ip` fails in the guest.
    pub(crate) fn network(&self) -> Result<String> {
        match &self.running {
            Running::Namespace { guest, .. } => {
                let address = guest.namespace().ip("-4 -oneline addr show dev eth0")?;
                let address = address
                    .split("inet ")
                    .nth(1)
                    .and_then(|rest| rest.split_whitespace().next());
                let routes = guest.namespace().ip("route show")?;
                Ok(format!(
                    "{} on eth0\n{routes}",
                    address.unwrap_or("no address")
                ))
            }
            Running::Qemu(guest) => Ok(guest.lines().join("\n")),
        }
    }

    /// Keeps what its client said to itself: all went well.
    pub(crate) fn hush(&mut self) {
        match &mut self.running {
            Running::Namespace { client, .. } => client.hush(),
            Running::Qemu(guest) => guest.machine().hush(),
        }
    }

    /// The number of the VM, 1 and up.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// What it is behind.
    pub(crate) fn behind(&self) -> Behind {
        self.behind
    }

    /// The client's program, or QEMU.
    pub(crate) fn machine(&self) -> &'static str {
        self.machine
    }

    /// Its address; 0.0.0.0 before it is [configured](Self::configured).
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its namespace; a QEMU guest has none.
    pub(crate) fn namespace(&self) -> Option<&Namespace> {
        match &self.running {
            Running::Namespace { guest, .. } => Some(guest.namespace()),
            Running::Qemu(_) => None,
        }
    }
}
