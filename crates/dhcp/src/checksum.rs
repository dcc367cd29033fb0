//! The Internet checksum (RFC 1071).

/// A ones' complement sum of 16-bit words, in whatever byte order this machine has (RFC 1071 §2 B).
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// The sum with `bytes` added, as 16-bit words in the order of the network; an odd last byte has a zero behind it.
    ///
    /// Every call but the last must be given an even number of bytes.
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks();
        let mut last = [0; 8];
        for (place, byte) in last.iter_mut().zip(rest) {
            *place = *byte;
        }
        words
            .iter()
            .chain(core::iter::once(&last))
            .fold(self, |sum, word| sum.plus(u64::from_ne_bytes(*word)))
    }

    /// Four words at once: what is carried out of one is carried into the next, and out of the last into the first.
    fn plus(self, words: u64) -> Self {
        let (sum, carried) = self.0.overflowing_add(words);
        Self(sum + u64::from(carried))
    }

    /// What stands in a checksum field: 0 for a sum over bytes that have their own checksum among them, when it is right.
    pub(crate) fn complement(self) -> u16 {
        let mut sum = self.0;
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
