//! What happens to the folder of the store.

use crate::stage::{BOUND, CONFIG, Stage, VMS};
use anyhow::{Context, Result, bail, ensure};
use slash32_tests::{Agent, Host, RawClient, until};
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::Duration,
};

const SILENCE: Duration = Duration::from_secs(1);
/// So large is the disk that gets full, in bytes.
const DISK: u64 = 8 << 20;

#[test]
fn a_full_disk_costs_bound_vms_nothing_and_new_ones_wait_until_there_is_room() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::prepare(&host, CONFIG)?;
    let inside = agent.state_dir();
    fs::create_dir(&inside)?;
    let inside = inside.to_str().context("no text")?.to_owned();
    let size = format!("size={DISK}");
    host.namespace()
        .run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &inside])?;
    agent.restart()?;
    let stage = Stage::of(&host, agent)?;
    let ballast = host.namespace().path(Path::new(&inside)).join("ballast");
    fill(&ballast)?;
    let mut late = overrun(&stage)?;
    stage.renewals.once_more(&[])?;
    is_not_served(&mut late)?;
    fs::remove_file(&ballast)?;
    let address = late.bind()?.yiaddr;
    ensure!(
        stage.addresses.values().all(|one| *one != address),
        "it got {address}, which is another's"
    );
    let pids = stage.pids.clone();
    let after = stage.ends("disk full, then room again", &[])?;
    ensure!(after.pids == pids, "responders were replaced");
    Ok(())
}

#[test]
fn a_read_only_state_folder_costs_bound_vms_nothing_and_new_ones_wait() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    let pids = stage.pids.clone();
    let folder = stage.agent.state_dir();
    let folder = folder.to_str().context("no text")?;
    let mount = |arguments: &[&str]| host.namespace().run("mount", arguments);
    stage.agent.kill()?;
    mount(&["--bind", folder, folder])?;
    mount(&["-o", "remount,bind,ro", folder])?;
    stage.agent.restart()?;
    let mut late = host.raw_vm(VMS + 1)?;
    is_not_served(&mut late)?;
    stage.renewals.once_more(&[])?;
    stage.agent.kill()?;
    mount(&["-o", "remount,bind,rw", folder])?;
    stage.agent.restart()?;
    late.bind()?;
    let after = stage.ends("state folder read-only, then writable again", &[])?;
    ensure!(after.pids == pids, "responders were replaced");
    Ok(())
}

/// Takes all the room there is.
fn fill(ballast: &Path) -> Result<()> {
    let mut file = File::create(ballast)?;
    // The last byte that fits is the one before the first that does not.
    for step in [1 << 16, 1 << 12, 1] {
        let bytes = vec![0; step];
        while file.write_all(&bytes).is_ok() {
            ensure!(
                file.metadata()?.len() <= DISK,
                "the disk takes more than it has room for"
            );
        }
    }
    Ok(())
}

/// VMs come until the agent says that the store takes no more: it can write some records where others were. Returns the
/// last one, which is not served.
fn overrun(stage: &Stage<'_>) -> Result<RawClient> {
    let mut crowd = Vec::new();
    for number in VMS + 1..=2 * VMS {
        crowd.push(stage.host.raw_vm(number)?);
        let ready = format!("virbr{number}: ready");
        let full = until("a VM to be served, or a complaint", BOUND, || {
            let log = stage.agent.log();
            let full = log.contains("new ones wait");
            Ok((full || log.contains(&ready)).then_some(full))
        })?;
        if full {
            return crowd.pop().context("nobody came");
        }
    }
    bail!("the store went on although the disk is full");
}

/// It asks, and nobody answers.
fn is_not_served(client: &mut RawClient) -> Result<()> {
    let discover = client.discover();
    client.send(&discover)?;
    let answer = client.answer(discover.xid, SILENCE)?;
    ensure!(answer.is_none(), "it was answered: {answer:?}");
    Ok(())
}
