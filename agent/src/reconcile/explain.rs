//! Why a VM gets what it gets: policy's reasons in the operator's words.

use slash32_control::{
    ExplainedAddress, ExplainedNetwork, ExplainedOption, Explanation, LinkRow, OverriddenOption,
};
use slash32_policy::{
    AddressSource, Allocations, Config, LinkFacts, Network, NetworkReason, OptionReason, Origin,
};
use std::net::Ipv4Addr;

fn line(origin: &Origin) -> String {
    format!("{}:{}", origin.file(), origin.line())
}

/// Why the link gets what it gets; `row` is how it is.
pub(super) fn link(
    config: &Config,
    allocations: &Allocations,
    facts: &LinkFacts,
    row: &LinkRow,
) -> Explanation {
    // On a copy: to ask why must not give anybody an address.
    let mut allocations = allocations.clone();
    let network = config.network_of(&facts.name, &facts.altnames);
    let assigned = match network {
        Ok(Some(claiming)) => Some(
            config
                .chosen(claiming, facts)
                .and_then(|network| allocations.assign(config, network, facts)),
        ),
        _ => None,
    };
    let reasons = match &assigned {
        Some(assigned) => config.explain(facts, assigned.as_ref()),
        None => Ok(None),
    };
    let mut notes = Vec::new();
    if row.state == slash32_control::State::Idle {
        notes.push("no VM is there: this is what one would get".to_owned());
    }
    let refused = row
        .reason
        .clone()
        .filter(|_| row.state == slash32_control::State::Failed);
    let Ok(Some(reasons)) = reasons else {
        let why = network
            .err()
            .map_or("no network's links match it".to_owned(), |twice| {
                twice.to_string()
            });
        return Explanation {
            link: Some(facts.name.clone()),
            network: ExplainedNetwork {
                name: None,
                why: why.clone(),
                origin: None,
            },
            address: ExplainedAddress {
                value: None,
                why,
                origin: None,
            },
            options: Vec::new(),
            refused,
            notes,
        };
    };
    notes.extend(
        reasons
            .classes
            .iter()
            .map(|class| format!("of class {} ({})", class.name, line(&class.origin))),
    );
    for claim in &reasons.claims {
        let says: Vec<_> = claim
            .says
            .iter()
            .map(|(key, values)| format!("{key} = {}", values.join(" or ")))
            .collect();
        let sets: Vec<_> = claim
            .options
            .iter()
            .map(|o| format!("{} = {}", o.key, o.value))
            .collect();
        let (says, sets) = (says.join(" and "), sets.join(", "));
        notes.push(format!(
            "class {} ({}), when the guest says {says}: {sets}",
            claim.name,
            line(&claim.origin)
        ));
    }
    notes.extend(reasons.left_out.iter().cloned());
    let address = match &reasons.address {
        Ok(address) => ExplainedAddress {
            value: Some(address.address),
            why: why(address.source, address.identity.as_deref(), &address.within),
            origin: address.origin.as_ref().map(line),
        },
        Err(reason) => ExplainedAddress {
            value: None,
            why: reason.clone(),
            origin: None,
        },
    };
    let network = &reasons.network;
    Explanation {
        link: Some(reasons.link.clone()),
        network: ExplainedNetwork {
            name: Some(network.name.clone()),
            why: claimed(network),
            origin: Some(line(&network.pattern_origin)),
        },
        address,
        options: reasons.options.iter().map(option).collect(),
        refused,
        notes,
    }
}

/// Why the VM is in this network.
fn claimed(network: &NetworkReason) -> String {
    let NetworkReason {
        claimed_by,
        taken,
        pattern,
        ..
    } = network;
    if *claimed_by == network.name {
        format!("its links match {taken} by {pattern}")
    } else {
        format!(
            "libvirt's metadata names it; the link is claimed by {claimed_by}, whose links match {taken} by {pattern}"
        )
    }
}

fn option(reason: &OptionReason) -> ExplainedOption {
    let overrides = reason.overridden.iter().map(|other| OverriddenOption {
        value: other.value.clone(),
        scope: other.scope.clone(),
        origin: other.origin.as_ref().map(line),
    });
    ExplainedOption {
        key: reason.key.clone(),
        value: reason.value.clone(),
        scope: reason.scope.clone(),
        origin: reason.origin.as_ref().map(line),
        overrides: overrides.collect(),
    }
}

fn why(source: AddressSource, identity: Option<&str>, within: &str) -> String {
    let holder = identity.unwrap_or("the VM");
    match source {
        AddressSource::Reservation => "a reservation of the config".to_owned(),
        AddressSource::Metadata => "libvirt's metadata".to_owned(),
        AddressSource::Bind => "an operator bound it to the link".to_owned(),
        AddressSource::Mac => format!("the VM's MAC address says it, within {within}"),
        AddressSource::Automatic => format!("held by {holder}, from {within}, and stays with it"),
        AddressSource::Dynamic => format!("held by {holder}, from {within}, until it goes"),
    }
}

/// Who has, or could have, an address that no VM of this host has now.
pub(super) fn address(
    config: &Config,
    allocations: &Allocations,
    address: Ipv4Addr,
) -> Explanation {
    let within = |network: &&Network| {
        network
            .subnets
            .iter()
            .any(|subnet| subnet.prefix.contains(address))
    };
    let network = config.networks.iter().find(within);
    let mut notes = Vec::new();
    let mut origin = None;
    if let Some(network) = network {
        for subnet in network
            .subnets
            .iter()
            .filter(|subnet| subnet.prefix.contains(address))
        {
            match subnet.pools.iter().find(|pool| pool.contains(address)) {
                Some(pool) => {
                    origin = Some(line(&pool.origin));
                    notes.push(format!("in the pool {}-{}", pool.first, pool.last));
                }
                None => {
                    origin = Some(line(&subnet.origin));
                    notes.push(format!(
                        "in the subnet {}, and in none of its pools",
                        subnet.prefix
                    ));
                }
            }
        }
        for reservation in network.reservations.iter().filter(|r| r.address == address) {
            notes.push(format!("reserved ({})", line(&reservation.origin)));
        }
        if network.gateway == address {
            notes.push("the gateway of the network".to_owned());
        }
    }
    if let Some((link, _)) = allocations.bound().find(|(_, bound)| *bound == address) {
        notes.push(format!("bound to {link} by an operator"));
    }
    if let Some(held) = allocations.held().find(|held| held.address == address) {
        notes.push(format!("held by {}, which is not there", held.identity));
    }
    if let Some((_, aside)) = allocations
        .set_asides()
        .find(|(aside, _)| *aside == address)
    {
        notes.push(format!("set aside: {}", aside.why));
    }
    let is_next =
        network.is_some_and(|network| allocations.next_candidates(network, 1).contains(&address));
    if is_next {
        notes.push("the next one to be given".to_owned());
    }
    let why = match network {
        Some(network) => format!("it lies in a subnet of {}", network.name),
        None => "it lies in no subnet of the config".to_owned(),
    };
    Explanation {
        link: None,
        network: ExplainedNetwork {
            name: network.map(|n| n.name.clone()),
            why,
            origin,
        },
        address: ExplainedAddress {
            value: Some(address),
            why: "no VM of this host has it".to_owned(),
            origin: None,
        },
        options: Vec::new(),
        refused: None,
        notes,
    }
}
