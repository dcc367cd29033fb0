use super::{Domain, Libvirtd, Serial, Source, open_network};
use crate::{
    Agent, BootFiles, Capture, Fabric, GATEWAY, Host, guest_mac, linux::Linux, static_network,
    until, vm_address,
};
use anyhow::{Context, Result, ensure};
use std::{net::Ipv4Addr, time::Duration};

/// A guest boots in 3 to 6 s; the machine may be busy with other cases.
pub const BOUND: Duration = Duration::from_secs(90);
/// For what takes milliseconds, well before the agent looks at everything again by itself, which it does once a minute.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A hypervisor with one Linux guest that has its address: the VM `web1`.
pub struct Stage<'h> {
    /// The VM link.
    pub link: &'static str,
    /// The hypervisor.
    pub host: &'h Host,
    /// The router behind it.
    pub fabric: Fabric,
    /// Our agent, which libvirt's hooks tell.
    pub agent: Agent<'h>,
    /// Its libvirtd.
    pub libvirtd: Libvirtd<'h>,
    /// What `web1` was defined as.
    pub domain: Domain,
    /// The guest in `web1`.
    pub guest: Linux<Serial>,
    /// What every link of the host carries since the guest has its address.
    pub capture: Capture,
}

impl<'h> Stage<'h> {
    /// The VM's name.
    pub const VM: &'static str = "web1";
    /// The VM link of most cases.
    pub const LINK: &'static str = "virbr1";

    /// Boots the guest, on a host without links, in the network `vm1`, whose bridge is `virbr1`. Returns when it has its
    /// address and was pinged from the fabric.
    pub fn set(host: &'h Host) -> Result<Self> {
        Self::set_on(host, Self::LINK, |libvirtd| {
            libvirtd.start_network("vm1", &open_network("vm1", Self::LINK, ""))?;
            Ok(Source::Network("vm1".to_owned()))
        })
    }

    /// As [`set`](Self::set), with the guest behind the VM link `link`, tied to what `source` makes.
    pub fn set_on(
        host: &'h Host,
        link: &'static str,
        source: impl FnOnce(&Libvirtd<'_>) -> Result<Source>,
    ) -> Result<Self> {
        let fabric = host.fabric()?;
        let agent = Agent::start(host, &static_network(&[(link, 1)], ""))?;
        let libvirtd = Libvirtd::start_with_hooks(host, &agent)?;
        let domain = Domain::new(Self::VM, 1)
            .boots_linux(&BootFiles::prepared()?)?
            .nic(guest_mac(1), source(&libvirtd)?);
        let mut guest = libvirtd.start_linux(&domain)?;
        guest.wait_ready(BOUND)?;
        guest.is_configured(vm_address(1), GATEWAY, BOUND)?;
        agent.wait(link, "bound", BOUND)?;
        fabric.ping(vm_address(1))?;
        Ok(Self {
            capture: Capture::open_all(host.namespace())?,
            link,
            host,
            fabric,
            agent,
            libvirtd,
            domain,
            guest,
        })
    }

    /// The VM's address.
    pub fn address(&self) -> Ipv4Addr {
        vm_address(1)
    }

    /// `virsh ARGUMENTS web1`.
    pub fn virsh(&self, command: &str, arguments: &[&str]) -> Result<String> {
        self.libvirtd
            .virsh(&[&[command, Self::VM], arguments].concat())
    }

    /// Waits until the host route is there, then pings the guest from the fabric, and the fabric from the guest, and checks
    /// that nobody has sent DHCP since the guest got its address.
    pub fn is_back_without_dhcp(&self) -> Result<()> {
        until("the host route", AT_ONCE, || {
            self.host.route_to(self.address())
        })?;
        self.fabric.ping(self.address())?;
        self.guest
            .run(&format!("ping -c 1 -W 2 {}", Fabric::ADDRESS), BOUND)?;
        let uuid = self.domain.uuid();
        self.agent
            .wait_row(self.link, "its VM and its route", AT_ONCE, |row| {
                row["route"] == true && row["vm"] == Self::VM && row["uuid"] == uuid
            })?;
        let messages = self.capture.messages()?;
        ensure!(messages.is_empty(), "the guest sent DHCP: {messages:?}");
        Ok(())
    }

    /// Waits until the VM is gone: its link is idle, or gone with it, and its host route is not there.
    pub fn is_gone(&self) -> Result<()> {
        // An agent that has just started has no row before its first look, and its routes are those of the one before.
        until("the VM and its route to be gone", AT_ONCE, || {
            let row = self.agent.row(self.link)?;
            let is_idle = row.is_none_or(|row| row["state"] == "idle");
            let has_route = self.host.route_to(self.address())?.is_some();
            Ok((is_idle && !has_route).then_some(()))
        })
    }

    /// The name of the VM's tap.
    pub fn tap(&self) -> Result<String> {
        let tap = self.libvirtd.tap(Self::VM, guest_mac(1));
        tap.context("the VM has no tap")
    }
}
