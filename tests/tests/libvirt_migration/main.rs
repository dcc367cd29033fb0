//! A VM migrates live between two hosts, each with a libvirtd and an agent: its address is in one place at a time, and the
//! guest need not ask for it again.
#![allow(missing_docs, clippy::unwrap_used)]

mod stage;
mod watch;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slash32_tests::{Capture, Change, until};
use stage::{ADDRESS, BOUND, Behind, Site, Stage};
use std::{collections::BTreeSet, fs, time::SystemTime};
use watch::{Pings, Routes, first_frame};

/// MiB/s at which a migration takes some seconds, so that there is time to look.
const SLOW: u32 = 8;

#[test]
fn a_vm_that_migrates_there_and_back_is_announced_by_one_host_at_a_time_and_sends_no_dhcp()
-> Result<()> {
    let behind = Behind::Bridge;
    let stage = Stage::new()?;
    let [_one, _two, router] = stage.peer()?;
    let sites = stage.start(behind)?;
    let routes = Routes::watch(&sites)?;
    let _guest = sites[0].boot()?;
    let _console = sites[1].libvirtd.serial(&sites[1].domain)?;
    let wire = [capture(&sites[0], behind)?, capture(&sites[1], behind)?];
    let pings = Pings::start(&stage.router)?;
    pings.wait_answer_after(SystemTime::UNIX_EPOCH, BOUND)?;

    for (from, to) in [(0, 1), (1, 0)] {
        let start = SystemTime::now();
        sites[from].migrate_whole(&sites[to])?;
        pings.wait_answer_after(SystemTime::now(), BOUND)?;
        has_arrived(&sites[to], behind)?;
        let wait = routes.waited(to, first_frame(&wire[to], start)?)?;
        println!(
            "host {from} to {to}: {wait:?} from first frame to route, longest time without an answer {:?}",
            pings.longest_gap(start)?
        );
        sites[from].agent.wait(behind.link(), "idle", BOUND)?;
        ensure!(!sites[from].has_route()?);
    }

    routes.were_one_at_a_time(&[0, 1, 0])?;
    has_had_one_path_at_a_time(&router.log()?)?;
    for capture in &wire {
        has_not_asked(capture)?;
    }
    Ok(())
}

#[test]
fn without_a_routing_daemon_the_route_comes_with_the_first_frame_that_a_bridge_sees() -> Result<()>
{
    arrives_with_its_first_frame(Behind::Bridge)
}

#[test]
fn without_a_routing_daemon_the_route_comes_with_the_first_frame_from_a_bare_tap() -> Result<()> {
    arrives_with_its_first_frame(Behind::Tap)
}

fn arrives_with_its_first_frame(behind: Behind) -> Result<()> {
    let stage = Stage::new()?;
    let sites = stage.start(behind)?;
    let routes = Routes::watch(&sites)?;
    let _guest = sites[0].boot()?;
    let _console = sites[1].libvirtd.serial(&sites[1].domain)?;
    sites[0].slow_down(SLOW)?;
    let mut migration = sites[0].migrate(&sites[1])?;
    is_on_its_way(&sites[1], behind)?;
    let wire = capture(&sites[1], behind)?;
    ensure!(sites[0].has_route()? && !sites[1].has_route()?);
    ensure!(migration.wait(BOUND)? == Some(0), "it did not migrate");
    has_arrived(&sites[1], behind)?;
    let frame = first_frame(&wire, SystemTime::UNIX_EPOCH)?;
    println!(
        "{behind:?}: {:?} from first frame to route",
        routes.waited(1, frame)?
    );
    sites[1].ping()?;
    has_not_asked(&wire)
}

#[test]
fn an_agent_that_is_restarted_while_a_vm_arrives_and_after_it_has_arrived_keeps_its_route_right()
-> Result<()> {
    let behind = Behind::Bridge;
    let stage = Stage::new()?;
    let mut sites = stage.start(behind)?;
    let routes = Routes::watch(&sites)?;
    let _guest = sites[0].boot()?;
    let _console = sites[1].libvirtd.serial(&sites[1].domain)?;
    let wire = capture(&sites[1], behind)?;
    sites[0].slow_down(SLOW)?;
    let mut migration = sites[0].migrate(&sites[1])?;
    is_on_its_way(&sites[1], behind)?;
    sites[1].agent.kill()?;
    sites[1].agent.restart()?;
    is_on_its_way(&sites[1], behind)?;
    ensure!(!sites[1].has_route()?);
    ensure!(migration.wait(BOUND)? == Some(0), "it did not migrate");
    has_arrived(&sites[1], behind)?;
    routes.waited(1, first_frame(&wire, SystemTime::UNIX_EPOCH)?)?;
    // Nothing of the stay is left but what the agent has written down, and the kernel's route.
    let responder = sites[1].agent.responder(behind.link())?.to_string();
    sites[1].agent.kill()?;
    sites[1].host.namespace().run("kill", &["-9", &responder])?;
    sites[1].agent.restart()?;
    has_arrived(&sites[1], behind)?;
    sites[1].ping()?;
    let changes = routes.changes();
    let there: Vec<_> = changes.iter().filter(|(at, _, _)| *at == 1).collect();
    ensure!(there.len() == 1, "it did not stay: {there:?}");
    has_not_asked(&wire)
}

