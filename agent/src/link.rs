//! The host's links as the kernel last described them.

use slash32_binding::{Ipv4Addr, MacAddr};
use std::collections::{BTreeMap, BTreeSet};

/// What a link is, as far as it matters here (`IFLA_INFO_KIND`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    Bridge,
    /// A tun device with an Ethernet header.
    Tap,
    Veth,
    /// Holds a bridge's address; never a VM.
    Dummy,
    Loopback,
    /// The kernel names no kind: hardware.
    Physical,
    /// Any other, by the kernel's name for it.
    Other(String),
}

/// The settings of DESIGN.md §5.2, of one link's `net.ipv4.conf`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv4Settings {
    pub forwarding: i32,
    pub rp_filter: i32,
    pub arp_ignore: i32,
    pub arp_announce: i32,
    pub accept_redirects: i32,
    pub send_redirects: i32,
    pub proxy_arp: i32,
}

impl Ipv4Settings {
    /// What a VM link gets.
    pub const VM_LINK: Self = Self {
        forwarding: 1,
        rp_filter: 1,
        arp_ignore: 1,
        arp_announce: 2,
        accept_redirects: 0,
        send_redirects: 0,
        proxy_arp: 0,
    };
}

/// Of one link's `net.ipv6.conf`; absent where the kernel has no IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv6Settings {
    pub disabled: bool,
    pub accept_ra: bool,
}

/// An IPv4 address of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LinkAddress {
    pub address: Ipv4Addr,
    pub prefix_length: u8,
    /// `IFA_PROTO` is our route protocol: the agent put it there.
    pub ours: bool,
}

/// One link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    pub ifindex: u32,
    pub name: String,
    pub altnames: Vec<String>,
    pub kind: Kind,
    pub mac: MacAddr,
    pub mtu: u32,
    /// The bridge that this link is a port of.
    pub controller: Option<u32>,
    /// Its owner has set it up (`IFF_UP`).
    pub up: bool,
    /// The other end is there (`IFLA_CARRIER`).
    pub carrier: bool,
    /// How often the carrier came (`IFLA_CARRIER_UP_COUNT`).
    pub carrier_ups: u32,
    pub ipv4: Option<Ipv4Settings>,
    pub ipv6: Option<Ipv6Settings>,
    pub addresses: BTreeSet<LinkAddress>,
}

/// Every link, by its ifindex: the name is a label.
#[derive(Default, Debug)]
pub struct LinkTable {
    links: BTreeMap<u32, Link>,
    ports: BTreeMap<u32, BTreeSet<u32>>,
}

impl LinkTable {
    pub fn get(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(&ifindex)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The ports of a bridge, in the order in which they were made.
    pub fn ports(&self, bridge: u32) -> impl Iterator<Item = &Link> {
        self.ports
            .get(&bridge)
            .into_iter()
            .flatten()
            .filter_map(|port| self.links.get(port))
    }

    /// Takes in a link; its known addresses are kept. Returns the links whose service may change: itself, and the bridges
    /// that it is or was a port of. None when nothing changed.
    pub fn put(&mut self, mut link: Link) -> Vec<u32> {
        let before = self.links.get(&link.ifindex);
        if let Some(before) = before {
            link.addresses.clone_from(&before.addresses);
            if *before == link {
                return Vec::new();
            }
        }
        let ifindex = link.ifindex;
        let old_bridge = before.and_then(|before| before.controller);
        let bridge = link.controller;
        if old_bridge != bridge {
            self.unplug(ifindex, old_bridge);
            if let Some(bridge) = bridge {
                self.ports.entry(bridge).or_default().insert(ifindex);
            }
        }
        self.links.insert(ifindex, link);
        [Some(ifindex), old_bridge, bridge]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Takes out a link that is gone. Returns as [`Self::put`] does.
    pub fn remove(&mut self, ifindex: u32) -> Vec<u32> {
        let Some(link) = self.links.remove(&ifindex) else {
            return Vec::new();
        };
        self.unplug(ifindex, link.controller);
        [Some(ifindex), link.controller]
            .into_iter()
            .flatten()
            .collect()
    }

    fn unplug(&mut self, port: u32, bridge: Option<u32>) {
        if let Some(bridge) = bridge
            && let Some(ports) = self.ports.get_mut(&bridge)
        {
            ports.remove(&port);
            if ports.is_empty() {
                self.ports.remove(&bridge);
            }
        }
    }

    /// An address came to a link or left it. True when that is news.
    pub fn put_address(&mut self, ifindex: u32, address: LinkAddress, present: bool) -> bool {
        let Some(link) = self.links.get_mut(&ifindex) else {
            return false;
        };
        if present {
            link.addresses.insert(address)
        } else {
            link.addresses.remove(&address)
        }
    }

    /// The settings of a link were changed by us; the kernel's own word comes later.
    pub fn put_settings(
        &mut self,
        ifindex: u32,
        ipv4: Option<Ipv4Settings>,
        ipv6: Option<Ipv6Settings>,
    ) {
        if let Some(link) = self.links.get_mut(&ifindex) {
            link.ipv4 = ipv4.or(link.ipv4);
            link.ipv6 = ipv6.or(link.ipv6);
        }
    }

    /// Replaces everything by a dump. Returns the links whose service may change.
    pub fn replace(&mut self, dump: Vec<Link>, addresses: &[(u32, LinkAddress)]) -> BTreeSet<u32> {
        let mut changed = BTreeSet::new();
        let present: BTreeSet<u32> = dump.iter().map(|link| link.ifindex).collect();
        let gone: Vec<u32> = self
            .links
            .keys()
            .copied()
            .filter(|ifindex| !present.contains(ifindex))
            .collect();
        for ifindex in gone {
            changed.extend(self.remove(ifindex));
        }
        for link in dump {
            changed.extend(self.put(link));
        }
        let mut by_link: BTreeMap<u32, BTreeSet<LinkAddress>> = BTreeMap::new();
        for (ifindex, address) in addresses {
            by_link.entry(*ifindex).or_default().insert(*address);
        }
        for link in self.links.values_mut() {
            let addresses = by_link.remove(&link.ifindex).unwrap_or_default();
            if link.addresses != addresses {
                link.addresses = addresses;
                changed.insert(link.ifindex);
            }
        }
        changed
    }
}
