//! Case b: the handshake, first and again, and the renewal, beside the raw echo.

use super::client::{ask, dora, echo, offer_after};
use super::extent::Extent;
use super::link::{self, Kind, Switch, link};
use super::report::{Report, Subject};
use super::sample::Sample;
use super::{CONFIG, figure};
use crate::step::step;
use anyhow::{Context, Result};
use slash32_tests::dhcp::message_type;
use slash32_tests::{Agent, Host, Namespace};

/// How many links are bound for the first time, and how often a link is bound again, renewed and echoed on.
fn times(extent: Extent) -> (usize, usize) {
    match extent {
        Extent::Quick => (20, 200),
        Extent::Standard | Extent::Full => (100, 1000),
    }
}

/// Measures everybody once. Errors: an answer does not come.
pub(super) fn measure(extent: Extent, run: usize, report: &mut Report) -> Result<()> {
    step("slash32", || slash32(extent, run, report))
}

fn slash32(extent: Extent, run: usize, report: &mut Report) -> Result<()> {
    let (links, again) = times(extent);
    let host = Host::new()?;
    let clients = Namespace::new("clients")?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let mut switch = Switch::new(host.namespace())?;
    let mut first = Vec::new();
    let mut last = None;
    for number in 1..=links {
        let mut client = link(&host, &clients, &agent, Kind::Veth, number)?;
        let port = format!("vnet{number}");
        let (_, offer, ()) = offer_after(&mut client, || Ok((switch.up(&port)?, ())))?;
        let (took, ack) = dora(&mut client, &offer)?;
        first.push(took);
        last = Some((client, offer, ack));
    }
    let (mut client, offer, ack) = last.context("there was no link")?;
    let repeated = (0..again).map(|_| Ok(dora(&mut client, &offer)?.0));
    let repeated = repeated.collect::<Result<Vec<_>>>()?;
    let renewed = (0..again).map(|_| {
        let renewal = client.renewing(&ack);
        client.wire().discard()?;
        Ok(ask(&client, &renewal, message_type::ACK)?.0)
    });
    let renewed = renewed.collect::<Result<Vec<_>>>()?;
    let echoed = echo(host.namespace(), &format!("virbr{links}"), &client, again)?;
    for (subject, durations, p50, p99) in [
        (
            Subject::Slash32,
            first,
            figure::FIRST_DORA,
            figure::FIRST_DORA_P99,
        ),
        (Subject::Slash32, repeated, figure::DORA, figure::DORA_P99),
        (
            Subject::Slash32,
            renewed,
            figure::RENEWAL,
            figure::RENEWAL_P99,
        ),
        (Subject::Kernel, echoed, figure::ECHO, figure::ECHO_P99),
    ] {
        Sample::new(durations).take(report, run, subject, [Some(p50), Some(p99)]);
    }
    agent.hush();
    link::delete(&host, 1..=links)
}
