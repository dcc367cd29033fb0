//! Steps carried out, plainly and in their order. A step that fails ends the steps of its link for this pass.

use super::Reconciler;
use super::durable::Saving;
use crate::conversation::Fault as ResponderFault;
use crate::kernel::{Request, RequestError, set_ipv6};
use crate::link::{Ipv4Settings, Ipv6Settings, LinkAddress};
use crate::metrics::Results;
use crate::plan::{ObservedResponder, Serve, Step, TOGETHER};
use crate::responders::ResponderError;
use crate::route::HostRoute;
use crate::vm::Retry;
use jiff::Timestamp;
use nix::errno::Errno;
use slash32_binding::Generation;
use slash32_control::EventKind;
use slash32_ipc::{Hello, ToResponder};
use slash32_sys::fd::AsFd;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::Instant;

/// The first and the longest pause before a failed step is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long a pass goes on without looking at what else there is.
const TURN: Duration = Duration::from_millis(1);

/// Why a step was not carried out.
pub(super) enum Fault {
    /// The kernel object is gone or down; the event that says so is on its way.
    Vanished,
    /// A sentence for the operator; the step is tried again later.
    Failed(String),
    /// The same, with the time at which it is tried again.
    Until(Instant, String),
    /// The responder has not done yet what it was told before: the step comes when it has.
    Behind,
}

