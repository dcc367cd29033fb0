use super::{Field, Match};
use std::net::Ipv4Addr;

/// The link at one side of a packet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Side {
    /// There is none at this hook.
    #[default]
    Absent,
    /// There is one, and which is not known.
    Open,
    Link(String),
}

/// As much of a packet as is known. A field that is `None` is open.
#[derive(Clone, Default, Debug)]
pub(crate) struct Packet {
    pub(crate) input: Side,
    pub(crate) output: Side,
    /// The bridge of `input` or `output`, at the hooks of the bridge.
    pub(crate) bridge: Option<String>,
    pub(crate) source: Option<Ipv4Addr>,
    pub(crate) destination: Option<Ipv4Addr>,
    /// `ip` or `arp`.
    pub(crate) ether_type: &'static str,
    pub(crate) protocol: Option<&'static str>,
    pub(crate) source_port: Option<u16>,
    pub(crate) destination_port: Option<u16>,
    pub(crate) connection: &'static str,
}

/// Whether a match is true of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Truth {
    False,
    /// It is not understood.
    Unread,
    /// It depends on what is not known of the packet.
    Open,
    True,
}

impl Match {
    pub(super) fn holds(&self, packet: &Packet) -> Truth {
        let truth = self.field.holds(packet);
        match truth {
            Truth::True if self.negated => Truth::False,
            Truth::False if self.negated => Truth::True,
            other => other,
        }
    }
}

impl Field {
    fn holds(&self, packet: &Packet) -> Truth {
        match self {
            Self::Input(names) => side(&packet.input, names),
            Self::Output(names) => side(&packet.output, names),
            Self::InputBridge(names) if packet.input != Side::Absent => {
                known(packet.bridge.as_ref(), |name| is_named(name, names))
            }
            Self::OutputBridge(names) if packet.output != Side::Absent => {
                known(packet.bridge.as_ref(), |name| is_named(name, names))
            }
            Self::InputBridge(_) | Self::OutputBridge(_) => Truth::False,
            Self::EtherType(types) => yes(types.iter().any(|name| name == packet.ether_type)),
            // What follows is said of IPv4 only.
            _ if packet.ether_type != "ip" => match self {
                Self::Unread => Truth::Unread,
                _ => Truth::False,
            },
            Self::Source(ranges) => address(packet.source, ranges),
            Self::Destination(ranges) => address(packet.destination, ranges),
            Self::Protocol(names) => {
                known(packet.protocol, |own| names.iter().any(|name| name == own))
            }
            Self::SourcePort(ranges) => known(packet.source_port, |port| contains(ranges, port)),
            Self::DestinationPort(ranges) => {
                known(packet.destination_port, |port| contains(ranges, port))
            }
            Self::Connection(states) => yes(states.iter().any(|state| state == packet.connection)),
            Self::Unread => Truth::Unread,
        }
    }
}

fn yes(is: bool) -> Truth {
    if is { Truth::True } else { Truth::False }
}

fn known<T>(value: Option<T>, is: impl FnOnce(T) -> bool) -> Truth {
    value.map_or(Truth::Open, |value| yes(is(value)))
}

fn side(side: &Side, names: &[String]) -> Truth {
    match side {
        Side::Absent => Truth::False,
        Side::Open => Truth::Open,
        Side::Link(name) => yes(is_named(name, names)),
    }
}

/// `name` is one of `names`, or begins as one of them that ends with `*`.
pub(crate) fn is_named(name: &str, names: &[String]) -> bool {
    names.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    })
}

fn address(address: Option<Ipv4Addr>, ranges: &[(Ipv4Addr, Ipv4Addr)]) -> Truth {
    let every = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
    if ranges.contains(&every) {
        return Truth::True;
    }
    known(address, |address| contains(ranges, address))
}

fn contains<T: PartialOrd>(ranges: &[(T, T)], value: T) -> bool {
    ranges
        .iter()
        .any(|(first, last)| *first <= value && value <= *last)
}
