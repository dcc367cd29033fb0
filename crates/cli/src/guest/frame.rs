//! An Ethernet frame with a DHCP message (RFC 2131 §2) in it, read as far as it goes.
//!
//! This is no server's reader: nothing is checked, a wrong length ends what it measures, and what is missing is `None`. It
//! is told apart from the core's on purpose: the core decides, and this one shows also what the core would not take.

use slash32_binding::{Ipv4Addr, MacAddr};
use std::collections::BTreeMap;

const COOKIE: [u8; 4] = [99, 130, 83, 99];
const PAD: u8 = 0;
const END: u8 = 255;
const OVERLOAD: u8 = 52;

/// What carries a message, and the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// Ethernet source.
    pub(super) source_mac: Option<MacAddr>,
    /// IP source.
    pub(super) source: Option<Ipv4Addr>,
    /// Absent when there is less than a BOOTP header.
    pub(super) message: Option<Message>,
}

/// A BOOTP header and the options behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) ciaddr: Ipv4Addr,
    pub(super) yiaddr: Ipv4Addr,
    pub(super) giaddr: Ipv4Addr,
    pub(super) chaddr: MacAddr,
    /// By code, the pieces of a long one joined (RFC 3396); none without the magic cookie.
    pub(super) options: BTreeMap<u8, Vec<u8>>,
}

impl Frame {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let ip = bytes.get(14..).unwrap_or_default();
        let header_length = usize::from(ip.first().unwrap_or(&0) & 0x0f) * 4;
        let udp = ip.get(header_length..).unwrap_or_default();
        let length = field(udp, 4).map_or(0, |length| u16::from_be_bytes(length).into());
        // Behind the datagram there may be Ethernet's padding.
        let udp = udp.get(..length).unwrap_or(udp);
        Self {
            source_mac: field(bytes, 6).map(MacAddr),
            source: field(ip, 12).map(<[u8; 4]>::into),
            message: udp.get(8..).and_then(Message::read),
        }
    }
}

impl Message {
    fn read(payload: &[u8]) -> Option<Self> {
        let address = |at| field::<4>(payload, at).map(Ipv4Addr::from);
        let (sname, file) = (payload.get(44..108)?, payload.get(108..236)?);
        let mut options = BTreeMap::new();
        if field(payload, 236) == Some(COOKIE) {
            collect(payload.get(240..).unwrap_or_default(), &mut options);
            let overload = options
                .get(&OVERLOAD)
                .map_or(0, |value| match value.as_slice() {
                    [value @ 1..=3] => *value,
                    _ => 0,
                });
            if overload & 1 != 0 {
                collect(file, &mut options);
            }
            if overload & 2 != 0 {
                collect(sname, &mut options);
            }
        }
        Some(Self {
            ciaddr: address(12)?,
            yiaddr: address(16)?,
            giaddr: address(24)?,
            chaddr: MacAddr(field(payload, 28)?),
            options,
        })
    }

