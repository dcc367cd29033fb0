//! What a guest does must not become work for its agent: how often a responder speaks unasked, and that it is silent, and
//! asleep, when there is nothing to tell.

use crate::{BOUND, responder::Responder};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use slash32_binding::{Generation, Outcome, Reason};
use slash32_ipc::{State, ToAgent, ToResponder};
use slash32_tests::{
    Agent, Host, RawClient,
    dhcp::{Message, code, message_type},
    expect, guest_mac, static_network, until,
};
use std::{
    fs,
    time::{Duration, Instant, SystemTime},
};

/// Between two unasked messages of a kind.
const INTERVAL: Duration = Duration::from_secs(1);
/// By then what has changed must have been told, on a machine that is busy with other cases.
const SOON: Duration = Duration::from_secs(5);
/// How long the hostile guests here go on.
const STORM: Duration = Duration::from_secs(4);

#[test]
fn a_guest_that_alternates_release_and_request_makes_one_state_a_second() -> Result<()> {
    let host = Host::new()?;
    let (responder, mut client) = Responder::serving(&host, 1)?;
    let ack = bind(&responder, &mut client)?;
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < STORM {
        let release = release(&mut client, &ack);
        client.send(&release)?;
        let request = client.rebinding(&ack);
        expect(message_type::ACK, client.ask(&request)?)?;
        rounds += 1;
    }
    let release = release(&mut client, &ack);
    client.send(&release)?;
    rounds += 1;
    let (states, last) = states_until(&responder, |state| released(state) == rounds)?;
    let bound = start.elapsed().as_secs() as usize + 1;
    ensure!(rounds > 20, "{rounds} rounds are no storm");
    ensure!(
        states <= bound,
        "{states} States of {rounds} rounds, in {:?}",
        start.elapsed()
    );
    ensure!(last.released && !last.asked, "{last:?}");
    Ok(())
}

#[test]
fn a_guest_that_asks_again_and_again_makes_one_claim_a_second() -> Result<()> {
    let host = Host::new()?;
    let (responder, mut client) = Responder::serving(&host, 1)?;
    let discover = client.discover();
    let offer = expect(message_type::OFFER, client.ask(&discover)?)?;
    let start = Instant::now();
    let mut requests = 0;
    while start.elapsed() < STORM {
        let request = client.selecting(&offer);
        client.send(&request)?;
        requests += 1;
        // An answer to this one says that the REQUEST before it had its turn.
        let discover = client.discover();
        client.ask(&discover)?;
    }
    let (mut claims, mut states) = (0, 0);
    while let Some(message) = responder.next(Duration::ZERO)? {
        match message {
            ToAgent::Claim(_) => claims += 1,
            ToAgent::State(_) => states += 1,
            ToAgent::Kept(kept) => bail!("nobody asked for {kept:?}"),
        }
    }
    let bound = start.elapsed().as_secs() + 1;
    ensure!(requests > 20, "{requests} REQUESTs are no storm");
    ensure!(
        (2..=bound).contains(&claims) && states <= bound,
        "{claims} Claims and {states} States of {requests} REQUESTs, in {:?}",
        start.elapsed()
    );
    // The agent has its host route at last, and the VM its address.
    responder.tell(&ToResponder::Confirm(Generation(1)))?;
    let request = client.selecting(&offer);
    expect(message_type::ACK, client.insist(&request, BOUND)?).map(drop)
}

#[test]
fn the_first_ack_is_told_at_once_with_all_that_led_to_it() -> Result<()> {
    let host = Host::new()?;
    // When the machine takes more than an interval for a VM's first exchange, the OFFER is told before the ACK, and the next
    // VM shows it.
    for number in 1..=5 {
        let (responder, mut client) = Responder::serving(&host, number)?;
        let start = Instant::now();
        let discover = client.discover();
        let offer = expect(message_type::OFFER, client.ask(&discover)?)?;
        let request = client.selecting(&offer);
        client.send(&request)?;
        responder.confirm()?;
        let state = responder.state()?;
        if start.elapsed() < INTERVAL {
            // It is as old as the time between the two on the same way: neither the OFFER nor the Claim has cost it its turn.
            let age = state.last_ack_age.map(Duration::from_nanos);
            ensure!(
                age.is_some_and(|age| age < INTERVAL / 10) && count(&state, Outcome::Offer) == 1,
                "{state:?}"
            );
            return Ok(());
        }
    }
    bail!("the machine was too busy for five VMs to get their addresses within {INTERVAL:?} each")
}

#[test]
fn what_a_burst_has_changed_is_told_without_a_later_frame() -> Result<()> {
    let host = Host::new()?;
    let (responder, mut client) = Responder::serving(&host, 1)?;
    bind(&responder, &mut client)?;
    for _ in 0..50 {
        let discover = client.discover();
        client.send(&discover)?;
    }
    let sent = Instant::now();
    states_until(&responder, |state| count(state, Outcome::Offer) == 51)?;
    ensure!(sent.elapsed() < SOON, "told after {:?}", sent.elapsed());
    Ok(())
}

#[test]
fn a_renewal_is_in_the_list_though_no_frame_follows_it() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    let ack = client.bind()?;
    let row = agent.wait("tap1", "bound", BOUND)?;
    let told = SystemTime::now();
    // The list shows whole seconds: the renewal must be in another one than the first ACK.
    until("the second after the next", BOUND, || {
        Ok((told.elapsed()? > 2 * INTERVAL).then_some(()))
    })?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    agent
        .wait_row("tap1", "renewed", SOON, |now| now["lease"] != row["lease"])
        .map(drop)
}

