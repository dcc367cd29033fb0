use crate::{MacAddr, Namespace, RawClient, Relay, Tap, keep::Keep, namespace::require};
use anyhow::Result;
use std::{net::Ipv4Addr, time::Duration};

/// The gateway address of every example: the same on each link.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);

/// The host's address on the way to the fabric, and the fabric's.
const UPLINK: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
/// How long a port may take to forward on a machine that is busy with other cases.
const PORT_PATIENCE: Duration = Duration::from_secs(10);
/// The block from which the examples take the VMs' addresses.
const VM_BLOCK: &str = "203.0.113.0/24";

/// A hypervisor: it forwards IPv4, and has no links but those that the case gives it.
pub struct Host {
    // Before the namespace, which it listens in.
    _keep: Option<Keep>,
    namespace: Namespace,
}

/// A VM as far as a DHCP client can tell: a machine of its own whose only link is `eth0`, up, without an address.
pub struct Guest {
    namespace: Namespace,
    relay: Option<Relay>,
}

/// The router behind the hypervisor's `uplink`: it routes the VMs' block to the hypervisor, host routes do the rest.
pub struct Fabric {
    namespace: Namespace,
}

/// The hardware address of the guest with this number.
pub fn guest_mac(number: u16) -> MacAddr {
    let [high, low] = number.to_be_bytes();
    MacAddr([0x52, 0x54, 0, 0, high, low])
}

/// The hardware address of the bridge with this name.
pub fn bridge_mac(name: &str) -> MacAddr {
    let id = name.bytes().fold(0u16, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u16::from(byte))
    });
    let [high, low] = id.to_be_bytes();
    MacAddr([0x52, 0x54, 0, 0xbb, high, low])
}

impl Host {
    /// A hypervisor without links. Errors: not root, or `ip` is missing.
    pub fn new() -> Result<Self> {
        require(&["ip", "mount", "hostname"])?;
        let namespace = Namespace::new("hypervisor")?;
        namespace.set("ipv4/ip_forward", "1")?;
        Ok(Self {
            _keep: Keep::start(&namespace)?,
            namespace,
        })
    }

    /// Makes a bridge as libvirt makes it: with a hardware address of its own, up, without an address.
    pub fn bridge(&self, name: &str) -> Result<()> {
        let mac = bridge_mac(name);
        self.namespace.ip_batch(&format!(
            "link add {name} address {mac} type bridge forward_delay 0 stp_state 0\nlink set {name} up\n"
        ))
    }

    /// A guest whose `eth0` is the other end of the veth `vnetNUMBER`, a port of `bridge` that forwards. The bridge is up.
    pub fn guest(&self, bridge: &str, number: u16) -> Result<Guest> {
        let namespace = Namespace::new(&format!("guest{number}"))?;
        let (mac, pid) = (guest_mac(number), namespace.pid());
        self.namespace.ip(&format!(
            "link add vnet{number} type veth peer name eth0 address {mac} netns {pid}"
        ))?;
        namespace.ip("link set eth0 up")?;
        self.namespace
            .ip(&format!("link set vnet{number} master {bridge} up"))?;
        self.wait_forwarding(&format!("vnet{number}"))?;
        Ok(Guest {
            namespace,
            relay: None,
        })
    }

    /// A guest behind the bare tap `tap`: no bridge, and its frames go through a file descriptor, as with QEMU.
    pub fn guest_behind_tap(&self, tap: &str, number: u16) -> Result<Guest> {
        let namespace = Namespace::new(&format!("guest{number}"))?;
        let near = Tap::open(&namespace, "eth0")?;
        namespace.ip(&format!("link set eth0 address {} up", guest_mac(number)))?;
        let far = Tap::open(&self.namespace, tap)?;
        self.namespace.ip(&format!("link set {tap} up"))?;
        Ok(Guest {
            namespace,
            relay: Some(Relay::new(far, near)),
        })
    }

    /// A tap that the caller holds itself: a VM without a kernel. With `bridge`, which is up,
    /// it is a port of that bridge that forwards.
    pub fn tap(&self, name: &str, bridge: Option<&str>) -> Result<Tap> {
        let tap = Tap::open(&self.namespace, name)?;
        if let Some(bridge) = bridge {
            self.namespace
                .ip(&format!("link set {name} master {bridge}"))?;
        }
        self.namespace.ip(&format!("link set {name} up"))?;
        if bridge.is_some() {
            self.wait_forwarding(name)?;
        }
        Ok(tap)
    }

    /// The VM with this number without a kernel, behind the tap `vnetNUMBER` in the bridge `virbrNUMBER`, which is made when
    /// it is not there. The VM is there until the client is dropped.
    pub fn raw_vm(&self, number: u16) -> Result<RawClient> {
        let bridge = format!("virbr{number}");
        let link = self.namespace.path(format!("/sys/class/net/{bridge}"));
        if !link.exists() {
            self.bridge(&bridge)?;
        }
        let tap = self.tap(&format!("vnet{number}"), Some(&bridge))?;
        Ok(RawClient::new(tap, guest_mac(number)))
    }

