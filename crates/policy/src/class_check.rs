//! Classes, held against each other and against the keys `class` that name them.
use crate::{
    Located, Options, class_read::ClassDraft, error::Errors, network_read::Draft, origin::Origin,
    overlay, similar,
};
use slash32_binding::MOST_OVERLAY_BYTES;
use std::collections::HashMap;

pub(crate) fn check_classes(classes: &[ClassDraft], drafts: &[Draft], errors: &mut Errors) {
    names(classes, errors);
    guests(classes, errors);
    let named = |keys: &[Located<String>], table: &str, errors: &mut Errors| {
        for name in keys {
            if let Some(message) = fault(name, classes) {
                errors.add(&name.origin, format!("{table}.class"), message);
            }
        }
    };
    for draft in drafts {
        named(&draft.class, "network", errors);
        for subnet in &draft.subnets {
            named(&subnet.class, "network.subnet", errors);
            for pool in &subnet.pools {
                named(&pool.class, "network.subnet.pools", errors);
            }
        }
    }
}

fn names(classes: &[ClassDraft], errors: &mut Errors) {
    let mut seen: HashMap<&str, &Origin> = HashMap::new();
    for name in classes.iter().filter_map(|class| class.name.as_ref()) {
        match seen.get(name.value.as_str()) {
            Some(other) => {
                let message = format!(
                    "{:?} is the name of another class ({other}); a name of its own, or both in one, would be right",
                    name.value
                );
                errors.add(&name.origin, "class.name", message);
            }
            None => {
                seen.insert(&name.value, &name.origin);
            }
        }
    }
}

/// A class that a guest claims may set options only, none on which the host relies, and not too many.
fn guests(classes: &[ClassDraft], errors: &mut Errors) {
    let mut size = 0;
    for class in classes {
        let (Some(name), Some(matching)) = (&class.name, &class.matching) else {
            continue;
        };
        if matching.guest.is_empty() || class.options.unsound {
            continue;
        }
        for (key, origin) in times(&class.options) {
            let message = "is not for what a guest says of itself: the host must know when a lease ends; [options], a [[network]] or a class that matches link, vm, uuid, mac, network or tag would be right";
            errors.add(origin, format!("class.options.{key}"), message);
        }
        for (key, origin) in decisions(&class.options) {
            let message = "is not for what a guest says of itself: how it is answered is decided before that is looked at; [options], a [[network]] or a class that matches link, vm, uuid, mac, network or tag would be right";
            errors.add(origin, format!("class.options.{key}"), message);
        }
        let own = overlay::largest(&matching.guest, &class.options);
        if own == 0 {
            let message = format!(
                "{:?} is what a guest says of itself, and nothing follows from it; options = {{ boot-file = \"...\" }}, for one, would be right",
                name.value
            );
            errors.add(&name.origin, "class.options", message);
        }
        let before = size;
        size += own;
        if size > MOST_OVERLAY_BYTES && before <= MOST_OVERLAY_BYTES {
            let message = format!(
                "takes {own} bytes, and {size} together with the classes before it that guests claim; at most {MOST_OVERLAY_BYTES} together would be right"
            );
            errors.add(&name.origin, "class.options", message);
        }
    }
}

fn times(options: &Options) -> impl Iterator<Item = (&'static str, &Origin)> {
    let times = [
        ("lease-time", &options.lease_time),
        ("t1", &options.t1),
        ("t2", &options.t2),
    ];
    times
        .into_iter()
        .filter_map(|(key, set)| Some((key, &set.as_ref()?.origin)))
}

/// The keys on which the kind of an answer depends.
fn decisions(options: &Options) -> impl Iterator<Item = (&'static str, &Origin)> {
    let rapid_commit = options.rapid_commit.as_ref().map(|set| &set.origin);
    let ipv6_only = options.ipv6_only_preferred.as_ref().map(|set| &set.origin);
    let keys = [
        ("rapid-commit", rapid_commit),
        ("ipv6-only-preferred", ipv6_only),
    ];
    keys.into_iter()
        .filter_map(|(key, origin)| Some((key, origin?)))
}

/// What is wrong with a name in a key `class`.
fn fault(name: &Located<String>, classes: &[ClassDraft]) -> Option<String> {
    let named = |class: &&ClassDraft| {
        let own = class.name.as_ref();
        own.is_some_and(|own| own.value == name.value)
    };
    if let Some(class) = classes.iter().find(named) {
        let origin = &class.name.as_ref()?.origin;
        let matching = class.matching.as_ref()?;
        return (!matching.guest.is_empty()).then(|| format!(
            "{:?} is what a guest says of itself ({origin}), which chooses options only, or it could talk itself into any address; a class that matches link, vm, uuid, mac, network or tag would be right",
            name.value
        ));
    }
    // One without a name may be the one that is meant.
    let names: Option<Vec<&str>> = classes
        .iter()
        .map(|class| class.name.as_ref().map(|name| name.value.as_str()))
        .collect();
    let names = names?;
    let right = match similar::nearest(&name.value, &names) {
        Some(near) => format!("did you mean {near}?"),
        None if names.is_empty() => format!(
            "a [[class]] with name = {:?} and its match would be right",
            name.value
        ),
        None => format!("the classes are {}", names.join(", ")),
    };
    Some(format!("{:?} is no class; {right}", name.value))
}
