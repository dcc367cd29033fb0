//! The host's clock is stepped. Only the agent is shown another time, by libfaketime: responders live by the boot-time clock,
//! which nothing steps.

use crate::stage::{BOUND, CONFIG, Stage};
use anyhow::{Result, bail, ensure};
use slash32_tests::{Agent, Host, until};
use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const HOUR: i64 = 3_600;
/// What a time in `list` may be off: the list is made when the VM renews, which it does each second, and then read.
const TOLERANCE: i64 = 60;

#[test]
fn a_clock_that_is_stepped_an_hour_forwards_and_back_ends_no_lease() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::prepare(&host, CONFIG)?;
    fs::create_dir(agent.state_dir())?;
    let offset = agent.state_dir().join("clock");
    fs::write(&offset, "+0\n")?;
    agent.set_variable("LD_PRELOAD", &libfaketime()?.display().to_string());
    agent.set_variable("FAKETIME_TIMESTAMP_FILE", &offset.display().to_string());
    agent.set_variable("FAKETIME_NO_CACHE", "1");
    agent.set_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    agent.restart()?;
    let stage = Stage::of(&host, agent)?;
    let pids = stage.pids.clone();
    for hours in [1, -1, 0] {
        fs::write(&offset, format!("{:+}\n", hours * HOUR))?;
        // At once, before any VM has renewed: its lease is no older than before.
        let rows = stage.agent.list()?;
        let ended = rows.iter().find(|row| row["state"] != "bound");
        ensure!(ended.is_none(), "the step ended a lease: {ended:?}");
        until("the list to tell the new time", BOUND, || {
            let now = unix_time()? + hours * HOUR;
            // Times of this form are in order when their letters are.
            let window = [text(now - TOLERANCE)?, text(now + TOLERANCE)?];
            let rows = stage.agent.list()?;
            let mut acked = rows
                .iter()
                .filter_map(|row| row["lease"]["acked_at"].as_str());
            Ok(acked
                .all(|then| *window[0] <= *then && *then <= *window[1])
                .then_some(()))
        })?;
        stage.renewals.once_more(&[])?;
    }
    let after = stage.ends("clock stepped by an hour, forwards and back", &[])?;
    ensure!(after.pids == pids, "responders were replaced");
    ensure!(!after.agent.log().contains("expired"), "leases expired");
    Ok(())
}

/// The library for programs with threads: Debian keeps it in a folder for each architecture.
fn libfaketime() -> Result<PathBuf> {
    for entry in fs::read_dir("/usr/lib")? {
        let library = entry?.path().join("faketime/libfaketimeMT.so.1");
        if library.exists() {
            return Ok(library);
        }
    }
    bail!("libfaketime is not installed, and this case needs it")
}

fn unix_time() -> Result<i64> {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_secs())?)
}

/// Seconds since 1970 as `list` tells a time: `2026-11-28T14:00:00Z`.
fn text(seconds: i64) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"]);
    Ok(String::from_utf8(date.output()?.stdout)?.trim().to_owned())
}
