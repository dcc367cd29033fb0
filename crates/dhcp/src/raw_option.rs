//! Options as the operator wrote them: the records of [`Binding::raw`](slash32_binding::Binding::raw).

/// The flag "send it unasked".
const ALWAYS: u8 = 1;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawOption<'a> {
    /// The option code.
    pub(crate) code: u8,
    /// It goes to clients that did not ask for it, too.
    pub(crate) always: bool,
    /// The value, 0 to 255 bytes.
    pub(crate) value: &'a [u8],
}

/// The records in order, of which those with one code are the fragments of one value (RFC 3396); a last one that runs past the end is left out.
pub(crate) fn records(mut bytes: &[u8]) -> impl Iterator<Item = RawOption<'_>> + Clone {
    core::iter::from_fn(move || {
        let (&[code, flags, length], rest) = bytes.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::from(length))?;
        bytes = rest;
        Some(RawOption {
            code,
            always: flags & ALWAYS != 0,
            value,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn records_follow_each_other_and_a_broken_one_ends_them() {
        let option = |code, always, value| RawOption {
            code,
            always,
            value,
        };
        for (bytes, expected) in [
            (&[][..], &[][..]),
            (
                &[224, 0, 2, 1, 2, 225, 1, 0],
                &[option(224, false, &[1, 2]), option(225, true, &[])],
            ),
            (&[224, 1, 2, 1], &[]),
            (&[224, 1, 1, 9, 225, 0], &[option(224, true, &[9])]),
        ] {
            assert_eq!(records(bytes).collect::<Vec<_>>(), expected, "{bytes:?}");
        }
    }
}
