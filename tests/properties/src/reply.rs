//! A reply, decoded by `etherparse` and a plain walk over its options, and held against what every reply must be.

use crate::expected::{Expected, Kind};
use etherparse::{LinkSlice, NetSlice, SlicedPacket, TransportSlice};
use slash32_binding::{Binding, Ipv4Addr, MacAddr};

/// A reply whose headers are right.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Ethernet source and destination.
    pub link: (MacAddr, MacAddr),
    /// IP source and destination.
    pub ip: (Ipv4Addr, Ipv4Addr),
    /// The length of the IP packet in bytes.
    pub packet: usize,
    /// The DHCP message.
    pub message: Vec<u8>,
    /// The records of the options field in order.
    pub records: Vec<(u8, Vec<u8>)>,
}

impl Reply {
    /// Reads `frame`, and checks every length, checksum and fixed field.
    pub fn decode(frame: &[u8]) -> Self {
        let packet = SlicedPacket::from_ethernet(frame).expect("a packet");
        let Some(LinkSlice::Ethernet2(ethernet)) = packet.link else {
            panic!("no Ethernet: {:?}", packet.link)
        };
        let Some(NetSlice::Ipv4(ip)) = packet.net else {
            panic!("no IPv4: {:?}", packet.net)
        };
        let Some(TransportSlice::Udp(udp)) = packet.transport else {
            panic!("no UDP: {:?}", packet.transport)
        };
        let ip = ip.header();
        assert_eq!(ip.header_checksum(), ip.to_header().calc_header_checksum());
        assert_eq!(usize::from(ip.total_len()), frame.len() - 14);
        assert_eq!((udp.source_port(), udp.destination_port()), (67, 68));
        let checksum = udp.to_header();
        let checksum =
            checksum.calc_checksum_ipv4_raw(ip.source(), ip.destination(), udp.payload());
        assert_eq!(Some(udp.checksum()), checksum.ok());
        assert_ne!(udp.checksum(), 0);

        let message = udp.payload().to_vec();
        assert!(message.len() >= 300, "BOOTP's least length");
        assert_eq!(message[..4], [2, 1, 6, 0], "op, htype, hlen, hops");
        assert_eq!(message[8..10], [0, 0], "secs");
        assert_eq!(message[24..28], [0; 4], "giaddr");
        assert_eq!(message[236..240], [99, 130, 83, 99]);
        Self {
            link: (MacAddr(ethernet.source()), MacAddr(ethernet.destination())),
            ip: (ip.source().into(), ip.destination().into()),
            packet: usize::from(ip.total_len()),
            records: records(&message[240..]),
            message,
        }
    }

    /// The value of an option, its records joined.
    pub fn option(&self, code: u8) -> Option<Vec<u8>> {
        let own = self.records.iter().filter(|record| record.0 == code);
        let values: Vec<&[u8]> = own.map(|record| &record.1[..]).collect();
        (!values.is_empty()).then(|| values.concat())
    }

    /// The reply is the answer to `expected`, from `binding`, of at most `room` bytes.
    pub fn assert_answers(&self, expected: &Expected<'_>, binding: &Binding, room: usize) {
        let request = expected.message.bytes;
        let chaddr = expected.message.chaddr();
        let (link, ip) = if expected.broadcast {
            (MacAddr::BROADCAST, Ipv4Addr::BROADCAST)
        } else {
            (chaddr, binding.address)
        };
        assert_eq!(self.link, (binding.server_mac, link));
        assert_eq!(self.ip, (binding.gateway, ip));
        assert_eq!(self.message[4..8], request[4..8], "xid");
        assert_eq!(self.message[10..12], request[10..12], "flags");
        assert_eq!(self.message[28..44], request[28..44], "chaddr");
        // An overlay may set another MTU.
        let plain = binding.overlays.iter().next().is_none();
        let mtu = if plain { binding.mtu } else { u16::MAX };
        let limit = expected.largest().min(usize::from(mtu).max(576));
        let limit = limit.min(room.saturating_sub(14));
        assert!(self.packet <= limit, "{} bytes, not {limit}", self.packet);

        let (kind, yiaddr) = match expected.kind {
            Kind::Offer => (2, binding.address),
            Kind::Ack | Kind::RapidAck => (5, binding.address),
            Kind::AckInform => (5, Ipv4Addr::UNSPECIFIED),
            Kind::Nak => (6, Ipv4Addr::UNSPECIFIED),
        };
        assert_eq!(self.message[16..20], yiaddr.octets(), "yiaddr");
        assert_eq!(self.option(53), Some(vec![kind]));
        let rapid = expected.kind == Kind::RapidAck;
        assert_eq!(self.option(80), rapid.then(Vec::new));
        assert_eq!(self.option(54), Some(binding.gateway.octets().to_vec()));
        let is_ours = expected.message.address(12) == binding.address;
        let ciaddr = match expected.kind {
            Kind::Ack | Kind::AckInform if is_ours => binding.address,
            _ => Ipv4Addr::UNSPECIFIED,
        };
        assert_eq!(self.message[12..16], ciaddr.octets(), "ciaddr");
        self.assert_times(expected.kind, binding);
        self.assert_codes(expected.kind);
        self.assert_echo(expected, if plain { limit } else { 0 });
    }

