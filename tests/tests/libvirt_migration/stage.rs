//! Two hypervisors and the router between them.
//!
//! ```text
//!   VM ── virbr1 or tap1 ── one ══ router ══ two ── virbr1 or tap1 ── the VM, later
//! ```

use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, BootFiles, GATEWAY, Host, Namespace, Process,
    bird::{self, Bird, Role},
    guest_mac,
    libvirt::{Domain, Libvirtd, Serial, Source, open_network},
    linux::Linux,
    static_network,
};
use std::{net::Ipv4Addr, process::Stdio, time::Duration};

/// A guest boots in 3 to 6 s, and migrates in 2 to 6 s; the machine may be busy with other cases.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// The VM's address: its definition fixes it, so it has it on either host.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The router's own, where pings come from.
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// On each uplink the host's address and the router's.
const UPLINKS: [(Ipv4Addr, Ipv4Addr); 2] = [
    (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)),
    (Ipv4Addr::new(192, 0, 2, 5), Ipv4Addr::new(192, 0, 2, 6)),
];
const NAME: &str = "web1";

/// What the VM is tied to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behind {
    /// A libvirt network of its own.
    Bridge,
    /// A bare tap.
    Tap,
}

impl Behind {
    /// The VM link, on either host.
    pub(crate) fn link(self) -> &'static str {
        match self {
            Self::Bridge => "virbr1",
            Self::Tap => "tap1",
        }
    }
}

/// The machines, before anything runs on them.
pub(crate) struct Stage {
    pub(crate) hosts: [Host; 2],
    pub(crate) router: Namespace,
}

impl Stage {
    pub(crate) fn new() -> Result<Self> {
        let stage = Self {
            hosts: [Host::new()?, Host::new()?],
            router: Namespace::new("router")?,
        };
        stage.router.set("ipv4/ip_forward", "1")?;
        stage.router.ip(&format!("addr add {ROUTER}/32 dev lo"))?;
        let pid = stage.router.pid();
        for (number, (host, (near, far))) in (1..).zip(stage.hosts.iter().zip(UPLINKS)) {
            let namespace = host.namespace();
            // libvirt refuses to migrate to a host of the same name.
            namespace.run("hostname", &[&format!("host{number}")])?;
            namespace.ip(&format!(
                "link add uplink type veth peer name to{number} netns {pid}"
            ))?;
            namespace.ip_batch(&format!(
                "addr add {near}/30 dev uplink\nlink set uplink up\nroute add default via {far}\n"
            ))?;
            stage.router.ip_batch(&format!(
                "addr add {far}/30 dev to{number}\nlink set to{number} up\n"
            ))?;
        }
        Ok(stage)
    }

    /// BIRD on all three, with the sessions up. The router's comes last.
    pub(crate) fn peer(&self) -> Result<[Bird; 3]> {
        let [first, second] = [0, 1].map(|at| {
            let namespace = self.hosts[at].namespace();
            Bird::start(namespace, Role::Hypervisor, &[UPLINKS[at]])
        });
        let sessions = UPLINKS.map(|(host, router)| (router, host));
        let router = Bird::start(&self.router, Role::Router, &sessions)?;
        bird::established(&self.router, BOUND)?;
        Ok([first?, second?, router])
    }

    /// An agent and a libvirtd on each host, which know the VM's network.
    pub(crate) fn start(&self, behind: Behind) -> Result<[Site<'_>; 2]> {
        let [first, second] = [0, 1].map(|at| Site::start(&self.hosts[at], UPLINKS[at].0, behind));
        Ok([first?, second?])
    }
}

/// One hypervisor.
pub(crate) struct Site<'h> {
    pub(crate) host: &'h Host,
    pub(crate) agent: Agent<'h>,
    pub(crate) libvirtd: Libvirtd<'h>,
    pub(crate) domain: Domain,
    address: Ipv4Addr,
}

impl<'h> Site<'h> {
    fn start(host: &'h Host, address: Ipv4Addr, behind: Behind) -> Result<Self> {
        let agent = Agent::start(host, &static_network(&[], ""))?;
        let libvirtd = Libvirtd::start_with_hooks(host, &agent)?;
        let source = match behind {
            Behind::Bridge => {
                libvirtd.start_network("vm1", &open_network("vm1", "virbr1", ""))?;
                Source::Network("vm1".to_owned())
            }
            Behind::Tap => Source::Ethernet("tap1".to_owned()),
        };
        let domain = Domain::new(NAME, 1)
            .boots_linux(&BootFiles::prepared()?)?
            .metadata(&format!(
                "<slash32:vm xmlns:slash32='urn:slash32:1' address='{ADDRESS}'/>"
            ))
            .nic(guest_mac(1), source);
        Ok(Self {
            host,
            agent,
            libvirtd,
            domain,
            address,
        })
    }

    /// Starts the VM here, and waits until it has its address.
    pub(crate) fn boot(&self) -> Result<Linux<Serial>> {
        let mut guest = self.libvirtd.start_linux(&self.domain)?;
        guest.wait_ready(BOUND)?;
        guest.is_configured(ADDRESS, GATEWAY, BOUND)?;
        Ok(guest)
    }

    /// `virsh migrate --live`, on its way.
    pub(crate) fn migrate(&self, to: &Site<'_>) -> Result<Process> {
        let (control, data) = (
            format!("qemu+tcp://{}/system", to.address),
            format!("tcp://{}", to.address),
        );
        let mut command = self.libvirtd.virsh_command(&[
            "migrate",
            "--live",
            NAME,
            &control,
            "--migrateuri",
            &data,
        ]);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        self.host.namespace().spawn(&mut command)
    }

    /// Migrates the VM to `to`, and waits for the end.
    pub(crate) fn migrate_whole(&self, to: &Site<'_>) -> Result<()> {
        let code = self.migrate(to)?.wait(BOUND)?;
        ensure!(code == Some(0), "virsh migrate: {code:?}");
        Ok(())
    }

    /// Migrations from here take long: so many MiB each second.
    pub(crate) fn slow_down(&self, speed: u32) -> Result<()> {
        self.libvirtd
            .virsh(&["migrate-setspeed", NAME, &speed.to_string()])
            .map(drop)
    }

    /// The names of the VMs that libvirt has here.
    pub(crate) fn running(&self) -> Result<String> {
        self.libvirtd.virsh(&["list", "--name"])
    }

    /// The host reaches the VM.
    pub(crate) fn ping(&self) -> Result<()> {
        let ping = ["-c", "5", "-i", "0.2", "-W", "2", &ADDRESS.to_string()];
        self.host.namespace().run("ping", &ping).map(drop)
    }

    /// Our host route to the VM is in the kernel.
    pub(crate) fn has_route(&self) -> Result<bool> {
        let routes = self.host.namespace().ip_json(&format!(
            "-details route show table main exact {ADDRESS}/32 proto 132"
        ))?;
        Ok(!routes.is_empty())
    }
}
