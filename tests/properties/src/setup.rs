//! The first bytes of an input of [`handle`](crate::handle()): a binding, who owns it, and how the rest is to be taken.

use slash32_binding::{
    Binding, Claim, Ipv4Addr, List, MacAddr, Prefix, Route, Routers, Setting, Text,
};
use slash32_dhcp::MAX_FRAME;

/// How many bytes say it; missing ones are zero, which is the plainest of all.
pub const LENGTH: usize = 16;

/// The address of every binding here: that of the captures.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 13);
/// The gateway of every binding here: that of the captures.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 1);
/// The gateway before it.
pub const FORMER_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 2);
/// The link's own hardware address.
pub const SERVER: MacAddr = MacAddr([0xfe, 0x54, 0, 0x12, 0x34, 0x56]);
/// The client of most captures.
pub const CLIENT: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 0x13]);

/// What the bytes behind the setup are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A frame as it is.
    Frame,
    /// A frame whose lengths and checksums are to be mended.
    Mended,
    /// A DHCP message, to be broadcast.
    Broadcast,
    /// A DHCP message, to be sent from the binding's address to the gateway.
    Unicast,
}

/// What the first bytes say.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What is served.
    pub binding: Binding,
    /// Who was acknowledged before.
    pub owner: Option<MacAddr>,
    /// What the rest is.
    pub form: Form,
    /// How many bytes there are for the reply.
    pub room: usize,
}

impl Setup {
    /// Takes the setup off the front of `input`.
    pub fn split(input: &[u8]) -> (Self, &[u8]) {
        let (head, rest) = input.split_at(input.len().min(LENGTH));
        let mut bytes = [0; LENGTH];
        bytes[..head.len()].copy_from_slice(head);
        (Self::of(&bytes), rest)
    }

    fn of(bytes: &[u8; LENGTH]) -> Self {
        let &[
            flags,
            form,
            room_high,
            room_low,
            routes,
            servers,
            names,
            search,
            server_name,
            boot_file,
            mtu_high,
            mtu_low,
            lease,
            overlays,
            raw,
            raw_code,
        ] = bytes;
        let flag = |bit: u8| flags & (1 << bit) != 0;
        let mut binding = Binding::new(ADDRESS, GATEWAY);
        binding.server_mac = SERVER;
        binding.chaddr = flag(0).then_some(CLIENT);
        binding.former_gateway = flag(3).then_some(FORMER_GATEWAY);
        if flag(4) {
            binding.routers = Routers::Rfc3442;
        }
        if flag(5) {
            binding.netmask = Ipv4Addr::new(255, 255, 255, 0);
        }
        if flag(6) {
            binding.next_server = Ipv4Addr::new(192, 0, 2, 10);
        }
        binding.rapid_commit = form & 0x10 != 0;
        binding.ipv6_only_wait = if form & 0x20 != 0 { 1800 } else { 0 };
        if flag(7) {
            (binding.renewal_time, binding.rebinding_time) = (Some(60), Some(u32::from(lease)));
        }
        for i in 0..routes % 17 {
            let to = Prefix::new(Ipv4Addr::new(10, i, i, i), routes.wrapping_add(i) % 33);
            if let Some(to) = to {
                let _ = binding.routes.push(Route { to, via: GATEWAY });
            }
        }
        let addresses = |count: u8, last: u8| (0..count).map(move |i| Ipv4Addr::new(9, 9, i, last));
        for address in addresses(servers & 15, 1) {
            let _ = binding.dns.push(address);
        }
        for address in addresses(servers >> 4, 2) {
            let _ = binding.ntp.push(address);
            let _ = binding.tftp_servers.push(address);
        }
        binding.hostname = text(&"h".repeat(usize::from(names & 15) * 4));
        binding.domain = text(&vec!["domain"; usize::from(names >> 4)].join("."));
        binding.search = text(&vec!["search.example"; usize::from(search % 18)].join(" "));
        binding.server_name = text(&"s".repeat(usize::from(server_name) % 64));
        binding.boot_file = text(&"f".repeat(usize::from(boot_file) % 254));
        binding.mtu = match u16::from_be_bytes([mtu_high, mtu_low]) {
            0 => 1500,
            mtu => mtu.max(68),
        };
        binding.lease_time = match lease {
            0 => 86_400,
            1..=250 => u32::from(lease) - 1,
            251.. => u32::MAX - u32::from(255 - lease),
        };
        for i in 0..raw & 15 {
            let value = vec![i; usize::from(raw >> 4) * 8];
            let record = [raw_code.wrapping_add(i), i & 1, value.len() as u8];
            let _ = binding
                .raw
                .extend_from_slice(&[&record, &value[..]].concat());
        }
        overlay(&mut binding, overlays);

        let owner = match flags >> 1 & 3 {
            1 => Some(CLIENT),
            2 => Some(MacAddr([2, 0, 0, 0, 0, 1])),
            _ => None,
        };
        let form_of = match form & 3 {
            0 => Form::Frame,
            1 => Form::Mended,
            2 => Form::Broadcast,
            _ => Form::Unicast,
        };
        let room = usize::from(u16::from_be_bytes([room_high, room_low])) % (MAX_FRAME + 1);
        Self {
            binding,
            owner,
            form: form_of,
            room: if form & 0x80 != 0 { room } else { MAX_FRAME },
        }
    }
}

/// One overlay a bit.
fn overlay(binding: &mut Binding, bits: u8) {
    let mut raw = List::new(0);
    let _ = raw.extend_from_slice(&[224, 1, 2, 1, 2, 43, 0, 1, 9]);
    let mut dns = List::new(Ipv4Addr::UNSPECIFIED);
    let _ = dns.push(Ipv4Addr::new(1, 1, 1, 1));
    let all = [
        (
            &[Claim::UserClass("iPXE")][..],
            Setting::BootFile(text("menu.ipxe")),
        ),
        (&[Claim::VendorClass("PXEClient*")], Setting::Dns(dns)),
        (&[Claim::VendorClass("*")], Setting::Raw(raw)),
        (
            &[Claim::Architecture(0), Claim::Architecture(7)],
            Setting::Mtu(1400),
        ),
        (
            &[Claim::UserClass("*[a-z]?"), Claim::VendorClass("*x*y*")],
            Setting::Hostname(text("claimed")),
        ),
        (&[], Setting::Mtu(9000)),
        (
            &[Claim::VendorClass("")],
            Setting::Routers(Routers::Rfc3442),
        ),
        (
            &[Claim::UserClass("*")],
            Setting::Netmask(Ipv4Addr::new(255, 255, 255, 252)),
        ),
    ];
    for (bit, (claims, setting)) in all.into_iter().enumerate() {
        if bits & (1 << bit) != 0 {
            let _ = binding.overlays.push(claims, &[setting]);
        }
    }
}

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(&text[..text.len().min(N)]).expect("it was cut to its length")
}
