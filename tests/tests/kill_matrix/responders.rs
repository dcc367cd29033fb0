//! What happens to responders: their VMs get new ones, and lose at most the frame that was on its way.

use crate::stage::{BOUND, Stage, VMS};
use anyhow::{Result, ensure};
use slash32_tests::{Host, until};

/// Ten VMs, spread over all.
fn ten() -> Vec<u16> {
    (0..10).map(|place| (place * 37 + 11) % VMS + 1).collect()
}

#[test]
fn ten_responders_that_are_killed_are_replaced() -> Result<()> {
    let host = Host::new()?;
    let stage = Stage::new(&host)?;
    let before = stage.pids.clone();
    for vm in ten() {
        host.namespace().signal(stage.pids[&vm], "KILL")?;
    }
    let after = stage.ends("10 responders: SIGKILL", &[])?;
    for (vm, pid) in &before {
        let replaced = after.pids[vm] != *pid;
        ensure!(
            replaced == ten().contains(vm),
            "VM {vm}: pid {pid} became {}",
            after.pids[vm]
        );
    }
    Ok(())
}

#[test]
fn ten_responders_that_are_killed_with_the_agent_are_replaced_by_the_next_one() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    for vm in ten() {
        host.namespace().signal(stage.pids[&vm], "KILL")?;
    }
    stage.agent.kill()?;
    stage.agent.restart()?;
    stage.ends("10 responders and the agent: SIGKILL", &[])?;
    Ok(())
}

#[test]
fn a_responder_that_is_stopped_while_the_agent_is_started_again_is_replaced_and_ended() -> Result<()>
{
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    let pid = stage.pids[&7];
    host.namespace().signal(pid, "STOP")?;
    stage.agent.kill()?;
    stage.agent.restart()?;
    until("the end of the responder that was stopped", BOUND, || {
        Ok((!host.namespace().has_process(pid)).then_some(()))
    })?;
    let after = stage.ends(
        "a responder: SIGSTOP, and the agent: SIGKILL, started again",
        &[],
    )?;
    ensure!(
        after.pids[&7] != pid,
        "the list still shows the one that was stopped"
    );
    Ok(())
}
