//! What libvirt tells, by its hooks and by its files, and what of it counts for a VM from its start to its next.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "hypervisor/arrival.rs"]
mod arrival;
#[path = "hypervisor/memory.rs"]
mod memory;
#[path = "hypervisor/vm.rs"]
mod vm;

use anyhow::{Result, ensure};
use serde_json::Value;
use slash32_tests::{
    Agent, Host, Journal, POOL_NETWORK,
    dhcp::{Message, message_type},
    guest_mac, until, vm_address,
};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    process::Stdio,
    sync::mpsc,
    time::{Duration, Instant},
};
use vm::{Hooks, Vm, libvirt_folder};

const BOUND: Duration = Duration::from_secs(15);

fn is_named(row: &Value, vm: &Vm) -> bool {
    row["vm"] == vm.name.as_str()
        && row["uuid"] == vm.uuid()
        && row["mac"] == vm.mac().to_string().as_str()
}

/// Waits until the link's row names the VM.
fn wait_named(agent: &Agent<'_>, vm: &Vm) -> Result<Value> {
    agent.wait_row(&vm.bridge(), "named", BOUND, |row| is_named(row, vm))
}

fn wait_drained(hooks: &Hooks) -> Result<()> {
    until("the spool to be empty", BOUND, || {
        Ok(fs::read_dir(hooks.spool())?.next().is_none().then_some(()))
    })
}

/// How often the agent's log has a line with all of these.
fn lines(agent: &Agent<'_>, parts: &[&str]) -> usize {
    let log = agent.log();
    log.lines()
        .filter(|line| parts.iter().all(|part| line.contains(part)))
        .count()
}

#[test]
fn a_vm_is_called_by_its_name_its_uuid_and_its_mac_as_soon_as_its_tap_is_there() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web 1 <&> \u{fc}", 1);
    let mut client = vm.start(&host, &hooks)?;
    wait_named(&agent, &vm)?;
    // Nobody but that NIC is answered, from the first frame on.
    let stranger = Message::request(message_type::DISCOVER, guest_mac(2), 7);
    client.is_ignored(&stranger.frame())?;
    client.bind()?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(is_named(&row, &vm), "{row}");
    for key in [vm.name.as_str(), &vm.uuid(), "virbr1"] {
        ensure!(agent.json(&["show", key])?["link"] == "virbr1", "{key}");
    }
    wait_drained(&hooks)?;
    drop(client);
    vm.stopped(&hooks)?;
    let row = agent.wait("virbr1", "idle", BOUND)?;
    ensure!(
        row["vm"].is_null() && row["uuid"].is_null() && row["mac"].is_null(),
        "{row}"
    );
    Ok(())
}

#[test]
fn what_was_told_while_the_agent_was_down_is_known_before_a_link_is_decided() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    agent.stop()?;
    let vm = Vm::new("web1", 1).asking("address='203.0.113.77'");
    let mut client = vm.start(&host, &hooks)?;
    agent.restart()?;
    let offered = client.bind()?.yiaddr;
    ensure!(offered == vm_address(77), "{offered}");
    let row = agent.wait("virbr1", "bound", BOUND)?;
    // The first thing that was decided of the link.
    ensure!(row["generation"] == 1 && is_named(&row, &vm), "{row}");
    wait_drained(&hooks)
}

#[test]
fn calls_are_taken_in_in_the_order_in_which_libvirt_made_them() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    agent.stop()?;
    // Two VMs on one bridge, one after the other: the second one is there.
    let before = Vm::new("before", 1).asking("address='203.0.113.70'");
    before.prepare(&hooks)?;
    before.running(&hooks, "started")?;
    before.stopped(&hooks)?;
    let after = Vm {
        name: "after".to_owned(),
        metadata: "address='203.0.113.71'".to_owned(),
        ..Vm::new("", 1)
    };
    let mut client = after.start(&host, &hooks)?;
    agent.restart()?;
    let offered = client.bind()?.yiaddr;
    ensure!(offered == vm_address(71), "{offered}");
    wait_named(&agent, &after).map(drop)
}

