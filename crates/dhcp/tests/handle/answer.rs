//! A reply, decoded by code that shares nothing with what wrote it, and checked for what every reply must be.

use etherparse::{LinkSlice, NetSlice, SlicedPacket, TransportSlice};
use slash32_binding::{Ipv4Addr, MacAddr};
use slash32_dhcp::Outcome;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// Ethernet source and destination.
    pub(crate) link: (MacAddr, MacAddr),
    /// IP source and destination.
    pub(crate) ip: (Ipv4Addr, Ipv4Addr),
    /// The length of the IP packet.
    pub(crate) packet: usize,
    /// The DHCP message.
    pub(crate) message: Vec<u8>,
    /// The records of the options field in order, without PAD and END.
    pub(crate) records: Vec<(u8, Vec<u8>)>,
}

impl Answer {
    pub(crate) fn decode(frame: &[u8], outcome: Outcome) -> Self {
        let packet = SlicedPacket::from_ethernet(frame).unwrap();
        let Some(LinkSlice::Ethernet2(ethernet)) = packet.link else {
            panic!("{:?}", packet.link)
        };
        let Some(NetSlice::Ipv4(ip)) = packet.net else {
            panic!("{:?}", packet.net)
        };
        let Some(TransportSlice::Udp(udp)) = packet.transport else {
            panic!("{:?}", packet.transport)
        };
        let header = ip.header();
        assert_eq!(header.ihl(), 5);
        assert_eq!(header.ttl(), 64);
        assert_eq!(
            header.header_checksum(),
            header.to_header().calc_header_checksum(),
            "IP checksum"
        );
        assert_eq!(
            usize::from(header.total_len()),
            frame.len() - 14,
            "no byte behind the packet"
        );
        assert_eq!((udp.source_port(), udp.destination_port()), (67, 68));
        assert_ne!(udp.checksum(), 0, "the UDP checksum is always written");
        let checksum = udp.to_header().calc_checksum_ipv4_raw(
            header.source(),
            header.destination(),
            udp.payload(),
        );
        assert_eq!(udp.checksum(), checksum.unwrap(), "UDP checksum");

        let message = udp.payload().to_vec();
        assert!(message.len() >= 300, "BOOTP's least length");
        assert_eq!(message[..4], [2, 1, 6, 0], "op, htype, hlen, hops");
        assert_eq!(message[8..10], [0, 0], "secs");
        assert_eq!(message[24..28], [0; 4], "giaddr");
        assert_eq!(message[236..240], [99, 130, 83, 99]);
        Self {
            outcome,
            link: (MacAddr(ethernet.source()), MacAddr(ethernet.destination())),
            ip: (header.source().into(), header.destination().into()),
            packet: usize::from(header.total_len()),
            records: records(&message[240..]),
            message,
        }
    }

    /// The value of an option, its records joined.
    pub(crate) fn option(&self, code: u8) -> Option<Vec<u8>> {
        let mut values = self
            .records
            .iter()
            .filter(|record| record.0 == code)
            .map(|record| &record.1[..])
            .peekable();
        values.peek()?;
        Some(values.collect::<Vec<_>>().concat())
    }

    /// The codes in order, a split option once.
    pub(crate) fn codes(&self) -> Vec<u8> {
        let mut codes: Vec<u8> = self.records.iter().map(|record| record.0).collect();
        codes.dedup();
        codes
    }

    /// Four bytes of the header as an address.
    pub(crate) fn address(&self, at: usize) -> Ipv4Addr {
        let octets: [u8; 4] = self.message[at..at + 4].try_into().unwrap();
        octets.into()
    }

    pub(crate) fn ciaddr(&self) -> Ipv4Addr {
        self.address(12)
    }

    pub(crate) fn yiaddr(&self) -> Ipv4Addr {
        self.address(16)
    }

    pub(crate) fn siaddr(&self) -> Ipv4Addr {
        self.address(20)
    }

    /// It is a NAK.
    pub(crate) fn is_refusal(&self) -> bool {
        self.option(53) == Some(vec![6])
    }
}

fn records(mut field: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut records = Vec::new();
    loop {
        match *field {
            [255, ref rest @ ..] => {
                assert!(rest.iter().all(|&byte| byte == 0), "only PAD behind END");
                return records;
            }
            [code, length, ref rest @ ..] => {
                assert_ne!(code, 0, "no PAD between options");
                let (value, rest) = rest.split_at(usize::from(length));
                records.push((code, value.to_vec()));
                field = rest;
            }
            _ => panic!("no END"),
        }
    }
}
