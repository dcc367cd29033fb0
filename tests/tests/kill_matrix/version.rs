//! The agent is another version after an upgrade, and speaks another control protocol than the responders that are there.

use crate::stage::{BOUND, Stage};
use anyhow::{Result, ensure};
use slash32_tests::{Host, binary, binary_of_other_version, until};

#[test]
fn an_upgrade_and_a_downgrade_with_another_control_protocol_lose_no_renewal() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    let name = "slash32-agent";
    let mut before = stage.pids.clone();
    for program in [binary_of_other_version(name)?, binary(name)?] {
        stage.agent.stop()?;
        stage.renewals.once_more(&[])?;
        stage.agent.use_program(program);
        stage.agent.restart()?;
        until("the end of every old responder", BOUND, || {
            let gone = |pid: &u64| !host.namespace().has_process(*pid);
            Ok(before.values().all(gone).then_some(()))
        })?;
        let now = stage.responders()?;
        before = now;
        stage.renewals.once_more(&[])?;
    }
    let after = stage.ends(
        "agent upgraded and downgraded, another control protocol",
        &[],
    )?;
    // The new responder was there before the old one went.
    let lost: Vec<_> = after
        .accounts
        .iter()
        .filter(|(_, one)| one.retransmitted > 0)
        .collect();
    ensure!(lost.is_empty(), "renewals were lost: {lost:?}");
    Ok(())
}
