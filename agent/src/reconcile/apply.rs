//! Steps carried out, plainly and in their order. A step that fails ends the steps of its link for this pass.

use super::Reconciler;
use crate::conversation::Fault as ResponderFault;
use crate::kernel::{RequestError, set_ipv6};
use crate::link::{Ipv4Settings, Ipv6Settings, LinkAddress};
use crate::metrics::Results;
use crate::plan::{ObservedResponder, Serve, Step};
use crate::responders::ResponderError;
use crate::route::HostRoute;
use crate::vm::{Retry, ZERO};
use jiff::Timestamp;
use nix::errno::Errno;
use slash32_binding::Generation;
use slash32_control::EventKind;
use slash32_ipc::{Hello, ToResponder};
use slash32_sys::fd::AsFd;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::time::Instant;

/// The first and the longest pause before a failed step is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// So often in a row a responder whose life was short is replaced at once; then there are pauses as after a failed step.
const STARTS: u32 = 5;

/// Why a step was not carried out.
enum Fault {
    /// The kernel object is gone or down; the event that says so is on its way.
    Vanished,
    /// A sentence for the operator; the step is tried again later.
    Failed(String),
    /// The same, with the time at which it is tried again.
    Until(Instant, String),
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
fn pause(attempt: u32) -> Duration {
    RETRY.0.saturating_mul(1 << attempt.min(10)).min(RETRY.1)
}

impl Reconciler {
    /// Carries out a pass. Between two steps the responders are heard. Returns the links on which a step failed.
    pub(super) async fn apply(&mut self, steps: Vec<Step>) -> BTreeSet<u32> {
        let mut failed = BTreeSet::new();
        for step in steps {
            self.pulse.beat();
            self.carry_out(step, &mut failed).await;
            tokio::task::yield_now().await;
            while let Ok(message) = self.inbox.try_recv() {
                self.hear(message).await;
            }
        }
        failed
    }

    /// Carries out one step, unless one of its link has failed before.
    pub(super) async fn carry_out(&mut self, step: Step, failed: &mut BTreeSet<u32>) {
        let ifindex = step.ifindex();
        if failed.contains(&ifindex) {
            return;
        }
        match self.attempt(step).await {
            Ok(()) => {}
            Err(fault) => {
                failed.insert(ifindex);
                self.note(ifindex, fault);
            }
        }
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
        };
        vm.retry = Some(Retry { at, attempt });
        self.retry_at = Some(self.retry_at.map_or(at, |first| first.min(at)));
        vm.error = sentence.or(vm.error.take());
    }

    async fn attempt(&mut self, step: Step) -> Result<(), Fault> {
        match step {
            Step::RemoveRoute(route) => self.remove_route(route).await,
            Step::AddRoute(route) => self.add_route(route).await,
            Step::RemoveAddress { ifindex, address } => {
                self.kernel.remove_address(ifindex, address).await?;
                self.table.put_address(ifindex, address, false);
                Ok(())
            }
            Step::AddAddress { ifindex, address } => {
                let protocol = self.config.route.protocol;
                self.kernel
                    .add_address(ifindex, address, protocol)
                    .await
                    .map_err(|error| match Fault::from(error) {
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
                Ok(())
            }
            Step::SetIpv4 { ifindex } => {
                // A VM with less than the best settings is better than a VM without an address.
                if let Err(error) = self.kernel.set_ipv4(ifindex, Ipv4Settings::VM_LINK).await {
                    let link = self.table.get(ifindex).map_or("", |link| &link.name);
                    tracing::warn!(
                        link,
                        ifindex,
                        "{link}: cannot set rp_filter and the like: {error}"
                    );
                }
                self.table
                    .put_settings(ifindex, Some(Ipv4Settings::VM_LINK), None);
                Ok(())
            }
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
                serve,
                sockets,
                confirmed,
            } => self.greet(ifindex, &serve, sockets, confirmed),
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
            ResponderError::Send(slash32_sys::Errno::AGAIN) => {
                self.lose_responder(ifindex, ResponderFault::Deaf);
            }
            _ => self.lose_responder(ifindex, ResponderFault::Ended),
        }
        Fault::Vanished
    }

    async fn remove_route(&mut self, route: HostRoute) -> Result<(), Fault> {
        let removed = self.kernel.remove_route(&route).await.map_err(Fault::from);
        count(&self.metrics.routes_removed, &removed);
        removed?;
        self.routes.remove(&route);
        self.tell_route(route, false);
        Ok(())
    }

    async fn add_route(&mut self, route: HostRoute) -> Result<(), Fault> {
        let added = self.put_route(&route).await;
        count(&self.metrics.routes_added, &added);
        added?;
        self.routes.insert(route);
        self.tell_route(route, true);
        Ok(())
    }

    async fn put_route(&mut self, route: &HostRoute) -> Result<(), Fault> {
        if let Err(error) = self.kernel.add_route(route).await {
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
            self.dump_routes().await;
            if !self.routes.contains(route) {
                return Err(Fault::Failed(format!(
                    "another route to {} with metric {} is in the way: find out who put it there (ip route show {})",
                    route.prefix, route.metric, route.prefix
                )));
            }
        }
        Ok(())
    }

    fn tell_route(&mut self, route: HostRoute, present: bool) {
        let Some(vm) = self.vms.get_mut(&route.ifindex) else {
            return;
        };
        let (kind, verb) = if present {
            (EventKind::RouteAdded, "added")
        } else {
            (EventKind::RouteRemoved, "removed")
        };
        let text = format!("host route {} {verb}", route.prefix);
        let now = Timestamp::now();
        vm.history.remember(now, &text);
        let address = Some(route.prefix.address());
        self.published
            .event(now, Some((&vm.name, route.ifindex)), kind, address, text);
    }

    fn start_responder(&mut self, ifindex: u32) -> Result<(), Fault> {
        let Some(vm) = self.vms.get_mut(&ifindex) else {
            return Err(Fault::Vanished);
        };
        let now = Instant::now();
        let short_lives = vm.started.map_or(0, |(_, short_lives)| short_lives);
        if let (Some((started, _)), Some(more)) = (vm.started, short_lives.checked_sub(STARTS + 1))
        {
            let at = started + pause(more);
            if now < at {
                let last = vm.fault.map_or("ended", ResponderFault::name);
                return Err(Fault::Until(
                    at,
                    format!("the responder keeps ending ({last}); the agent's log tells more"),
                ));
            }
        }
        vm.started = Some((now, short_lives));
        vm.baseline.clone_from(&ZERO);
        vm.counters.clone_from(&ZERO);
        let name = vm.name.clone();
        let started = self.responders.start(ifindex, &name);
        self.metrics.responder_starts.count(started.is_ok());
        match started {
            Err(ResponderError::Connect(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                // It ended before it was spoken to.
                self.lose_responder(ifindex, ResponderFault::Ended);
                return Err(Fault::Vanished);
            }
            started => started?,
        }
        self.given.insert(
            ifindex,
            ObservedResponder {
                generation: Generation::NONE,
                binding: None,
                confirmed: false,
            },
        );
        let text = "a responder was started".to_owned();
        self.published.event(
            Timestamp::now(),
            Some((&name, ifindex)),
            EventKind::ResponderStarted,
            None,
            text,
        );
        Ok(())
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
