//! 10,000 flaps of a link leave nothing behind in the agent or in a responder.

use crate::stage::CONFIG;
use anyhow::{Result, ensure};
use slash32_tests::{Agent, Fleet, Held, Host, all_bound};
use std::{fs, time::Instant};

/// Flaps before the first look: by then every buffer has grown to what it needs.
const WARM_UP: usize = 1_000;
const FLAPS: usize = 10_000;
/// So much more private memory than before, in KiB: at 10,000 flaps that is less than 110 bytes a flap, and an allocator's
/// own coming and going is below it.
const ALLOWED: u64 = 1_024;

#[test]
fn load_ten_thousand_flaps_leave_no_descriptor_process_or_memory_behind() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let fleet = Fleet::bind(&host, &agent, &[1, 2, 3])?;
    let addresses = fleet.addresses();
    let mut renewals = fleet.renew();
    let agent_pid = agent.process()?.inner_pid()?;
    let mut looks = Vec::new();
    let start = Instant::now();
    for flaps in [WARM_UP, FLAPS] {
        host.namespace()
            .ip_batch(&"link set vnet1 down\nlink set vnet1 up\n".repeat(flaps))?;
        renewals.once_more(&[])?;
        let pids = all_bound(&agent, &addresses)?;
        let mut held = vec![Held::by(&host, agent_pid)?];
        for pid in pids.values() {
            held.push(Held::by(&host, *pid)?);
        }
        looks.push((pids, processes(&host)?, held));
    }
    println!(
        "{FLAPS} flaps in {:.1?}, {} lines in the log: {looks:?}",
        start.elapsed(),
        agent.log().lines().count()
    );
    let [(pids, count, before), (later_pids, later_count, after)] = &looks[..] else {
        unreachable!("two looks");
    };
    ensure!(pids == later_pids, "responders were replaced");
    ensure!(
        count == later_count,
        "{count} processes became {later_count}"
    );
    for (before, after) in before.iter().zip(after) {
        ensure!(
            after.is_within(before, ALLOWED),
            "{before:?} became {after:?}"
        );
    }
    let accounts = renewals.stop()?;
    let refused = accounts.values().map(|one| one.refused).sum::<usize>();
    ensure!(refused == 0, "renewals were refused: {accounts:?}");
    Ok(())
}

/// How many processes there are on the host, with those that have ended and that nobody waits for.
fn processes(host: &Host) -> Result<usize> {
    let is_pid = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let entries = fs::read_dir(host.namespace().path("/proc"))?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_pid(name))
        .count())
}
