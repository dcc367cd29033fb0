//! `cargo xtask bench`: how long it takes from a link to an address, beside the time that a frame takes on the same link; from the
//! end of a VM to the next one with its address; and what a call of libvirt's hook costs.
//!
//! Release build, one agent, a fresh bridge for each run of the first two figures. The client is ours and hand-made, on a
//! packet socket with the kernel's receive timestamps; its own time between an answer and its next message is not counted.
//! Figures are compared within one run, never between machines.

#[expect(dead_code, reason = "the cases that use it come next")]
mod extent;
mod flood;
mod hook;
mod leave;
#[expect(dead_code, reason = "the cases that use it come next")]
mod report;

use crate::figures::{self, Figures};
use crate::step::step;
use crate::{cargo, packages, privilege};
use anyhow::{Context, Result, bail};
use serde_json::json;
use slash32_tests::dhcp::{Message, message_type};
use slash32_tests::{Agent, Host, Namespace, PacketSocket, RawClient, Wire};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How often the client asks while its link is not served yet.
const GRID: Duration = Duration::from_micros(500);

/// How long one answer may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The EtherType of the raw echo: IEEE 802's first one for local experiments.
const ECHO: [u8; 2] = [0x88, 0xb5];

const CONFIG: &str = r#"
[[network]]
name = "bench"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"

[[network.subnet]]
prefix = "203.0.112.0/20"
pools = ["203.0.112.1-203.0.127.254"]
"#;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many runs each figure is made of
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// How long a VM's OFFER takes while another VM floods, instead
    #[arg(long)]
    flood: bool,
    /// What a call of libvirt's hook costs, and nothing else
    #[arg(long, conflicts_with = "flood")]
    hook: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
///
/// # Errors
/// When something is missing, or an answer does not come.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    privilege::ask("The bench runs in network namespaces of its own, and making them needs root.")?;
    packages::install(packages::NETWORK)?;
    let programs = cargo::programs(true)?;
    privilege::continue_as_root(&programs)?;

    let (figures, ratios) = if arguments.flood {
        let flooded = flood::measure()?;
        (flooded.figures, flooded.ratios)
    } else if arguments.hook {
        (hook::measure()?, Vec::new())
    } else {
        let runs = usize::from(arguments.runs);
        let mut figures = measure(runs)?;
        figures.extend(leave::measure(runs)?);
        figures.extend(hook::measure()?);
        (figures, Vec::new())
    };
    if arguments.json {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let cpus = std::thread::available_parallelism()?;
        let figures: Vec<_> = figures.iter().map(Figures::json).collect();
        println!(
            "{:#}",
            json!({ "kernel": kernel.trim(), "cpus": cpus, "figures": figures, "ratios": ratios })
        );
    } else {
        println!("\n{}", figures::header());
        for one in &figures {
            println!("{}", one.row());
        }
        for ratio in &ratios {
            println!("\n{ratio}");
        }
    }
    Ok(())
}

fn measure(runs: usize) -> Result<Vec<Figures>> {
    let host = Host::new()?;
    let clients = Namespace::new("clients")?;
    let mut agent = step("slash32-agent", || Agent::start(&host, CONFIG))?;
    let mut switch = Switch::new(host.namespace())?;

    let (mut first_offer, mut first_dora) = (Vec::new(), Vec::new());
    let mut last = None;
    step(&format!("{runs} links, one after the other"), || {
        for number in 1..=runs {
            let mut client = link(&host, &clients, &agent, number)?;
            let (took, offer) = offer_after(&mut client, || switch.up(number))?;
            first_offer.push(took);
            first_dora.push(dora(&mut client, &offer)?);
            last = Some((client, offer));
        }
        Ok(())
    })?;
    let (mut client, offer) = last.context("there was no run")?;
    let repeated = step(&format!("{runs} times DORA on the last link"), || {
        (0..runs)
            .map(|_| dora(&mut client, &offer))
            .collect::<Result<Vec<_>>>()
    })?;
    let echo = step("raw echo on the same link", || {
        echo(&host, &format!("virbr{runs}"), &client, runs)
    })?;
    agent.hush();
    Ok(vec![
        Figures::new("link up to first OFFER (asked every 0.5 ms)", first_offer),
        Figures::new("first DORA, host route installed in it", first_dora),
        Figures::new("repeated DORA", repeated),
        Figures::new("raw echo (one round trip)", echo),
    ])
}

