//! Reading options (RFC 2132 §2): in the options field, then in `file` and `sname` when option 52 says so, with the
//! fragments of a long option joined (RFC 3396 §5, §7).
//!
//! Every record is looked at once. What the answer may depend on is kept as a slice of the message; only a client that
//! splits such an option makes us copy it together.

use crate::code;
use crate::frame::MAX_PACKET;
use crate::message::Message;
use slash32_binding::Reason;

/// The options that a server reads; every other one is stepped over.
const READ: [u8; 14] = [
    code::REQUESTED_ADDRESS,
    code::OVERLOAD,
    code::MESSAGE_TYPE,
    code::SERVER_IDENTIFIER,
    code::PARAMETER_REQUEST_LIST,
    code::MAXIMUM_SIZE,
    code::VENDOR_CLASS,
    code::CLIENT_IDENTIFIER,
    code::USER_CLASS,
    code::RAPID_COMMIT,
    code::CLIENT_FQDN,
    code::RELAY_AGENT_INFORMATION,
    code::ARCHITECTURE,
    code::IPXE,
];

/// The place of each code in [`READ`]; [`NOT_READ`] for the others.
const PLACES: [u8; 256] = {
    let mut places = [NOT_READ; 256];
    let mut place = 0;
    while place < READ.len() {
        places[READ[place] as usize] = place as u8;
        place += 1;
    }
    places
};
const NOT_READ: u8 = u8::MAX;

/// The most bytes that the split options of one message take together.
pub(crate) const MOST_JOINED: usize = MAX_PACKET;

/// The options of one message, every record of which lies within its field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    /// The options field, `file`, `sname`: the order in which RFC 3396 joins. An unused one is empty.
    fields: [&'a [u8]; 3],
    /// By the place in [`READ`]: the value, or its first fragment.
    values: [&'a [u8]; READ.len()],
    /// Bit by bit the places in [`READ`] that have a value.
    present: u16,
    /// Those whose value has more fragments.
    split: u16,
}

impl<'a> Options<'a> {
    /// Checks the options field, and `file` and `sname` as far as option 52 says that they hold options.
    /// An option 52 of another length than 1 or another value than 1 to 3, in several records, or inside `file` or
    /// `sname`, says nothing.
    ///
    /// Of an option in several records only the first is there until they are [joined](Self::joined).
    pub(crate) fn read(message: &Message<'a>) -> Result<Self, Reason> {
        let mut options = Self {
            fields: [message.options, &[], &[]],
            values: [&[]; READ.len()],
            present: 0,
            split: 0,
        };
        options.take(message.options)?;
        let overload = match options.value(code::OVERLOAD) {
            Some([overload]) if !options.is_split(code::OVERLOAD) => *overload,
            _ => 0,
        };
        if matches!(overload, 1 | 3) {
            options.fields[1] = message.file();
            options.take(message.file())?;
        }
        if matches!(overload, 2 | 3) {
            options.fields[2] = message.sname();
            options.take(message.sname())?;
        }
        Ok(options)
    }

    fn take(&mut self, field: &'a [u8]) -> Result<(), Reason> {
        for record in Records(field) {
            let (code, value) = record.map_err(|PastTheEnd| Reason::MalformedOptions)?;
            let place = PLACES[usize::from(code)];
            if let Some(first) = self.values.get_mut(usize::from(place)) {
                let bit = 1 << place;
                if self.present & bit == 0 {
                    *first = value;
                } else {
                    self.split |= bit;
                }
                self.present |= bit;
            }
        }
        Ok(())
    }

    /// Some option that is read came in several records, which have to be [joined](Self::joined).
    pub(crate) fn is_any_split(&self) -> bool {
        self.split != 0
    }

    /// The same with the fragments of every option that is read joined in `space`, in the order in which they came.
    ///
    /// Errors: `MalformedOptions` when they are more than `space` holds.
    pub(crate) fn joined(mut self, mut space: &'a mut [u8]) -> Result<Self, Reason> {
        for (place, code) in READ.into_iter().enumerate() {
            if !self.is_split(code) {
                continue;
            }
            let mut length = 0;
            let records = self.fields.into_iter().flat_map(Records).flatten();
            for (_, fragment) in records.filter(|&(other, _)| other == code) {
                let end = length + fragment.len();
                let room = space.get_mut(length..end);
                room.ok_or(Reason::MalformedOptions)?
                    .copy_from_slice(fragment);
                length = end;
            }
            let (value, rest) = space.split_at_mut(length);
            self.values[place] = value;
            space = rest;
        }
        self.split = 0;
        Ok(self)
    }

    fn is_split(&self, code: u8) -> bool {
        self.split & bit(code) != 0
    }

    /// The value of one of the options that are [`READ`], when it is there.
    pub(crate) fn value(&self, code: u8) -> Option<&'a [u8]> {
        debug_assert_ne!(PLACES[usize::from(code)], NOT_READ, "{code} is not read");
        let is_there = self.present & bit(code) != 0;
        let value = self.values.get(usize::from(PLACES[usize::from(code)]));
        value.copied().filter(|_| is_there)
    }

    /// The value of an option that is one fixed-size field; `None` when it has another length.
    pub(crate) fn array<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.value(code)?.try_into().ok()
    }

    /// The parameter request list asks for `code`.
    pub(crate) fn ask_for(&self, code: u8) -> bool {
        self.value(code::PARAMETER_REQUEST_LIST)
            .is_some_and(|list| list.contains(&code))
    }
}

/// The bit of a code in `present` and `split`; none for a code that is not read.
const fn bit(code: u8) -> u16 {
    match PLACES[code as usize] {
        NOT_READ => 0,
        place => 1 << place,
    }
}

/// The records of one field, up to its END or its end; the last one is an `Err` when it runs past the field.
#[derive(Clone)]
pub(crate) struct Records<'a>(pub(crate) &'a [u8]);

/// A record that runs past its field.
pub(crate) struct PastTheEnd;

impl<'a> Iterator for Records<'a> {
    type Item = Result<(u8, &'a [u8]), PastTheEnd>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut field = self.0;
        let (code, rest) = loop {
            let (&code, rest) = field.split_first()?;
            match code {
                code::PAD => field = rest,
                code::END => return None,
                _ => break (code, rest),
            }
        };
        let record = rest
            .split_first()
            .and_then(|(&length, rest)| rest.split_at_checked(length.into()));
        self.0 = record.map_or(&[], |(_, rest)| rest);
        Some(record.map(|(value, _)| (code, value)).ok_or(PastTheEnd))
    }
}
