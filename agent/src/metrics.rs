//! What Prometheus may know of the agent: counted where it happens, in atomics, and read when somebody asks.
//!
//! Nothing here waits for the reconcile task, and that never waits for a scrape. What is true of the links now comes from
//! the published snapshot ([`census`]); what happened is counted here, from 0 at the agent's start, over all links and also
//! over those that are gone: no metric has a link, a VM or an address in its labels, which come and go by the thousand.

mod census;
mod http;

use census::Census;
pub(crate) use census::{LinkCount, Remark};
pub(crate) use http::serve;

use crate::conversation::Fault;
use crate::publish::Published;
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use slash32_binding::{Outcome, Reason};
use slash32_ipc::Counters;
use std::sync::Arc;
use std::time::Duration;

/// Upper bounds in seconds of what takes between a hundred microseconds and a second: a claim, a commit.
const SHORT: [f64; 13] = [
    0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
];
/// Of a pass, which is short for one link and takes seconds for a thousand.
const LONG: [f64; 11] = [
    0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0,
];

/// Every counter of the agent. Names and meanings stand in docs/monitoring.md.
pub(crate) struct Metrics {
    replies: [Counter; Outcome::COUNT],
    ignored: [Counter; Reason::COUNT],
    claims: Results,
    claim_seconds: Histogram,
    pub(crate) routes_added: Results,
    pub(crate) routes_removed: Results,
    pub(crate) responder_starts: Results,
    pub(crate) responder_adoptions: Counter,
    responder_ends: [Counter; Fault::COUNT],
    pub(crate) netlink_overruns: Counter,
    pub(crate) kernel_dumps: Results,
    pass_seconds: Histogram,
    store_commits: Results,
    store_commit_seconds: Histogram,
    reloads: Results,
    last_reload_successful: Gauge,
    config_loaded: Gauge,
}

/// How often something was done, and how often it could not be done.
pub(crate) struct Results {
    ok: Counter,
    failed: Counter,
}

impl Results {
    pub(crate) fn count(&self, ok: bool) {
        if ok { &self.ok } else { &self.failed }.inc();
    }
}

impl Metrics {
    /// Everything at 0. The registry is what [`Exporter`] reads.
    fn new(registry: &mut Registry) -> Self {
        let operations = family(
            registry,
            "route_operations",
            "Host routes that were put into the kernel and taken out of it",
        );
        let route = |operation| {
            let result = |result| {
                let labels = vec![("operation", operation), ("result", result)];
                operations.get_or_create_owned(&labels)
            };
            Results {
                ok: result("ok"),
                failed: result("failed"),
            }
        };
        let ends = family(
            registry,
            "responder_ends",
            "Responders that were replaced, by the reason",
        );
        let replies = family(
            registry,
            "replies",
            "Replies that responders sent, by their kind",
        );
        let ignored = family(
            registry,
            "ignored",
            "Frames that responders did not answer, by the reason",
        );
        Self {
            replies: std::array::from_fn(|index| {
                replies.get_or_create_owned(&vec![("kind", Outcome::ALL[index].name())])
            }),
            ignored: std::array::from_fn(|index| {
                ignored.get_or_create_owned(&vec![("reason", Reason::ALL[index].name())])
            }),
            claims: results(
                registry,
                "claims",
                "First requests of a VM, which wait for the host route",
            ),
            claim_seconds: histogram(
                registry,
                "claim",
                "From a claim to the word that the host route is there",
                SHORT,
            ),
            routes_added: route("add"),
            routes_removed: route("remove"),
            responder_starts: results(
                registry,
                "responder_starts",
                "Responders that were to be started",
            ),
            responder_adoptions: counter(
                registry,
                "responder_adoptions",
                "Responders that were taken over from an agent before",
            ),
            responder_ends: Fault::NAMES
                .map(|name| ends.get_or_create_owned(&vec![("reason", name)])),
            netlink_overruns: counter(
                registry,
                "netlink_overruns",
                "Times at which the kernel had more to tell than its queue could hold",
            ),
            kernel_dumps: results(
                registry,
                "kernel_dumps",
                "Times at which all links, addresses and routes were read",
            ),
            pass_seconds: histogram(
                registry,
                "pass",
                "A pass of the reconcile task over what has changed",
                LONG,
            ),
            store_commits: results(registry, "store_commits", "Commits to the store"),
            store_commit_seconds: histogram(
                registry,
                "store_commit",
                "A commit to the store that succeeded",
                SHORT,
            ),
            reloads: results(
                registry,
                "reloads",
                "Reloads of the config that were asked for",
            ),
            last_reload_successful: gauge(
                registry,
                "last_reload_successful",
                "1 when the last reload of the config came into force, or none was asked for",
            ),
            config_loaded: seconds(
                registry,
                "config_loaded_timestamp",
                "When the config in force was read, in Unix time",
            ),
        }
    }