/// Makes bridge and VM link `number`, complete but for the port, which is down; waits until the agent knows it.
fn link(host: &Host, clients: &Namespace, agent: &Agent, number: usize) -> Result<RawClient> {
    let bridge = format!("virbr{number}");
    host.bridge(&bridge)?;
    let pid = clients.pid();
    host.namespace().ip(&format!(
        "link add vnet{number} master {bridge} type veth peer name vm{number} netns {pid}"
    ))?;
    clients.ip(&format!("link set vm{number} up"))?;
    agent.wait(&bridge, "idle", PATIENCE)?;
    RawClient::on(clients, &format!("vm{number}"))
}

/// Sets links up without the time that starting a program takes: an `ip` that waits for its next line.
struct Switch(std::process::Child);

impl Switch {
    fn new(namespace: &Namespace) -> Result<Self> {
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        Ok(Self(
            namespace.inside(|| ip.spawn().context("cannot start ip"))?,
        ))
    }

    fn up(&mut self, number: usize) -> Result<()> {
        let stdin = self.0.stdin.as_mut().context("ip has no input")?;
        stdin.write_all(format!("link set vnet{number} up\n").as_bytes())?;
        Ok(stdin.flush()?)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks on the grid, then makes the link come up; returns the time from there to the first OFFER, and the OFFER.
fn offer_after(
    client: &mut RawClient,
    up: impl FnOnce() -> Result<()>,
) -> Result<(Duration, Message)> {
    let discover = client.discover();
    let frame = discover.frame();
    // Not an error: the link has no carrier yet.
    let _ = client.wire().send(&frame);
    let start = SystemTime::now();
    up()?;
    let deadline = Instant::now() + PATIENCE;
    let mut next = Instant::now();
    while next < deadline {
        let _ = client.wire().send(&frame);
        next += GRID;
        while Instant::now() < next {
            if let Some((at, offer)) = client.answer(discover.xid, Duration::ZERO)? {
                return Ok((since(start, at), offer));
            }
        }
    }
    bail!("no OFFER within {PATIENCE:?}")
}

/// One DISCOVER, OFFER, REQUEST, ACK: the time from each message to its answer, added up. `known` is an earlier OFFER, so that
/// the messages can be written before the clock runs.
fn dora(client: &mut RawClient, known: &Message) -> Result<Duration> {
    let discover = client.discover();
    let request = client.selecting(known);
    while client.wire().receive(Duration::ZERO)?.is_some() {}
    Ok(ask(client, &discover, message_type::OFFER)? + ask(client, &request, message_type::ACK)?)
}

fn ask(client: &RawClient, message: &Message, expected: u8) -> Result<Duration> {
    let frame = message.frame();
    let start = SystemTime::now();
    client.wire().send(&frame)?;
    let (at, answer) = client.answer(message.xid, PATIENCE)?.context("no answer")?;
    slash32_tests::expect(expected, answer)?;
    Ok(since(start, at))
}

/// The time that a frame needs to a packet socket on `bridge` and back, without anybody who thinks about it.
fn echo(host: &Host, bridge: &str, client: &RawClient, runs: usize) -> Result<Vec<Duration>> {
    let socket = PacketSocket::open(host.namespace(), bridge)?;
    let is_echo = |bytes: &[u8]| bytes.get(12..14) == Some(&ECHO);
    let mut question = [0; 60];
    question[..6].copy_from_slice(&socket.address().0);
    question[6..12].copy_from_slice(&client.mac().0);
    question[12..14].copy_from_slice(&ECHO);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let Ok(frame) = socket.receive(Duration::from_millis(50)) else {
                    return;
                };
                if let Some(mut frame) =
                    frame.filter(|frame| !frame.outgoing && is_echo(&frame.bytes))
                {
                    let (to, from) = frame.bytes.split_at_mut(6);
                    to.swap_with_slice(&mut from[..6]);
                    let _ = socket.send(&frame.bytes);
                }
            }
        });
        let round_trips = (0..runs).map(|_| {
            let start = SystemTime::now();
            client.wire().send(&question)?;
            loop {
                let frame = client.wire().receive(PATIENCE)?.context("no echo")?;
                if !frame.outgoing && is_echo(&frame.bytes) {
                    return Ok(since(start, frame.at));
                }
            }
        });
        let round_trips = round_trips.collect();
        over.store(true, Ordering::Relaxed);
        round_trips
    })
}

/// Both are on CLOCK_REALTIME; a step of that clock between them shows as a run of zero length.
fn since(start: SystemTime, at: SystemTime) -> Duration {
    at.duration_since(start).unwrap_or_default()
}
