//! DHCP messages (RFC 2131) as a tester writes and reads them: nothing is checked that a hostile sender would not
//! check, and nothing is shared with the code under test.

use crate::MacAddr;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use std::net::Ipv4Addr;

/// Values of option 53, DHCP Message Type (RFC 2132 §9.6).
pub mod message_type {
    /// DHCPDISCOVER
    pub const DISCOVER: u8 = 1;
    /// DHCPOFFER
    pub const OFFER: u8 = 2;
    /// DHCPREQUEST
    pub const REQUEST: u8 = 3;
    /// DHCPDECLINE
    pub const DECLINE: u8 = 4;
    /// DHCPACK
    pub const ACK: u8 = 5;
    /// DHCPNAK
    pub const NAK: u8 = 6;
    /// DHCPRELEASE
    pub const RELEASE: u8 = 7;
    /// DHCPINFORM
    pub const INFORM: u8 = 8;
}

/// Option codes (RFC 2132, RFC 3442).
pub mod code {
    /// Subnet Mask
    pub const SUBNET_MASK: u8 = 1;
    /// Router
    pub const ROUTER: u8 = 3;
    /// Domain Name Server
    pub const DNS: u8 = 6;
    /// Host Name
    pub const HOST_NAME: u8 = 12;
    /// Interface MTU
    pub const MTU: u8 = 26;
    /// Requested IP Address
    pub const REQUESTED_ADDRESS: u8 = 50;
    /// IP Address Lease Time
    pub const LEASE_TIME: u8 = 51;
    /// DHCP Message Type
    pub const MESSAGE_TYPE: u8 = 53;
    /// Server Identifier
    pub const SERVER_IDENTIFIER: u8 = 54;
    /// Parameter Request List
    pub const PARAMETER_REQUEST_LIST: u8 = 55;
    /// Renewal (T1) Time Value
    pub const RENEWAL_TIME: u8 = 58;
    /// Rebinding (T2) Time Value
    pub const REBINDING_TIME: u8 = 59;
    /// Client-identifier
    pub const CLIENT_IDENTIFIER: u8 = 61;
    /// Classless Static Route
    pub const CLASSLESS_ROUTES: u8 = 121;
}

/// The BROADCAST flag of `flags` (RFC 2131 figure 2).
pub const BROADCAST_FLAG: u16 = 0x8000;
/// The BOOTP minimum of a message, in bytes.
const MINIMUM_LENGTH: usize = 300;
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];

/// What carries a message: Ethernet II, IPv4 without options, UDP with a checksum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// Ethernet source.
    pub source_mac: MacAddr,
    /// Ethernet destination.
    pub destination_mac: MacAddr,
    /// IPv4 source.
    pub source: Ipv4Addr,
    /// IPv4 destination.
    pub destination: Ipv4Addr,
    /// UDP source port.
    pub source_port: u16,
    /// UDP destination port.
    pub destination_port: u16,
}

