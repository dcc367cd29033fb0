use crate::{Binding, Bytes, Ipv4Addr, List, Prefix, Route, Routers, Text};

/// One field of a [`Binding`] that a narrower or wider scope, or a class, can set, with its value.
///
/// The address, the times and whatever identifies the VM are none of these: they do not depend on what a client says.
// Lives on a stack, one at a time; boxing would need an allocator.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// [`Binding::netmask`]
    Netmask(Ipv4Addr),
    /// [`Binding::routers`]
    Routers(Routers),
    /// [`Binding::routes`]
    Routes(List<Route, 16>),
    /// [`Binding::dns`]
    Dns(List<Ipv4Addr, 8>),
    /// [`Binding::ntp`]
    Ntp(List<Ipv4Addr, 8>),
    /// [`Binding::tftp_servers`]
    TftpServers(List<Ipv4Addr, 4>),
    /// [`Binding::mtu`]
    Mtu(u16),
    /// [`Binding::hostname`]
    Hostname(Text<63>),
    /// [`Binding::domain`]
    Domain(Text<253>),
    /// [`Binding::search`]
    Search(Text<255>),
    /// [`Binding::next_server`]
    NextServer(Ipv4Addr),
    /// [`Binding::server_name`]
    ServerName(Text<63>),
    /// [`Binding::boot_file`]
    BootFile(Text<253>),
    /// [`Binding::rapid_commit`]
    RapidCommit(bool),
    /// [`Binding::ipv6_only_wait`]
    Ipv6OnlyWait(u32),
    /// Records of [`Binding::raw`]: those of one code take the place of those with that code, or are added.
    Raw(Bytes<512>),
}

impl Binding {
    /// Puts the value in its field. Raw options that do not fit beside the others are left out; policy hands out none such.
    pub fn set(&mut self, setting: &Setting) {
        match *setting {
            Setting::Netmask(value) => self.netmask = value,
            Setting::Routers(value) => self.routers = value,
            Setting::Routes(value) => self.routes = value,
            Setting::Dns(value) => self.dns = value,
            Setting::Ntp(value) => self.ntp = value,
            Setting::TftpServers(value) => self.tftp_servers = value,
            Setting::Mtu(value) => self.mtu = value,
            Setting::Hostname(value) => self.hostname = value,
            Setting::Domain(value) => self.domain = value,
            Setting::Search(value) => self.search = value,
            Setting::NextServer(value) => self.next_server = value,
            Setting::ServerName(value) => self.server_name = value,
            Setting::BootFile(value) => self.boot_file = value,
            Setting::RapidCommit(value) => self.rapid_commit = value,
            Setting::Ipv6OnlyWait(value) => self.ipv6_only_wait = value,
            Setting::Raw(value) => {
                let mut merged = value;
                for record in raw_records(&self.raw) {
                    if raw_records(&value).all(|new| new.first() != record.first()) {
                        let _ = merged.extend_from_slice(record);
                    }
                }
                self.raw = merged;
            }
        }
    }
}

/// The records of [`Binding::raw`], each from its code to the end of its value.
fn raw_records(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let &[_, _, length] = bytes.first_chunk()?;
        let (record, rest) = bytes.split_at_checked(3 + usize::from(length))?;
        bytes = rest;
        Some(record)
    })
}

/// The bytes that the largest value takes: that of [`Setting::Raw`].
const LARGEST: usize = 512;

impl Setting {
    /// The key that stands for the field in the bytes of an [`crate::Overlays`], and the bytes of the value.
    pub(crate) fn encode(&self) -> (u8, Bytes<LARGEST>) {
        match self {
            Self::Netmask(value) => (16, bytes(value.octets())),
            Self::Routers(value) => (17, bytes([u8::from(*value == Routers::Rfc3442)])),
            Self::Routes(value) => (18, bytes(value.iter().flat_map(route_bytes))),
            Self::Dns(value) => (19, bytes(value.iter().flat_map(Ipv4Addr::octets))),
            Self::Ntp(value) => (20, bytes(value.iter().flat_map(Ipv4Addr::octets))),
            Self::TftpServers(value) => (21, bytes(value.iter().flat_map(Ipv4Addr::octets))),
            Self::Mtu(value) => (22, bytes(value.to_le_bytes())),
            Self::Hostname(value) => (23, bytes(value.as_str().bytes())),
            Self::Domain(value) => (24, bytes(value.as_str().bytes())),
            Self::Search(value) => (25, bytes(value.as_str().bytes())),
            Self::NextServer(value) => (26, bytes(value.octets())),
            Self::ServerName(value) => (27, bytes(value.as_str().bytes())),
            Self::BootFile(value) => (28, bytes(value.as_str().bytes())),
            Self::Raw(value) => (29, *value),
            Self::RapidCommit(value) => (30, bytes([u8::from(*value)])),
            Self::Ipv6OnlyWait(value) => (31, bytes(value.to_le_bytes())),
        }
    }

