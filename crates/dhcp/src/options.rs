//! Reading options (RFC 2132 §2): in the options field, then in `file` and `sname` when option 52 says so, with the
//! fragments of a long option joined (RFC 3396 §5, §7).

use crate::code;
use crate::message::Message;
use slash32_binding::Reason;

/// The options of one message, every record of which lies within its field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    /// The options field, `file`, `sname`: the order in which RFC 3396 joins. An unused one is empty.
    fields: [&'a [u8]; 3],
}

impl<'a> Options<'a> {
    /// Checks the options field, and `file` and `sname` as far as option 52 says that they hold options.
    /// An option 52 of another length than 1 or another value than 1 to 3, or inside `file` or `sname`, says nothing.
    pub(crate) fn read(message: &Message<'a>) -> Result<Self, Reason> {
        let mut options = Self {
            fields: [message.options, &[], &[]],
        };
        let overload = options.value(code::OVERLOAD).and_then(Value::array::<1>);
        if let Some([1 | 3]) = overload {
            options.fields[1] = message.file();
        }
        if let Some([2 | 3]) = overload {
            options.fields[2] = message.sname();
        }
        let whole = options
            .fields
            .into_iter()
            .flat_map(Records)
            .all(|record| record.is_ok());
        if whole {
            Ok(options)
        } else {
            Err(Reason::MalformedOptions)
        }
    }

    /// Every record in order.
    fn records(self) -> impl Iterator<Item = (u8, &'a [u8])> + Clone {
        self.fields.into_iter().flat_map(Records).flatten()
    }

    /// The value of the option, when there is one.
    pub(crate) fn value(self, code: u8) -> Option<Value<'a>> {
        let value = Value {
            options: self,
            code,
        };
        value.fragments().next().is_some().then_some(value)
    }
}

/// The value of one option: its fragments, joined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    options: Options<'a>,
    code: u8,
}

impl<'a> Value<'a> {
    fn fragments(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.options
            .records()
            .filter(move |&(code, _)| code == self.code)
            .map(|(_, value)| value)
    }

    /// The bytes of all fragments.
    pub(crate) fn bytes(self) -> impl Iterator<Item = u8> + Clone {
        self.fragments().flatten().copied()
    }

    /// How many bytes there are.
    pub(crate) fn len(self) -> usize {
        self.fragments().map(<[u8]>::len).sum()
    }

    /// The bytes; `None` when there are more or fewer than `N`.
    pub(crate) fn array<const N: usize>(self) -> Option<[u8; N]> {
        let mut array = [0; N];
        for (place, byte) in array.iter_mut().zip(self.bytes()) {
            *place = byte;
        }
        (self.len() == N).then_some(array)
    }

    /// The bytes hold `text` somewhere.
    pub(crate) fn contains(self, text: [u8; 4]) -> bool {
        let mut last = [0; 4];
        self.bytes().any(|byte| {
            last.rotate_left(1);
            last[3] = byte;
            last == text
        })
    }
}

/// The records of one field, up to its END or its end; the last one is an `Err` when it runs past the field.
#[derive(Clone)]
struct Records<'a>(&'a [u8]);

/// A record that runs past its field.
struct PastTheEnd;

impl<'a> Iterator for Records<'a> {
    type Item = Result<(u8, &'a [u8]), PastTheEnd>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.0.iter().position(|&byte| byte != code::PAD)?;
        let (&code, rest) = self.0.get(start..)?.split_first()?;
        if code == code::END {
            return None;
        }
        let record = rest
            .split_first()
            .and_then(|(&length, rest)| rest.split_at_checked(length.into()));
        self.0 = record.map_or(&[], |(_, rest)| rest);
        Some(record.map(|(value, _)| (code, value)).ok_or(PastTheEnd))
    }
}