/// One DHCP message in its envelope. `secs`, `sname` and `file` are left out: they are zero.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What carries it.
    pub envelope: Envelope,
    /// 1 is BOOTREQUEST, 2 is BOOTREPLY.
    pub op: u8,
    /// 1 is Ethernet.
    pub htype: u8,
    /// The length of a hardware address; 6.
    pub hlen: u8,
    /// Transaction id.
    pub xid: u32,
    /// See [`BROADCAST_FLAG`].
    pub flags: u16,
    /// Client address.
    pub ciaddr: Ipv4Addr,
    /// "Your" address.
    pub yiaddr: Ipv4Addr,
    /// The next server's address.
    pub siaddr: Ipv4Addr,
    /// The relay's address.
    pub giaddr: Ipv4Addr,
    /// Client hardware address, with its padding.
    pub chaddr: [u8; 16],
    /// Options by code, in the order of the message, without padding and end.
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Message {
    /// A broadcast request of `message_type` from `mac`, with nothing else in it.
    pub fn request(message_type: u8, mac: MacAddr, xid: u32) -> Self {
        let mut chaddr = [0; 16];
        chaddr[..6].copy_from_slice(&mac.0);
        Self {
            envelope: Envelope {
                source_mac: mac,
                destination_mac: MacAddr::BROADCAST,
                source: Ipv4Addr::UNSPECIFIED,
                destination: Ipv4Addr::BROADCAST,
                source_port: 68,
                destination_port: 67,
            },
            op: 1,
            htype: 1,
            hlen: 6,
            xid,
            flags: 0,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr,
            options: vec![(code::MESSAGE_TYPE, vec![message_type])],
        }
    }

    /// The same with one more option at the end. Panics when `value` is longer than 255 bytes.
    #[must_use]
    pub fn with(mut self, code: u8, value: &[u8]) -> Self {
        assert!(value.len() <= 255, "an option holds 255 bytes at most");
        self.options.push((code, value.to_vec()));
        self
    }

    /// The value of the first option with this code.
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options
            .iter()
            .find(|(one, _)| *one == code)
            .map(|(_, value)| value.as_slice())
    }

    /// The value of the first option with this code as one address; `None` also when it is no address.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::from(
            <[u8; 4]>::try_from(self.option(code)?).ok()?,
        ))
    }

    /// The value of the first option with this code as a number of 32 bits; `None` also when it is none.
    pub fn number(&self, code: u8) -> Option<u32> {
        self.address(code).map(u32::from)
    }

    /// Option 53, or 0.
    pub fn message_type(&self) -> u8 {
        self.option(code::MESSAGE_TYPE)
            .and_then(|value| value.first().copied())
            .unwrap_or(0)
    }

    /// The first six bytes of `chaddr`.
    pub fn client(&self) -> MacAddr {
        let [a, b, c, d, e, f, ..] = self.chaddr;
        MacAddr([a, b, c, d, e, f])
    }

    /// The message from `op` to the end option, padded to 300 bytes.
    pub fn payload(&self) -> Vec<u8> {
        let mut bytes = vec![self.op, self.htype, self.hlen, 0];
        bytes.extend(self.xid.to_be_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.flags.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            bytes.extend(address.octets());
        }
        bytes.extend(self.chaddr);
        bytes.extend([0; 64 + 128]);
        bytes.extend(MAGIC_COOKIE);
        for (code, value) in &self.options {
            bytes.extend([*code, value.len() as u8]);
            bytes.extend(value);
        }
        bytes.push(255);
        bytes.resize(bytes.len().max(MINIMUM_LENGTH), 0);
        bytes
    }

    /// The whole frame.
    pub fn frame(&self) -> Vec<u8> {
        self.frame_around(&self.payload())
    }

    /// The frame with another payload than the message: for broken ones.
    pub fn frame_around(&self, payload: &[u8]) -> Vec<u8> {
        let to = &self.envelope;
        let builder = PacketBuilder::ethernet2(to.source_mac.0, to.destination_mac.0)
            .ipv4(to.source.octets(), to.destination.octets(), 64)
            .udp(to.source_port, to.destination_port);
        let mut frame = Vec::with_capacity(builder.size(payload.len()));
        builder
            .write(&mut frame, payload)
            .expect("a Vec takes every byte, and no payload here is over 64 KiB");
        frame
    }

    /// Reads a frame between the ports 67 and 68, with a correct IPv4 checksum and, in a reply, a correct UDP checksum.
    /// Anything else is `None`.
    ///
    /// The UDP checksum of a request is not looked at: a guest's kernel leaves it to its NIC, and so do we on a veth.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let packet = SlicedPacket::from_ethernet(frame).ok()?;
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) =
            (packet.net, packet.transport)
        else {
            return None;
        };
        let checksum = udp.to_header().calc_checksum_ipv4_raw(
            ip.header().source(),
            ip.header().destination(),
            udp.payload(),
        );
        if udp.source_port() == 67 && checksum.ok()? != udp.checksum() {
            return None;
        }
        Self::read_unfinished(frame)
    }

    /// The same without a look at a reply's UDP checksum: a server that answers by its kernel's UDP leaves it to its NIC, too.
    pub fn read_unfinished(frame: &[u8]) -> Option<Self> {
        let packet = SlicedPacket::from_ethernet(frame).ok()?;
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) =
            (packet.net, packet.transport)
        else {
            return None;
        };
        let header = ip.header();
        let ports = (udp.source_port(), udp.destination_port());
        if !matches!(ports, (67 | 68, 67 | 68)) {
            return None;
        }
        if header.to_header().calc_header_checksum() != header.header_checksum() {
            return None;
        }
        let message = udp.payload();
        let address = |at: usize| Some(Ipv4Addr::from(*message.get(at..)?.first_chunk::<4>()?));
        if message.get(236..240)? != MAGIC_COOKIE {
            return None;
        }
        Some(Self {
            envelope: Envelope {
                source_mac: MacAddr(*frame.get(6..)?.first_chunk()?),
                destination_mac: MacAddr(*frame.first_chunk()?),
                source: header.source_addr(),
                destination: header.destination_addr(),
                source_port: ports.0,
                destination_port: ports.1,
            },
            op: message[0],
            htype: message[1],
            hlen: message[2],
            xid: u32::from(address(4)?),
            flags: u16::from_be_bytes(*message.get(10..)?.first_chunk()?),
            ciaddr: address(12)?,
            yiaddr: address(16)?,
            siaddr: address(20)?,
            giaddr: address(24)?,
            chaddr: *message.get(28..)?.first_chunk()?,
            options: options(&message[240..])?,
        })
    }
}

/// The records up to the end option; `None` when one runs past the end or there is no end option.
fn options(mut bytes: &[u8]) -> Option<Vec<(u8, Vec<u8>)>> {
    let mut options = Vec::new();
    loop {
        match *bytes.first()? {
            0 => bytes = &bytes[1..],
            255 => return Some(options),
            code => {
                let end = 2 + usize::from(*bytes.get(1)?);
                options.push((code, bytes.get(2..end)?.to_vec()));
                bytes = &bytes[end..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let sent = Message::request(message_type::DISCOVER, MacAddr([2, 0, 0, 0, 0, 1]), 7)
            .with(code::HOST_NAME, b"web1");
        assert_eq!(Message::read(&sent.frame()).as_ref(), Some(&sent));
    }

    #[test]
    fn a_wrong_udp_checksum_of_a_reply_is_seen() {
        let mut reply = Message::request(message_type::OFFER, MacAddr([2, 0, 0, 0, 0, 1]), 7);
        reply.envelope.source_port = 67;
        reply.envelope.destination_port = 68;
        let mut frame = reply.frame();
        assert_eq!(Message::read(&frame), Some(reply));
        frame[41] ^= 1;
        assert_eq!(Message::read(&frame), None);
    }

    #[test]
    fn an_option_behind_the_end_of_the_message_is_seen() {
        let sent = Message::request(message_type::DISCOVER, MacAddr([2, 0, 0, 0, 0, 1]), 7);
        let mut payload = sent.payload();
        payload.truncate(240);
        payload.extend([53, 9, 1]);
        assert_eq!(Message::read(&sent.frame_around(&payload)), None);
    }
}
