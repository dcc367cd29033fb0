//! Frames as a sender writes them and as RFC 791, RFC 768 and RFC 2131 say that they are read. Nothing of the core is used.

use slash32_binding::{Ipv4Addr, MacAddr};
use std::collections::BTreeMap;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
/// Bytes of the BOOTP header with the cookie.
const HEADER: usize = 240;

/// A BOOTREQUEST of `client` with these bytes as its options field.
pub(crate) fn request(client: MacAddr, options: &[u8]) -> Vec<u8> {
    let mut message = vec![0; HEADER];
    message[..3].copy_from_slice(&[1, 1, 6]);
    message[4..8].copy_from_slice(b"xid!");
    message[28..34].copy_from_slice(&client.0);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend(options);
    message
}

/// `message` to everybody, from a client without an address.
pub fn broadcast(message: &[u8], client: MacAddr) -> Vec<u8> {
    let nobody = Ipv4Addr::UNSPECIFIED;
    around(
        message,
        (client, MacAddr::BROADCAST),
        (nobody, Ipv4Addr::BROADCAST),
    )
}

/// `message` from a client that has its address to its server alone.
pub fn unicast(
    message: &[u8],
    link: (MacAddr, MacAddr),
    addresses: (Ipv4Addr, Ipv4Addr),
) -> Vec<u8> {
    around(message, link, addresses)
}

fn around(message: &[u8], link: (MacAddr, MacAddr), ip: (Ipv4Addr, Ipv4Addr)) -> Vec<u8> {
    // What is longer than a packet can be is cut.
    let message = &message[..message.len().min(usize::from(u16::MAX) - IPV4 - UDP)];
    let mut frame = Vec::with_capacity(ETHERNET + IPV4 + UDP + message.len());
    frame.extend(link.1.0);
    frame.extend(link.0.0);
    frame.extend([8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(ip.0.octets());
    frame.extend(ip.1.octets());
    frame.extend([0, 68, 0, 67, 0, 0, 0, 0]);
    frame.extend(message);
    mended(frame)
}

/// A frame of IPv4 and UDP with its lengths and checksums made right; as it is when it is too short for that.
pub fn mended(mut frame: Vec<u8>) -> Vec<u8> {
    let Some(packet) = frame.get_mut(ETHERNET..) else {
        return frame;
    };
    let length = packet.len().min(usize::from(u16::MAX));
    let packet = &mut packet[..length];
    let header = usize::from(packet.first().copied().unwrap_or(0) & 15) * 4;
    if header < IPV4 || length < header + UDP {
        return frame;
    }
    packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    packet[10..12].fill(0);
    let sum = !sum(&packet[..header], 0);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp_length = length - header;
    packet[header + 4..header + 6].copy_from_slice(&(udp_length as u16).to_be_bytes());
    packet[header + 6..header + 8].fill(0);
    let checksum = match !udp_sum(&packet[12..20], &packet[header..]) {
        0 => 0xffff,
        checksum => checksum,
    };
    packet[header + 6..header + 8].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// The one's complement sum of RFC 1071 over `bytes`, begun with `start`; taken in large words, as its §2 (C) allows.
fn sum(bytes: &[u8], start: u64) -> u16 {
    let mut sum = u128::from(start);
    for bytes in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        sum += u128::from(u64::from_be_bytes(word));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// RFC 768: over the pseudo-header, whose `addresses` are source and destination, and the datagram.
fn udp_sum(addresses: &[u8], datagram: &[u8]) -> u16 {
    let start = u64::from(sum(addresses, 17 + datagram.len() as u64));
    sum(datagram, start)
}

/// A DHCP message in the headers that it came in.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Ethernet source and destination.
    pub link: (MacAddr, MacAddr),
    /// IP source and destination.
    pub ip: (Ipv4Addr, Ipv4Addr),
    /// The whole message.
    pub bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message in `frame`, when that is an intact UDP datagram to port 67 and long enough for the fixed fields.
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let packet = frame.get(ETHERNET..)?;
        if frame[12..14] != [8, 0] {
            return None;
        }
        let first = *packet.first()?;
        let header = usize::from(first & 15) * 4;
        if first >> 4 != 4 || header < IPV4 || packet.len() < header {
            return None;
        }
        let total = usize::from(number(packet, 2));
        let datagram = packet.get(header..total)?;
        let fragment = number(packet, 6) & 0x3fff;
        if sum(&packet[..header], 0) != 0xffff || fragment != 0 || packet[9] != 17 {
            return None;
        }
        let length = usize::from(datagram.get(..UDP).map(|udp| number(udp, 4))?);
        let datagram = datagram.get(..length)?;
        let bytes = datagram.get(UDP..)?;
        if number(datagram, 2) != 67 || bytes.len() < HEADER {
            return None;
        }
        let unchecked = number(datagram, 6) == 0;
        if !unchecked && udp_sum(&packet[12..20], datagram) != 0xffff {
            return None;
        }
        Some(Self {
            link: (mac(&frame[6..12]), mac(&frame[..6])),
            ip: (address(packet, 12), address(packet, 16)),
            bytes,
        })
    }

    /// Four bytes of the fixed part as an address.
    pub fn address(&self, at: usize) -> Ipv4Addr {
        address(self.bytes, at)
    }

    /// `chaddr`, its first six bytes.
    pub fn chaddr(&self) -> MacAddr {
        mac(&self.bytes[28..34])
    }
}

fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn address(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

fn mac(bytes: &[u8]) -> MacAddr {
    MacAddr(std::array::from_fn(|i| bytes[i]))
}

/// The options of a message, each joined from its pieces (RFC 3396 §7): of the options field, then `file`, then `sname`, as
/// far as option 52 says that those hold options.
#[derive(Clone, Debug, Default)]
pub struct Asked(pub BTreeMap<u8, Vec<u8>>);

impl Asked {
    /// `None` when an option runs past the end of its field.
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut asked = Self::default();
        let overloads = asked.field(message.get(HEADER..)?)?;
        let overload = match asked.get(52) {
            Some(&[value @ 1..=3]) if overloads == 1 => value,
            _ => 0,
        };
        if overload & 1 != 0 {
            asked.field(&message[108..236])?;
        }
        if overload & 2 != 0 {
            asked.field(&message[44..108])?;
        }
        Some(asked)
    }

    /// Takes the options of one field; tells how many records of option 52 it has, which is never in pieces.
    fn field(&mut self, field: &[u8]) -> Option<usize> {
        let mut at = 0;
        let mut overloads = 0;
        while let Some(&code) = field.get(at).filter(|&&code| code != 255) {
            at += 1;
            if code != 0 {
                let length = usize::from(*field.get(at)?);
                let value = field.get(at + 1..at + 1 + length)?;
                self.0.entry(code).or_default().extend(value);
                at += 1 + length;
                overloads += usize::from(code == 52);
            }
        }
        Some(overloads)
    }

    /// The value of an option.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }
}
