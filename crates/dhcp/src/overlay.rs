//! What a client says of itself (options 60, 77 and 93) chooses among what the operator wrote for such clients, and nothing
//! else: before the reply is built, and after it is decided whether there is one.

use crate::code;
use crate::glob;
use crate::options::Options;
use core::mem::discriminant;
use slash32_binding::{Binding, Claim, Overlay};

/// The longest text of a client that is held against a pattern, in bytes: that of one record.
const LONGEST_TEXT: usize = 255;

/// A client with the options `asked` gets another binding than this one.
pub(crate) fn is_changed(binding: &Binding, asked: &Options) -> bool {
    binding.overlays.iter().any(|overlay| fits(overlay, asked))
}

/// The binding as a client with the options `asked` gets it.
pub(crate) fn overlaid(binding: &Binding, asked: &Options) -> Binding {
    let mut changed = *binding;
    for overlay in binding.overlays.iter().filter(|o| fits(*o, asked)) {
        for setting in overlay.settings() {
            changed.set(&setting);
        }
    }
    changed
}

/// Of each kind of claim that the overlay asks for, the client makes at least one.
fn fits(overlay: Overlay, asked: &Options) -> bool {
    let claims = overlay.claims();
    claims.clone().all(|claim| {
        let mut alternatives = claims
            .clone()
            .filter(|other| discriminant(other) == discriminant(&claim));
        alternatives.any(|claim| makes(claim, asked))
    })
}

fn makes(claim: Claim, asked: &Options) -> bool {
    match claim {
        Claim::VendorClass(pattern) => asked
            .value(code::VENDOR_CLASS)
            .is_some_and(|text| is_taken(pattern, text)),
        Claim::UserClass(pattern) => asked.value(code::USER_CLASS).is_some_and(|text| {
            is_taken(pattern, text) || user_classes(text).any(|class| is_taken(pattern, class))
        }),
        Claim::Architecture(number) => asked.value(code::ARCHITECTURE).is_some_and(|value| {
            let (numbers, _) = value.as_chunks();
            numbers
                .iter()
                .any(|octets| u16::from_be_bytes(*octets) == number)
        }),
    }
}

/// A text longer than one record is nothing that anybody calls itself, and costs no time here.
fn is_taken(pattern: &str, text: &[u8]) -> bool {
    text.len() <= LONGEST_TEXT && glob::takes(pattern.as_bytes(), text)
}

/// The classes in a User Class option as RFC 3004 §4 writes it: a length and that many bytes each; none in one that is
/// written otherwise, as iPXE does.
fn user_classes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    while let Some((_, behind)) = split_class(rest) {
        rest = behind;
    }
    let mut bytes = if rest.is_empty() { bytes } else { &[] };
    core::iter::from_fn(move || {
        let (class, behind) = split_class(bytes)?;
        bytes = behind;
        Some(class)
    })
}

fn split_class(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}
