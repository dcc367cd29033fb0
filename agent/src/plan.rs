//! What is to be done so that the host becomes what it should be: decided purely, from two values, and tested by tables.
//!
//! Removals come first, over all links, so that an address that moves is never in two places; then the links get what they
//! lack, in the order in which one step needs the other: the gateway's address, the settings, the responder, the host
//! route, the binding, the word that the route is there. Steps of one sort stand together, because they go to the kernel
//! together. The settings of all links come before the first binding: the kernel shows each change of a link to every packet
//! socket that there is, and each binding brings one. From the responder on the links follow each other in small groups, so
//! that the first VM does not wait for the last.

use crate::encoded::EncodedBinding;
use crate::link::{Ipv4Settings, Ipv6Settings, LinkAddress};
use crate::route::HostRoute;
use slash32_binding::{Generation, Ipv4Addr};
use std::collections::{BTreeMap, BTreeSet};

/// What the host should be.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Desired {
    /// By ifindex. A link that is not here is not ours: what we gave it is taken back.
    pub links: BTreeMap<u32, DesiredLink>,
}

/// What one link should be.
#[derive(Clone, PartialEq, Debug)]
pub struct DesiredLink {
    /// On the link as a /32.
    pub gateway: Ipv4Addr,
    /// The VM still uses a gateway of an earlier config: that address stays until it has renewed.
    pub keep_addresses: bool,
    /// IPv6 is off, or else at least router advertisements are not believed.
    pub ipv6_disabled: bool,
    /// `None`: no VM is to be served.
    pub serve: Option<Serve>,
    /// The VM's host route, when it is to be there now.
    pub route: Option<HostRoute>,
}

/// The VM to serve.
#[derive(Clone, PartialEq, Debug)]
pub struct Serve {
    pub generation: Generation,
    pub binding: EncodedBinding,
}

/// What the host is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Observed {
    pub links: BTreeMap<u32, ObservedLink>,
    /// Every route of our protocol that leaves by a link of this plan.
    pub routes: BTreeSet<HostRoute>,
    pub responders: BTreeMap<u32, ObservedResponder>,
}

/// What one link is.
#[derive(Clone, PartialEq, Debug)]
pub struct ObservedLink {
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    pub addresses: BTreeSet<LinkAddress>,
    pub ipv4: Option<Ipv4Settings>,
    pub ipv6: Option<Ipv6Settings>,
}

/// What one responder was given.
#[derive(Clone, PartialEq, Debug)]
pub struct ObservedResponder {
    /// The generation that it serves; none when it serves nothing.
    pub generation: Generation,
    /// The binding that it was last given by this agent; `None` when another agent gave it one.
    pub binding: Option<EncodedBinding>,
    /// It knows that the host route is there.
    pub confirmed: bool,
}

/// So many links get their responders and bindings together.
pub const TOGETHER: usize = 64;

/// One change to the host.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// RTM_DELROUTE.
    RemoveRoute(HostRoute),
    /// RTM_DELADDR of an address that we put there.
    RemoveAddress { ifindex: u32, address: LinkAddress },
    /// The VM is gone: the responder forgets it.
    End {
        ifindex: u32,
        generation: Generation,
    },
    /// The link is not ours any more: the responder exits.
    Stop { ifindex: u32 },
    /// RTM_NEWADDR.
    AddAddress { ifindex: u32, address: Ipv4Addr },
    /// RTM_SETLINK.
    SetIpv4 { ifindex: u32 },
    /// `net.ipv6.conf`.
    SetIpv6 { ifindex: u32, disabled: bool },
    /// A responder process with its control connection.
    Start { ifindex: u32 },
    /// RTM_NEWROUTE.
    AddRoute(HostRoute),
    /// The binding; with fresh sockets when the generation is a new one.
    Hello {
        ifindex: u32,
        serve: Serve,
        sockets: bool,
        confirmed: bool,
    },
    /// The host route is there.
    Confirm {
        ifindex: u32,
        generation: Generation,
    },
}

impl Step {
    /// The link that the step is about.
    pub fn ifindex(&self) -> u32 {
        match self {
            Self::RemoveRoute(route) | Self::AddRoute(route) => route.ifindex,
            Self::RemoveAddress { ifindex, .. }
            | Self::End { ifindex, .. }
            | Self::Stop { ifindex }
            | Self::AddAddress { ifindex, .. }
            | Self::SetIpv4 { ifindex }
            | Self::SetIpv6 { ifindex, .. }
            | Self::Start { ifindex }
            | Self::Hello { ifindex, .. }
            | Self::Confirm { ifindex, .. } => *ifindex,
        }
    }

    /// Somebody learns from it which address a VM has: only what is durable may be told.
    pub fn tells_an_address(&self) -> bool {
        matches!(
            self,
            Self::AddRoute(_) | Self::Hello { .. } | Self::Confirm { .. }
        )
    }

    /// What was decided has to be durable first: it tells an address, or a responder forgets by it what it has acknowledged,
    /// which then only the store knows.
    pub fn waits_for_the_store(&self) -> bool {
        self.tells_an_address() || matches!(self, Self::Stop { .. } | Self::End { .. })
    }