#[test]
fn an_idle_responder_sleeps_without_a_time_limit() -> Result<()> {
    let host = Host::new()?;
    let (responder, mut client) = Responder::serving(&host, 1)?;
    ensure!(
        time_limit(&responder)?.is_none(),
        "nothing has happened, and yet it waits with a time limit"
    );
    bind(&responder, &mut client)?;
    // Something to tell: so this case would see a time limit.
    let mut offers = 1;
    until("a time limit", BOUND, || {
        let discover = client.discover();
        client.ask(&discover)?;
        offers += 1;
        time_limit(&responder)
    })?;
    states_until(&responder, |state| count(state, Outcome::Offer) == offers)?;
    until("no time limit", BOUND, || {
        Ok(time_limit(&responder)?.is_none().then_some(()))
    })?;
    let before = switches(&responder)?;
    // Another VM's whole life, and more than an interval of reports.
    let (other, mut neighbour) = Responder::serving(&host, 2)?;
    bind(&other, &mut neighbour)?;
    let discover = neighbour.discover();
    neighbour.ask(&discover)?;
    states_until(&other, |state| count(state, Outcome::Offer) == 2)?;
    ensure!(
        switches(&responder)? == before && time_limit(&responder)?.is_none(),
        "it woke {} times",
        switches(&responder)? - before
    );
    Ok(())
}

#[test]
fn a_responder_without_an_agent_wakes_for_its_guest_only() -> Result<()> {
    let host = Host::new()?;
    let (responder, mut client) = Responder::serving(&host, 1)?;
    bind(&responder, &mut client)?;
    let abandoned = responder.abandon()?;
    let discover = client.discover();
    expect(message_type::OFFER, client.ask(&discover)?)?;
    let pid = abandoned.process.pid();
    until("it to wait without a time limit", BOUND, || {
        Ok(waits(pid)?.filter(Option::is_none).map(drop))
    })
}

#[test]
fn a_quit_is_obeyed_though_its_agent_has_left_a_report_unread() -> Result<()> {
    let host = Host::new()?;
    let (responder, mut client) = Responder::serving(&host, 1)?;
    let discover = client.discover();
    client.ask(&discover)?;
    // Its report of the OFFER waits in the agent's socket, as one does that comes just before the end.
    responder.wait_unread()?;
    responder.signal(Signal::SIGSTOP)?;
    responder.tell(&ToResponder::Quit)?;
    let mut left = responder.leave();
    left.process.signal(Signal::SIGCONT)?;
    let code = left
        .process
        .wait(BOUND)
        .context("it goes on without an agent")?;
    ensure!(code == Some(0), "it ended with {code:?}");
    Ok(())
}

/// DISCOVER, OFFER, REQUEST, Claim, Confirm, ACK, and the State that tells of it.
fn bind(responder: &Responder, client: &mut RawClient) -> Result<Message> {
    let discover = client.discover();
    let offer = expect(message_type::OFFER, client.ask(&discover)?)?;
    let request = client.selecting(&offer);
    client.send(&request)?;
    responder.confirm()?;
    let answer = client.answer(request.xid, BOUND)?.context("no ACK")?;
    let ack = expect(message_type::ACK, answer.1)?;
    states_until(responder, |state| state.last_ack_age.is_some())?;
    Ok(ack)
}

/// How many States came until one was as `wanted`, and that one.
fn states_until(responder: &Responder, wanted: impl Fn(&State) -> bool) -> Result<(usize, State)> {
    let mut states = 0;
    loop {
        let state = responder.state()?;
        states += 1;
        if wanted(&state) {
            return Ok((states, state));
        }
    }
}

fn count(state: &State, outcome: Outcome) -> u64 {
    state.counters.outcomes[outcome.index()]
}

fn released(state: &State) -> u64 {
    state.counters.reasons[Reason::Release.index()]
}

fn release(client: &mut RawClient, ack: &Message) -> Message {
    let server = ack.option(code::SERVER_IDENTIFIER).unwrap_or_default();
    let mut message = client
        .message(message_type::RELEASE)
        .with(code::SERVER_IDENTIFIER, server);
    message.ciaddr = ack.yiaddr;
    message
}

/// It waits, and for how long at most: the third argument of its ppoll(2) points to that. `None` when it does not wait now.
fn waits(pid: u32) -> Result<Option<Option<u64>>> {
    let line = fs::read_to_string(format!("/proc/{pid}/syscall"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.first() != Some(&libc::SYS_ppoll.to_string().as_str()) {
        return Ok(None);
    }
    let limit = words.get(3).and_then(|word| word.strip_prefix("0x"));
    let limit = u64::from_str_radix(limit.context("no third argument")?, 16)?;
    Ok(Some((limit != 0).then_some(limit)))
}

/// The time limit of its wait, once it waits.
fn time_limit(responder: &Responder) -> Result<Option<u64>> {
    until("the responder to wait", BOUND, || waits(responder.pid()))
}

/// How often it has gone to sleep.
fn switches(responder: &Responder) -> Result<u64> {
    let status = fs::read_to_string(responder.proc("status"))?;
    let count = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(count
        .context("no such line in its status")?
        .trim()
        .parse()?)
}
