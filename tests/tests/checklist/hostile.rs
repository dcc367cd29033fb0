//! A guest that plays many.

use crate::{BOUND, LINK, counter, lines_of_log, with_a_vm};
use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Host, MacAddr,
    dhcp::{Message, code, message_type},
    until, vm_address,
};
use std::{fs, time::Duration};

const STRANGERS: u32 = 10_000;

#[test]
fn item_28_ten_thousand_strangers_cost_no_memory_no_line_of_the_log_and_the_vm_is_served()
-> Result<()> {
    with_a_vm(|host, agent, vm| {
        // Once through each path, so that what is measured is what strangers leave behind.
        let ack = vm.bind()?;
        agent.wait(LINK, "bound", BOUND)?;
        crowd(vm.wire(), 0..100)?;
        let request = vm.renewing(&ack);
        vm.insist(&request, BOUND)?;
        let before = (private_memory(host, agent)?, lines_of_log(agent));

        crowd(vm.wire(), 100..STRANGERS)?;
        let request = vm.renewing(&ack);
        ensure!(vm.insist(&request, BOUND)?.yiaddr == vm_address(1));
        let after = (private_memory(host, agent)?, lines_of_log(agent));
        ensure!(
            after.0 <= before.0 + 4 && after.1 <= before.1 + 1,
            "{before:?} KiB and lines became {after:?}: {}",
            agent.log()
        );
        until("the strangers to be counted", BOUND, || {
            let ignored = counter(agent, "other_mac")?;
            Ok((ignored > u64::from(STRANGERS) / 2).then_some(()))
        })
    })
}

#[test]
fn item_28_ten_thousand_strangers_before_the_first_ack_do_not_keep_the_vm_from_its_address()
-> Result<()> {
    with_a_vm(|host, agent, vm| {
        crowd(vm.wire(), 0..100)?;
        let before = private_memory(host, agent)?;
        crowd(vm.wire(), 100..STRANGERS)?;
        ensure!(vm.bind()?.yiaddr == vm_address(1));
        let after = private_memory(host, agent)?;
        ensure!(after <= before + 4, "{before} KiB became {after} KiB");
        agent.wait(LINK, "bound", BOUND).map(drop)
    })
}

/// A DISCOVER of each of these, each with a hardware address and a client identifier of its own; what comes back is read.
fn crowd(wire: &dyn slash32_tests::Wire, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        // Weyl's sequence: different for each number, and the same in every run.
        let [a, b, c, d] = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
        let stranger = Message::request(
            message_type::DISCOVER,
            MacAddr([0x02, 0xff, a, b, c, d]),
            number,
        )
        .with(code::CLIENT_IDENTIFIER, &[0, d, c, b, a, 7, 7]);
        wire.send(&stranger.frame())?;
        while wire.receive(Duration::ZERO)?.is_some() {}
    }
    Ok(())
}

/// Of the responder of [`LINK`], in KiB: what it wrote, and what no other process shares.
fn private_memory(host: &Host, agent: &Agent<'_>) -> Result<u64> {
    let pid = agent.responder(LINK)?;
    let path = host.namespace().path(format!("/proc/{pid}/smaps_rollup"));
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let of_line = |line: &str| -> Option<u64> {
        let rest = line.strip_prefix("Private_Dirty:")?;
        rest.split_whitespace().next()?.parse().ok()
    };
    text.lines().find_map(of_line).context("no Private_Dirty")
}
