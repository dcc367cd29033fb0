//! Ethernet II, IPv4 and UDP around a DHCP message: read with every length checked, and written with both checksums.
//!
//! `pnet_packet` knows where the fields are; its views trust IHL, total length and UDP length, so those are checked here,
//! and its checksums go word by word, so they are summed in `checksum`.

use crate::checksum::Sum;
use crate::message::{CLIENT_PORT, SERVER_PORT};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet_packet::ipv4::{Ipv4Flags, Ipv4Packet, MutableIpv4Packet};
use pnet_packet::udp::{MutableUdpPacket, UdpPacket};
use slash32_binding::{Binding, Ipv4Addr, MacAddr, Reason};

/// Bytes of an Ethernet II header without a tag.
pub(crate) const ETHERNET_HEADER: usize = EthernetPacket::minimum_packet_size();
/// Bytes of an IPv4 header without options: of every one that is written, the least of one that is read.
const IPV4_HEADER: usize = Ipv4Packet::minimum_packet_size();
/// Bytes of a UDP header.
const UDP_HEADER: usize = UdpPacket::minimum_packet_size();
/// The largest IPv4 packet that is written, in bytes: the MTU of Ethernet.
pub(crate) const MAX_PACKET: usize = 1500;
/// The IP time to live of every reply.
const TIME_TO_LIVE: u8 = 64;

/// The length of the largest frame that [`handle`](crate::Responder::handle) ever writes, in bytes: an Ethernet header
/// and an IPv4 packet of 1500 bytes. An `out` of this length never costs an option.
pub const MAX_FRAME: usize = ETHERNET_HEADER + MAX_PACKET;

/// Where the DHCP message begins in a frame that is written.
pub(crate) const MESSAGE_OFFSET: usize = ETHERNET_HEADER + IPV4_HEADER + UDP_HEADER;

/// What is kept of the headers of a frame that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram<'a> {
    /// IP source.
    pub(crate) source: Ipv4Addr,
    /// IP destination: 255.255.255.255 or the gateway's address.
    pub(crate) destination: Ipv4Addr,
    /// The DHCP message, by the UDP length.
    pub(crate) payload: &'a [u8],
}

/// Takes a frame that is a whole, unfragmented and intact UDP datagram to port 67, sent to everybody or to
/// `binding.server_mac` and `binding.gateway` or its former one. Bytes behind the IP packet are Ethernet's padding.
pub(crate) fn read<'a>(frame: &'a [u8], binding: &Binding) -> Result<Datagram<'a>, Reason> {
    let ethernet = EthernetPacket::new(frame).ok_or(Reason::Truncated)?;
    if ethernet.get_ethertype() != EtherTypes::Ipv4 {
        return Err(Reason::NotIpv4);
    }
    let link_destination = MacAddr(ethernet.get_destination().octets());
    if link_destination != MacAddr::BROADCAST && link_destination != binding.server_mac {
        return Err(Reason::OtherHost);
    }

    let packet = frame.get(ETHERNET_HEADER..).unwrap_or_default();
    let ip = Ipv4Packet::new(packet).ok_or(Reason::Truncated)?;
    let header_length = usize::from(ip.get_header_length()) * 4;
    let total_length = usize::from(ip.get_total_length());
    if ip.get_version() != 4 || header_length < IPV4_HEADER || total_length < header_length {
        return Err(Reason::BadIpHeader);
    }
    let datagram = packet
        .get(header_length..total_length)
        .ok_or(Reason::Truncated)?;
    let header = packet.get(..header_length).unwrap_or_default();
    if Sum::default().add(header).complement() != 0 {
        return Err(Reason::BadIpHeader);
    }
    if ip.get_fragment_offset() != 0 || ip.get_flags() & Ipv4Flags::MoreFragments != 0 {
        return Err(Reason::Fragment);
    }
    if ip.get_next_level_protocol() != IpNextHeaderProtocols::Udp {
        return Err(Reason::NotDhcp);
    }
    let source = Ipv4Addr::from(ip.get_source().octets());
    let destination = Ipv4Addr::from(ip.get_destination().octets());

    let udp = UdpPacket::new(datagram).ok_or(Reason::BadUdpLength)?;
    // Ours do not come back: a socket for one protocol is not given what its own host sends.
    let is_reply = udp.get_source() == SERVER_PORT && udp.get_destination() == CLIENT_PORT;
    if udp.get_destination() != SERVER_PORT && !is_reply {
        return Err(Reason::NotDhcp);
    }
    let is_ours = destination == binding.gateway || Some(destination) == binding.former_gateway;
    if destination != Ipv4Addr::BROADCAST && !is_ours && !is_reply {
        return Err(Reason::OtherHost);
    }
    let udp_length = usize::from(udp.get_length());
    let datagram = datagram.get(..udp_length).ok_or(Reason::BadUdpLength)?;
    let udp = UdpPacket::new(datagram).ok_or(Reason::BadUdpLength)?;
    // RFC 768: zero is "not computed".
    if udp.get_checksum() != 0 && udp_checksum(datagram, source, destination) != 0 {
        return Err(Reason::BadUdpChecksum);
    }
    if is_reply {
        return Err(Reason::OtherServersReply);
    }
    Ok(Datagram {
        source,
        destination,
        payload: datagram.get(UDP_HEADER..).unwrap_or_default(),
    })
}

