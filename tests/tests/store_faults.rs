//! A store that cannot be written or read costs no bound VM anything, and is told in a clear sentence.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, bail, ensure};
use slash32_tests::{
    Agent, Fabric, GATEWAY, Guest, Host, RawClient, RouteMonitor,
    dhcp::{Message, message_type},
    expect, static_network, until,
};
use std::{
    fs::{self, File},
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

const BOUND: Duration = Duration::from_secs(15);
/// Longer than an answer takes, when there is one.
const SILENCE: Duration = Duration::from_secs(1);
/// So large is the disk that gets full, in bytes.
const DISK: u64 = 8 << 20;
/// As many VMs come, at most, until a full disk is noticed: a store can write some records where others were.
const CROWD: u16 = 40;

const FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const POOL: &str = r#"[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.99"]
"#;

#[test]
fn a_read_only_store_costs_a_bound_vm_nothing_and_serves_new_ones_after_a_restart() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = Agent::start(&stage.host, POOL)?;
    let vm = Vm::bound(&stage, &agent)?;
    agent.kill()?;
    let folder = agent.state_dir();
    let folder = folder.to_str().context("no text")?;
    let mount = |arguments: &[&str]| stage.host.namespace().run("mount", arguments);
    mount(&["--bind", folder, folder])?;
    mount(&["-o", "remount,bind,ro", folder])?;
    agent.restart()?;
    says(&agent, &["slash32.redb", "cannot be used", "mount options"])?;
    vm.is_well(&stage)?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(
        row["address"] == FIRST.to_string() && row["route"] == true,
        "{row}"
    );
    let mut second = stage.host.raw_vm(2)?;
    is_not_served(&mut second)?;
    for order in [
        &["bind", "virbr3", "203.0.113.50"][..],
        &["release", "virbr1"],
    ] {
        let output = agent.cli(order)?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(
            !output.status.success() && said.contains("store"),
            "{order:?}: {said}"
        );
    }
    vm.is_well(&stage)?;

    agent.kill()?;
    mount(&["-o", "remount,bind,rw", folder])?;
    agent.restart()?;
    ensure!(second.bind()?.yiaddr != FIRST);
    vm.is_well(&stage)?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(row["address"] == FIRST.to_string(), "{row}");
    Ok(())
}

#[test]
fn a_full_disk_costs_a_bound_vm_nothing_and_new_ones_are_served_when_there_is_room_again()
-> Result<()> {
    let stage = Stage::new()?;
    let (agent, disk) = on_a_small_disk(&stage)?;
    let vm = Vm::bound(&stage, &agent)?;
    disk.fill()?;
    let mut crowd = overrun(&stage, &agent)?;
    says(&agent, &["slash32.redb", "cannot be used", "space"])?;
    vm.is_well(&stage)?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(
        row["address"] == FIRST.to_string() && row["route"] == true,
        "{row}"
    );
    let last = crowd.last_mut().context("nobody came")?;
    is_not_served(last)?;
    disk.empty()?;
    let address = last.bind()?.yiaddr;
    ensure!(address != FIRST, "it got the address of another");
    vm.is_well(&stage)
}

#[test]
fn an_agent_that_starts_on_a_full_disk_knows_the_vms_of_before() -> Result<()> {
    let stage = Stage::new()?;
    let (mut agent, disk) = on_a_small_disk(&stage)?;
    let vm = Vm::bound(&stage, &agent)?;
    disk.fill()?;
    let mut crowd = overrun(&stage, &agent)?;
    agent.kill()?;
    agent.restart()?;
    vm.is_well(&stage)?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(
        row["address"] == FIRST.to_string() && row["route"] == true,
        "{row}"
    );
    disk.empty()?;
    agent.kill()?;
    agent.restart()?;
    vm.is_well(&stage)?;
    let last = crowd.last_mut().context("nobody came")?;
    ensure!(last.bind()?.yiaddr != FIRST);
    Ok(())
}

