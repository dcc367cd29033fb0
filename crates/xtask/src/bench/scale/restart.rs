//! Case h: the agent is killed while all links are served, and started again.

use super::Page;
use crate::bench::figure;
use crate::bench::lab::Lab;
use crate::bench::slash32::Slash32;
use anyhow::Result;
use slash32_tests::RouteMonitor;

/// Measures. Errors: a link is not bound afterwards.
pub(super) fn measure(lab: &Lab, slash32: &mut Slash32<'_>, page: &mut Page<'_>) -> Result<()> {
    slash32.kill()?;
    lab.settle();
    let routes = RouteMonitor::open(lab.host().namespace())?;
    let took = slash32.start()?;
    slash32.wait_all("bound")?;
    page.take(figure::IN_CHARGE, took.as_secs_f64() * 1e3);
    page.take(figure::ROUTES_TOUCHED, routes.changes().len() as f64);
    Ok(())
}
