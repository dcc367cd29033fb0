//! Case b: the handshake, first and again, and the renewal, beside the raw echo.

use super::cgroup::Cgroup;
use super::client::{PATIENCE, ask, dora, echo, offer_after};
use super::extent::Extent;
use super::figure;
use super::link::{self, CONFIG, Kind, Switch, link};
use super::peer::Peer;
use super::report::{PEERS, Report, Subject};
use super::sample::Sample;
use crate::step::step;
use anyhow::{Context, Result};
use slash32_tests::dhcp::{Message, message_type};
use slash32_tests::{Agent, Host, Namespace, RawClient};
use std::time::Duration;

/// A server that answers a renewal at all does so within this time.
const RENEWAL: Duration = Duration::from_secs(2);

/// How many links are bound for the first time, and how often a link is bound again, renewed and echoed on.
fn times(extent: Extent) -> (usize, usize) {
    match extent {
        Extent::Quick => (20, 200),
        Extent::Standard | Extent::Full => (100, 1000),
    }
}

/// Measures everybody once. Errors: slash32 leaves something unanswered; or the first peer that does, when all were tried.
pub(super) fn measure(extent: Extent, run: usize, report: &mut Report) -> Result<()> {
    let (links, again) = times(extent);
    step("slash32", || slash32(links, again, run, report))?;
    let mut failed = Ok(());
    for subject in PEERS {
        // udhcpd opens and closes a packet socket for each answer, which takes the kernel 24 ms.
        let again = if subject == Subject::Udhcpd {
            again / 10
        } else {
            again
        };
        let measured = step(subject.name(), || peer(subject, again, run, report));
        failed = failed.and(measured.context(subject.name()));
    }
    failed
}

fn slash32(links: usize, again: usize, run: usize, report: &mut Report) -> Result<()> {
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
    let figures = [figure::FIRST_DORA, figure::FIRST_DORA_P99].map(Some);
    Sample::new(first).take(report, run, Subject::Slash32, figures);
    let (mut client, offer, ack) = last.context("there was no link")?;
    bound(
        &mut client,
        &offer,
        &ack,
        again,
        Subject::Slash32,
        run,
        report,
    )?;
    let echoed = echo(host.namespace(), &format!("virbr{links}"), &client, again)?;
    let figures = [figure::ECHO, figure::ECHO_P99].map(Some);
    Sample::new(echoed).take(report, run, Subject::Kernel, figures);
    agent.hush();
    drop(agent);
    link::delete(&host, 1..=links)
}

/// A peer on a link of the same kind. Its first handshake is not measured: nobody installs a route in it.
fn peer(subject: Subject, again: usize, run: usize, report: &mut Report) -> Result<()> {
    let host = Host::new()?;
    let clients = Namespace::new("clients")?;
    let mut client = link::make(&host, &clients, Kind::Veth, 1)?;
    link::raise(&host, 1)?;
    let cgroup = Cgroup::new()?;
    let links = [link::for_peer(&client)];
    let mut peer = Peer::prepare(subject, host.namespace(), &links, &cgroup)?;
    peer.start()?;
    let discover = client.discover();
    let offer = client
        .insist(&discover, PATIENCE)
        .with_context(|| format!("{} said: {}", subject.name(), peer.log()))?;
    let (_, ack) = dora(&mut client, &offer)?;
    // The kernel of the host asks who has the VM's address before a peer's answer to a renewal leaves, and this VM has no kernel.
    let (address, mac) = (ack.yiaddr, client.mac());
    let neighbour = format!("neigh replace {address} lladdr {mac} dev virbr1 nud permanent");
    host.namespace().ip(&neighbour)?;
    bound(&mut client, &offer, &ack, again, subject, run, report)?;
    host.namespace()
        .ip(&format!("neigh del {address} dev virbr1"))?;
    peer.stop()
}

/// What a VM that is bound does again: the whole handshake, and renewals. A server that leaves a renewal unanswered has no reading
/// of that.
fn bound(
    client: &mut RawClient,
    offer: &Message,
    ack: &Message,
    times: usize,
    subject: Subject,
    run: usize,
    report: &mut Report,
) -> Result<()> {
    let repeated = (0..times).map(|_| Ok(dora(client, offer)?.0));
    let repeated = repeated.collect::<Result<Vec<_>>>()?;
    let figures = [figure::DORA, figure::DORA_P99].map(Some);
    Sample::new(repeated).take(report, run, subject, figures);
    let renewal = client.renewing(ack);
    client.send(&renewal)?;
    if client.answer(renewal.xid, RENEWAL)?.is_none() {
        return Ok(());
    }
    let renewed = (0..times).map(|_| {
        let renewal = client.renewing(ack);
        client.wire().discard()?;
        Ok(ask(client, &renewal, message_type::ACK)?.0)
    });
    let renewed = renewed.collect::<Result<Vec<_>>>()?;
    let figures = [figure::RENEWAL, figure::RENEWAL_P99].map(Some);
    Sample::new(renewed).take(report, run, subject, figures);
    Ok(())
}
