//! What can only be judged when everything has been read: the parts of the config held against each other.
//!
//! A rule looks only at parts that were read without an error, and a part that breaks one rule is left out of those that
//! build on it: so one wrong thing is told once.
use crate::{
    Located, Options, Pool, Reservation, allocation_check::check_allocation, claim::Overlap,
    class_check::check_classes, class_read::ClassDraft, error::Errors, network::Selector,
    network_read::Draft, options_check::check_options, origin::Origin,
};
use slash32_binding::Ipv4Addr;
use std::collections::{HashMap, HashSet};

pub(crate) fn check(
    global: &Options,
    classes: &[ClassDraft],
    drafts: &[Draft],
    errors: &mut Errors,
) {
    names(drafts, errors);
    links(drafts, errors);
    subnets(drafts, errors);
    for draft in drafts {
        pools(draft, drafts, errors);
        check_allocation(draft, errors);
    }
    reservations(drafts, errors);
    check_classes(classes, drafts, errors);
    check_options(global, classes, drafts, errors);
}

fn names(drafts: &[Draft], errors: &mut Errors) {
    let mut seen: HashMap<&str, &Origin> = HashMap::new();
    for name in drafts.iter().filter_map(|draft| draft.name.as_ref()) {
        match seen.get(name.value.as_str()) {
            Some(other) => {
                let message = format!(
                    "{:?} is the name of another network ({other}); a name of its own would be right",
                    name.value
                );
                errors.add(&name.origin, "network.name", message);
            }
            None => {
                seen.insert(&name.value, &name.origin);
            }
        }
    }
}

fn links(drafts: &[Draft], errors: &mut Errors) {
    for (index, draft) in drafts.iter().enumerate() {
        let Some(links) = &draft.links else { continue };
        for other in drafts.iter().take(index) {
            let Some(other_links) = &other.links else {
                continue;
            };
            let (network, place) = (other.shown_name(), &other_links.origin);
            let message = match links.value.overlap(&other_links.value) {
                Overlap::Never => continue,
                Overlap::Name(name) => format!(
                    "network {network} ({place}) claims {name} too, for one; excluding in one of them what is the other's, such as \"!{name}\", would be right"
                ),
                Overlap::TooTangled => format!(
                    "no telling whether network {network} ({place}) claims the same links; patterns with fewer * and ? would be right"
                ),
            };
            errors.add(&links.origin, "network.links", message);
            break;
        }
    }
}

/// A run of addresses, and how errors speak of it.
struct Run<'c> {
    first: Ipv4Addr,
    last: Ipv4Addr,
    origin: &'c Origin,
    shown: String,
}

fn subnets(drafts: &[Draft], errors: &mut Errors) {
    let runs = drafts.iter().flat_map(|draft| {
        draft.subnets.iter().map(|subnet| Run {
            first: subnet.prefix.address(),
            last: subnet.prefix.last(),
            origin: &subnet.origin,
            shown: format!("{} of network {}", subnet.prefix, draft.shown_name()),
        })
    });
    for (run, other) in overlaps(runs.collect()) {
        let message = format!(
            "overlaps {} ({}); prefixes that share no address would be right",
            other.shown, other.origin
        );
        errors.add(run.origin, "network.subnet.prefix", message);
    }
}

/// Each run that shares an address with one before it in the config, and that one.
fn overlaps(mut runs: Vec<Run<'_>>) -> Vec<(Run<'_>, Run<'_>)> {
    runs.sort_by_key(|run| (run.first, std::cmp::Reverse(run.last)));
    let mut found = Vec::new();
    let mut told = HashSet::new();
    let mut furthest: Option<Run<'_>> = None;
    for run in runs {
        let Some(reaching) = furthest.take() else {
            furthest = Some(run);
            continue;
        };
        let (last, next) = (
            reaching.last,
            if run.last > reaching.last {
                run.copy()
            } else {
                reaching.copy()
            },
        );
        if run.first <= last {
            let (later, earlier) = if run.origin.order() > reaching.origin.order() {
                (run, reaching)
            } else {
                (reaching, run)
            };
            if told.insert(later.origin.order()) {
                found.push((later, earlier));
            }
        }
        furthest = Some(next);
    }
    found
}

impl Run<'_> {
    fn copy(&self) -> Self {
        Self {
            first: self.first,
            last: self.last,
            origin: self.origin,
            shown: self.shown.clone(),
        }
    }
}