#[test]
fn a_responder_that_dies_while_the_disk_is_full_is_replaced() -> Result<()> {
    let stage = Stage::new()?;
    let (agent, disk) = on_a_small_disk(&stage)?;
    let vm = Vm::bound(&stage, &agent)?;
    disk.fill()?;
    let _crowd = overrun(&stage, &agent)?;
    let pid = agent.responder("virbr1")?;
    stage.host.namespace().signal(pid, "KILL")?;
    let mut client = vm.guest.raw_client()?;
    let request = client.renewing(&vm.ack);
    expect(message_type::ACK, client.insist(&request, BOUND)?)?;
    vm.is_well(&stage)
}

#[test]
fn a_vm_that_waits_for_the_store_is_shown_with_that_reason() -> Result<()> {
    let stage = Stage::new()?;
    let (agent, disk) = on_a_small_disk(&stage)?;
    disk.fill()?;
    let crowd = overrun(&stage, &agent)?;
    let link = format!("virbr{}", crowd.len() + 1);
    agent.wait_row(&link, "shown as waiting for the store", BOUND, |row| {
        let reason = row["reason"].as_str().unwrap_or_default();
        reason.contains("store") && row["state"] != "ready" && row["route"] == false
    })?;
    disk.empty()?;
    agent.wait_row(&link, "ready", BOUND, |row| {
        row["state"] == "ready" && row["reason"].is_null()
    })?;
    Ok(())
}

#[test]
fn a_damaged_store_costs_a_bound_vm_nothing_and_is_not_touched() -> Result<()> {
    let damages: [(&str, Damage); 3] = [
        ("overwritten", |bytes| {
            let middle = bytes.len() / 2;
            bytes[..middle].fill(0xa5);
        }),
        ("cut off", |bytes| bytes.truncate(bytes.len() / 3)),
        ("empty", Vec::clear),
    ];
    for (how, damage) in damages {
        is_survived(damage).with_context(|| format!("the store was {how}"))?;
    }
    Ok(())
}

/// What happens to the bytes of the store.
type Damage = fn(&mut Vec<u8>);

fn is_survived(damage: Damage) -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = Agent::start(&stage.host, POOL)?;
    let vm = Vm::bound(&stage, &agent)?;
    let store = agent.state_dir().join("slash32.redb");
    agent.kill()?;
    let mut bytes = fs::read(&store)?;
    damage(&mut bytes);
    fs::write(&store, &bytes)?;
    agent.restart()?;
    says(&agent, &["slash32.redb", "is damaged", "move it away"])?;
    ensure!(fs::read(&store)? == bytes, "the agent has changed it");
    vm.is_well(&stage)?;
    let row = agent.row("virbr1")?.context("no row")?;
    ensure!(
        row["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("damaged")),
        "{row}"
    );
    ensure!(stage.host.route_to(FIRST)?.is_some(), "its route is gone");
    let mut second = stage.host.raw_vm(2)?;
    is_not_served(&mut second)?;

    // As the sentence says.
    fs::rename(&store, store.with_extension("damaged"))?;
    agent.kill()?;
    agent.restart()?;
    // Nobody knows any more who had which address; each gets one of its own, from a responder that knows of no other.
    for link in ["virbr1", "virbr2"] {
        agent.wait(link, "ready", BOUND)?;
    }
    let mut first = vm.guest.raw_client()?;
    let addresses = [first.bind()?.yiaddr, second.bind()?.yiaddr];
    ensure!(addresses[0] != addresses[1], "both got {addresses:?}");
    for link in ["virbr1", "virbr2"] {
        agent.wait(link, "bound", BOUND)?;
    }
    Ok(())
}

#[test]
fn a_store_that_is_moved_away_costs_no_vm_with_a_reservation_its_route() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    let monitor = RouteMonitor::open(host.namespace())?;
    agent.kill()?;
    fs::remove_file(agent.state_dir().join("slash32.redb"))?;
    agent.restart()?;
    agent.wait("virbr1", "ready", BOUND)?;
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.insist(&request, BOUND)?)?;
    agent.wait("virbr1", "bound", BOUND)?;
    let changes = monitor.changes();
    ensure!(changes.is_empty(), "routes changed: {changes:?}");
    Ok(())
}

