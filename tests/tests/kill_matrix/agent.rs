//! What happens to the agent: none of it reaches a VM.

use crate::stage::{After, BOUND, CONFIG, Stage};
use anyhow::{Result, ensure};
use nix::sys::signal::Signal::{SIGCONT, SIGHUP, SIGSTOP};
use slash32_tests::{Host, netlink_drops, until};
use std::collections::BTreeMap;

/// The responders are those of before, and no VM noticed anything.
fn is_unnoticed(after: &After<'_>, pids: &BTreeMap<u16, u64>) -> Result<()> {
    ensure!(after.pids == *pids, "responders were replaced");
    let sent_again: Vec<_> = after
        .accounts
        .iter()
        .filter(|(_, account)| account.retransmitted > 0)
        .collect();
    ensure!(sent_again.is_empty(), "renewals were lost: {sent_again:?}");
    Ok(())
}

#[test]
fn an_agent_that_is_killed_and_started_again_is_not_noticed() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    let pids = stage.pids.clone();
    for _ in 0..2 {
        stage.agent.kill()?;
        stage.renewals.once_more(&[])?;
        stage.agent.restart()?;
    }
    is_unnoticed(
        &stage.ends("agent: SIGKILL, started again, twice", &[])?,
        &pids,
    )
}

#[test]
fn an_agent_that_is_told_to_stop_and_started_again_is_not_noticed() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    let pids = stage.pids.clone();
    for _ in 0..2 {
        let code = stage.agent.stop()?;
        ensure!(code == Some(0), "it ended with {code:?}");
        stage.renewals.once_more(&[])?;
        stage.agent.restart()?;
    }
    is_unnoticed(
        &stage.ends("agent: SIGTERM, started again, twice", &[])?,
        &pids,
    )
}

#[test]
fn an_agent_that_is_stopped_for_a_while_is_not_noticed() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    let pids = stage.pids.clone();
    stage.agent.signal(SIGSTOP)?;
    for _ in 0..2 {
        stage.renewals.once_more(&[])?;
    }
    stage.agent.signal(SIGCONT)?;
    is_unnoticed(&stage.ends("agent: SIGSTOP, SIGCONT", &[])?, &pids)
}

#[test]
fn a_netlink_overrun_is_not_noticed() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    let pids = stage.pids.clone();
    host.namespace().ip("link add noise type bridge")?;
    stage.agent.signal(SIGSTOP)?;
    let mut events = 0;
    while netlink_drops(&host, stage.agent.process()?.inner_pid()?)? == 0 {
        ensure!(events < 200_000, "{events} events overran nothing");
        host.namespace()
            .ip_batch(&"link set noise mtu 1400\nlink set noise mtu 1500\n".repeat(1_000))?;
        events += 2_000;
    }
    stage.agent.signal(SIGCONT)?;
    until("the agent to say that messages were lost", BOUND, || {
        let log = stage.agent.log();
        Ok(log.contains("netlink messages were lost").then_some(()))
    })?;
    is_unnoticed(&stage.ends("netlink overrun", &[])?, &pids)
}

#[test]
fn a_broken_config_leaves_the_one_that_runs_in_force() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    let pids = stage.pids.clone();
    let broken = CONFIG.replace("203.0.113.1-203.0.113.200", "203.0.113.1-203.0.113.1000");
    stage.agent.configure(&broken)?;
    stage.agent.signal(SIGHUP)?;
    until("the agent to refuse the config", BOUND, || {
        let log = stage.agent.log();
        let refused = log.lines().any(|line| line.contains("203.0.113.1000"));
        Ok(refused.then_some(()))
    })?;
    stage.renewals.once_more(&[])?;
    is_unnoticed(&stage.ends("SIGHUP with a broken config", &[])?, &pids)
}
