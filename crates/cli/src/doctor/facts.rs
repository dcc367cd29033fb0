//! The host, as far as the checks look at it.

use super::firewall::Firewall;
use crate::shim::Status;
use slash32_control::{LinkDetail, LinkRow};
use slash32_policy::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// A fact, or the sentence why it is not known.
pub(crate) type Known<T> = Result<T, String>;

/// What [`mod@super::gather`] read, once.
pub(crate) struct Facts {
    /// All of it can be read.
    pub(crate) is_root: bool,
    /// The host's links.
    pub(crate) links: Vec<Link>,
    /// The names of the links that lead to the fabric.
    pub(crate) uplinks: Vec<String>,
    /// Numbers below `/proc/sys/net`, by their path there: `ipv4/ip_forward`.
    pub(crate) sysctls: BTreeMap<String, i64>,
    /// A file of `sysctl.d` switches forwarding on at boot.
    pub(crate) forwarding_at_boot: bool,
    pub(crate) agent: Agent,
    pub(crate) config_file: PathBuf,
    pub(crate) config: Known<Config>,
    pub(crate) state_folder: Known<Space>,
    /// There is a user `slash32-responder`.
    pub(crate) responder_user: bool,
    /// There is a group `slash32`.
    pub(crate) operator_group: bool,
    pub(crate) firewall: Firewall,
    /// The listening sockets of the host, UDP and TCP.
    pub(crate) sockets: Known<Vec<Socket>>,
    /// The names of the running processes (`/proc/PID/comm`).
    pub(crate) processes: BTreeSet<String>,
    /// What NetworkManager says of each link (`nmcli`'s STATE), when it runs.
    pub(crate) network_manager: Option<Known<BTreeMap<String, String>>>,
    /// `ADMIN_STATE` of systemd-networkd, by ifindex.
    pub(crate) networkd: BTreeMap<u32, String>,
    /// `gc_thresh1`, `2` and `3` of the neighbour table.
    pub(crate) neighbour_limits: Known<[u64; 3]>,
    /// The files that name routing protocols, one after the other.
    pub(crate) protocol_names: String,
    /// BIRD's config with all that it includes, and its file, when BIRD runs.
    pub(crate) bird: Option<(PathBuf, Known<String>)>,
    /// FRR's config, when its zebra runs.
    pub(crate) frr: Option<(PathBuf, Known<String>)>,
    /// The config files of libvirt's dnsmasq.
    pub(crate) dnsmasq: Known<Vec<(PathBuf, String)>>,
    /// What stands in libvirt's hook folder, where there is a libvirt.
    pub(crate) hooks: Option<Vec<Status>>,
    /// Where hooks leave what they know.
    pub(crate) spool: Known<Spool>,
    /// The kernel's security modules.
    pub(crate) security_modules: Known<String>,
}

/// A link of the host.
#[derive(Clone, Default, Debug)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) altnames: Vec<String>,
    pub(crate) index: u32,
    /// `IFLA_INFO_KIND`: `bridge`, `veth`, ...
    pub(crate) kind: String,
    /// A tun device that carries Ethernet frames.
    pub(crate) is_tap: bool,
    pub(crate) is_loopback: bool,
    /// Bytes.
    pub(crate) mtu: u32,
    pub(crate) is_up: bool,
    pub(crate) has_carrier: bool,
    /// The bridge that it is a port of.
    pub(crate) master: Option<String>,
    /// `addr_assign_type` is `NET_ADDR_SET`: a bridge keeps its MAC address whatever its ports have.
    pub(crate) mac_is_set: bool,
    /// The bridge takes part in the spanning tree.
    pub(crate) stp: bool,
    /// The bridge's forward delay, in hundredths of a second.
    pub(crate) forward_delay: u32,
    /// The bridge's own `nf_call_iptables`.
    pub(crate) calls_iptables: bool,
    pub(crate) addresses: Vec<(Ipv4Addr, u8)>,
    /// What is known of it as a VM link; `None` when it is none.
    pub(crate) vm: Option<VmLink>,
}