    /// `None` for anything that [`Setting::encode`] does not make.
    pub(crate) fn decode(key: u8, bytes: &[u8]) -> Option<Self> {
        Some(match key {
            16 => Self::Netmask(address(bytes)?),
            17 => Self::Routers(match bytes {
                [0] => Routers::Always,
                [1] => Routers::Rfc3442,
                _ => return None,
            }),
            18 => Self::Routes(list(bytes, NO_ROUTE, route)?),
            19 => Self::Dns(list(bytes, Ipv4Addr::UNSPECIFIED, four)?),
            20 => Self::Ntp(list(bytes, Ipv4Addr::UNSPECIFIED, four)?),
            21 => Self::TftpServers(list(bytes, Ipv4Addr::UNSPECIFIED, four)?),
            22 => Self::Mtu(u16::from_le_bytes(bytes.try_into().ok()?)),
            23 => Self::Hostname(text(bytes)?),
            24 => Self::Domain(text(bytes)?),
            25 => Self::Search(text(bytes)?),
            26 => Self::NextServer(address(bytes)?),
            27 => Self::ServerName(text(bytes)?),
            28 => Self::BootFile(text(bytes)?),
            29 => {
                let mut raw = List::new(0);
                raw.extend_from_slice(bytes).ok()?;
                Self::Raw(raw)
            }
            30 => Self::RapidCommit(match bytes {
                [0] => false,
                [1] => true,
                _ => return None,
            }),
            31 => Self::Ipv6OnlyWait(u32::from_le_bytes(bytes.try_into().ok()?)),
            _ => return None,
        })
    }
}

const NO_ROUTE: Route = Route {
    to: Prefix::DEFAULT,
    via: Ipv4Addr::UNSPECIFIED,
};

/// `values`, which fit: no field of a binding has more bytes than [`LARGEST`].
fn bytes(values: impl IntoIterator<Item = u8>) -> Bytes<LARGEST> {
    let mut bytes = List::new(0);
    for value in values {
        let _ = bytes.push(value);
    }
    bytes
}

fn route_bytes(route: &Route) -> [u8; 9] {
    let ([a, b, c, d], [e, f, g, h]) = (route.to.address().octets(), route.via.octets());
    [a, b, c, d, route.to.length(), e, f, g, h]
}

fn route(&[a, b, c, d, length, e, f, g, h]: &[u8; 9]) -> Option<Route> {
    let to = Prefix::new(Ipv4Addr::new(a, b, c, d), length)?;
    let via = Ipv4Addr::new(e, f, g, h);
    (to.address() == Ipv4Addr::new(a, b, c, d)).then_some(Route { to, via })
}

fn four(octets: &[u8; 4]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(*octets))
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    four(bytes.try_into().ok()?)
}

/// Values of `SIZE` bytes each, and nothing behind them.
fn list<T: Copy, const SIZE: usize, const N: usize>(
    bytes: &[u8],
    fill: T,
    read: impl Fn(&[u8; SIZE]) -> Option<T>,
) -> Option<List<T, N>> {
    let (values, rest) = bytes.as_chunks::<SIZE>();
    let mut list = List::new(fill);
    for value in values {
        list.push(read(value)?).ok()?;
    }
    rest.is_empty().then_some(list)
}

fn text<const N: usize>(bytes: &[u8]) -> Option<Text<N>> {
    Text::new(core::str::from_utf8(bytes).ok()?).ok()
}
