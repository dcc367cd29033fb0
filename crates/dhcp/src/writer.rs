//! Writing options (RFC 2132 §2, RFC 3396) into a field of a fixed length: whole, or not at all.

use crate::code;

/// The longest value of one record; a longer value becomes several records (RFC 3396 §6).
const LONGEST: usize = 255;

/// Writes options into a field. Room is reserved before anything is written, so an option with a right to its place can
/// have it reserved before less important ones are written in front of it. Nothing behind the last option is touched.
pub(crate) struct Writer<'a> {
    field: &'a mut [u8],
    length: usize,
    /// Bytes that are neither written nor reserved.
    room: usize,
}

/// The bytes that an option with a value of `length` bytes takes.
pub(crate) const fn encoded(length: usize) -> usize {
    let records = if length == 0 {
        1
    } else {
        length.div_ceil(LONGEST)
    };
    length + 2 * records
}

impl<'a> Writer<'a> {
    /// An empty `field`, with the place of END reserved. `None` when there is no place for it.
    pub(crate) fn new(field: &'a mut [u8]) -> Option<Self> {
        let room = field.len().checked_sub(1)?;
        Some(Self {
            field,
            length: 0,
            room,
        })
    }

    /// Keeps `bytes` for later; false when so many are not left.
    pub(crate) fn reserve(&mut self, bytes: usize) -> bool {
        match self.room.checked_sub(bytes) {
            Some(room) => {
                self.room = room;
                true
            }
            None => false,
        }
    }

    /// Writes an option whose bytes were reserved.
    pub(crate) fn write(&mut self, code: u8, value: &[u8]) {
        let mut rest = value;
        loop {
            let (record, behind) = rest.split_at(rest.len().min(LONGEST));
            self.bytes(&[code, record.len() as u8]);
            self.bytes(record);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
    }

    /// The same for a value of a fixed length, at most 255 bytes.
    pub(crate) fn write_array<const N: usize>(&mut self, code: u8, value: [u8; N]) {
        const { assert!(N <= LONGEST) };
        let place = self.field.get_mut(self.length..self.length + 2 + N);
        debug_assert!(
            place.is_some(),
            "an option was written that was not reserved"
        );
        if let Some([place_of_code, place_of_length, place @ ..]) = place {
            *place_of_code = code;
            *place_of_length = N as u8;
            place.copy_from_slice(&value);
            self.length += 2 + N;
        }
    }

    /// Writes an option when there is room for all of it; false when it is left out.
    pub(crate) fn offer(&mut self, code: u8, value: &[u8]) -> bool {
        let fits = self.reserve(encoded(value.len()));
        if fits {
            self.write(code, value);
        }
        fits
    }

    /// Writes END. Returns the length of all that was written.
    pub(crate) fn finish(mut self) -> usize {
        self.bytes(&[code::END]);
        self.length
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let place = self.field.get_mut(self.length..self.length + bytes.len());
        debug_assert!(
            place.is_some(),
            "an option was written that was not reserved"
        );
        if let Some(place) = place {
            place.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|i| i as u8).collect()
    }

    #[test]
    fn item_81_a_long_value_is_split_into_records_of_255() {
        for (length, records) in [
            (0, &[0][..]),
            (1, &[1]),
            (255, &[255]),
            (256, &[255, 1]),
            (510, &[255, 255]),
            (511, &[255, 255, 1]),
        ] {
            let mut field = [0xaa; 1500];
            let mut writer = Writer::new(&mut field).unwrap();
            assert!(writer.offer(119, &bytes(length)));
            let end = writer.finish();
            assert_eq!(end, encoded(length) + 1);

            let mut expected = Vec::new();
            let mut value = bytes(length).into_iter();
            for &record in records {
                expected.extend([119, record]);
                expected.extend(value.by_ref().take(usize::from(record)));
            }
            expected.push(code::END);
            assert_eq!(&field[..end], expected, "{length}");
            assert!(
                field[end..].iter().all(|&byte| byte == 0xaa),
                "behind END, {length}"
            );
        }
    }

    #[test]
    fn item_15_an_option_is_written_whole_or_not_at_all() {
        for room in 0..20 {
            let mut field = [0xaa; 20];
            let mut writer = Writer::new(&mut field[..room + 1]).unwrap();
            let fits = writer.offer(12, &bytes(8));
            let end = writer.finish();
            assert_eq!(fits, room >= 10);
            assert_eq!(end, if fits { 11 } else { 1 });
            assert!(field[end..].iter().all(|&byte| byte == 0xaa));
        }
    }

    #[test]
    fn what_is_reserved_is_not_given_away() {
        let mut field = [0; 10];
        let mut writer = Writer::new(&mut field).unwrap();
        assert!(writer.reserve(6));
        assert!(!writer.offer(12, &bytes(2)));
        assert!(writer.offer(12, &bytes(1)));
        writer.write(54, &bytes(4));
        assert_eq!(writer.finish(), 10);
    }

    #[test]
    fn a_field_without_a_place_for_end_is_refused() {
        assert!(Writer::new(&mut []).is_none());
    }
}