/// What is known of a VM link.
#[derive(Clone, Default, Debug)]
pub(crate) struct VmLink {
    pub(crate) gateway: Option<Ipv4Addr>,
    /// The VM's address, where the agent has told it.
    pub(crate) address: Option<Ipv4Addr>,
}

/// The agent, as its operator API shows it.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    pub(crate) socket_exists: bool,
    /// The rows of `list`.
    pub(crate) rows: Known<Vec<LinkRow>>,
    /// What `show` says, by link.
    pub(crate) details: BTreeMap<String, LinkDetail>,
}

/// The file system that a folder lies in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    pub(crate) is_read_only: bool,
    /// Bytes that can still be written.
    pub(crate) free: u64,
    /// Files that can still be made; `None` where that is not counted.
    pub(crate) free_files: Option<u64>,
}

/// The folder of the hook calls that wait for the agent, or where it will be.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    pub(crate) folder: PathBuf,
    /// How long each call has been waiting.
    pub(crate) ages: Vec<Duration>,
    pub(crate) is_read_only: bool,
    /// A hook leaves no call where there is little room.
    pub(crate) has_room: bool,
}

/// A socket that takes what strangers send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Socket {
    /// `udp` or `tcp`.
    pub(crate) protocol: String,
    /// As `ss` shows it: `0.0.0.0`, `*`, `[::]`, or an address.
    pub(crate) address: String,
    /// The link that it is bound to.
    pub(crate) device: Option<String>,
    pub(crate) port: u16,
    /// The name and the pid of its process, where they could be read.
    pub(crate) process: Option<(String, u32)>,
}

impl Facts {
    /// The VM links, each with what is known of it.
    pub(crate) fn vm_links(&self) -> impl Iterator<Item = (&Link, &VmLink)> {
        self.links
            .iter()
            .filter_map(|link| Some((link, link.vm.as_ref()?)))
    }

    pub(crate) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The links behind which a VM can be: the taps and veths that are ports of this bridge, or the bare tap itself.
    pub(crate) fn ports<'f>(&'f self, link: &'f Link) -> impl Iterator<Item = &'f Link> {
        self.links.iter().filter(move |port| {
            if link.is_tap {
                port.index == link.index
            } else {
                port.master.as_ref() == Some(&link.name) && (port.is_tap || port.kind == "veth")
            }
        })
    }

    /// A number below `/proc/sys/net`.
    pub(crate) fn sysctl(&self, path: &str) -> Option<i64> {
        self.sysctls.get(path).copied()
    }

    /// `net.ipv4.conf.LINK.KEY`.
    pub(crate) fn conf(&self, link: &str, key: &str) -> Option<i64> {
        self.sysctl(&format!("ipv4/conf/{link}/{key}"))
    }

    /// The larger one of `all` and of the link: how the kernel reads `rp_filter`, `arp_ignore` and `arp_announce`
    /// (`IN_DEV_MAXCONF`).
    pub(crate) fn largest_conf(&self, link: &str, key: &str) -> Option<i64> {
        self.conf("all", key).max(self.conf(link, key))
    }
}

/// The name of `net.ipv4.conf.LINK.KEY` as `sysctl` takes it: with slashes when the link's name has a dot.
pub(crate) fn conf_name(link: &str, key: &str) -> String {
    if link.contains('.') {
        format!("net/ipv4/conf/{link}/{key}")
    } else {
        format!("net.ipv4.conf.{link}.{key}")
    }
}

