//! An agent whose metrics are watched.

use crate::scrape::{METRICS, Scrape, scrape};
use anyhow::{Context, Result, ensure};
use slash32_tests::{Agent, Host, POOL_NETWORK, until};
use std::{cell::RefCell, collections::BTreeSet, time::Duration};

pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// A hypervisor, and what its agent's metrics were and became.
pub(crate) struct Stage {
    pub(crate) host: Host,
    before: RefCell<Scrape>,
    moved: RefCell<BTreeSet<String>>,
}

/// Runs a case, which must move each of `expected`.
pub(crate) fn check(expected: &[&str], case: fn(&Stage) -> Result<()>) -> Result<()> {
    let stage = Stage {
        host: Host::new()?,
        before: RefCell::default(),
        moved: RefCell::default(),
    };
    case(&stage)?;
    let moved = stage.moved.borrow();
    for series in expected {
        ensure!(moved.contains(*series), "{series} has not moved: {moved:?}");
    }
    Ok(())
}

/// Every series of an agent that has just started, with one pool.
pub(crate) fn series_of_an_agent() -> Result<BTreeSet<String>> {
    let host = Host::new()?;
    let _agent = Agent::start(&host, &with_metrics(POOL_NETWORK))?;
    Ok(scrape(host.namespace())?.into_keys().collect())
}

/// The config with its metrics served.
pub(crate) fn with_metrics(config: &str) -> String {
    // What stands first is in the table [agent], which the harness begins.
    format!("metrics = \"{METRICS}\"\n{config}")
}

impl Stage {
    /// An agent with this config. What its metrics are now is what they must move from.
    pub(crate) fn start(&self, config: &str) -> Result<Agent<'_>> {
        let agent = Agent::start(&self.host, &with_metrics(config))?;
        self.begin()?;
        Ok(agent)
    }

    /// Movement is from here.
    pub(crate) fn begin(&self) -> Result<()> {
        *self.before.borrow_mut() = scrape(self.host.namespace())?;
        Ok(())
    }

    /// Looks which series are other than they were.
    fn look(&self) -> Result<()> {
        let now = scrape(self.host.namespace())?;
        let before = self.before.borrow();
        let others = now
            .iter()
            .filter(|(series, value)| before.get(*series) != Some(value));
        let others = others.map(|(series, _)| series.clone());
        self.moved.borrow_mut().extend(others);
        Ok(())
    }

    /// Looks until `series` has moved.
    pub(crate) fn moves(&self, series: &str) -> Result<()> {
        self.moves_while(series, || Ok(()))
    }

    /// The same, and does `work` before each look.
    pub(crate) fn moves_while(
        &self,
        series: &str,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        until(&format!("{series} to move"), BOUND, || {
            work()?;
            self.look()?;
            Ok(self.moved.borrow().contains(series).then_some(()))
        })
    }

    /// By how much a counter has grown, now.
    pub(crate) fn growth(&self, series: &str) -> Result<f64> {
        let now = scrape(self.host.namespace())?;
        let before = self.before.borrow();
        let value = |scrape: &Scrape| scrape.get(series).copied().context("no such series");
        Ok(value(&now)? - value(&before)?)
    }
}