    /// Where an addition stands among those of all links: its group and its place there. `link` is how many links come before
    /// its own.
    fn turn(&self, link: usize) -> (usize, usize) {
        const SETTINGS: usize = 0;
        let group = 1 + link / TOGETHER;
        match self {
            Self::AddAddress { .. } => (SETTINGS, 0),
            Self::SetIpv4 { .. } => (SETTINGS, 1),
            Self::SetIpv6 { .. } => (SETTINGS, 2),
            Self::Start { .. } => (group, 0),
            Self::AddRoute(_) => (group, 1),
            _ => (group, 2),
        }
    }
}

/// The steps from `observed` to `desired`, in the order in which they are to be carried out. None when nothing is to do.
pub fn plan(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    removals(desired, observed, &mut steps);
    let mut added = Vec::new();
    for (place, (ifindex, link)) in desired.links.iter().enumerate() {
        let mut of_link = Vec::new();
        additions(*ifindex, link, observed, &mut of_link);
        added.extend(of_link.into_iter().map(|step| (step.turn(place), step)));
    }
    added.sort_by_key(|(turn, _)| *turn);
    steps.extend(added.into_iter().map(|(_, step)| step));
    steps
}

fn removals(desired: &Desired, observed: &Observed, steps: &mut Vec<Step>) {
    let wanted = |route: &HostRoute| {
        desired
            .links
            .get(&route.ifindex)
            .is_some_and(|link| link.route == Some(*route))
    };
    steps.extend(
        observed
            .routes
            .iter()
            .filter(|route| !wanted(route))
            .map(|route| Step::RemoveRoute(*route)),
    );
    for (&ifindex, responder) in &observed.responders {
        match desired.links.get(&ifindex) {
            None => steps.push(Step::Stop { ifindex }),
            Some(link) if link.serve.is_none() && responder.generation != Generation::NONE => {
                steps.push(Step::End {
                    ifindex,
                    generation: responder.generation,
                });
            }
            Some(_) => {}
        }
    }
    for (&ifindex, link) in &observed.links {
        let desired = desired.links.get(&ifindex);
        if desired.is_some_and(|desired| desired.keep_addresses) {
            continue;
        }
        let gateway = desired.map(|desired| desired.gateway);
        let stale = link
            .addresses
            .iter()
            .filter(|a| a.ours && Some(a.address) != gateway);
        steps.extend(stale.map(|address| Step::RemoveAddress {
            ifindex,
            address: *address,
        }));
    }
}

fn additions(ifindex: u32, link: &DesiredLink, observed: &Observed, steps: &mut Vec<Step>) {
    let now = observed.links.get(&ifindex);
    if let Some(now) = now {
        let has_gateway = now
            .addresses
            .iter()
            .any(|a| a.address == link.gateway && a.prefix_length == 32);
        // While a link is down and nobody is served on it, its maker may be at work: libvirt puts a network's address on the
        // bridge before it sets that up, and gives the network up when the address is there already.
        if !has_gateway && (now.up || link.serve.is_some()) {
            steps.push(Step::AddAddress {
                ifindex,
                address: link.gateway,
            });
        }
        if now.ipv4 != Some(Ipv4Settings::VM_LINK) {
            steps.push(Step::SetIpv4 { ifindex });
        }
        let ipv6_fits = |now: Ipv6Settings| now.disabled || (!link.ipv6_disabled && !now.accept_ra);
        if now.ipv6.is_some_and(|now| !ipv6_fits(now)) {
            steps.push(Step::SetIpv6 {
                ifindex,
                disabled: link.ipv6_disabled,
            });
        }
    }
    let responder = observed.responders.get(&ifindex);
    if link.serve.is_some() && responder.is_none() {
        steps.push(Step::Start { ifindex });
    }
    if let Some(route) = link.route
        && !observed.routes.contains(&route)
    {
        steps.push(Step::AddRoute(route));
    }
    let Some(serve) = &link.serve else { return };
    let confirmed = link.route.is_some();
    let serving = responder.filter(|responder| responder.generation == serve.generation);
    match serving {
        Some(responder) if responder.binding.as_ref() == Some(&serve.binding) => {
            if confirmed && !responder.confirmed {
                steps.push(Step::Confirm {
                    ifindex,
                    generation: serve.generation,
                });
            }
        }
        _ => steps.push(Step::Hello {
            ifindex,
            serve: serve.clone(),
            sockets: serving
                .is_none_or(|responder| has_sockets_of_another_gateway(link, responder, now)),
            confirmed,
        }),
    }
}

/// The idle socket is bound to the gateway's address, so another gateway needs another one. What an earlier agent gave is
/// seen on the link: it has put that gateway there.
fn has_sockets_of_another_gateway(
    link: &DesiredLink,
    responder: &ObservedResponder,
    now: Option<&ObservedLink>,
) -> bool {
    match &responder.binding {
        Some(binding) => binding.decode().gateway != link.gateway,
        None => now.is_some_and(|now| {
            now.addresses
                .iter()
                .any(|a| a.ours && a.address != link.gateway)
        }),
    }
}

#[cfg(test)]
mod tests;
