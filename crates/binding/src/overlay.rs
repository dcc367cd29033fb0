use crate::{Bytes, Full, List, Setting};
use core::fmt;

/// The bytes of all overlays of a binding together: what an [`Overlays`] holds.
pub const MOST_OVERLAY_BYTES: usize = 1536;

/// Something that a client says of itself, which an [`Overlay`] asks for.
///
/// A pattern is ASCII, in which `*` is any text, `?` any byte, `[abc]` and `[a-z]` one of a set, and all else is itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim<'a> {
    /// Option 60, Vendor Class Identifier, fits this pattern.
    VendorClass(&'a str),
    /// Option 77, User Class, as a whole or as one of the classes in it (RFC 3004), fits this pattern.
    UserClass(&'a str),
    /// Option 93, Client System Architecture Type (RFC 4578), has this one.
    Architecture(u16),
}

/// What a [`crate::Binding`] says besides, or instead, to a client that says something of itself: the classes of the config
/// that a guest can claim. In the order in which they are applied: where two set one field, the later has it.
///
/// Held as bytes, because most overlays set one or two short fields and some binding may need a dozen of them: each is a
/// 16-bit length and that many bytes of items, which are a key, a 16-bit length and a value each, little-endian.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Overlays(Bytes<MOST_OVERLAY_BYTES>);

/// One of [`Overlays`].
#[derive(Clone, Copy)]
pub struct Overlay<'a>(&'a [u8]);

const VENDOR_CLASS: u8 = 1;
const USER_CLASS: u8 = 2;
const ARCHITECTURE: u8 = 3;

impl Overlays {
    /// The binding is the same for every client.
    pub const NONE: Self = Self(List::new(0));

    /// Adds an overlay: `settings` hold for a client that fits, of each kind in `claims`, at least one.
    ///
    /// Errors: [`Full`] when it does not fit beside the others, and then nothing is added.
    pub fn push(&mut self, claims: &[Claim<'_>], settings: &[Setting]) -> Result<(), Full> {
        let start = self.0.len();
        let added = self.append(claims, settings);
        if added.is_err() {
            self.0.truncate(start);
        }
        let length = self.0.len().saturating_sub(start + 2) as u16;
        for (place, byte) in self.0.iter_mut().skip(start).zip(length.to_le_bytes()) {
            *place = byte;
        }
        added
    }

    fn append(&mut self, claims: &[Claim<'_>], settings: &[Setting]) -> Result<(), Full> {
        let out = &mut self.0;
        out.extend_from_slice(&[0; 2])?;
        for claim in claims {
            match claim {
                Claim::VendorClass(pattern) => item(out, VENDOR_CLASS, pattern.as_bytes())?,
                Claim::UserClass(pattern) => item(out, USER_CLASS, pattern.as_bytes())?,
                Claim::Architecture(number) => item(out, ARCHITECTURE, &number.to_le_bytes())?,
            }
        }
        for setting in settings {
            let (key, value) = setting.encode();
            item(out, key, &value)?;
        }
        Ok(())
    }

    /// Every overlay, in order.
    pub fn iter(&self) -> impl Iterator<Item = Overlay<'_>> {
        let mut rest = &*self.0;
        core::iter::from_fn(move || {
            let (overlay, behind) = counted(rest)?;
            rest = behind;
            Some(Overlay(overlay))
        })
    }

    /// As they are held, to be sent elsewhere.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `None` for anything that [`Overlays::as_bytes`] does not give.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut overlays = Self::NONE;
        overlays.replace(bytes)?;
        Some(overlays)
    }

    /// Puts those of which `bytes` are the [bytes](Self::as_bytes) in the place of these. `None` for anything else; then
    /// these are as they were.
    pub fn replace(&mut self, bytes: &[u8]) -> Option<()> {
        Self::check(bytes)?;
        self.0.truncate(0);
        self.0.extend_from_slice(bytes).ok()
    }

    /// `None` for anything that [`Overlays::as_bytes`] does not give.
    pub fn check(bytes: &[u8]) -> Option<()> {
        if bytes.len() > MOST_OVERLAY_BYTES {
            return None;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (mut items, behind) = counted(rest)?;
            while !items.is_empty() {
                let (key, value, next) = split_item(items)?;
                claim(key, value)
                    .map(|_| ())
                    .or_else(|| Setting::decode(key, value).map(|_| ()))?;
                items = next;
            }
            rest = behind;
        }
        Some(())
    }
}

impl<'a> Overlay<'a> {
    /// What it asks for.
    pub fn claims(self) -> impl Iterator<Item = Claim<'a>> + Clone {
        items(self.0).filter_map(|(key, value)| claim(key, value))
    }

    /// What holds for a client that it fits.
    pub fn settings(self) -> impl Iterator<Item = Setting> {
        items(self.0).filter_map(|(key, value)| Setting::decode(key, value))
    }
}

fn item(out: &mut Bytes<MOST_OVERLAY_BYTES>, key: u8, value: &[u8]) -> Result<(), Full> {
    let [low, high] = (value.len() as u16).to_le_bytes();
    out.extend_from_slice(&[key, low, high])?;
    out.extend_from_slice(value)
}

fn items(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> + Clone {
    core::iter::from_fn(move || {
        let (key, value, behind) = split_item(rest)?;
        rest = behind;
        Some((key, value))
    })
}

fn split_item(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (key, rest) = bytes.split_first()?;
    let (value, behind) = counted(rest)?;
    Some((*key, value, behind))
}

/// A 16-bit length, that many bytes, and what is behind them.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_le_bytes(*length).into())
}

fn claim(key: u8, value: &[u8]) -> Option<Claim<'_>> {
    let pattern = core::str::from_utf8(value);
    match key {
        VENDOR_CLASS => pattern.ok().map(Claim::VendorClass),
        USER_CLASS => pattern.ok().map(Claim::UserClass),
        ARCHITECTURE => value
            .try_into()
            .ok()
            .map(u16::from_le_bytes)
            .map(Claim::Architecture),
        _ => None,
    }
}

impl fmt::Debug for Overlays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for claim in self.claims() {
            write!(f, "{claim:?} ")?;
        }
        f.write_str("=> ")?;
        f.debug_list().entries(self.settings()).finish()
    }
}