#[cfg(test)]
impl Facts {
    /// A host on which all is well: one VM, 203.0.113.7, behind virbr13 and vnet13; and the uplink eth0.
    pub(crate) fn healthy() -> Self {
        use super::firewall::Firewall;
        let vm = Link {
            name: "virbr13".into(),
            index: 3,
            kind: "bridge".into(),
            mtu: 1500,
            is_up: true,
            has_carrier: true,
            mac_is_set: true,
            addresses: vec![(Ipv4Addr::new(169, 254, 0, 1), 32)],
            vm: Some(VmLink {
                gateway: Some(Ipv4Addr::new(169, 254, 0, 1)),
                address: Some(Ipv4Addr::new(203, 0, 113, 7)),
            }),
            ..Link::default()
        };
        let port = Link {
            name: "vnet13".into(),
            index: 4,
            kind: "tun".into(),
            is_tap: true,
            mtu: 1500,
            is_up: true,
            has_carrier: true,
            master: Some("virbr13".into()),
            ..Link::default()
        };
        let uplink = Link {
            name: "eth0".into(),
            index: 2,
            mtu: 1500,
            is_up: true,
            has_carrier: true,
            addresses: vec![(Ipv4Addr::new(192, 0, 2, 1), 24)],
            ..Link::default()
        };
        let mut sysctls = BTreeMap::from([("ipv4/ip_forward".to_owned(), 1)]);
        for (link, key, value) in [
            ("all", "arp_ignore", 0),
            ("all", "rp_filter", 0),
            ("all", "proxy_arp", 0),
            ("eth0", "forwarding", 1),
            ("eth0", "rp_filter", 0),
            ("virbr13", "forwarding", 1),
            ("virbr13", "arp_ignore", 1),
            ("virbr13", "rp_filter", 1),
        ] {
            sysctls.insert(format!("ipv4/conf/{link}/{key}"), value);
        }
        let mut row = crate::table::tests::row("virbr13");
        row.state = slash32_control::State::Bound;
        row.route = true;
        row.address = Some(Ipv4Addr::new(203, 0, 113, 7));
        row.gateway = Some(Ipv4Addr::new(169, 254, 0, 1));
        row.network = Some("public".into());
        row.responder = Some(slash32_control::Responder {
            pid: 713,
            state: "serving".into(),
        });
        let text = "[[network]]\nname = \"public\"\nlinks = [\"virbr*\"]\ngateway = \"169.254.0.1\"\n\
                    [[network.subnet]]\nprefix = \"203.0.113.0/24\"\n";
        let source = slash32_policy::Source {
            name: "slash32.toml".into(),
            text: text.into(),
        };
        Self {
            is_root: true,
            links: vec![uplink, vm, port],
            uplinks: vec!["eth0".into()],
            sysctls,
            forwarding_at_boot: true,
            agent: Agent {
                socket: "/run/slash32/agent.sock".into(),
                socket_exists: true,
                rows: Ok(vec![row]),
                details: BTreeMap::new(),
            },
            config_file: "/etc/slash32/slash32.toml".into(),
            config: Ok(Config::parse(&[source]).unwrap()),
            state_folder: Ok(Space {
                is_read_only: false,
                free: 1 << 30,
                free_files: Some(1 << 20),
            }),
            responder_user: true,
            operator_group: true,
            firewall: Firewall::default(),
            sockets: Ok(vec![Socket {
                protocol: "udp".into(),
                address: "169.254.0.1".into(),
                device: Some("virbr13".into()),
                port: 67,
                process: Some(("slash32-respond".into(), 713)),
            }]),
            processes: BTreeSet::new(),
            network_manager: None,
            networkd: BTreeMap::new(),
            neighbour_limits: Ok([128, 512, 1024]),
            protocol_names: "132\tslash32\n".into(),
            bird: None,
            frr: None,
            dnsmasq: Ok(Vec::new()),
            hooks: None,
            spool: Ok(Spool {
                folder: "/run/slash32/hooks".into(),
                ages: Vec::new(),
                is_read_only: false,
                has_room: true,
            }),
            security_modules: Ok("capability,landlock,yama".into()),
        }
    }
}
