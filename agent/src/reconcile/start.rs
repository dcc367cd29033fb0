//! A responder is started: asked for in a pass, and there, or not, when the spawner tells.

use super::Reconciler;
use super::apply::{Fault, pause};
use crate::conversation::Fault as ResponderFault;
use crate::plan::ObservedResponder;
use crate::responders::ResponderError;
use crate::vm::{Retry, ZERO};
use jiff::Timestamp;
use slash32_binding::Generation;
use slash32_control::EventKind;
use tokio::time::Instant;

/// So often in a row a responder whose life was short is replaced at once; then there are pauses as after a failed step.
const STARTS: u32 = 5;

impl Reconciler {
    /// Has the responder of a link started. The pass goes on: what it is told meanwhile waits for it.
    pub(super) fn start_responder(&mut self, ifindex: u32) -> Result<(), Fault> {
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
        let attempt = vm.retry.map_or(0, |retry| retry.attempt + 1);
        self.responders.start(ifindex, &name, attempt)?;
        self.given.insert(
            ifindex,
            ObservedResponder {
                generation: Generation::NONE,
                binding: None,
                confirmed: false,
            },
        );
        Ok(())
    }

    /// It was.
    pub(super) fn responder_started(&mut self, ifindex: u32) {
        self.metrics.responder_starts.count(true);
        let Some(vm) = self.vms.get_mut(&ifindex) else {
            return;
        };
        // Other responders may have been started before it.
        if let Some((started, _)) = &mut vm.started {
            *started = Instant::now();
        }
        // It may be of the attempt before, or of a step since: a pass knows.
        if vm.error.is_some() {
            self.dirty.insert(ifindex);
        }
        self.published.event(
            Timestamp::now(),
            Some((&vm.name, ifindex)),
            EventKind::ResponderStarted,
            None,
            "a responder was started".to_owned(),
        );
    }

    /// It could not be: the link waits for the next attempt.
    pub(super) fn responder_not_started(
        &mut self,
        ifindex: u32,
        error: &ResponderError,
        attempt: u32,
    ) {
        self.metrics.responder_starts.count(false);
        self.given.remove(&ifindex);
        // Whoever waits for its answer sees what was last known.
        self.waiting.remove(&ifindex);
        let Some(vm) = self.vms.get_mut(&ifindex) else {
            return;
        };
        let at = Instant::now() + pause(attempt);
        vm.error = Some(error.to_string());
        self.try_again(ifindex, Retry { at, attempt });
        self.publish(&[ifindex].into());
    }
}
