//! What the kernel and the responders tell, and what is told to operators.

use super::{Reconciler, SETTLE};
use crate::conversation::Fault;
use crate::kernel::Change;
use crate::link::Kind;
use crate::moment::Moment;
use crate::responders::{FromResponder, Word};
use crate::route::by_link;
use crate::vm::rfc3339;
use jiff::{SignedDuration, Timestamp};
use slash32_binding::{Generation, Verdict};
use slash32_control::{EventKind, SeenFrame, State};
use slash32_ipc::{Kept, KeptAs, State as ResponderState};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Two acknowledgements that are further apart than this, in nanoseconds, are two. Their times are computed from ages, so not exact.
const SAME_ACK: u64 = 500_000_000;

/// So many claims are answered together at most: then the kernel's and the operators' words have their turn.
const CLAIMS: usize = 64;
/// And so many words are heard.
const WORDS: usize = 256;
/// How long after the last time bridges are asked what they have learned.
const BETWEEN_MACS: Duration = Duration::from_secs(1);

/// What responders have said, as far as something is still to be done about it.
#[derive(Default)]
struct Heard {
    claims: Vec<Claim>,
    /// The links about which there is something new to show.
    shown: BTreeSet<u32>,
    /// The links whose responder has answered an Inquire.
    asked: BTreeSet<u32>,
}

/// A VM waits for its ACK.
struct Claim {
    ifindex: u32,
    generation: Generation,
    /// When it was read.
    heard: Instant,
}

/// VMs whose MAC address is not known, because nobody but their bridge has told it.
#[derive(Default)]
pub(super) struct Macs {
    wanted: BTreeSet<u32>,
    /// When bridges are asked.
    pub(super) ask_at: Option<Instant>,
    /// When they were asked last.
    last: Option<Instant>,
}

impl Reconciler {
    /// Takes in what the kernel told; only marks what may have to change.
    pub(super) fn notice(&mut self, change: Change) {
        match change {
            Change::Link(link) => {
                let ifindex = link.ifindex;
                let was_up = self.table.get(ifindex).is_some_and(|before| before.up);
                // The kernel flushes the routes of a link that goes down, and says nothing.
                self.routes_stale |= was_up && !link.up;
                self.dirty.extend(self.table.put(link));
            }
            Change::LinkGone(ifindex) => {
                self.dirty.extend(self.table.remove(ifindex));
                let gone: Vec<_> = by_link(&self.routes, ifindex).copied().collect();
                for route in gone {
                    self.routes.remove(&route);
                }
            }
            Change::Address {
                ifindex,
                address,
                present,
            } => {
                if self.table.put_address(ifindex, address, present) {
                    // The same when the last address goes.
                    self.routes_stale |= !present;
                    self.dirty.insert(ifindex);
                }
            }
            Change::Route { route, present } => {
                let news = if present {
                    self.routes.insert(route)
                } else {
                    self.routes.remove(&route)
                };
                if news {
                    self.dirty.insert(route.ifindex);
                }
            }
            Change::Foreign { route, present } => self.notice_foreign(route, present),
            Change::Overrun => {
                self.metrics.netlink_overruns.inc();
                tracing::warn!("netlink messages were lost; looking at everything again");
                // What is still queued is older than the loss, so one dump comes at once and one when it is settled.
                self.dump_soon();
            }
        }
    }

    fn dump_soon(&mut self) {
        self.dump_at = Instant::now();
        self.dump_again = Some(Instant::now() + SETTLE);
    }

    /// The kernel may have flushed routes: asks it which are there.
    pub(super) fn dump_routes(&mut self) {
        match self
            .kernel
            .routes(self.config.route.protocol, self.config.route.table)
        {
            Ok(routes) => {
                let now = routes.into_iter().collect();
                self.dirty.extend(
                    self.routes
                        .symmetric_difference(&now)
                        .map(|route| route.ifindex),
                );
                self.routes = now;
                self.routes_stale = false;
            }
            Err(error) => {
                tracing::warn!("cannot read the host's routes, trying again: {error}");
                self.dump_at = self.dump_at.min(Instant::now() + SETTLE);
            }
        }
    }

    /// Hears `first`, and all that responders have said since. The claims among it are answered together, and before anything
    /// is shown to operators.
    pub(super) async fn hear_all(&mut self, first: Option<FromResponder>) {
        let mut heard = Heard::default();
        let mut next = first.or_else(|| self.responders.try_next());
        let mut words = 0;
        while let Some(message) = next {
            self.hear(message, &mut heard);
            words += 1;
            let is_enough = words >= WORDS || heard.claims.len() >= CLAIMS;
            next = (!is_enough).then(|| self.responders.try_next()).flatten();
        }
        if !heard.claims.is_empty() {
            self.answer(heard.claims).await;
        }
        if !heard.shown.is_empty() {
            self.publish(&heard.shown);
        }
        for ifindex in heard.asked {
            for reply in self.waiting.remove(&ifindex).unwrap_or_default() {
                let _ = reply.send(());
            }
        }
    }

