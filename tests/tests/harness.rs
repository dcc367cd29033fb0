//! The harness itself: it leaves nothing behind, its frames travel, and its eyes see.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Capture, Change, GATEWAY, Host, MacAddr, Namespace, RawClient, RouteMonitor, Wire,
    dhcp::Message, guest_mac, until,
};
use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

const BOUND: Duration = Duration::from_secs(10);

#[test]
fn a_bridge_carries_frames_between_a_guest_and_a_tap() -> Result<()> {
    let host = Host::new()?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    let tap = host.tap("vnet2", Some("virbr1"))?;
    let capture = Capture::open(guest.namespace(), "eth0")?;
    let mut sender = RawClient::new(tap, guest_mac(2));
    let discover = sender.discover();
    sender.send(&discover)?;
    let (frame, message) = capture.wait_for("the DISCOVER", BOUND, |_, message| {
        message.xid == discover.xid
    })?;
    ensure!(
        message == discover && !frame.outgoing,
        "it arrived as {message:?}"
    );
    let age = SystemTime::now().duration_since(frame.at)?;
    ensure!(age < BOUND, "the frame's timestamp is {age:?} old");
    Ok(())
}

#[test]
fn a_bare_tap_carries_pings_to_its_guest() -> Result<()> {
    let host = Host::new()?;
    let guest = host.guest_behind_tap("vnet1", 1)?;
    let address = Ipv4Addr::new(203, 0, 113, 1);
    host.namespace().ip_batch(&format!(
        "addr add {GATEWAY}/32 dev vnet1\nroute add {address} dev vnet1\n"
    ))?;
    guest.namespace().ip_batch(&format!(
        "addr add {address}/32 dev eth0\nroute add default via {GATEWAY} dev eth0 onlink\n"
    ))?;
    guest.ping(GATEWAY)?;
    let fabric = host.fabric()?;
    fabric.ping(address)
}

#[test]
fn the_route_monitor_tells_what_was_added_and_deleted() -> Result<()> {
    let host = Host::new()?;
    host.bridge("virbr1")?;
    let monitor = RouteMonitor::open(host.namespace())?;
    let address = Ipv4Addr::new(203, 0, 113, 1);
    let before = SystemTime::now();
    host.namespace().ip(&format!(
        "route add {address} dev virbr1 proto 132 metric 1"
    ))?;
    let added = monitor.wait_for(Change::Added, address, BOUND)?;
    ensure!(
        added.protocol == 132 && added.ifindex > 1 && added.at > before,
        "it saw {added:?}"
    );
    host.namespace()
        .ip(&format!("route del {address} dev virbr1"))?;
    monitor.wait_for(Change::Deleted, address, BOUND)?;
    Ok(())
}

#[test]
fn an_unanswered_message_is_told_from_an_answered_one() -> Result<()> {
    // A stand-in that answers everything, to see that `is_ignored` can fail.
    let host = Host::new()?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    let tap = host.tap("vnet2", Some("virbr1"))?;
    let mut client = guest.raw_client()?;
    let echo = std::thread::spawn(move || {
        let mut left = 2;
        while left > 0 {
            let frame = tap.receive(BOUND).unwrap().unwrap();
            let Some(mut message) = Message::read(&frame.bytes) else {
                continue;
            };
            message.op = 2;
            message.options = vec![(53, vec![2])];
            (
                message.envelope.source_mac,
                message.envelope.destination_mac,
            ) = (guest_mac(2), MacAddr::BROADCAST);
            message.envelope.source_port = 67;
            message.envelope.destination_port = 68;
            tap.send(&message.frame()).unwrap();
            left -= 1;
        }
    });
    let frame = client.discover().frame();
    let refused = client.is_ignored(&frame).unwrap_err();
    ensure!(
        refused.to_string().contains("it was answered"),
        "it said {refused:#}"
    );
    echo.join().unwrap();
    Ok(())
}