#[test]
fn an_address_in_metadata_is_the_first_that_the_vm_is_offered() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web1", 1).asking("address='203.0.113.77' hostname='web1.example'");
    let mut client = vm.start(&host, &hooks)?;
    let ack = client.bind()?;
    ensure!(ack.yiaddr == vm_address(77), "{}", ack.yiaddr);
    let told = agent.json(&["explain", "web1"])?;
    ensure!(told["address"]["why"] == "libvirt's metadata", "{told}");
    Ok(())
}

#[test]
fn a_wrong_address_in_metadata_leaves_its_vm_unassigned_and_nobody_else() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let wrong = Vm::new("wrong", 1).asking("address='203.0.113.777'");
    let nowhere = Vm::new("nowhere", 2).asking("address='198.51.100.1'");
    let right = Vm::new("right", 3);
    let _clients = [wrong.start(&host, &hooks)?, nowhere.start(&host, &hooks)?];
    let mut client = right.start(&host, &hooks)?;
    for (vm, says) in [(&wrong, "203.0.113.777"), (&nowhere, "198.51.100.1")] {
        let row = agent.wait(&vm.bridge(), "unassigned", BOUND)?;
        let reason = row["reason"].as_str().unwrap_or_default();
        ensure!(reason.contains(says) && is_named(&row, vm), "{row}");
    }
    client.bind()?;
    agent.wait("virbr3", "bound", BOUND).map(drop)
}

#[test]
fn what_libvirt_tells_late_counts_until_the_vm_has_its_address() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web1", 1).asking("address='203.0.113.77'");
    let mut client = vm.plug(&host)?;
    let row = agent.wait("virbr1", "ready", BOUND)?;
    ensure!(
        row["vm"].is_null() && row["address"] == "203.0.113.10",
        "{row}"
    );
    vm.prepare(&hooks)?;
    vm.running(&hooks, "started")?;
    wait_named(&agent, &vm)?;
    let offered = client.bind()?.yiaddr;
    ensure!(offered == vm_address(77), "{offered}");
    // Nothing is left of the address that it did not take.
    let pools = agent.json(&["pools"])?;
    ensure!(pools[0]["used"] == 0, "{pools}");
    Ok(())
}

#[test]
fn what_libvirt_tells_of_a_bound_vm_names_it_at_once_and_moves_it_at_its_next_start() -> Result<()>
{
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web1", 1).asking("address='203.0.113.77'");
    let mut client = vm.plug(&host)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    vm.prepare(&hooks)?;
    vm.running(&hooks, "reconnect")?;
    let row = wait_named(&agent, &vm)?;
    ensure!(
        row["state"] == "bound" && row["address"] == "203.0.113.10" && row["generation"] == 1,
        "{row}"
    );
    let told = agent.json(&["explain", "web1"])?;
    let notes = told["notes"].to_string();
    ensure!(
        notes.contains("libvirt now says") && notes.contains("address = 203.0.113.77"),
        "{told}"
    );
    ensure!(told["address"]["value"] == "203.0.113.10", "{told}");
    let renewal = client.renewing(&ack);
    ensure!(client.ask(&renewal)?.yiaddr == vm_address(10));
    drop(client);
    vm.stopped(&hooks)?;
    agent.wait("virbr1", "idle", BOUND)?;
    let mut client = vm.start(&host, &hooks)?;
    let offered = client.bind()?.yiaddr;
    ensure!(offered == vm_address(77), "{offered}");
    let told = agent.json(&["explain", "web1"])?;
    ensure!(
        !told["notes"].to_string().contains("libvirt now says"),
        "{told}"
    );
    Ok(())
}

