//! The RFC checklist on the wire: the responder that is shipped, behind a bridge's tap, started by the agent that is
//! shipped. `item_NN_` names the row of `docs/rfc-checklist.md`, and `coverage` holds the two against each other.
#![allow(missing_docs, clippy::unwrap_used)]

mod clock;
mod coverage;
mod delivery;
mod discover;
mod ending;
mod framing;
mod hostile;
mod request;
mod service;

use anyhow::{Context, Result, ensure};
use slash32_tests::{Agent, Capture, Frame, Host, RawClient, dhcp::Message, static_network, until};
use std::time::Duration;

/// How long anything may take on a machine that is busy with other cases.
const BOUND: Duration = Duration::from_secs(20);
/// The VM link of most cases.
const LINK: &str = "virbr1";

/// Runs `case` with VM 1 behind [`LINK`], served but not yet bound; `options` are lines of the table `[options]`.
fn with_options(
    options: &str,
    case: impl FnOnce(&Host, &mut Agent<'_>, &mut RawClient) -> Result<()>,
) -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[(LINK, 1)], options))?;
    let mut vm = host.raw_vm(1)?;
    agent.wait(LINK, "ready", BOUND)?;
    case(&host, &mut agent, &mut vm)
}

/// The same without any option.
fn with_a_vm(case: impl FnOnce(&Host, &mut Agent<'_>, &mut RawClient) -> Result<()>) -> Result<()> {
    with_options("", case)
}

/// Every frame on the VM's tap from now on.
fn capture(host: &Host) -> Result<Capture> {
    Capture::open(host.namespace(), "vnet1")
}

/// The replies up to now, each with its frame.
fn replies(capture: &Capture) -> Result<Vec<(Frame, Message)>> {
    let mut messages = capture.messages()?;
    messages.retain(|(_, message)| message.op == 2);
    Ok(messages)
}

/// Sends `request`, and a DISCOVER when it was answered: the frame of the only answer to it.
///
/// Errors: there is none, or more than one. A responder takes frames in order, so with the answer to the DISCOVER
/// everything is out that it had to say to `request`.
fn only_answer(
    capture: &Capture,
    vm: &mut RawClient,
    request: &Message,
) -> Result<(Frame, Message)> {
    let behind = vm.discover();
    for message in [request, &behind] {
        vm.send(message)?;
        capture.wait_for("an answer", BOUND, |_, answer| {
            answer.op == 2 && answer.xid == message.xid
        })?;
    }
    let mut answers = replies(capture)?;
    answers.retain(|(_, answer)| answer.xid == request.xid);
    ensure!(answers.len() == 1, "there are {} answers", answers.len());
    answers.pop().context("no answer")
}

/// The counter `name` of [`LINK`], as `slash32 show` tells it.
fn counter(agent: &Agent<'_>, name: &str) -> Result<u64> {
    let shown = agent.json(&["show", LINK])?;
    shown["counters"][name]
        .as_u64()
        .with_context(|| format!("there is no counter {name}"))
}

/// `message` is not answered, and counted under `reason`.
fn is_counted(
    agent: &Agent<'_>,
    vm: &mut RawClient,
    reason: &str,
    message: &Message,
) -> Result<()> {
    let before = counter(agent, reason)?;
    vm.is_ignored(&message.frame())?;
    until(&format!("the counter {reason}"), BOUND, || {
        Ok((counter(agent, reason)? == before + 1).then_some(()))
    })
}

/// How many lines the agent has logged, but for those of renewals: an ACK that an operator may want to see.
fn lines_of_log(agent: &Agent<'_>) -> usize {
    let log = agent.log();
    log.lines().filter(|line| !line.contains("renewed")).count()
}