fn pools(draft: &Draft, drafts: &[Draft], errors: &mut Errors) {
    const KEY: &str = "network.subnet.pools";
    for subnet in &draft.subnets {
        let mut inside = Vec::new();
        for pool in &subnet.pools {
            let prefix = subnet.prefix;
            if !prefix.contains(pool.first) || !prefix.contains(pool.last) {
                let message = format!(
                    "{} is not inside {prefix}, the prefix of its subnet; a range from {} to {} would be right",
                    show(pool),
                    prefix.address(),
                    prefix.last()
                );
                errors.add(&pool.origin, KEY, message);
                continue;
            }
            inside.push(Run {
                first: pool.first,
                last: pool.last,
                origin: &pool.origin,
                shown: show(pool),
            });
            if let Some((gateway, network)) = gateway_in(drafts, |gateway| pool.contains(gateway)) {
                let message = format!(
                    "{} holds {}, the gateway of network {network} ({}); {} would be right",
                    show(pool),
                    gateway.value,
                    gateway.origin,
                    without(pool, gateway.value)
                );
                errors.add(&pool.origin, KEY, message);
            }
        }
        for (run, other) in overlaps(inside) {
            let message = format!(
                "{} overlaps {} ({}); ranges that share no address would be right",
                run.shown, other.shown, other.origin
            );
            errors.add(run.origin, KEY, message);
        }
    }
}

fn show(pool: &Pool) -> String {
    format!("{}-{}", pool.first, pool.last)
}

fn gateway_in(
    drafts: &[Draft],
    has: impl Fn(Ipv4Addr) -> bool,
) -> Option<(&Located<Ipv4Addr>, &str)> {
    let gateways = drafts
        .iter()
        .filter_map(|draft| Some((draft.gateway.as_ref()?, draft.shown_name())));
    gateways.into_iter().find(|(gateway, _)| has(gateway.value))
}

/// The pool, without one of its addresses, as the config would say it.
fn without(pool: &Pool, address: Ipv4Addr) -> String {
    let below = (pool.first < address).then(|| {
        format!(
            "\"{}-{}\"",
            pool.first,
            Ipv4Addr::from_bits(address.to_bits() - 1)
        )
    });
    let above = (address < pool.last).then(|| {
        format!(
            "\"{}-{}\"",
            Ipv4Addr::from_bits(address.to_bits() + 1),
            pool.last
        )
    });
    match (below, above) {
        (Some(below), Some(above)) => format!("{below}, {above}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "a range of other addresses".to_owned(),
    }
}

fn reservations(drafts: &[Draft], errors: &mut Errors) {
    let mut addresses: HashMap<Ipv4Addr, &Origin> = HashMap::new();
    for draft in drafts {
        let mut selected: HashMap<&[Selector], &Origin> = HashMap::new();
        for reservation in &draft.reservations {
            let message = if let Some(other) = selected.get(reservation.selectors.as_slice()) {
                format!(
                    "{} has a reservation already ({other}); one of the two would be right",
                    selection(reservation)
                )
            } else if let Some(other) = addresses.get(&reservation.address) {
                format!(
                    "{} is reserved already ({other}); an address of its own would be right",
                    reservation.address
                )
            } else if let Some((gateway, network)) =
                gateway_in(drafts, |gateway| gateway == reservation.address)
            {
                format!(
                    "{} is the gateway of network {network} ({}); an address of its own would be right",
                    gateway.value, gateway.origin
                )
            } else {
                selected.insert(&reservation.selectors, &reservation.origin);
                addresses.insert(reservation.address, &reservation.origin);
                match outside(draft, reservation) {
                    Some(message) => message,
                    None => continue,
                }
            };
            errors.add(&reservation.origin, "network.reservation.address", message);
        }
    }
}

fn outside(draft: &Draft, reservation: &Reservation) -> Option<String> {
    let known = !draft.subnets_unsound && !draft.subnets.is_empty();
    if !known
        || draft
            .subnets
            .iter()
            .any(|subnet| subnet.prefix.contains(reservation.address))
    {
        return None;
    }
    let prefixes: Vec<String> = draft
        .subnets
        .iter()
        .map(|subnet| subnet.prefix.to_string())
        .collect();
    let network = draft.shown_name();
    Some(format!(
        "{} is outside every subnet of network {network}; an address in {} would be right",
        reservation.address,
        prefixes.join(" or ")
    ))
}

fn selection(reservation: &Reservation) -> String {
    let selectors = reservation.selectors.iter().map(|selector| match selector {
        Selector::Link(name) => format!("link {name}"),
        Selector::Vm(name) => format!("vm {name}"),
        Selector::Uuid(uuid) => format!("uuid {uuid}"),
        Selector::Mac(mac) => format!("mac {mac}"),
    });
    selectors.collect::<Vec<_>>().join(" with ")
}