#[test]
fn a_migration_that_fails_takes_nothing_from_the_source_and_leaves_nothing_at_the_destination()
-> Result<()> {
    let behind = Behind::Bridge;
    let stage = Stage::new()?;
    let sites = stage.start(behind)?;
    let routes = Routes::watch(&sites)?;
    let _guest = sites[0].boot()?;
    let _console = sites[1].libvirtd.serial(&sites[1].domain)?;
    sites[0].slow_down(1)?;
    for killed in [false, true] {
        let mut migration = sites[0].migrate(&sites[1])?;
        is_on_its_way(&sites[1], behind)?;
        if killed {
            // Its tap is there before it has written that file.
            let pid = until("QEMU's pid", BOUND, || {
                Ok(sites[1].libvirtd.qemu_pid(sites[1].domain.name()).ok())
            })?;
            let namespace = sites[1].host.namespace();
            namespace.run("kill", &["-9", &pid.to_string()])?;
        } else {
            let name = sites[0].domain.name();
            sites[0].libvirtd.virsh(&["domjobabort", name])?;
        }
        ensure!(migration.wait(BOUND)? != Some(0), "it migrated");
        sites[1]
            .agent
            .wait_row(behind.link(), "as before", BOUND, |row| {
                row["state"] == "idle" && row["vm"].is_null() && row["address"].is_null()
            })?;
        until("the destination to forget the VM", BOUND, || {
            let memory = fs::read_to_string(sites[1].agent.runtime_dir().join("libvirt.json"))?;
            Ok((!memory.contains(sites[1].domain.uuid())).then_some(()))
        })?;
        ensure!(sites[1].running()?.is_empty());
        ensure!(sites[0].has_route()?);
        sites[0].ping()?;
    }
    let changes: Vec<_> = routes
        .changes()
        .into_iter()
        .map(|(at, change, _)| (at, change))
        .collect();
    ensure!(changes == [(0, Change::Added)], "{changes:?}");
    Ok(())
}

fn capture(site: &Site<'_>, behind: Behind) -> Result<Capture> {
    Capture::open(site.host.namespace(), behind.link())
}

/// The VM's row: its names, its address, with its route or without, and why.
fn wait_reason(site: &Site<'_>, behind: Behind, reason: &str, route: bool) -> Result<()> {
    let row = |row: &Value| {
        let why = row["reason"].as_str().unwrap_or_default();
        row["vm"] == site.domain.name()
            && row["uuid"] == site.domain.uuid()
            && row["address"] == ADDRESS.to_string()
            && row["route"] == route
            && why.contains(reason)
    };
    let rows = site.agent.wait_row(behind.link(), reason, BOUND, row);
    rows.map(drop)
}

fn is_on_its_way(site: &Site<'_>, behind: Behind) -> Result<()> {
    wait_reason(site, behind, "waits for its first frame", false)
}

fn has_arrived(site: &Site<'_>, behind: Behind) -> Result<()> {
    wait_reason(site, behind, "", true)
}

fn has_not_asked(capture: &Capture) -> Result<()> {
    let messages = capture.messages()?;
    ensure!(messages.is_empty(), "the guest has asked: {messages:?}");
    Ok(())
}

/// What the router's BIRD knew of the address, by its log: a line for each path that came or went, with the name of the
/// session that it is of.
fn has_had_one_path_at_a_time(log: &str) -> Result<()> {
    let (mut paths, mut changes) = (BTreeSet::new(), 0);
    let ours = format!(" {ADDRESS}/32 ");
    // Of the two directions that of what a neighbour tells: "peer1.ipv4 > added [best] 203.0.113.1/32 …".
    for line in log.lines().filter(|line| line.contains(&ours)) {
        let mut words = line.split_whitespace().skip_while(|word| *word != ">");
        let session = line
            .split(" > ")
            .next()
            .and_then(|head| head.split(' ').next_back());
        let session = session.context("a line without a session")?;
        match words.nth(1) {
            Some("added") => {
                paths.insert(session.to_owned());
                changes += 1;
            }
            Some("removed") => {
                paths.remove(session);
            }
            _ => {}
        }
        ensure!(paths.len() <= 1, "two paths at a time:\n{log}");
    }
    ensure!(changes == 3, "{changes} paths, and not 3:\n{log}");
    Ok(())
}