#[test]
fn a_process_in_a_namespace_has_its_own_machine() -> Result<()> {
    let namespace = Namespace::new("alone")?;
    ensure!(namespace.run("hostname", &[])?.trim() == "alone");
    ensure!(
        namespace
            .run("ls", &["/var/lib"])?
            .split_whitespace()
            .collect::<Vec<_>>()
            == ["dhcp", "dhcpcd"]
    );
    ensure!(namespace.run("ls", &["/sys/class/net"])?.trim() == "lo");
    let mut process = namespace.spawn(Command::new("sleep").arg("60"))?;
    ensure!(process.inner_pid()? < 20 && process.is_running());
    let inner = process.inner_pid()?;
    namespace.signal(inner, "KILL")?;
    ensure!(process.wait(BOUND)?.is_none(), "it ended by itself");
    ensure!(!namespace.has_process(inner));
    Ok(())
}

#[test]
fn an_orphan_that_ends_leaves_no_zombie() -> Result<()> {
    let namespace = Namespace::new("alone")?;
    let orphan: u64 = namespace
        .run("sh", &["-c", "setsid sleep 600 > /dev/null 2>&1 & echo $!"])?
        .trim()
        .parse()?;
    ensure!(namespace.has_process(orphan));
    namespace.signal(orphan, "KILL")?;
    until("the end of the orphan", BOUND, || {
        Ok((!namespace.has_process(orphan)).then_some(()))
    })
}

#[test]
fn a_case_that_panics_leaves_nothing() -> Result<()> {
    leaves_nothing("panic")
}

#[test]
fn a_case_that_is_killed_leaves_nothing() -> Result<()> {
    leaves_nothing("kill")
}

/// Runs [`a_case_that_does_not_end_well`] in a process of its own, and looks for what is left of it.
fn leaves_nothing(how: &str) -> Result<()> {
    let mut case = Command::new(std::env::current_exe()?)
        .args([
            "--exact",
            "a_case_that_does_not_end_well",
            "--ignored",
            "--nocapture",
        ])
        .env("SLASH32_TESTS_END", how)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut lines = BufReader::new(case.stdout.take().context("no stdout")?).lines();
    let made = lines.find_map(|line| {
        line.ok()?
            .split_once("made: ")
            .map(|(_, made)| made.to_owned())
    });
    let made: HashSet<String> = made
        .context("the case ended too early")?
        .split(' ')
        .map(str::to_owned)
        .collect();
    ensure!(
        made.len() == 3 && namespaces_in_use(&made)? == made,
        "it made {made:?}"
    );
    if how == "kill" {
        case.kill()?;
    }
    let status = case.wait()?;
    ensure!(
        status.signal().is_some() == (how == "kill") && !status.success(),
        "it ended with {status}"
    );
    // The network namespaces are gone when no process and no open socket is left in them.
    until("the end of the namespaces", BOUND, || {
        Ok(namespaces_in_use(&made)?.is_empty().then_some(()))
    })
}

#[test]
#[ignore = "ends badly on purpose: a_case_that_panics_leaves_nothing runs it"]
fn a_case_that_does_not_end_well() {
    let host = Host::new().unwrap();
    host.bridge("virbr1").unwrap();
    let guest = host.guest("virbr1", 1).unwrap();
    let tapped = host.guest_behind_tap("vnet2", 2).unwrap();
    let detached = "setsid sleep 600 & setsid sleep 600 & exec sleep 600";
    let _process = host
        .namespace()
        .spawn(Command::new("sh").args(["-c", detached]))
        .unwrap();
    let names = [host.namespace(), guest.namespace(), tapped.namespace()].map(|namespace| {
        fs::read_link(format!("/proc/{}/ns/net", namespace.pid()))
            .unwrap()
            .to_string_lossy()
            .into_owned()
    });
    println!("made: {}", names.join(" "));
    std::io::stdin().read_line(&mut String::new()).unwrap();
    match std::env::var("SLASH32_TESTS_END").as_deref() {
        Ok("kill") => loop {
            std::thread::park();
        },
        _ => panic!("on purpose"),
    }
}

/// Those of `names` (`net:[4026532000]`) in which a process of this machine is.
fn namespaces_in_use(names: &HashSet<String>) -> Result<HashSet<String>> {
    let processes = fs::read_dir("/proc")?
        .filter_map(|entry| fs::read_link(entry.ok()?.path().join("ns/net")).ok());
    Ok(processes
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| names.contains(name))
        .collect())
}