/// A hypervisor and the fabric behind it.
struct Stage {
    host: Host,
    fabric: Fabric,
}

impl Stage {
    fn new() -> Result<Self> {
        let host = Host::new()?;
        let fabric = host.fabric()?;
        Ok(Self { host, fabric })
    }
}

/// The VM that has its address before anything goes wrong.
struct Vm {
    guest: Guest,
    ack: Message,
}

impl Vm {
    /// The first VM, behind virbr1, whose lease is in the store.
    fn bound(stage: &Stage, agent: &Agent<'_>) -> Result<Self> {
        stage.host.bridge("virbr1")?;
        let guest = stage.host.guest("virbr1", 1)?;
        let ack = guest.raw_client()?.bind()?;
        ensure!(ack.yiaddr == FIRST, "it got {}", ack.yiaddr);
        guest.configure(ack.yiaddr)?;
        agent.wait("virbr1", "bound", BOUND)?;
        let vm = Self { guest, ack };
        vm.is_well(stage)?;
        Ok(vm)
    }

    /// It is renewed, and is reached from the fabric.
    fn is_well(&self, stage: &Stage) -> Result<()> {
        let mut client = self.guest.raw_client()?;
        for request in [client.renewing(&self.ack), client.init_reboot(FIRST)] {
            expect(message_type::ACK, client.ask(&request)?)?;
        }
        stage.fabric.ping(FIRST)?;
        self.guest.ping(GATEWAY)
    }
}

/// A disk that has room for a store and not much else.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Takes all the room there is.
    fn fill(&self) -> Result<()> {
        let mut ballast = File::create(self.ballast())?;
        // The last byte that fits is the one before the first that does not.
        for step in [1 << 16, 1 << 12, 1] {
            let bytes = vec![0; step];
            while ballast.write_all(&bytes).is_ok() {
                if ballast.metadata()?.len() > DISK {
                    bail!("the disk takes more than it has room for");
                }
            }
        }
        Ok(())
    }

    /// Gives it back.
    fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

/// An agent whose store lies on a disk of its own.
fn on_a_small_disk(stage: &Stage) -> Result<(Agent<'_>, Disk)> {
    let mut agent = Agent::prepare(&stage.host, POOL)?;
    let folder = agent.state_dir();
    fs::create_dir(&folder)?;
    let inside = folder.to_str().context("no text")?;
    let size = format!("size={DISK}");
    stage
        .host
        .namespace()
        .run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", inside])?;
    agent.restart()?;
    let folder = stage.host.namespace().path(Path::new(inside));
    ensure!(
        folder.join("slash32.redb").exists(),
        "the store is not on the small disk"
    );
    Ok((agent, Disk { folder }))
}

/// VMs come until the agent says that the store takes no more. The last one is not served.
fn overrun(stage: &Stage, agent: &Agent<'_>) -> Result<Vec<RawClient>> {
    let mut crowd = Vec::new();
    for number in 2..CROWD {
        crowd.push(stage.host.raw_vm(number)?);
        let bridge = format!("virbr{number}");
        let mut complained = false;
        until(
            &format!("{bridge} to be served, or a complaint"),
            BOUND,
            || {
                complained = agent.log().contains("new ones wait");
                let served = agent.log().contains(&format!("{bridge}: ready"));
                Ok((complained || served).then_some(()))
            },
        )?;
        if complained {
            return Ok(crowd);
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

/// A line of the agent's log has all of `facts`, soon.
fn says(agent: &Agent<'_>, facts: &[&str]) -> Result<()> {
    until(&format!("the agent to say {facts:?}"), BOUND, || {
        let log = agent.log();
        let says = |line: &str| facts.iter().all(|fact| line.contains(fact));
        Ok(log.lines().any(says).then_some(()))
    })
}