    /// Takes in what a responder has counted since it last told.
    ///
    /// A responder that lies makes the sums wrong, and nothing else; one that counts backwards is not believed.
    pub(crate) fn count_frames(&self, before: &Counters, now: &Counters) {
        let outcomes = before.outcomes.iter().zip(&now.outcomes);
        for ((before, now), counter) in outcomes.zip(&self.replies) {
            counter.inc_by(now.saturating_sub(*before));
        }
        let reasons = before.reasons.iter().zip(&now.reasons);
        for ((before, now), counter) in reasons.zip(&self.ignored) {
            counter.inc_by(now.saturating_sub(*before));
        }
    }

    /// A claim was heard this long ago and has its answer now, or has to wait for the next try.
    pub(crate) fn count_claim(&self, confirmed: bool, waited: Duration) {
        self.claims.count(confirmed);
        if confirmed {
            self.claim_seconds.observe(waited.as_secs_f64());
        }
    }

    /// A responder is not used any more, although its link still wants one.
    pub(crate) fn count_responder_end(&self, fault: Fault) {
        self.responder_ends[fault.index()].inc();
    }

    pub(crate) fn count_pass(&self, took: Duration) {
        self.pass_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn count_commit(&self, ok: bool, took: Duration) {
        self.store_commits.count(ok);
        if ok {
            self.store_commit_seconds.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn count_reload(&self, ok: bool) {
        self.reloads.count(ok);
        self.last_reload_successful.set(ok.into());
        if ok {
            self.config_loaded.set(Timestamp::now().as_second());
        }
    }
}

/// Everything that is told when somebody asks.
pub(crate) struct Exporter {
    registry: Registry,
}

impl Exporter {
    /// The counters, and with them what `published` says of the links.
    pub(crate) fn new(published: Arc<Published>) -> (Self, Arc<Metrics>) {
        let mut registry = Registry::with_prefix("slash32");
        let protocol = slash32_control::PROTOCOL.to_string();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        registry.register(
            "build",
            "The agent's version, and that of the operator interface",
            Info::new(vec![("version", version), ("protocol", protocol)]),
        );
        let now = Timestamp::now().as_second();
        seconds(
            &mut registry,
            "start_time",
            "When the agent was started, in Unix time",
        )
        .set(now);
        let metrics = Metrics::new(&mut registry);
        metrics.last_reload_successful.set(1);
        metrics.config_loaded.set(now);
        registry.register_collector(Box::new(Census::new(published)));
        (Self { registry }, Arc::new(metrics))
    }

    /// All metrics as OpenMetrics 1.0 text.
    fn text(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

type Labels = Vec<(&'static str, &'static str)>;

/// Counters that are told apart by labels. `_total` is appended to the name.
fn family(registry: &mut Registry, name: &str, help: &str) -> Family<Labels, Counter> {
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

fn results(registry: &mut Registry, name: &str, help: &str) -> Results {
    let family = family(registry, name, help);
    let result = |result| family.get_or_create_owned(&vec![("result", result)]);
    Results {
        ok: result("ok"),
        failed: result("failed"),
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

/// A gauge of seconds. `_seconds` is appended to the name.
fn seconds(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register_with_unit(name, help, Unit::Seconds, gauge.clone());
    gauge
}

/// How long something took. `_seconds` is appended to the name.
fn histogram<const N: usize>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    bounds: [f64; N],
) -> Histogram {
    let histogram = Histogram::new(bounds);
    registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
    histogram
}

#[cfg(test)]
mod tests;
