use super::packet::{Truth, is_named};
use super::{Action, Chain, Family, Firewall, Hook, Packet, Rule};

/// More jumps than this are a loop, which the kernel does not take (`NFT_JUMP_STACK_SIZE` is 16).
const DEPTH: u32 = 16;

/// How sure it is that a packet is stopped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Certainty {
    /// It is, unless a match that was not understood lets it pass.
    Maybe,
    Sure,
}

/// Where a packet is stopped.
#[derive(Clone, Debug)]
pub(crate) struct Stop<'f> {
    /// The chain at the hook.
    pub(crate) base: &'f Chain,
    /// The chain and the rule that drops it; without a rule it is the policy of `base`.
    pub(crate) by: Option<(&'f Chain, &'f Rule)>,
    pub(crate) certainty: Certainty,
}

/// What may become of a packet in a chain.
#[derive(Default)]
struct Outcome<'f> {
    /// How well it is known that it may be accepted; `None`: it cannot be.
    accept: Option<Certainty>,
    /// The first rule that may drop it.
    drop: Option<(&'f Chain, &'f Rule)>,
    /// The same for getting to the end of the chain.
    end: Option<Certainty>,
}

impl Firewall {
    /// The first chain at `hook` that stops `packet`, by every reading of its rules or by all but what is not understood;
    /// `None` when it may pass.
    ///
    /// `device` is the link of an ingress or egress hook.
    pub(crate) fn stopped(
        &self,
        family: Family,
        hook: Hook,
        device: Option<&str>,
        packet: &Packet,
    ) -> Option<Stop<'_>> {
        let mut stops = self.chains.iter().filter_map(|chain| {
            let base = chain.base.as_ref()?;
            let is_asked = chain.family == family
                && base.hook == hook
                && device.is_none_or(|device| is_named(device, &base.devices));
            if !is_asked {
                return None;
            }
            let outcome = self.walk(chain, packet, 0);
            let passes = if base.drops {
                outcome.accept
            } else {
                outcome.accept.max(outcome.end)
            };
            let certainty = match passes {
                Some(Certainty::Sure) => return None,
                Some(Certainty::Maybe) => Certainty::Maybe,
                None => Certainty::Sure,
            };
            // What is let pass by an unread match only is told of where the rest would drop it: by the policy.
            let by_policy = base.drops && outcome.end == Some(Certainty::Sure);
            if certainty == Certainty::Maybe && !by_policy && outcome.drop.is_none() {
                return None;
            }
            Some(Stop {
                base: chain,
                by: if by_policy { None } else { outcome.drop },
                certainty,
            })
        });
        let first = stops.next()?;
        if first.certainty == Certainty::Sure {
            return Some(first);
        }
        Some(
            stops
                .find(|stop| stop.certainty == Certainty::Sure)
                .unwrap_or(first),
        )
    }

    fn walk<'f>(&'f self, chain: &'f Chain, packet: &Packet, depth: u32) -> Outcome<'f> {
        let mut outcome = Outcome::default();
        // How well it is known that the packet gets to the rule.
        let mut here = Certainty::Sure;
        for rule in &chain.rules {
            let truth = rule
                .matches
                .iter()
                .map(|part| part.holds(packet))
                .min()
                .unwrap_or(Truth::True);
            let taken = match truth {
                Truth::False => continue,
                Truth::Unread => Certainty::Maybe,
                Truth::Open | Truth::True => here,
            };
            let is_final = truth == Truth::True;
            match &rule.action {
                Action::Continue => {}
                Action::Accept | Action::Unread => {
                    outcome.accept = outcome.accept.max(Some(taken));
                    if is_final {
                        return outcome;
                    }
                }
                Action::Drop | Action::Reject => {
                    outcome.drop.get_or_insert((chain, rule));
                    if is_final {
                        return outcome;
                    }
                }
                Action::Return => {
                    outcome.end = outcome.end.max(Some(taken));
                    if is_final {
                        return outcome;
                    }
                }
                Action::Jump(name) | Action::Goto(name) => {
                    let target = self.chains.iter().find(|target| {
                        target.source == chain.source
                            && target.table == chain.table
                            && target.name == *name
                    });
                    let inner = match target {
                        Some(target) if depth < DEPTH => self.walk(target, packet, depth + 1),
                        _ => Outcome {
                            accept: Some(Certainty::Maybe),
                            ..Outcome::default()
                        },
                    };
                    outcome.accept = outcome
                        .accept
                        .max(inner.accept.map(|accept| accept.min(taken)));
                    outcome.drop = outcome.drop.or(inner.drop);
                    let goes_on = inner.end.map(|end| end.min(taken));
                    if matches!(rule.action, Action::Goto(_)) {
                        outcome.end = outcome.end.max(goes_on);
                        if is_final {
                            return outcome;
                        }
                    } else if is_final {
                        match goes_on {
                            None => return outcome,
                            Some(certainty) => here = certainty,
                        }
                    }
                }
            }
        }
        outcome.end = Some(here);
        outcome
    }
}