    /// The option as one address; `None` also when it is none.
    pub(super) fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.array::<4>(code).map(Into::into)
    }

    /// The option as a number of 16 bits; `None` also when it is none.
    pub(super) fn number(&self, code: u8) -> Option<u16> {
        self.array(code).map(u16::from_be_bytes)
    }

    pub(super) fn bytes(&self, code: u8) -> Option<&[u8]> {
        self.options.get(&code).map(Vec::as_slice)
    }

    fn array<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.bytes(code)?.try_into().ok()
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Adds the options of a field, up to its end; one that runs past it as far as it goes.
fn collect(mut field: &[u8], options: &mut BTreeMap<u8, Vec<u8>>) {
    while let Some((&code, rest)) = field.split_first() {
        field = rest;
        match code {
            PAD => {}
            END => return,
            _ => {
                let Some((&length, rest)) = field.split_first() else {
                    return;
                };
                let (value, rest) = rest.split_at(usize::from(length).min(rest.len()));
                options.entry(code).or_default().extend(value);
                field = rest;
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame from 52:54:00:00:00:01 and 192.0.2.9 with `sname`, `file` and these bytes as its options.
    pub(in crate::guest) fn frame(sname: &[u8], file: &[u8], options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; 240];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[12..16].copy_from_slice(&[192, 0, 2, 1]);
        message[16..20].copy_from_slice(&[192, 0, 2, 2]);
        message[24..28].copy_from_slice(&[192, 0, 2, 4]);
        message[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 2]);
        message[44..44 + sname.len()].copy_from_slice(sname);
        message[108..108 + file.len()].copy_from_slice(file);
        message[236..].copy_from_slice(&COOKIE);
        message.extend(options);
        let mut frame = vec![0xff; 6];
        frame.extend([0x52, 0x54, 0, 0, 0, 1, 8, 0, 0x45]);
        frame.extend([0; 11]);
        frame.extend([192, 0, 2, 9, 255, 255, 255, 255, 0, 68, 0, 67]);
        frame.extend((message.len() as u16 + 8).to_be_bytes());
        frame.extend([0; 2]);
        frame.extend(message);
        frame
    }

    fn options(bytes: &[u8]) -> BTreeMap<u8, Vec<u8>> {
        Frame::read(bytes).message.unwrap().options
    }

    #[test]
    fn a_whole_frame_is_read() {
        let read = Frame::read(&frame(&[], &[], &[53, 1, 1, 255, 12, 1, b'x']));
        let message = read.message.unwrap();
        assert_eq!(read.source_mac, Some(MacAddr([0x52, 0x54, 0, 0, 0, 1])));
        assert_eq!(read.source, Some(Ipv4Addr::new(192, 0, 2, 9)));
        assert_eq!(message.ciaddr, Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(message.yiaddr, Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(message.giaddr, Ipv4Addr::new(192, 0, 2, 4));
        assert_eq!(message.chaddr, MacAddr([0x52, 0x54, 0, 0, 0, 2]));
        assert_eq!(message.options, BTreeMap::from([(53, vec![1])]));
    }

    #[test]
    fn pieces_are_joined_also_from_file_and_sname_when_option_52_says_so() {
        let (file, sname) = ([12, 1, b'b', 0, 255, 12, 1, b'x'], [12, 1, b'c']);
        for (overload, name) in [(1, "ab"), (2, "ac"), (3, "abc"), (0, "a"), (4, "a")] {
            let field = [12, 1, b'a', 0, 52, 1, overload, 255];
            let read = options(&frame(&sname, &file, &field));
            assert_eq!(read[&12], name.as_bytes(), "{overload}");
        }
    }

    #[test]
    fn what_runs_past_the_end_is_shown_as_far_as_it_goes() {
        assert_eq!(options(&frame(&[], &[], &[12, 200, b'x']))[&12], b"x");
        assert_eq!(options(&frame(&[], &[], &[53, 1, 1, 12])).len(), 1);
        assert_eq!(options(&frame(&[], &[], &[])), BTreeMap::new());
        let mut no_cookie = frame(&[], &[], &[53, 1, 1]);
        no_cookie[14 + 20 + 8 + 236] ^= 1;
        assert_eq!(options(&no_cookie), BTreeMap::new());
    }

    #[test]
    fn every_cut_of_a_frame_is_read_as_far_as_it_goes() {
        let whole = frame(&[], &[], &[53, 1, 1, 255]);
        for length in 0..whole.len() {
            let read = Frame::read(&whole[..length]);
            assert_eq!(read.source_mac.is_some(), length >= 12, "{length}");
            assert_eq!(read.message.is_some(), length >= 14 + 28 + 236, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
            Frame::read(&bytes);
        }

        #[test]
        fn no_options_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..1200)) {
            let total: usize = options(&frame(&bytes[..bytes.len().min(64)], &[], &bytes)).values().map(Vec::len).sum();
            prop_assert!(total <= bytes.len() + 64 + 128);
        }
    }
}
