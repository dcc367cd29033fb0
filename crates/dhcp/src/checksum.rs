//! The Internet checksum (RFC 1071).

/// A ones' complement sum of 16-bit words, in whatever byte order this machine has (RFC 1071 §2 B).
///
/// Four sums of 32-bit words, which do not wait for each other; what is carried stays in their upper halves to the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum([u64; 4]);

impl Sum {
    /// The sum with `bytes` added, as 16-bit words in the order of the network; an odd last byte has a zero behind it.
    ///
    /// Every call but the last must be given an even number of bytes.
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        let (blocks, rest) = bytes.as_chunks();
        let mut last = [0; 16];
        for (place, byte) in last.iter_mut().zip(rest) {
            *place = *byte;
        }
        blocks.iter().fold(self.plus(&last), Self::plus)
    }

    fn plus(self, block: &[u8; 16]) -> Self {
        let (words, _) = block.as_chunks();
        let mut sums = self.0;
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum += u64::from(u32::from_ne_bytes(*word));
        }
        Self(sums)
    }

    /// What stands in a checksum field: 0 for a sum over bytes that have their own checksum among them, when it is right.
    pub(crate) fn complement(self) -> u16 {
        let mut sum: u64 = self.0.iter().sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::from_be(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_example_of_rfc_1071_sums_up() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().add(&bytes).complement(), !0xddf2);
    }

    /// The definition, word by word.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |byte| u32::from(*byte));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn a_checksum_is_what_the_definition_says(head: Vec<u16>, tail: Vec<u8>) {
            let head: Vec<u8> = head.into_iter().flat_map(u16::to_ne_bytes).collect();
            let whole = [&head[..], &tail].concat();
            prop_assert_eq!(Sum::default().add(&head).add(&tail).complement(), naive(&whole));
        }
    }
}