#[test]
fn what_counts_for_a_vm_outlives_the_agent() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web1", 1).asking("address='203.0.113.77'");
    let mut client = vm.start(&host, &hooks)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    wait_drained(&hooks)?;
    agent.kill()?;
    // Somebody edits the running VM, and libvirtd is restarted.
    let edited = Vm::new("web1", 1).asking("address='203.0.113.78'");
    edited.running(&hooks, "reconnect")?;
    agent.restart()?;
    let row = wait_named(&agent, &vm)?;
    ensure!(
        row["state"] == "bound" && row["address"] == "203.0.113.77" && row["generation"] == 1,
        "{row}"
    );
    let renewal = client.renewing(&ack);
    ensure!(client.ask(&renewal)?.yiaddr == vm_address(77));
    // libvirt says nothing any more, and nothing changes.
    agent.kill()?;
    agent.restart()?;
    let row = wait_named(&agent, &vm)?;
    ensure!(row["address"] == "203.0.113.77", "{row}");
    Ok(())
}

#[test]
fn a_vm_that_came_back_to_its_address_without_asking_is_not_moved_either() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web1", 1).asking("address='203.0.113.77'");
    let mut client = vm.start(&host, &hooks)?;
    client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    drop(client);
    vm.stopped(&hooks)?;
    agent.wait("virbr1", "idle", BOUND)?;
    // As after a save and a restore: the guest asks for nothing.
    let _client = vm.start(&host, &hooks)?;
    let with_route = |row: &Value| row["state"] == "ready" && row["route"] == true;
    let row = agent.wait_row("virbr1", "back, with its route", BOUND, with_route)?;
    let generation = &row["generation"];
    Vm::new("web1", 1)
        .asking("address='203.0.113.78'")
        .running(&hooks, "reconnect")?;
    until("the news to be known", BOUND, || {
        let told = agent.json(&["explain", "web1"])?;
        let is_known = told["notes"].to_string().contains("203.0.113.78");
        Ok(is_known.then_some(()))
    })?;
    let row = agent.row("virbr1")?.unwrap();
    ensure!(
        row["address"] == "203.0.113.77"
            && row["route"] == true
            && row["generation"] == *generation,
        "{row}"
    );
    Ok(())
}

#[test]
fn a_port_that_goes_down_and_up_is_no_start_of_its_vm() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web1", 1).asking("address='203.0.113.77'");
    let mut client = vm.start(&host, &hooks)?;
    client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    Vm::new("web1", 1)
        .asking("address='203.0.113.78'")
        .running(&hooks, "reconnect")?;
    wait_drained(&hooks)?;
    host.namespace().ip("link set vnet1 down")?;
    let row = agent.wait("virbr1", "idle", BOUND)?;
    ensure!(row["vm"].is_null(), "{row}");
    host.namespace().ip("link set vnet1 up")?;
    let row = agent.wait_row("virbr1", "back, with its route", BOUND, |row| {
        row["state"] == "ready" && row["route"] == true
    })?;
    ensure!(
        row["address"] == "203.0.113.77" && is_named(&row, &vm),
        "{row}"
    );
    Ok(())
}

#[test]
fn a_call_that_cannot_be_read_is_named_once_in_the_log_and_goes() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let damaged = hooks.spool().join("00000000000000000001-1.hook");
    fs::write(hooks.spool().join(".damaged"), "no hook call")?;
    fs::rename(hooks.spool().join(".damaged"), &damaged)?;
    hooks.call("qemu", ["web2", "started", "begin", "-"], "<domain><name>")?;
    let vm = Vm::new("web1", 1);
    let _client = vm.start(&host, &hooks)?;
    wait_named(&agent, &vm)?;
    wait_drained(&hooks)?;
    let named = damaged.display().to_string();
    ensure!(lines(&agent, &[&named, "dropped"]) == 1, "{}", agent.log());
    ensure!(lines(&agent, &["qemu hook, started", "dropped"]) == 1);
    ensure!(lines(&agent, &["dropped"]) == 2);
    Ok(())
}