    fn assert_times(&self, kind: Kind, binding: &Binding) {
        if matches!(kind, Kind::AckInform | Kind::Nak) {
            assert!([51, 58, 59].iter().all(|code| self.option(*code).is_none()));
            return;
        }
        let lease = binding.lease_time.max(1);
        assert_eq!(self.option(51), Some(lease.to_be_bytes().to_vec()));
        match (self.option(58), self.option(59)) {
            (Some(t1), Some(t2)) => {
                let seconds = [&t1[..], &t2, &lease.to_be_bytes()].concat();
                let [t1, t2, lease] = [0, 4, 8].map(|at| seconds[at..at + 4].to_vec());
                assert!(vec![0; 4] < t1 && t1 < t2 && t2 < lease, "{t1:?} {t2:?}");
                assert_ne!(lease, [255; 4], "no T1 of an infinite lease");
            }
            times => assert_eq!(times, (None, None)),
        }
    }

    fn assert_codes(&self, kind: Kind) {
        let mut codes: Vec<u8> = self.records.iter().map(|record| record.0).collect();
        codes.dedup();
        assert_eq!(codes[..2], [53, 54]);
        let count = codes.len();
        if kind == Kind::Nak {
            assert!(codes.iter().all(|code| [53, 54, 56, 61, 82].contains(code)));
        } else {
            assert!([1, 121].iter().all(|code| codes.contains(code)));
            let place = |code| codes.iter().position(|other| *other == code);
            assert!(place(3).is_none_or(|router| place(1) < Some(router)));
        }
        assert!(codes.iter().all(|code| ![0, 50, 52, 55, 57].contains(code)));
        if let Some(place) = codes.iter().position(|code| *code == 82) {
            assert_eq!(place + 1, count, "82 is the last");
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count, "an option twice");
    }

    /// What the client said of itself comes back byte for byte; its identifier whenever `limit` leaves room beside what it
    /// cannot do without.
    fn assert_echo(&self, expected: &Expected<'_>, limit: usize) {
        let said = |code| expected.asked.get(code).filter(|value| !value.is_empty());
        for code in [61, 82] {
            let echo = self.option(code);
            assert!(echo.is_none() || echo.as_deref() == said(code), "{code}");
        }
        // 53, 54, 51, 1, 121, 3 and END; the same with 80; 53, 54 and END.
        let mandatory = match expected.kind {
            Kind::Offer | Kind::Ack | Kind::AckInform => 3 + 6 + 6 + 6 + 16 + 6 + 1,
            Kind::RapidAck => 3 + 6 + 6 + 6 + 16 + 6 + 2 + 1,
            Kind::Nak => 3 + 6 + 1,
        };
        if let Some(identifier) = said(61) {
            let length = identifier.len() + 2 * identifier.len().div_ceil(255);
            if 28 + 240 + mandatory + length <= limit {
                assert_eq!(self.option(61).as_deref(), Some(identifier));
            }
        }
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
                let (value, rest) = rest.split_at(usize::from(length));
                records.push((code, value.to_vec()));
                field = rest;
            }
            _ => panic!("no END"),
        }
    }
}
