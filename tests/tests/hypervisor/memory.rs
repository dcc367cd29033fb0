//! What libvirt has told outlives the agent in `RUNTIME/libvirt.json`; without that file no VM is moved.

use super::vm::{Hooks, Vm};
use super::{BOUND, lines, wait_drained, wait_named};
use anyhow::{Result, ensure};
use slash32_tests::{Agent, Host, POOL_NETWORK, vm_address};
use std::fs;

#[test]
fn a_damaged_memory_is_moved_aside_and_moves_no_vm() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web1", 1);
    let mut client = vm.start(&host, &hooks)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    wait_drained(&hooks)?;
    for (damage, says) in [("{", "EOF"), (r#"{"version":0}"#, "version 0")] {
        agent.kill()?;
        fs::write(hooks.memory(), damage)?;
        // The next word of libvirt's, as libvirtd says it when it is restarted.
        vm.running(&hooks, "reconnect")?;
        agent.restart()?;
        let row = wait_named(&agent, &vm)?;
        ensure!(
            row["state"] == "bound" && row["address"] == ack.yiaddr.to_string().as_str(),
            "{row}"
        );
        let aside = format!("{}.damaged", hooks.memory().display());
        ensure!(fs::read_to_string(&aside)? == damage);
        ensure!(lines(&agent, &[&aside, says]) == 1, "{}", agent.log());
        wait_drained(&hooks)?;
    }
    let renewal = client.renewing(&ack);
    ensure!(client.ask(&renewal)?.yiaddr == ack.yiaddr);
    Ok(())
}

#[test]
fn a_lost_memory_moves_no_vm_whose_metadata_was_edited_while_it_ran() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web1", 1).asking("address='203.0.113.77'");
    let mut client = vm.start(&host, &hooks)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    wait_drained(&hooks)?;
    agent.kill()?;
    fs::remove_file(hooks.memory())?;
    let edited = Vm::new("web1", 1).asking("address='203.0.113.78'");
    edited.running(&hooks, "reconnect")?;
    agent.restart()?;
    let row = wait_named(&agent, &vm)?;
    ensure!(
        row["state"] == "bound" && row["address"] == "203.0.113.77" && row["route"] == true,
        "{row}"
    );
    let renewal = client.renewing(&ack);
    ensure!(client.ask(&renewal)?.yiaddr == vm_address(77));
    // From its next start on the edited word counts.
    drop(client);
    edited.stopped(&hooks)?;
    agent.wait("virbr1", "idle", BOUND)?;
    let mut client = edited.start(&host, &hooks)?;
    let offered = client.bind()?.yiaddr;
    ensure!(offered == vm_address(78), "{offered}");
    Ok(())
}