    /// Takes in what a responder said.
    fn hear(&mut self, message: FromResponder, heard: &mut Heard) {
        let ifindex = message.ifindex;
        if let Err(fault) = self.responders.judge(&message) {
            self.lose_responder(ifindex, fault);
            return;
        }
        match message.word {
            Word::Started => self.responder_started(ifindex),
            Word::NotStarted(error, attempt) => {
                self.responder_not_started(ifindex, &error, attempt);
            }
            Word::NeverUp(words) => {
                self.responder_started(ifindex);
                self.replace_responder(ifindex, Fault::Ended, words);
            }
            Word::State(state) => {
                self.responders.heard(ifindex);
                if !self.responders.is_behind(ifindex) && self.held_up.remove(&ifindex) {
                    self.dirty.insert(ifindex);
                }
                if state.generation != Generation::NONE {
                    self.responders.end_outdated(ifindex);
                }
                // One that was on its way already came without the frames.
                if state.asked {
                    heard.asked.insert(ifindex);
                }
                self.take_state(ifindex, state);
                heard.shown.insert(ifindex);
            }
            Word::Kept(kept) => self.take_frame(ifindex, &kept),
            Word::Claim(generation) => {
                heard
                    .claims
                    .extend(self.claim(ifindex, generation, message.heard));
            }
            Word::Last(fault) => self.lose_responder(ifindex, fault),
        }
    }

    /// The first ACK of a generation waits for its host route.
    fn claim(&mut self, ifindex: u32, generation: Generation, heard: Instant) -> Option<Claim> {
        let vm = self.vms.get_mut(&ifindex)?;
        if vm.current.is_none_or(|(current, _)| current != generation) {
            // The end of that generation is on its way to the responder.
            return None;
        }
        vm.claimed = true;
        // A claim is repeated when the answer to the one before was lost.
        if let Some(given) = self.given.get_mut(&ifindex) {
            given.confirmed = false;
        }
        Some(Claim {
            ifindex,
            generation,
            heard,
        })
    }

    /// Brings the links of VMs that wait for their ACK to what they should be.
    async fn answer(&mut self, claims: Vec<Claim>) {
        let scope = claims.iter().map(|claim| claim.ifindex).collect();
        self.pass_over(&scope).await;
        for claim in claims {
            let given = self.given.get(&claim.ifindex);
            let confirmed =
                given.is_some_and(|given| given.generation == claim.generation && given.confirmed);
            self.metrics.count_claim(confirmed, claim.heard.elapsed());
        }
    }

    /// Takes a frame that the responder kept for what it is: bytes of a stranger, to be handed on.
    fn take_frame(&mut self, ifindex: u32, kept: &Kept) {
        let Some(vm) = self.vms.get_mut(&ifindex) else {
            return;
        };
        if vm
            .current
            .is_none_or(|(current, _)| current != kept.generation)
        {
            return;
        }
        let now = Timestamp::now();
        let age = SignedDuration::from_nanos(i64::try_from(kept.age).unwrap_or(i64::MAX));
        let (outcome, reason) = match kept.verdict {
            Verdict::Answered(outcome) => (Some(outcome.name().to_owned()), None),
            Verdict::Ignored(reason) => (None, Some(reason.name().to_owned())),
        };
        let frame = Some(SeenFrame {
            at: rfc3339(now.checked_sub(age).unwrap_or(now)),
            outcome,
            reason,
            frame: kept
                .frame
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        });
        let seen = Arc::make_mut(vm.seen.get_or_insert_default());
        match kept.kept_as {
            KeptAs::Request => seen.last_request = frame,
            KeptAs::OtherServer => seen.other_server = frame,
        }
    }

