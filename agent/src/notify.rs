//! What systemd is told (sd_notify(3)): ready, reloading, stopping, a line of status, and that the reconcile task goes
//! round. Nothing, when it was not systemd that started the agent.
//!
//! No timer of its own: the status follows what is published, and the sign of life comes from the reconcile task and from
//! nowhere else, which goes round once a minute even when nothing happens. So a task that is stuck is seen, and an agent
//! that has nothing to do sleeps.

use crate::publish::Published;
use sd_notify::NotifyState;
use slash32_control::State;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two signs of life, or two lines of status, when there is much to do.
const PAUSE: Duration = Duration::from_secs(1);

/// Every VM link was looked at; or the reload is over.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload begins; [`ready`] ends it.
pub(crate) fn reloading() {
    // systemd 253 and newer take no reload without its time.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The end begins.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(words: &[NotifyState<'_>]) {
    // Nobody listening is no fault.
    let _ = sd_notify::notify(words);
}

/// The reconcile task's sign of life (`WATCHDOG=1`).
pub(crate) struct Pulse {
    /// systemd waits for it.
    wanted: bool,
    next: Instant,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self {
            wanted: sd_notify::watchdog_enabled().is_some(),
            next: Instant::now(),
        }
    }

    /// The task goes round, or on to the next link.
    pub(crate) fn beat(&mut self) {
        let now = Instant::now();
        if self.wanted && self.next <= now {
            self.next = now + PAUSE;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Keeps the line that `systemctl status` shows, at most once a second and only when it changes.
pub(crate) async fn show_status(published: Arc<Published>) {
    let mut changes = published.subscribe_changes();
    let mut told = String::new();
    loop {
        let status = status(&published);
        if status != told {
            tell(&[NotifyState::Status(&status)]);
            told = status;
        }
        // All links are counted, so not for every change.
        sleep(PAUSE).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// `1000 links: 990 bound, 8 ready, 2 failed; store ok`
fn status(published: &Published) -> String {
    let states = published.count().states;
    let of = |state: State| states[state as usize];
    // The good ones first.
    let counts: Vec<_> = [
        State::Bound,
        State::Ready,
        State::Idle,
        State::Unassigned,
        State::Failed,
    ]
    .into_iter()
    .filter(|state| of(*state) > 0)
    .map(|state| format!("{} {}", of(state), state.name()))
    .collect();
    let links = match states.iter().sum() {
        0 if published.networks() == 0 => "no network configured".to_owned(),
        0 => "no link".to_owned(),
        1 => format!("1 link: {}", counts.join(", ")),
        all => format!("{all} links: {}", counts.join(", ")),
    };
    match published.store_trouble() {
        Some(trouble) => format!("{links}; {trouble}"),
        None => format!("{links}; store ok"),
    }
}