    /// Many [VMs](Self::raw_vm) at once: their bridges are new, and are waited for together.
    pub fn raw_vms(&self, numbers: &[u16]) -> Result<Vec<RawClient>> {
        let mut bridges = String::new();
        let mut ports = String::new();
        for number in numbers {
            let bridge = format!("virbr{number}");
            let mac = bridge_mac(&bridge);
            bridges += &format!(
                "link add {bridge} address {mac} type bridge forward_delay 0 stp_state 0\nlink set {bridge} up\n"
            );
            ports += &format!("link set vnet{number} master {bridge} up\n");
        }
        self.namespace.ip_batch(&bridges)?;
        let clients: Vec<RawClient> = numbers
            .iter()
            .map(|number| {
                let tap = Tap::open(&self.namespace, &format!("vnet{number}"))?;
                Ok(RawClient::new(tap, guest_mac(*number)))
            })
            .collect::<Result<_>>()?;
        self.namespace.ip_batch(&ports)?;
        for number in numbers {
            self.wait_forwarding(&format!("vnet{number}"))?;
        }
        Ok(clients)
    }

    /// Waits until a bridge's port forwards: the kernel takes up to a second to notice that it has carrier, and what
    /// arrives before is lost.
    pub fn wait_forwarding(&self, port: &str) -> Result<()> {
        /// `BR_STATE_FORWARDING` of linux/if_bridge.h.
        const FORWARDING: &str = "3";
        let state = self
            .namespace
            .path(format!("/sys/class/net/{port}/brport/state"));
        crate::until(&format!("{port} to forward"), PORT_PATIENCE, || {
            Ok((std::fs::read_to_string(&state)?.trim() == FORWARDING).then_some(()))
        })
    }

    /// The router that the link `uplink` leads to. Once a host.
    pub fn fabric(&self) -> Result<Fabric> {
        require(&["ping"])?;
        let namespace = Namespace::new("fabric")?;
        let pid = namespace.pid();
        self.namespace.ip(&format!(
            "link add uplink type veth peer name eth0 netns {pid}"
        ))?;
        let (host, fabric) = UPLINK;
        self.namespace.ip_batch(&format!(
            "addr add {host}/30 dev uplink\nlink set uplink up\nroute add default via {fabric}\n"
        ))?;
        namespace.ip_batch(&format!(
            "addr add {fabric}/30 dev eth0\nlink set eth0 up\nroute add {VM_BLOCK} via {host}\n"
        ))?;
        namespace.set("ipv4/ip_forward", "1")?;
        Ok(Fabric { namespace })
    }

    /// Loses what comes in through `port` by unicast to the gateway's DHCP server, as a path that is broken one way does:
    /// broadcasts still arrive.
    pub fn lose_unicast_requests(&self, port: &str) -> Result<()> {
        require(&["nft"])?;
        let rules = format!(
            "add table netdev lossy; \
             add chain netdev lossy in {{ type filter hook ingress device \"{port}\" priority 0; }}; \
             add rule netdev lossy in ip daddr {GATEWAY} udp dport 67 drop"
        );
        self.namespace.run("nft", &[&rules]).map(drop)
    }

    /// Its namespaces.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The host route to `address` as `ip -json` shows it (`dev`, `protocol`, `metric`, `scope`), when it is there.
    pub fn route_to(&self, address: Ipv4Addr) -> Result<Option<serde_json::Value>> {
        Ok(self
            .namespace
            .ip_json(&format!(
                "-details route show table main exact {address}/32"
            ))?
            .into_iter()
            .next())
    }
}

impl Guest {
    /// Its namespaces.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Stops carrying frames through the bare tap, and takes the host's tap away, as the end of QEMU does.
    pub fn pull_tap(&mut self) {
        self.relay = None;
    }

    /// A hand-made client on `eth0`.
    pub fn raw_client(&self) -> Result<RawClient> {
        RawClient::on(&self.namespace, "eth0")
    }

    /// Gives `eth0` what an ACK would: `address`/32, the gateway on the link, a default route. For a
    /// [hand-made client](Guest::raw_client), whose guest must answer ARP.
    pub fn configure(&self, address: Ipv4Addr) -> Result<()> {
        self.namespace.ip_batch(&format!(
            "addr replace {address}/32 dev eth0\nroute replace {GATEWAY} dev eth0\n\
             route replace default via {GATEWAY} dev eth0\n"
        ))
    }

    /// Pings `address`; an answer within 2 s to one of three requests is a success.
    pub fn ping(&self, address: Ipv4Addr) -> Result<()> {
        ping(&self.namespace, address)
    }
}

impl Fabric {
    /// Its address on the way to the hypervisor.
    pub const ADDRESS: Ipv4Addr = UPLINK.1;

    /// Its namespaces.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Pings `address`; an answer within 2 s to one of three requests is a success.
    pub fn ping(&self, address: Ipv4Addr) -> Result<()> {
        ping(&self.namespace, address)
    }
}

fn ping(from: &Namespace, address: Ipv4Addr) -> Result<()> {
    from.run(
        "ping",
        &[
            "-n",
            "-c",
            "3",
            "-i",
            "0.2",
            "-W",
            "2",
            &address.to_string(),
        ],
    )
    .map(drop)
}
