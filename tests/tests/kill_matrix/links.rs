//! What happens to a VM's link: that VM is served again at its next try, and the others notice nothing.

use crate::stage::{BOUND, Stage};
use anyhow::{Context, Result, ensure};
use slash32_tests::{Host, Namespace, bridge_mac};
use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The VM whose link it is.
const TOUCHED: u16 = 7;
/// So many flaps, one each 10 ms.
const FLAPS: u32 = 500;

#[test]
fn a_bridge_that_is_renamed_is_served_under_its_new_name() -> Result<()> {
    let host = Host::new()?;
    let stage = Stage::new(&host)?;
    let pids = stage.pids.clone();
    host.namespace()
        .ip_batch("link set virbr7 down\nlink set virbr7 name virbr777\nlink set virbr777 up\n")?;
    stage.agent.wait("virbr777", "bound", BOUND)?;
    let after = stage.ends("a bridge renamed", &[TOUCHED])?;
    ensure!(after.pids == pids, "responders were replaced");
    ensure!(
        after.agent.row("virbr7")?.is_none(),
        "the old name is still in the list"
    );
    Ok(())
}

#[test]
fn a_bridge_that_is_made_again_under_its_name_serves_its_vm_with_the_same_address() -> Result<()> {
    let host = Host::new()?;
    let stage = Stage::new(&host)?;
    let mut pids = stage.pids.clone();
    let before = stage.agent.row("virbr7")?.context("no row")?;
    for _ in 0..3 {
        let mac = bridge_mac("virbr7");
        host.namespace().ip_batch(&format!(
            "link del virbr7\nlink add virbr7 address {mac} type bridge forward_delay 0 stp_state 0\n\
             link set virbr7 up\nlink set vnet7 master virbr7\n"
        ))?;
        stage.renewals.once_more(&[])?;
    }
    let mut after = stage.ends("a bridge deleted and made again, 3 times", &[TOUCHED])?;
    let row = after.agent.row("virbr7")?.context("no row")?;
    ensure!(
        row["ifindex"] != before["ifindex"] && row["address"] == before["address"],
        "{before} became {row}"
    );
    pids.remove(&TOUCHED);
    after.pids.remove(&TOUCHED);
    ensure!(
        after.pids == pids,
        "responders of other links were replaced"
    );
    Ok(())
}

#[test]
fn a_link_that_flaps_a_hundred_times_a_second_disturbs_no_other() -> Result<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host)?;
    stage.excused = &[TOUCHED];
    let pids = stage.pids.clone();
    flap(host.namespace(), "vnet7")?;
    let after = stage.ends("a port down and up, 100 times a second for 5 s", &[TOUCHED])?;
    ensure!(after.pids == pids, "responders were replaced");
    let lost: Vec<_> = after
        .accounts
        .iter()
        .filter(|(vm, account)| **vm != TOUCHED && account.retransmitted > 0)
        .collect();
    ensure!(lost.is_empty(), "renewals of others were lost: {lost:?}");
    Ok(())
}

/// Sets a port down and up again and again, at its pace or as fast as the kernel can.
fn flap(namespace: &Namespace, port: &str) -> Result<()> {
    const PERIOD: Duration = Duration::from_millis(10);
    let mut ip = Command::new("ip");
    ip.args(["-batch", "-"]).stdin(Stdio::piped());
    let mut ip = namespace.inside(|| Ok(ip.spawn()?))?;
    let mut stdin = ip.stdin.take().context("ip has no input")?;
    let start = Instant::now();
    for flap in 0..FLAPS {
        stdin.write_all(format!("link set {port} down\nlink set {port} up\n").as_bytes())?;
        std::thread::sleep((PERIOD * flap).saturating_sub(start.elapsed()));
    }
    drop(stdin);
    ensure!(ip.wait()?.success(), "ip failed");
    println!("{FLAPS} flaps in {:.1?}", start.elapsed());
    Ok(())
}
