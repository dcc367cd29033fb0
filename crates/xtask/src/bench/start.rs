//! Case a: from the start of a responder or daemon to the first OFFER, and from a link to it through the running agent.

use super::client::offer_after;
use super::extent::Extent;
use super::figure;
use super::link::{self, CONFIG, Switch, link};
use super::report::{Report, Subject};
use super::sample::Sample;
use anyhow::Result;
use slash32_tests::{Agent, Host, Namespace};

/// How many links come up, and how often a responder or daemon is started.
fn times(extent: Extent) -> (usize, usize) {
    match extent {
        Extent::Quick => (20, 7),
        Extent::Standard | Extent::Full => (60, 21),
    }
}

/// Measures everybody once. Errors: an OFFER does not come.
pub(super) fn measure(extent: Extent, run: usize, report: &mut Report) -> Result<()> {
    let (links, _) = times(extent);
    link_up(links, run, report)
}

/// From just before a link comes up to its first OFFER, through an agent that knows its bridge.
fn link_up(links: usize, run: usize, report: &mut Report) -> Result<()> {
    let host = Host::new()?;
    let clients = Namespace::new("clients")?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let mut switch = Switch::new(host.namespace())?;
    let mut offered = Vec::new();
    for number in 1..=links {
        let mut client = link(&host, &clients, &agent, number)?;
        let port = format!("vnet{number}");
        let (took, ..) = offer_after(&mut client, || Ok((switch.up(&port)?, ())))?;
        offered.push(took);
    }
    agent.hush();
    Sample::new(offered).take(report, run, Subject::Slash32, [Some(figure::LINK_UP), None]);
    drop(agent);
    link::delete(&host, 1..=links)
}