    pub(super) fn take_state(&mut self, ifindex: u32, state: ResponderState) {
        let moment = Moment::now();
        let now = moment.wall;
        let Some(vm) = self.vms.get_mut(&ifindex) else {
            return;
        };
        self.metrics.count_frames(&vm.counters, &state.counters);
        vm.counters = Arc::new(state.counters);
        if vm
            .current
            .is_some_and(|(current, _)| current == state.generation)
        {
            let acked_at = state.last_ack_age.map(|age| moment.ago(age));
            let news = match (vm.acked_at, acked_at) {
                (Some(before), Some(acked_at)) => acked_at.nanoseconds_since(before) > SAME_ACK,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            let address = vm.current.map(|(_, address)| address);
            let name = vm.name.clone();
            let mut lease = None;
            if news {
                let renewed = vm.acked_at.is_some();
                vm.acked_at = acked_at;
                vm.lease_time = state.lease_time;
                lease = vm.lease(moment);
                if renewed && !state.released {
                    let text = "the lease was renewed".to_owned();
                    self.published.event(
                        now,
                        Some((&name, ifindex)),
                        EventKind::Renewed,
                        address,
                        text,
                    );
                }
            }
            if state.released && !vm.released {
                let text =
                    "the VM gave its lease back; it keeps its address while its link is there"
                        .to_owned();
                vm.history.remember(now, &text);
                self.published.event(
                    now,
                    Some((&name, ifindex)),
                    EventKind::Released,
                    address,
                    text,
                );
            }
            // A responder that has acknowledged nothing does not know what the one before it has told.
            if state.told != 0 {
                let before = std::mem::replace(&mut vm.acked_digest, state.told);
                if before != 0 && before != state.told {
                    // A gateway of an earlier config may go now.
                    self.dirty.insert(ifindex);
                }
            }
            vm.released = state.released;
            if let Some(lease) = lease {
                self.keep_lease(lease);
            }
            self.want_mac(ifindex);
        }
    }

    /// The bridge is to be asked which MAC address it has learned behind the VM's port: for `list` only, so all that are wanted
    /// are asked for together, now and then.
    fn want_mac(&mut self, ifindex: u32) {
        let Some(vm) = self.vms.get(&ifindex) else {
            return;
        };
        let link = self.table.get(ifindex);
        let is_bridge = link.is_some_and(|link| link.kind == Kind::Bridge);
        if is_bridge && vm.stay.is_some() && vm.mac.is_none() && vm.acked_at.is_some() {
            self.macs.wanted.insert(ifindex);
            let next = self.macs.last.map(|last| last + BETWEEN_MACS);
            let now = Instant::now();
            let next = next.map_or(now, |next| next.max(now));
            self.macs.ask_at.get_or_insert(next);
        }
    }

    /// Asks for the MAC addresses that are wanted. A port where several were learned has none.
    pub(super) fn learn_macs(&mut self) {
        let now = Instant::now();
        if self.macs.ask_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        self.macs.last = Some(now);
        let wanted = std::mem::take(&mut self.macs.wanted);
        let port_of = |ifindex: u32| Some(self.vms.get(&ifindex)?.stay?.port);
        let only = wanted.first().filter(|_| wanted.len() == 1);
        let Ok(learned) = self.kernel.learned_macs(only.and_then(|one| port_of(*one))) else {
            return;
        };
        for ifindex in &wanted {
            if let Some(vm) = self.vms.get_mut(ifindex)
                && let Some(stay) = vm.stay
                && let Some([first, others @ ..]) = learned.get(&stay.port).map(Vec::as_slice)
                && others.iter().all(|other| other == first)
            {
                vm.mac = Some(*first);
            }
        }
        self.publish(&wanted);
    }

    /// A responder is finished, by itself or for what it said: its link gets a new one. One line of the log, with what it
    /// said at last.
    pub(super) fn lose_responder(&mut self, ifindex: u32, fault: Fault) {
        // In the order of what has happened.
        self.tell_all();
        self.replace_responder(ifindex, fault, None);
    }

    fn replace_responder(&mut self, ifindex: u32, fault: Fault, words: Option<String>) {
        let words = self.responders.finish(ifindex, fault).or(words);
        self.given.remove(&ifindex);
        self.dirty.insert(ifindex);
        // Whoever waits for its answer sees what was last known.
        self.waiting.remove(&ifindex);
        if let Some(vm) = self.vms.get_mut(&ifindex) {
            vm.lost_responder(fault);
            let now = Timestamp::now();
            let text = match words {
                Some(words) => format!("the responder {fault}: \"{words}\": it is replaced"),
                None => format!("the responder {fault}: it is replaced"),
            };
            vm.history.remember(now, &text);
            self.published.event(
                now,
                Some((&vm.name, ifindex)),
                EventKind::ResponderLost,
                None,
                text,
            );
        }
    }

    /// Tells operators when a link has come to another state.
    pub(super) fn tell_state(&mut self, ifindex: u32, now: Moment) {
        let Some(vm) = self.vms.get_mut(&ifindex) else {
            return;
        };
        let told = vm.state(now);
        let now = now.wall;
        if vm.told.as_ref() == Some(&told) {
            return;
        }
        let is_new_state = vm.told.as_ref().is_none_or(|(before, _)| *before != told.0);
        let (state, reason) = told.clone();
        vm.told = Some(told);
        let kind = match state {
            State::Idle => EventKind::Idle,
            State::Unassigned => EventKind::Unassigned,
            State::Ready => EventKind::Ready,
            State::Bound => EventKind::Bound,
            State::Failed => EventKind::Failed,
        };
        let address = vm.current.map(|(_, address)| address);
        let mut text = state.name().to_owned();
        if let Some(address) = address {
            text.push_str(&format!(" {address}"));
        }
        if let Some(reason) = &reason {
            text.push_str(&format!(": {reason}"));
        }
        // A remark that goes away again is no event of its own.
        if is_new_state || reason.is_some() {
            vm.history.remember(now, &text);
            self.published
                .event(now, Some((&vm.name, ifindex)), kind, address, text);
        }
    }
}