#[test]
fn without_hooks_vms_are_known_from_libvirts_own_files() -> Result<()> {
    let host = Host::new()?;
    libvirt_folder(&host)?;
    let before = Vm::new("before", 1).asking("address='203.0.113.77'");
    before.write_files(&host)?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = before.plug(&host)?;
    let offered = client.bind()?.yiaddr;
    ensure!(offered == vm_address(77), "{offered}");
    wait_named(&agent, &before)?;
    // One that starts later: libvirt writes its file before it makes the tap.
    let after = Vm::new("after", 2);
    after.write_files(&host)?;
    let _client = after.plug(&host)?;
    wait_named(&agent, &after)?;
    agent.kill()?;
    agent.restart()?;
    wait_named(&agent, &after)?;
    drop(_client);
    after.remove_file(&host)?;
    let row = agent.wait("virbr2", "idle", BOUND)?;
    ensure!(row["vm"].is_null(), "{row}");
    // A VM that libvirt knows nothing of takes its place.
    let _other = Vm::new("", 2).plug(&host)?;
    let row = agent.wait("virbr2", "ready", BOUND)?;
    ensure!(row["vm"].is_null(), "{row}");
    Ok(())
}

#[test]
fn a_network_with_a_dhcp_server_of_libvirts_is_refused_and_says_what_to_do() -> Result<()> {
    const DHCP: &str = "<dhcp><range start='169.254.0.2' end='169.254.0.9'/></dhcp>";
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let plain = Vm::new("web1", 1);
    let rival = Vm {
        dhcp: DHCP,
        ..Vm::new("web1", 1)
    };
    host.bridge("virbr1")?;
    rival.network_started(&hooks)?;
    // Before a VM is there.
    let row = agent.wait("virbr1", "failed", BOUND)?;
    let reason = row["reason"].as_str().unwrap_or_default();
    for part in [
        "net1",
        "<dhcp>",
        "virsh net-edit net1",
        "virsh net-start net1",
    ] {
        ensure!(reason.contains(part), "{part}: {row}");
    }
    let mut client = rival.start(&host, &hooks)?;
    let row = wait_named(&agent, &rival)?;
    ensure!(row["state"] == "failed", "{row}");
    // The operator has mended it.
    plain.network_started(&hooks)?;
    agent.wait("virbr1", "ready", BOUND)?;
    client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    // A VM that runs is not taken off the network for it.
    rival.network_started(&hooks)?;
    let row = agent.wait_row("virbr1", "bound, with a remark", BOUND, |row| {
        row["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("<dhcp>"))
    })?;
    ensure!(row["state"] == "bound" && row["route"] == true, "{row}");
    Ok(())
}

#[test]
fn a_thousand_calls_that_wait_are_all_taken_in() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    agent.stop()?;
    let vm = Vm::new("web1", 1);
    vm.prepare(&hooks)?;
    vm.running(&hooks, "started")?;
    let last = fs::read_dir(hooks.spool())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .max()
        .unwrap();
    let xml = fs::read(&last)?;
    // Older ones, of which the last says the same as the newest.
    for number in 0..1_000 {
        fs::write(hooks.spool().join(format!("{number:020}-1.hook")), &xml)?;
    }
    let _client = vm.plug(&host)?;
    agent.restart()?;
    wait_named(&agent, &vm)?;
    wait_drained(&hooks)
}