/// From where to where a reply goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addressing {
    /// Ethernet source.
    pub(crate) link_source: MacAddr,
    /// Ethernet destination.
    pub(crate) link_destination: MacAddr,
    /// IP source.
    pub(crate) source: Ipv4Addr,
    /// IP destination.
    pub(crate) destination: Ipv4Addr,
}

/// Writes the headers around the DHCP message of `message_length` bytes that stands at [`MESSAGE_OFFSET`] of `out`.
/// Returns the frame's length; `None` when `out` is shorter than that.
pub(crate) fn write(out: &mut [u8], to: Addressing, message_length: usize) -> Option<usize> {
    let frame = out.get_mut(..MESSAGE_OFFSET + message_length)?;
    let length = frame.len();

    let mut ethernet = MutableEthernetPacket::new(frame)?;
    ethernet.set_destination(to.link_destination.0.into());
    ethernet.set_source(to.link_source.0.into());
    ethernet.set_ethertype(EtherTypes::Ipv4);

    let packet = frame.get_mut(ETHERNET_HEADER..)?;
    let mut ip = MutableIpv4Packet::new(packet)?;
    ip.set_version(4);
    ip.set_header_length((IPV4_HEADER / 4) as u8);
    ip.set_dscp(0);
    ip.set_ecn(0);
    ip.set_total_length((IPV4_HEADER + UDP_HEADER + message_length) as u16);
    ip.set_identification(0);
    ip.set_flags(0);
    ip.set_fragment_offset(0);
    ip.set_ttl(TIME_TO_LIVE);
    ip.set_next_level_protocol(IpNextHeaderProtocols::Udp);
    ip.set_source(to.source.octets().into());
    ip.set_destination(to.destination.octets().into());
    ip.set_checksum(0);
    let checksum = Sum::default().add(packet.get(..IPV4_HEADER)?).complement();
    MutableIpv4Packet::new(packet)?.set_checksum(checksum);

    let datagram = packet.get_mut(IPV4_HEADER..)?;
    let mut udp = MutableUdpPacket::new(datagram)?;
    udp.set_source(SERVER_PORT);
    udp.set_destination(CLIENT_PORT);
    udp.set_length((UDP_HEADER + message_length) as u16);
    udp.set_checksum(0);
    // A sum of 0 is written as 0xffff, because 0 is "not computed" (RFC 768).
    let checksum = match udp_checksum(datagram, to.source, to.destination) {
        0 => 0xffff,
        checksum => checksum,
    };
    MutableUdpPacket::new(datagram)?.set_checksum(checksum);
    Some(length)
}

/// The checksum over the UDP datagram and its pseudo-header (RFC 768): 0 when it has its own, right one among its bytes.
fn udp_checksum(datagram: &[u8], source: Ipv4Addr, destination: Ipv4Addr) -> u16 {
    let [high, low] = (datagram.len() as u16).to_be_bytes();
    let IpNextHeaderProtocol(protocol) = IpNextHeaderProtocols::Udp;
    Sum::default()
        .add(&source.octets())
        .add(&destination.octets())
        .add(&[0, protocol, high, low])
        .add(datagram)
        .complement()
}

/// Sets the checksum of an IPv4/UDP frame to 0, "not computed" (RFC 768), so that
/// [`handle`](crate::Responder::handle) does not check it.
///
/// For a frame of a local sender whose checksum the kernel has not finished (`TP_STATUS_CSUMNOTREADY`): the field then
/// holds the sum of the pseudo-header only. Anything but IPv4/UDP is left as it is.
pub fn forget_udp_checksum(frame: &mut [u8]) {
    if let Some(mut udp) =
        udp_offset(frame).and_then(|at| MutableUdpPacket::new(frame.get_mut(at..)?))
    {
        udp.set_checksum(0);
    }
}

/// Where the UDP header begins in a frame that has one.
fn udp_offset(frame: &[u8]) -> Option<usize> {
    if EthernetPacket::new(frame)?.get_ethertype() != EtherTypes::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new(frame.get(ETHERNET_HEADER..)?)?;
    let header_length = usize::from(ip.get_header_length()) * 4;
    let is_udp = ip.get_version() == 4
        && header_length >= IPV4_HEADER
        && ip.get_fragment_offset() == 0
        && ip.get_next_level_protocol() == IpNextHeaderProtocols::Udp;
    is_udp.then_some(ETHERNET_HEADER + header_length)
}
