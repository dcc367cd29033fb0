//! A client's frames without anything to compute while the clock runs: both are written before; the addresses of an OFFER are
//! patched into the REQUEST.

use slash32_tests::MacAddr;
use slash32_tests::dhcp::{Message, code, message_type};
use std::net::Ipv4Addr;

/// Where an IPv4 packet begins in a frame, and where UDP and BOOTP do behind a header without options.
const IP: usize = 14;
const UDP: usize = IP + 20;
const BOOTP: usize = UDP + 8;
/// `xid` and `yiaddr` (RFC 2131 §2), and the options behind the magic cookie.
const XID: usize = 4;
const YIADDR: usize = 16;
const OPTIONS: usize = 240;
/// The values of the server identifier and of the requested address: behind option 53, in this order.
const SERVER: usize = BOOTP + OPTIONS + 3 + 2;
const REQUESTED: usize = SERVER + 4 + 2;
/// UDP's checksum.
const CHECKSUM: usize = UDP + 6;

/// What one VM sends.
pub(super) struct Template {
    pub(super) xid: u32,
    discover: Vec<u8>,
    request: Vec<u8>,
}

/// What is read of an answer.
pub(super) struct Answer {
    pub(super) message_type: u8,
    pub(super) address: Ipv4Addr,
    server: [u8; 4],
}

impl Template {
    pub(super) fn new(mac: MacAddr, xid: u32) -> Self {
        let message = |kind| Message::request(kind, mac, xid);
        let asks = |message: Message| {
            let message = message.with(code::PARAMETER_REQUEST_LIST, &[1, 3, 6, 12, 26, 121]);
            message.frame()
        };
        let request = message(message_type::REQUEST)
            .with(code::SERVER_IDENTIFIER, &[0; 4])
            .with(code::REQUESTED_ADDRESS, &[0; 4]);
        Self {
            xid,
            discover: asks(message(message_type::DISCOVER)),
            request: asks(request),
        }
    }

    pub(super) fn discover(&self) -> &[u8] {
        &self.discover
    }

    /// A REQUEST in SELECTING (RFC 2131 §4.3.2) for what `offer` offers.
    pub(super) fn request(&self, offer: &Answer) -> Vec<u8> {
        let mut frame = self.request.clone();
        let values = [(SERVER, offer.server), (REQUESTED, offer.address.octets())];
        // RFC 1624: the complement of the sum, to which the new words are added. The old ones are zero.
        let mut sum = u32::from(!u16::from_be_bytes([frame[CHECKSUM], frame[CHECKSUM + 1]]));
        for (place, value) in values {
            frame[place..place + 4].copy_from_slice(&value);
            for (byte, place) in value.into_iter().zip(place..) {
                let is_high = (place - UDP).is_multiple_of(2);
                sum += u32::from(byte) << if is_high { 8 } else { 0 };
            }
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        frame[CHECKSUM..CHECKSUM + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        frame
    }
}

impl Answer {
    /// The answer to transaction `xid`, when this frame is one.
    pub(super) fn read(frame: &[u8], xid: u32) -> Option<Self> {
        let is_udp = frame.get(12..14)? == [8, 0] && *frame.get(IP + 9)? == 17;
        let header = usize::from(frame.get(IP)? & 0xf) * 4;
        let udp = frame.get(IP + header..).filter(|_| is_udp)?;
        let bootp = udp.get(8..).filter(|_| udp[2..4] == [0, 68])?;
        if bootp.get(XID..XID + 4)? != xid.to_be_bytes() || bootp[0] != 2 {
            return None;
        }
        let mut answer = Self {
            message_type: 0,
            address: Ipv4Addr::from(*bootp.get(YIADDR..)?.first_chunk::<4>()?),
            server: [0; 4],
        };
        let mut options = bootp.get(OPTIONS..)?;
        while let Some((&code, rest)) = options.split_first() {
            if code == 0 {
                options = rest;
                continue;
            }
            let Some((&length, rest)) = rest.split_first() else {
                break;
            };
            let Some((value, rest)) = rest.split_at_checked(usize::from(length)) else {
                break;
            };
            match (code, value) {
                (code::MESSAGE_TYPE, [kind]) => answer.message_type = *kind,
                (code::SERVER_IDENTIFIER, [a, b, c, d]) => answer.server = [*a, *b, *c, *d],
                _ => {}
            }
            options = rest;
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

    #[test]
    fn the_request_takes_what_the_offer_offers() {
        let mut offer = Message::request(message_type::OFFER, MAC, 7)
            .with(code::SERVER_IDENTIFIER, &[169, 254, 0, 1]);
        offer.op = 2;
        offer.yiaddr = Ipv4Addr::new(203, 0, 115, 232);
        offer.envelope.source_port = 67;
        offer.envelope.destination_port = 68;
        let answer = Answer::read(&offer.frame(), 7).unwrap();
        assert_eq!(answer.message_type, message_type::OFFER);

        let frame = Template::new(MAC, 7).request(&answer);
        let mut expected = Message::request(message_type::REQUEST, MAC, 7)
            .with(code::SERVER_IDENTIFIER, &[169, 254, 0, 1])
            .with(code::REQUESTED_ADDRESS, &[203, 0, 115, 232])
            .with(code::PARAMETER_REQUEST_LIST, &[1, 3, 6, 12, 26, 121]);
        expected.xid = 7;
        assert_eq!(frame, expected.frame());
    }

    #[test]
    fn the_answer_to_somebody_else_is_none() {
        let offer = Message::request(message_type::OFFER, MAC, 7).frame();
        assert!(Answer::read(&offer, 7).is_none());
        assert!(Answer::read(&[0; 20], 7).is_none());
        assert!(Answer::read(&[], 7).is_none());
    }
}