#[test]
fn who_waits_for_a_vm_waits_for_all_its_nics_also_before_there_is_one() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    let mut wait = agent
        .cli_command(&["wait", "web1", "--timeout", "30s"])?
        .stdout(Stdio::piped())
        .spawn()?;
    let (first, second) = (Vm::new("web1", 1), Vm::new("web1", 2));
    second.prepare_with(&first, &hooks)?;
    let mut clients = [first.plug(&host)?, second.plug(&host)?];
    for vm in [&first, &second] {
        agent.wait_row(&vm.bridge(), "named", BOUND, |row| {
            row["vm"] == "web1" && row["mac"] == vm.mac().to_string().as_str()
        })?;
    }
    let ambiguous = agent.fails(&["show", "web1"])?;
    ensure!(ambiguous.contains("virbr1, virbr2"), "{ambiguous}");
    clients[1].bind()?;
    agent.wait("virbr2", "bound", BOUND)?;
    let late = agent.fails(&["wait", "web1", "--timeout", "0s"])?;
    ensure!(late.contains("ready"), "{late}");
    ensure!(
        wait.try_wait()?.is_none(),
        "it has not waited for the other NIC"
    );
    clients[0].bind()?;
    let output = wait.wait_with_output()?;
    let printed = String::from_utf8(output.stdout)?;
    let links: Vec<_> = printed
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    // In the order in which they came.
    ensure!(
        output.status.success() && links == ["virbr2", "virbr1"],
        "{printed}"
    );
    let last = agent.json(&["wait", "web1"])?;
    ensure!(last["vm"] == "web1" && last["state"] == "bound", "{last}");
    Ok(())
}

#[test]
fn journalctl_vm_tells_the_story_of_a_vm() -> Result<()> {
    let host = Host::new()?;
    let journal = Journal::start(host.namespace())?;
    // The only sign by which an agent knows that its stderr is the journal's.
    let mut agent = Agent::prepare(&host, POOL_NETWORK)?;
    fs::write(agent.log_file(), "")?;
    let stderr = fs::metadata(agent.log_file())?;
    agent.set_variable(
        "JOURNAL_STREAM",
        &format!("{}:{}", stderr.dev(), stderr.ino()),
    );
    agent.restart()?;
    let hooks = Hooks::of(&agent);
    let vm = Vm::new("web 1", 1);
    let mut client = vm.start(&host, &hooks)?;
    client.bind()?;
    journal.wait("VM", "web 1", "bound 203.0.113.10", BOUND)?;
    drop(client);
    journal.wait("VM", "web 1", "idle", BOUND)?;
    let uuid = vm.uuid();
    for text in ["bound", "route", "idle"] {
        journal.wait("UUID", &uuid, text, BOUND)?;
    }
    Ok(())
}

#[test]
fn events_call_a_vm_by_its_name_from_its_first_to_its_last() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let hooks = Hooks::of(&agent);
    host.bridge("virbr1")?;
    agent.wait("virbr1", "idle", BOUND)?;
    let mut watching = agent
        .cli_command(&["events", "--json"])?
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = watching.stdout.take().unwrap();
    let (told, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| told.send(line))
    });
    let vm = Vm::new("web1", 1);
    let wanted = BTreeSet::from(["ready", "bound", "route_removed", "idle"].map(str::to_owned));
    let mut kinds = BTreeSet::new();
    let deadline = Instant::now() + 2 * BOUND;
    // Nothing says when the stream is open, so the VM comes and goes until it was told from its first event to its last.
    while !kinds.is_superset(&wanted) {
        ensure!(Instant::now() < deadline, "only {kinds:?} were told");
        let mut client = vm.start(&host, &hooks)?;
        client.bind()?;
        agent.wait("virbr1", "bound", BOUND)?;
        drop(client);
        agent.wait("virbr1", "idle", BOUND)?;
        vm.stopped(&hooks)?;
        let mut is_there = false;
        while let Ok(line) = lines.recv_timeout(Duration::from_millis(500)) {
            let event: Value = serde_json::from_str(&line)?;
            // Its tap is in the bridge before it is up: then nobody is there yet.
            is_there |= event["kind"] == "ready";
            if !is_there && event["kind"] == "idle" {
                continue;
            }
            ensure!(
                event["vm"] == "web1" && event["uuid"] == vm.uuid(),
                "{event}"
            );
            kinds.insert(event["kind"].as_str().unwrap().to_owned());
        }
    }
    watching.kill()?;
    watching.wait()?;
    Ok(())
}
