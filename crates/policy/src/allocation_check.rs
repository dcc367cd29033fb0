//! The keys that say how a network's addresses are given, held against each other.
use crate::{Allocation, MacPrefix, Subnet, error::Errors, network_read::Draft, origin::Origin};

pub(crate) fn check_allocation(draft: &Draft, errors: &mut Errors) {
    modes(draft, errors);
    if draft.subnets_unsound {
        return;
    }
    if draft.subnets.is_empty() {
        let message = "is missing; a [[network.subnet]] with its prefix, such as prefix = \"203.0.113.0/24\", would be right";
        errors.add(&draft.header, "network.subnet", message);
        return;
    }
    let pool = draft.subnets.iter().flat_map(|subnet| &subnet.pools).next();
    match (draft.allocation, pool) {
        (Some(Allocation::Static), Some(pool)) => {
            let message = "is never used where allocation is \"static\", the default; allocation = \"automatic\", or no pools, would be right";
            errors.add(&pool.origin, "network.subnet.pools", message);
        }
        (Some(Allocation::Static), None) => useless_class(draft, errors),
        (Some(allocation @ (Allocation::Automatic | Allocation::Dynamic)), None)
            if draft.reservations.is_empty() && !draft.reservations_unsound =>
        {
            let message = format!(
                "{:?} has no address to give; pools in a [[network.subnet]], such as pools = [\"203.0.113.10-203.0.113.99\"], would be right",
                allocation.name()
            );
            errors.add(&draft.header, "network.allocation", message);
        }
        (Some(Allocation::Mac), _) => {
            if let Some(prefix) = &draft.mac_prefix {
                spelt(prefix.value, &prefix.origin, draft, errors);
            }
        }
        _ => {}
    }
}

/// Keys that mean something with one value of `allocation` only.
fn modes(draft: &Draft, errors: &mut Errors) {
    let Some(allocation) = draft.allocation else {
        return;
    };
    if let Some(quarantine) = &draft.quarantine
        && allocation != Allocation::Dynamic
    {
        let message = format!(
            "means nothing where allocation is {:?}, as no address is given back; allocation = \"dynamic\", or leaving it out, would be right",
            allocation.name()
        );
        errors.add(&quarantine.origin, "network.quarantine", message);
    }
    match (&draft.mac_prefix, allocation) {
        (Some(prefix), Allocation::Static | Allocation::Automatic | Allocation::Dynamic) => {
            let message = format!(
                "means nothing where allocation is {:?}; allocation = \"mac\", or leaving it out, would be right",
                allocation.name()
            );
            errors.add(&prefix.origin, "network.mac-prefix", message);
        }
        (None, Allocation::Mac) if !draft.mac_prefix_unsound => {
            let message = "is missing, and allocation = \"mac\" needs it; mac-prefix = \"52:54:00\", after which the end of the address follows, would be right";
            errors.add(&draft.header, "network.mac-prefix", message);
        }
        _ => {}
    }
}

/// Who has a reservation has it whatever its class, and in a static network nobody else has an address.
fn useless_class(draft: &Draft, errors: &mut Errors) {
    for class in draft
        .subnets
        .iter()
        .filter_map(|subnet| subnet.class.first())
    {
        let message = "chooses who is allocated an address here, and where allocation is \"static\", the default, nobody is; allocation = \"automatic\", or class in the [[network]], would be right";
        errors.add(&class.origin, "network.subnet.class", message);
    }
}

/// Each address has a MAC address, and each MAC address means one address.
fn spelt(prefix: MacPrefix, origin: &Origin, draft: &Draft, errors: &mut Errors) {
    let mut sound: Vec<&Subnet> = Vec::new();
    for subnet in &draft.subnets {
        let message = if !prefix.spells(subnet.prefix) {
            format!(
                "{} is larger than what follows mac-prefix {prefix} ({origin}) can say; a prefix of {} bits or more, or a shorter mac-prefix, would be right",
                subnet.prefix,
                prefix.least_length()
            )
        } else if let Some(other) = sound
            .iter()
            .find(|other| prefix.confuses(subnet.prefix, other.prefix))
        {
            format!(
                "{} and {} ({}) have addresses with the same end, which is all that follows mac-prefix {prefix} ({origin}); a mac-prefix of two bytes such as \"02:00\" would be right",
                subnet.prefix, other.prefix, other.origin
            )
        } else {
            sound.push(subnet);
            continue;
        };
        errors.add(&subnet.origin, "network.subnet.prefix", message);
    }
}
