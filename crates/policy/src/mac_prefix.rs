use slash32_binding::{Ipv4Addr, MacAddr, Prefix};
use std::{fmt, str::FromStr};

/// How MAC addresses begin in a network with `allocation = "mac"`: what follows is the end of the VM's address.
///
/// Two bytes leave room for the whole address: `02:00` and 203.0.113.7 are `02:00:cb:00:71:07`. Three leave its last 24 bits,
/// four its last 16, five its last 8; the bits before come from the subnet, so that its prefix must have that many.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacPrefix {
    /// Bytes behind the prefix are zero.
    bytes: [u8; 6],
    length: usize,
}

impl MacPrefix {
    /// The MAC address that says `address`, as far as there is room.
    pub fn encode(self, address: Ipv4Addr) -> MacAddr {
        let mut mac = self.bytes;
        let octets = address.octets();
        for (place, octet) in mac.iter_mut().rev().zip(octets.iter().rev()) {
            *place |= octet;
        }
        for (place, byte) in mac.iter_mut().zip(self.bytes).take(self.length) {
            *place = byte;
        }
        MacAddr(mac)
    }

    /// The address in `block` that `mac` says; `None` when it says none, or begins otherwise.
    pub fn decode(self, mac: MacAddr, block: Prefix) -> Option<Ipv4Addr> {
        if !self.begins(mac) || !self.spells(block) {
            return None;
        }
        let end = mac
            .0
            .iter()
            .skip(self.length)
            .fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = block.address().to_bits() & !self.room() | end;
        Some(Ipv4Addr::from_bits(bits)).filter(|address| block.contains(*address))
    }

    /// `mac` begins with this prefix.
    pub fn begins(self, mac: MacAddr) -> bool {
        mac.0
            .iter()
            .zip(self.bytes)
            .take(self.length)
            .all(|(a, b)| *a == b)
    }

    /// Every address of `block` has a MAC address of its own.
    pub fn spells(self, block: Prefix) -> bool {
        block.mask().to_bits() & !self.room() == !self.room()
    }

    /// Some MAC address says an address in the one block and one in the other.
    pub(crate) fn confuses(self, one: Prefix, other: Prefix) -> bool {
        let ends = |block: Prefix| {
            let (first, last) = (block.address().to_bits(), block.last().to_bits());
            first & self.room()..=last & self.room()
        };
        let (one, other) = (ends(one), ends(other));
        one.start() <= other.end() && other.start() <= one.end()
    }

    /// How many bits of a subnet's prefix must be given for [`MacPrefix::spells`]: 0, 8, 16 or 24.
    pub(crate) fn least_length(self) -> u32 {
        self.room().leading_zeros()
    }

    /// The MAC address of a VM's NIC whose tap has `tap`: libvirt puts `fe` in front, so that the bridge does not take it
    /// for its own. `None` when it cannot be one with this prefix.
    pub(crate) fn of_tap(self, tap: MacAddr) -> Option<MacAddr> {
        let mut mac = tap;
        if let ([first @ 0xfe, ..], [own, ..]) = (&mut mac.0, self.bytes) {
            *first = own;
        }
        self.begins(mac).then_some(mac)
    }

    /// The bits of an address that a MAC address has room for.
    fn room(self) -> u32 {
        let bits = 8 * (6 - self.length as u32);
        if bits >= 32 {
            u32::MAX
        } else {
            (1 << bits) - 1
        }
    }
}

impl FromStr for MacPrefix {
    type Err = String;

    /// Errors: the words behind the text: what is wrong; what would be right.
    fn from_str(text: &str) -> Result<Self, String> {
        const RIGHT: &str =
            "two to five pairs of hexadecimal digits such as 52:54:00 would be right";
        let parts: Vec<&str> = text.split([':', '-']).collect();
        let byte = |part: &&str| {
            let is_pair = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_pair.then(|| u8::from_str_radix(part, 16).ok()).flatten()
        };
        let read: Option<Vec<u8>> = parts.iter().map(byte).collect();
        let read = read
            .filter(|bytes| (2..=5).contains(&bytes.len()))
            .ok_or_else(|| format!("is not the beginning of a MAC address; {RIGHT}"))?;
        if read.first().is_some_and(|first| first & 1 != 0) {
            return Err(format!(
                "begins group addresses, which no NIC can have; {RIGHT}"
            ));
        }
        let mut bytes = [0; 6];
        for (place, byte) in bytes.iter_mut().zip(&read) {
            *place = *byte;
        }
        Ok(Self {
            bytes,
            length: read.len(),
        })
    }
}