impl From<RequestError> for Fault {
    fn from(error: RequestError) -> Self {
        match error.number().map(Errno::from_raw) {
            Some(Errno::ENODEV | Errno::ENXIO | Errno::ENETDOWN) => Self::Vanished,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<ResponderError> for Fault {
    fn from(error: ResponderError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// An operation on a link that is gone has no result.
fn count(results: &Results, result: &Result<(), Fault>) {
    if !matches!(result, Err(Fault::Vanished)) {
        results.count(result.is_ok());
    }
}

/// How long after the attempt with this number, from 0, the next one is made.
pub(super) fn pause(attempt: u32) -> Duration {
    RETRY.0.saturating_mul(1 << attempt.min(10)).min(RETRY.1)
}

/// What was done, for operators.
pub(super) struct Untold {
    at: Timestamp,
    ifindex: u32,
    kind: EventKind,
    address: Option<Ipv4Addr>,
    text: String,
}

/// How many steps at the front go to the kernel together: those of one sort.
fn front(steps: &[Step]) -> usize {
    let Some(first) = steps.first() else { return 0 };
    let sort = std::mem::discriminant(first);
    let is_same = |step: &&Step| std::mem::discriminant(*step) == sort;
    match first {
        Step::RemoveRoute(_)
        | Step::RemoveAddress { .. }
        | Step::AddAddress { .. }
        | Step::SetIpv4 { .. }
        | Step::AddRoute(_) => steps.iter().take(TOGETHER).take_while(is_same).count(),
        _ => 1,
    }
}

impl Reconciler {
    /// Carries out a pass over the links in `scope`, and tells nobody an address before `saving` is over. Every now and then
    /// the responders are heard. Returns the links on which a step failed, or whose VM waits for the store.
    pub(super) async fn apply(
        &mut self,
        scope: &BTreeSet<u32>,
        mut steps: &[Step],
        saving: Saving,
    ) -> BTreeSet<u32> {
        let mut failed = BTreeSet::new();
        let mut waiting = BTreeSet::new();
        let mut saving = Some(saving);
        let mut turn = Instant::now();
        while let Some(first) = steps.first() {
            if first.waits_for_the_store()
                && let Some(saving) = saving.take()
            {
                waiting = self.saved(scope, saving).await;
            }
            let (now, later) = steps.split_at(front(steps));
            steps = later;
            self.carry_out(now, &waiting, &mut failed);
            if turn.elapsed() < TURN {
                continue;
            }
            self.pulse.beat();
            tokio::task::yield_now().await;
            self.tell_all();
            if let Some(over) = saving.take_if(|saving| saving.is_over()) {
                waiting = self.saved(scope, over).await;
            }
            // What is heard may have to be made durable as well.
            if saving.is_none() {
                self.hear_all(None).await;
            }
            turn = Instant::now();
        }
        if let Some(saving) = saving {
            waiting = self.saved(scope, saving).await;
        }
        failed.extend(waiting);
        failed
    }

    /// The same without a look at anything else.
    pub(super) async fn apply_at_once(
        &mut self,
        scope: &BTreeSet<u32>,
        mut steps: &[Step],
        saving: Saving,
    ) -> BTreeSet<u32> {
        let mut failed = BTreeSet::new();
        let waiting = self.saved(scope, saving).await;
        while !steps.is_empty() {
            let (now, later) = steps.split_at(front(steps));
            steps = later;
            self.carry_out(now, &waiting, &mut failed);
        }
        failed.extend(waiting);
        failed
    }

    /// Waits for the store. Returns the links whose VM waits on: nobody is told an address that is not durable, and everybody
    /// else is served all the same.
    async fn saved(&mut self, scope: &BTreeSet<u32>, saving: Saving) -> BTreeSet<u32> {
        if self.finish_save(saving).await {
            BTreeSet::new()
        } else {
            self.waiting_for_the_store(scope)
        }
    }

    /// Carries out steps that go together, but for those of links on which a step has failed, and those that tell the address
    /// of a VM that is `waiting` for the store.
    fn carry_out(&mut self, steps: &[Step], waiting: &BTreeSet<u32>, failed: &mut BTreeSet<u32>) {
        let is_due = |step: &&Step| {
            let ifindex = step.ifindex();
            !(failed.contains(&ifindex) || step.tells_an_address() && waiting.contains(&ifindex))
        };
        let steps: Vec<&Step> = steps.iter().filter(is_due).collect();
        let requests: Vec<Request> = steps.iter().filter_map(|step| self.request(step)).collect();
        let mut answers = self.kernel.change(&requests).into_iter();
        for step in steps {
            let result = match self.request(step) {
                Some(_) => answers
                    .next()
                    .map_or(Ok(()), |answer| self.answered(step, answer)),
                None => self.attempt(step),
            };
            if let Err(fault) = result {
                failed.insert(step.ifindex());
                self.note(step.ifindex(), fault);
            }
        }
    }

    /// What a step asks of the kernel, if it does.
    fn request(&self, step: &Step) -> Option<Request> {
        Some(match *step {
            Step::RemoveRoute(route) => Request::RemoveRoute(route),
            Step::AddRoute(route) => Request::AddRoute(route),
            Step::RemoveAddress { ifindex, address } => Request::RemoveAddress { ifindex, address },
            Step::AddAddress { ifindex, address } => Request::AddAddress {
                ifindex,
                address,
                protocol: self.config.route.protocol,
            },
            Step::SetIpv4 { ifindex } => Request::SetIpv4 {
                ifindex,
                settings: Ipv4Settings::VM_LINK,
            },
            _ => return None,
        })
    }

    fn note(&mut self, ifindex: u32, fault: Fault) {
        let Some(vm) = self.vms.get_mut(&ifindex) else {
            return;
        };
        let attempt = vm.retry.map_or(0, |retry| retry.attempt + 1);
        let (at, sentence) = match fault {
            Fault::Vanished => (Instant::now() + pause(attempt), None),
            Fault::Failed(sentence) => (Instant::now() + pause(attempt), Some(sentence)),
            Fault::Until(at, sentence) => (at, Some(sentence)),
            Fault::Behind => {
                self.held_up.insert(ifindex);
                return;
            }
        };
        vm.error = sentence.or(vm.error.take());
        self.try_again(ifindex, Retry { at, attempt });
    }

    /// What has failed for a link is tried again then.
    pub(super) fn try_again(&mut self, ifindex: u32, retry: Retry) {
        if let Some(vm) = self.vms.get_mut(&ifindex) {
            vm.retry = Some(retry);
            let first = self.retry_at.map_or(retry.at, |at| at.min(retry.at));
            self.retry_at = Some(first);
        }
    }

    /// The kernel has answered the request of a step.
    fn answered(&mut self, step: &Step, answer: Result<(), RequestError>) -> Result<(), Fault> {
        match *step {
            Step::RemoveRoute(route) => {
                let removed = answer.map_err(Fault::from);
                count(&self.metrics.routes_removed, &removed);
                removed?;
                self.routes.remove(&route);
                self.tell_route(route, false);
            }
            Step::AddRoute(route) => {
                let added = self.added(&route, answer);
                count(&self.metrics.routes_added, &added);
                added?;
                self.routes.insert(route);
                self.tell_route(route, true);
            }
            Step::RemoveAddress { ifindex, address } => {
                answer?;
                self.table.put_address(ifindex, address, false);
            }
            Step::AddAddress { ifindex, address } => {
                answer.map_err(|error| match Fault::from(error) {
                    Fault::Failed(error) => {
                        Fault::Failed(format!("cannot put {address}/32 on the link: {error}"))
                    }
                    vanished => vanished,
                })?;
                self.table.put_address(
                    ifindex,
                    LinkAddress {
                        address,
                        prefix_length: 32,
                        ours: true,
                    },
                    true,
                );
            }
            Step::SetIpv4 { ifindex } => {
                // A VM with less than the best settings is better than a VM without an address.
                if let Err(error) = answer {
                    let link = self.table.get(ifindex).map_or("", |link| &link.name);
                    tracing::warn!(
                        link,
                        ifindex,
                        "{link}: cannot set rp_filter and the like: {error}"
                    );
                }
                self.table
                    .put_settings(ifindex, Some(Ipv4Settings::VM_LINK), None);
            }
            _ => {}
        }
        Ok(())
    }

    /// Carries out a step that is no [`Self::request`].
    fn attempt(&mut self, step: &Step) -> Result<(), Fault> {
        match *step {
            Step::RemoveRoute(_)
            | Step::AddRoute(_)
            | Step::RemoveAddress { .. }
            | Step::AddAddress { .. }
            | Step::SetIpv4 { .. } => Ok(()),
            Step::SetIpv6 { ifindex, disabled } => {
                if let Some(link) = self.table.get(ifindex)
                    && let Err(error) = set_ipv6(&link.name, disabled)
                {
                    let link = &*link.name;
                    tracing::warn!(
                        link,
                        ifindex,
                        "{link}: cannot set its IPv6 settings: {error}"
                    );
                }
                self.table.put_settings(
                    ifindex,
                    None,
                    Some(Ipv6Settings {
                        disabled,
                        accept_ra: false,
                    }),
                );
                Ok(())
            }
            Step::End { ifindex, .. } | Step::Hello { ifindex, .. }
                if self.responders.is_behind(ifindex) =>
            {
                Err(Fault::Behind)
            }
            Step::Start { ifindex } => self.start_responder(ifindex),
            Step::Stop { ifindex } => {
                self.responders.stop(ifindex);
                self.given.remove(&ifindex);
                Ok(())
            }
            Step::End {
                ifindex,
                generation,
            } => {
                let end = ToResponder::End(generation);
                if let Err(error) = self.responders.tell(ifindex, &end, &[]) {
                    return Err(self.unheard(ifindex, &error));
                }
                if let Some(given) = self.given.get_mut(&ifindex) {
                    *given = ObservedResponder {
                        generation: Generation::NONE,
                        binding: None,
                        confirmed: false,
                    };
                }
                Ok(())
            }
            Step::Hello {
                ifindex,
                ref serve,
                sockets,
                confirmed,
            } => self.greet(ifindex, serve, sockets, confirmed),
            Step::Confirm {
                ifindex,
                generation,
            } => {
                let confirm = ToResponder::Confirm(generation);
                if let Err(error) = self.responders.tell(ifindex, &confirm, &[]) {
                    return Err(self.unheard(ifindex, &error));
                }
                if let Some(given) = self.given.get_mut(&ifindex) {
                    given.confirmed = true;
                }
                Ok(())
            }
        }
    }

    /// A responder did not take a message: it is lost, if it was not before, and the link is dirty.
    fn unheard(&mut self, ifindex: u32, error: &ResponderError) -> Fault {
        match error {
            ResponderError::Gone => {}
            ResponderError::Keep(_) => return Fault::Failed(error.to_string()),
            ResponderError::Send(slash32_sys::Errno::AGAIN) => {
                self.lose_responder(ifindex, ResponderFault::Deaf);
            }
            _ => self.lose_responder(ifindex, ResponderFault::Ended),
        }
        Fault::Vanished
    }

    /// What became of a route that was to be added.
    fn added(&mut self, route: &HostRoute, answer: Result<(), RequestError>) -> Result<(), Fault> {
        let Err(error) = answer else { return Ok(()) };
        if error.number() != Some(Errno::EEXIST as i32) {
            return Err(match Fault::from(error) {
                Fault::Failed(error) => Fault::Failed(format!(
                    "cannot add the host route to {}: {error}",
                    route.prefix
                )),
                vanished => vanished,
            });
        }
        // Ours after all, told late; or somebody else's, which is not touched.
        self.dump_routes();
        if !self.routes.contains(route) {
            return Err(Fault::Failed(format!(
                "another route to {} with metric {} is in the way: find out who put it there (ip route show {})",
                route.prefix, route.metric, route.prefix
            )));
        }
        Ok(())
    }

    fn tell_route(&mut self, route: HostRoute, present: bool) {
        let (kind, verb) = if present {
            (EventKind::RouteAdded, "added")
        } else {
            (EventKind::RouteRemoved, "removed")
        };
        let text = format!("host route {} {verb}", route.prefix);
        self.tell_soon(route.ifindex, kind, Some(route.prefix.address()), text);
    }

    /// Operators are told when VMs need not wait for it.
    fn tell_soon(
        &mut self,
        ifindex: u32,
        kind: EventKind,
        address: Option<Ipv4Addr>,
        text: String,
    ) {
        self.untold.push(Untold {
            at: Timestamp::now(),
            ifindex,
            kind,
            address,
            text,
        });
    }

    /// Tells operators what was done.
    pub(super) fn tell_all(&mut self) {
        for untold in self.untold.drain(..) {
            let Untold {
                at,
                ifindex,
                kind,
                address,
                text,
            } = untold;
            let Some(vm) = self.vms.get_mut(&ifindex) else {
                continue;
            };
            vm.history.remember(at, &text);
            let link = Some((&*vm.name, ifindex));
            self.published.event(at, link, kind, address, text);
        }
    }

    fn greet(
        &mut self,
        ifindex: u32,
        serve: &Serve,
        sockets: bool,
        confirmed: bool,
    ) -> Result<(), Fault> {
        let binding = serve.binding.decode();
        let hello = Hello {
            generation: serve.generation,
            confirmed,
            binding,
        };
        let message = ToResponder::Hello(hello);
        let told = if sockets {
            let Some(link) = self.table.get(ifindex) else {
                return Err(Fault::Vanished);
            };
            let packet = match slash32_sys::packet::open(ifindex) {
                Ok(packet) => packet,
                Err(slash32_sys::Errno::NODEV | slash32_sys::Errno::NXIO) => {
                    return Err(Fault::Vanished);
                }
                Err(error) => {
                    return Err(Fault::Failed(format!(
                        "cannot open the link's packet socket: {error}"
                    )));
                }
            };
            // Without it a renewal may be answered by port-unreachable as well; the VM is served all the same.
            let idle = slash32_sys::idle::open(&link.name, binding.gateway)
                .inspect_err(|error| {
                    let link = &*link.name;
                    tracing::warn!(link, ifindex, "{link}: no idle socket on port 67: {error}");
                })
                .ok();
            let descriptors: Vec<_> = [Some(packet.as_fd()), idle.as_ref().map(AsFd::as_fd)]
                .into_iter()
                .flatten()
                .collect();
            self.responders.tell(ifindex, &message, &descriptors)
        } else {
            self.responders.tell(ifindex, &message, &[])
        };
        if let Err(error) = told {
            return Err(self.unheard(ifindex, &error));
        }
        let given = ObservedResponder {
            generation: serve.generation,
            binding: Some(serve.binding.clone()),
            confirmed,
        };
        self.given.insert(ifindex, given);
        Ok(())
    }
}
