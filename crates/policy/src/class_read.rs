//! A `[[class]]` as it stands in a file, and the keys `class` that name some.
use crate::{
    Class, Glob, GuestMatch, HostFact, HostMatch, Options,
    error::Errors,
    origin::{Located, Origin},
    reader::{Item, Section},
    value,
};

/// What could be read of a class. `None` stands for what was missing or wrong, and has an error already.
pub(crate) struct ClassDraft {
    pub(crate) name: Option<Located<String>>,
    pub(crate) matching: Option<Matching>,
    pub(crate) options: Options,
}

/// The table `match`.
pub(crate) struct Matching {
    pub(crate) host: Vec<HostMatch>,
    pub(crate) guest: Vec<GuestMatch>,
}

const RIGHT_MATCH: &str = "match = { tag = \"gold\" }";

impl ClassDraft {
    pub(crate) fn read(mut section: Section<'_>, errors: &mut Errors) -> Self {
        let s = &mut section;
        let name = s.require("name", "name = \"gold\"", errors, |item, errors| {
            item.parsed("a text such as \"gold\"", errors, value::name)
        });
        let matching = s
            .require("match", RIGHT_MATCH, errors, matching)
            .map(|matching| matching.value);
        let options = Options::of(s, errors);
        section.finish(errors);
        Self {
            name,
            matching,
            options,
        }
    }

    /// The class, when nothing of it was missing or wrong.
    pub(crate) fn finish(self) -> Option<Class> {
        let name = self.name?;
        let matching = self.matching?;
        Some(Class {
            name: name.value,
            host: matching.host,
            guest: matching.guest,
            options: self.options,
            origin: name.origin,
        })
    }
}

fn matching(item: &Item<'_>, errors: &mut Errors) -> Option<Matching> {
    let before = errors.count();
    let mut section = item.section("a table such as { tag = \"gold\" }", errors)?;
    let s = &mut section;
    let mut host = Vec::new();
    for fact in HostFact::ALL {
        let globs = s.read(fact.key(), errors, |item, errors| {
            one_or_more(item, errors, |item, errors| glob(item, fact, errors))
        });
        host.extend(globs.map(|globs| HostMatch {
            fact,
            globs: globs.value,
        }));
    }
    let mut guest = Vec::new();
    let vendor = s.read("vendor-class", errors, guest_globs);
    guest.extend(vendor.map(|globs| GuestMatch::VendorClass(globs.value)));
    let user = s.read("user-class", errors, guest_globs);
    guest.extend(user.map(|globs| GuestMatch::UserClass(globs.value)));
    let numbers = s.read("architecture", errors, |item, errors| {
        one_or_more(item, errors, architecture)
    });
    guest.extend(numbers.map(|numbers| GuestMatch::Architecture(numbers.value)));
    section.finish(errors);
    if errors.count() > before {
        return None;
    }
    if host.is_empty() && guest.is_empty() {
        return item.wrong(
            format!("is empty, so that every VM would be of the class; [options] for those of every VM, or {RIGHT_MATCH}, would be right"),
            errors,
        );
    }
    Some(Matching { host, guest })
}

fn guest_globs(item: &Item<'_>, errors: &mut Errors) -> Option<Vec<Glob>> {
    one_or_more(item, errors, |item, errors| {
        item.parsed(
            "a pattern in quotes such as \"PXEClient*\"",
            errors,
            Glob::parse_text,
        )
    })
}

fn glob(item: &Item<'_>, fact: HostFact, errors: &mut Errors) -> Option<Glob> {
    let right = "a pattern in quotes";
    match fact {
        HostFact::Link => item.parsed(right, errors, Glob::parse),
        HostFact::Uuid | HostFact::Mac => item.parsed(right, errors, |text| {
            Glob::parse_text(&text.to_ascii_lowercase())
        }),
        HostFact::Vm | HostFact::Network | HostFact::Tag => {
            item.parsed(right, errors, Glob::parse_name)
        }
    }
}

/// A value, or a list of them of which any may hold.
fn one_or_more<'d, T>(
    item: &Item<'d>,
    errors: &mut Errors,
    read: impl Fn(&Item<'d>, &mut Errors) -> Option<T>,
) -> Option<Vec<T>> {
    if !item.is_list() {
        return read(item, errors).map(|value| vec![value]);
    }
    let items = item.list("", errors)?;
    if items.is_empty() {
        return item.wrong(
            "is empty, so that nothing would match; one value or more, or leaving the key out, would be right",
            errors,
        );
    }
    let values: Vec<Option<T>> = items.iter().map(|item| read(item, errors)).collect();
    values.into_iter().collect()
}

/// Processor architecture types (RFC 4578 §2.1 and IANA's registry of them) by the names that boot programs use for them.
const ARCHITECTURES: [(&str, u16); 14] = [
    ("bios", 0),
    ("x86-uefi", 6),
    ("x64-uefi", 7),
    ("ebc", 9),
    ("arm32-uefi", 10),
    ("arm64-uefi", 11),
    ("x86-uefi-http", 15),
    ("x64-uefi-http", 16),
    ("ebc-http", 17),
    ("arm32-uefi-http", 18),
    ("arm64-uefi-http", 19),
    ("bios-http", 20),
    ("riscv64-uefi", 27),
    ("riscv64-uefi-http", 28),
];

/// The name of a processor architecture type, as the config takes it; `None` for one without a name.
pub fn architecture_name(number: u16) -> Option<&'static str> {
    let known = ARCHITECTURES.iter().find(|(_, known)| *known == number);
    known.map(|(name, _)| *name)
}

fn architecture(item: &Item<'_>, errors: &mut Errors) -> Option<u16> {
    const RIGHT: &str = "a name such as \"x64-uefi\", or a number from 0 to 65535,";
    if !item.is_text() {
        return item.number(0..=u16::MAX, RIGHT, errors);
    }
    item.parsed(RIGHT, errors, |text| {
        let known = ARCHITECTURES.iter().find(|(name, _)| *name == text);
        let names = ARCHITECTURES.map(|(name, _)| name);
        known.map(|(_, number)| *number).ok_or_else(|| {
            match crate::similar::nearest(text, &names) {
                Some(near) => format!("is no architecture; did you mean {near}?"),
                None => format!(
                    "is no architecture; its number, or one of {}, would be right",
                    names.join(", ")
                ),
            }
        })
    })
}

/// The key `class` of a network, subnet or pool: the classes that it is for; empty: for everybody.
pub(crate) fn class_names(section: &mut Section<'_>, errors: &mut Errors) -> Vec<Located<String>> {
    const RIGHT: &str = "a list such as [\"gold\"]";
    let Some(item) = section.item("class") else {
        return Vec::new();
    };
    let Some(items) = item.list(RIGHT, errors) else {
        return Vec::new();
    };
    if items.is_empty() {
        item.wrong::<()>(
            "is empty, so that no VM is let in; the names of classes, or leaving it out, would be right",
            errors,
        );
    }
    let name = |item: &Item<'_>, errors: &mut Errors| {
        let value = item
            .text("the name of a class in quotes", errors)?
            .to_owned();
        let origin: Origin = item.origin.clone();
        Some(Located { value, origin })
    };
    items.iter().filter_map(|item| name(item, errors)).collect()
}