impl fmt::Display for MacPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self
            .bytes
            .iter()
            .take(self.length)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        f.write_str(&pairs.join(":"))
    }
}

impl fmt::Debug for MacPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> MacPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn macs_say_the_addresses_of_the_table() {
        for (begins, block, mac, address) in [
            (
                "02:00",
                "203.0.113.0/24",
                "02:00:cb:00:71:07",
                Some("203.0.113.7"),
            ),
            (
                "02:00",
                "0.0.0.0/0",
                "02:00:cb:00:71:07",
                Some("203.0.113.7"),
            ),
            ("02:00", "203.0.113.0/24", "02:00:cb:00:72:07", None),
            (
                "52:54:00",
                "10.0.0.0/8",
                "52:54:00:01:02:03",
                Some("10.1.2.3"),
            ),
            (
                "52:54:00",
                "10.1.0.0/16",
                "52:54:00:01:02:03",
                Some("10.1.2.3"),
            ),
            ("52:54:00", "10.2.0.0/16", "52:54:00:01:02:03", None),
            ("52:54:00", "10.0.0.0/8", "52:54:01:01:02:03", None),
            ("52:54:00", "0.0.0.0/7", "52:54:00:01:02:03", None),
            (
                "52:54:00:00",
                "203.0.113.0/24",
                "52:54:00:00:71:07",
                Some("203.0.113.7"),
            ),
            (
                "52-54-00-00-00",
                "203.0.113.64/26",
                "52:54:00:00:00:41",
                Some("203.0.113.65"),
            ),
            (
                "52:54:00:00:00",
                "203.0.113.64/26",
                "52:54:00:00:00:01",
                None,
            ),
        ] {
            let got = prefix(begins).decode(mac.parse().unwrap(), block.parse().unwrap());
            let expected = address.map(|address| address.parse().unwrap());
            assert_eq!(got, expected, "{begins} {block} {mac}");
            if let Some(address) = expected {
                assert_eq!(prefix(begins).encode(address), mac.parse().unwrap());
            }
        }
    }

    #[test]
    fn texts_are_read_as_the_table_says() {
        for (text, right) in [
            ("52:54", true),
            ("52:54:00:00:00", true),
            ("02-00", true),
            ("52", false),
            ("52:54:00:00:00:00", false),
            ("52:5:00", false),
            ("53:54:00", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<MacPrefix>().is_ok(), right, "{text}");
        }
    }

    #[test]
    fn a_tap_with_fe_in_front_says_the_mac_of_its_vm() {
        let of_tap = |text: &str| prefix("52:54:00").of_tap(text.parse().unwrap());
        let mac = "52:54:00:00:00:07".parse().ok();
        assert_eq!(of_tap("fe:54:00:00:00:07"), mac);
        assert_eq!(of_tap("52:54:00:00:00:07"), mac);
        assert_eq!(of_tap("fe:54:01:00:00:07"), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bits: u32, length in 0u8..=32, bytes in 2usize..=5) {
            let begins = prefix(&["52", "54", "00", "07", "09"][..bytes].join(":"));
            let address = Ipv4Addr::from_bits(bits);
            let block = Prefix::new(address, length).unwrap();
            let mac = begins.encode(address);
            prop_assert!(begins.begins(mac));
            prop_assert_eq!(begins.spells(block), u32::from(length) >= begins.least_length());
            let expected = begins.spells(block).then_some(address);
            prop_assert_eq!(begins.decode(mac, block), expected);
        }

        #[test]
        fn blocks_are_confused_when_one_mac_says_an_address_in_each(one: u8, other: u8, l1 in 28u8..=32, l2 in 28u8..=32, mac: u8) {
            let begins = prefix("52:54:00:00:00");
            let block = |third, last, length| Prefix::new(Ipv4Addr::new(203, 0, third, last), length).unwrap();
            let (one, other) = (block(1, one, l1), block(2, other, l2));
            let says = |block, last| begins.decode(MacAddr([0x52, 0x54, 0, 0, 0, last]), block).is_some();
            if says(one, mac) && says(other, mac) {
                prop_assert!(begins.confuses(one, other));
            }
            prop_assert_eq!(begins.confuses(one, other), (0..=255).any(|last| says(one, last) && says(other, last)));
        }
    }
}
