//! rtnetlink messages as they lie in memory (`linux/netlink.h`, `linux/rtnetlink.h`), in the byte order of the machine: read
//! where they are, and written one after the other into one buffer.

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// Messages and attributes begin at a multiple of this.
const ALIGN: usize = 4;
/// `NLA_TYPE_MASK`: the upper two bits of an attribute's type are flags.
const TYPE: u16 = 0x3fff;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// One message that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'b> {
    /// `NLMSG_*` or `RTM_*`.
    pub(super) kind: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'b [u8],
}

/// The messages of one datagram. What is cut short ends them.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = number(bytes, 0)? as usize;
        let message = Message {
            kind: half(bytes, 4)?,
            sequence: number(bytes, 8)?,
            payload: bytes.get(HEADER..length)?,
        };
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes that follow a message's own header of `skip` bytes, or that are nested in one: type and value.
pub(super) fn attributes(bytes: &[u8], skip: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut bytes = bytes.get(skip..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(half(bytes, 0)?);
        let attribute = (half(bytes, 2)? & TYPE, bytes.get(4..length)?);
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some(attribute)
    })
}

/// The u32 at an offset in bytes.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

/// The u16 at an offset in bytes.
pub(super) fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(ALIGN)
}

/// Messages to send, one after the other.
#[derive(Default, Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// Where the last one begins.
    last: usize,
}

impl Writer {
    /// What was written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins a message with these `NLM_F_*`, and its own header.
    pub(super) fn begin(&mut self, kind: u16, flags: u16, sequence: u32, header: &[u8]) {
        self.last = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.put(header);
    }

    /// Adds flags to the last message.
    pub(super) fn flag(&mut self, flags: u16) {
        let at = self.last + 6;
        if let Some(before) = half(&self.bytes, at) {
            self.bytes[at..at + 2].copy_from_slice(&(before | flags).to_ne_bytes());
        }
    }

    /// An attribute of the last message.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = (4 + value.len()) as u16;
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.put(value);
    }

    /// An attribute that holds the attributes which `write` writes.
    pub(super) fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        let begin = self.bytes.len();
        self.attribute(kind | NESTED, &[]);
        write(self);
        let length = (self.bytes.len() - begin) as u16;
        self.bytes[begin..begin + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.bytes.resize(aligned(self.bytes.len()), 0);
        let length = (self.bytes.len() - self.last) as u32;
        self.bytes[self.last..self.last + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Writer {
        let mut writer = Writer::default();
        writer.begin(16, 1, 7, &[1, 2, 3, 4]);
        writer.attribute(3, b"virbr");
        writer.nest(26, |writer| {
            writer.nest(2, |writer| writer.attribute(1, &5_u32.to_ne_bytes()));
        });
        writer.begin(17, 1, 8, &[9; 8]);
        writer.flag(4);
        writer
    }

    #[test]
    fn what_is_written_is_read_again() {
        let writer = written();
        let read: Vec<_> = messages(writer.bytes()).collect();
        let [first, second] = *read else {
            panic!("{read:?}")
        };
        assert_eq!((first.kind, first.sequence), (16, 7));
        let all: Vec<_> = attributes(first.payload, 4).collect();
        assert_eq!(all[0], (3, &b"virbr"[..]));
        let inner = attributes(all[1].1, 0).next().unwrap();
        assert_eq!((all[1].0, inner.0), (26, 2));
        assert_eq!(
            attributes(inner.1, 0).next(),
            Some((1, &5_u32.to_ne_bytes()[..]))
        );
        assert_eq!(
            (second.kind, second.sequence, second.payload),
            (17, 8, &[9; 8][..])
        );
    }

    #[test]
    fn an_acknowledgement_is_asked_of_the_last_message_only() {
        let writer = written();
        let second = messages(writer.bytes()).next().unwrap().payload.len() + HEADER;
        assert_eq!(half(writer.bytes(), 6), Some(1));
        assert_eq!(half(writer.bytes(), second + 6), Some(5));
    }

    #[test]
    fn what_is_cut_short_or_says_a_wrong_length_is_read_as_far_as_it_goes() {
        let writer = written();
        for end in 0..writer.bytes().len() {
            for message in messages(&writer.bytes()[..end]) {
                assert!(attributes(message.payload, 4).count() <= 2);
            }
        }
        for length in [0_u32, 15, 1000, u32::MAX] {
            let mut bytes = writer.bytes().to_vec();
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&bytes).count(), 0, "{length}");
        }
        assert_eq!(attributes(&[0, 0, 1, 0], 0).count(), 0);
    }
}
