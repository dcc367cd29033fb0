//! Case e: what a VM that floods costs the others.
//!
//! Ten VMs ask, one after the other, while an eleventh sends 20,000 frames a second: messages that its server answers, messages
//! that it finds malformed, and frames of the same size that never reach it. The last is what the machine charges for so many
//! frames whoever reads them. All are measured in turns, so that what else the machine does falls on all.

use super::cgroup::Cgroup;
use super::client::ask;
use super::extent::Extent;
use super::figure;
use super::link::{self, CONFIG, Kind};
use super::peer::{Peer, PeerLink};
use super::report::{Figure, Key, Report, Subject};
use super::sample::{Sample, in_unit};
use crate::step::step;
use anyhow::{Context, Result};
use slash32_tests::dhcp::{Message, message_type};
use slash32_tests::{Agent, Flood, Host, Namespace, RawClient, guest_mac};
use std::time::{Duration, Instant};

/// Frames a second.
const RATE: u32 = 20_000;
/// How long each flood is measured at a time, and how often a VM asks meanwhile.
const ROUND: Duration = Duration::from_secs(3);
const PACE: Duration = Duration::from_millis(4);
/// The VMs that ask; number 1 floods.
const OTHERS: std::ops::RangeInclusive<usize> = 2..=11;
/// How long an agent may take for all of them, and a peer.
const START: Duration = Duration::from_secs(20);

/// A flood, and what the others found in it.
struct Course {
    figures: [Figure; 2],
    frames: Vec<Vec<u8>>,
    answers: Vec<Duration>,
    /// Frames a second, as they were really sent.
    rates: Vec<f64>,
}

/// Where nobody serves yet.
struct Stage {
    host: Host,
    // Where the far ends of the others are.
    _clients: Namespace,
    noisy: RawClient,
    others: Vec<RawClient>,
}

/// Measures slash32 and dnsmasq once. Errors: a VM got no answer.
pub(super) fn measure(extent: Extent, run: usize, report: &mut Report) -> Result<()> {
    let rounds = if extent == Extent::Full { 5 } else { 1 };
    step("slash32", || slash32(rounds, run, report))?;
    step("dnsmasq", || dnsmasq(rounds, run, report))
}

fn slash32(rounds: usize, run: usize, report: &mut Report) -> Result<()> {
    let Stage {
        host,
        _clients,
        noisy,
        others,
    } = Stage::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    for number in OTHERS {
        agent.wait(&format!("virbr{number}"), "ready", START)?;
    }
    floods(noisy, others, rounds, Subject::Slash32, run, report)?;
    agent.hush();
    Ok(())
}

fn dnsmasq(rounds: usize, run: usize, report: &mut Report) -> Result<()> {
    let Stage {
        host,
        _clients,
        noisy,
        others,
    } = Stage::new()?;
    let clients = std::iter::once(&noisy).chain(&others);
    let links: Vec<PeerLink> = clients
        .zip(1..)
        .map(|(client, number)| PeerLink {
            bridge: format!("virbr{number}"),
            number,
            vm: client.mac(),
        })
        .collect();
    let cgroup = Cgroup::new()?;
    let mut peer = Peer::prepare(Subject::Dnsmasq, host.namespace(), &links, &cgroup)?;
    peer.start()?;
    peer.wait_started()?;
    floods(noisy, others, rounds, Subject::Dnsmasq, run, report)?;
    peer.stop()
}

impl Stage {
    fn new() -> Result<Self> {
        let host = Host::new()?;
        let clients = Namespace::new("clients")?;
        let noisy = link::make(&host, &clients, Kind::Tap, 1)?.of_any_server();
        link::raise(&host, 1)?;
        let mut others = Vec::new();
        for number in OTHERS {
            others.push(link::make(&host, &clients, Kind::Veth, number)?);
            link::raise(&host, number)?;
        }
        Ok(Self {
            host,
            _clients: clients,
            noisy,
            others,
        })
    }
}

/// All get their addresses; then each flood in turn, `rounds` times.
fn floods(
    mut noisy: RawClient,
    mut others: Vec<RawClient>,
    rounds: usize,
    subject: Subject,
    run: usize,
    report: &mut Report,
) -> Result<()> {
    noisy.bind()?;
    for client in &mut others {
        client.bind()?;
    }
    let mut courses = courses();
    for _ in 0..rounds {
        for course in &mut courses {
            if course.frames.is_empty() {
                course.answers.extend(asked(&mut others)?);
                continue;
            }
            let flood = Flood::start(noisy, course.frames.clone(), RATE);
            let answers = asked(&mut others);
            let sent = flood.stop()?;
            course.answers.extend(answers?);
            course.rates.push(sent.rate());
            noisy = sent.client;
        }
    }
    let mut take = |figure: Figure, value| {
        let links = 1 + u32::try_from(others.len()).unwrap_or_default();
        let key = Key {
            figure,
            links,
            subject,
        };
        report.take(run, key, value);
    };
    let mut p99 = Vec::new();
    for course in courses {
        let sample = Sample::new(course.answers);
        for (figure, percent) in course.figures.into_iter().zip([50, 99]) {
            let answer = sample.percentile(percent).context("nobody asked")?;
            take(figure, in_unit(figure.unit, answer));
        }
        p99.push(sample.percentile(99).unwrap_or_default().as_secs_f64());
        if let Some(least) = course.rates.into_iter().min_by(f64::total_cmp)
            && course.figures == figure::FLOODED
        {
            take(figure::FLOOD_RATE, least);
        }
    }
    if let [_, unseen, flooded, _] = p99.as_slice() {
        take(figure::FLOODED_RATIO, flooded / unseen);
    }
    Ok(())
}

fn courses() -> [Course; 4] {
    let discover = |xid| Message::request(message_type::DISCOVER, guest_mac(1), xid);
    let elsewhere = |xid| {
        let mut message = discover(xid);
        message.envelope.destination_port = 5353;
        message
    };
    let malformed = |xid| {
        let mut message = discover(xid);
        message.hlen = 255;
        message
    };
    let frames =
        |message: &dyn Fn(u32) -> Message| (0..64).map(|xid| message(xid).frame()).collect();
    [
        (figure::QUIET, Vec::new()),
        (figure::UNSEEN, frames(&elsewhere)),
        (figure::FLOODED, frames(&discover)),
        (figure::MALFORMED, frames(&malformed)),
    ]
    .map(|(figures, frames)| Course {
        figures,
        frames,
        answers: Vec::new(),
        rates: Vec::new(),
    })
}

/// The VMs ask in turn, at their pace: the time of each answer.
fn asked(others: &mut [RawClient]) -> Result<Vec<Duration>> {
    let start = Instant::now();
    let mut took = Vec::new();
    let mut next = start;
    while start.elapsed() < ROUND {
        for client in &mut *others {
            let discover = client.discover();
            client.wire().discard()?;
            took.push(ask(client, &discover, message_type::OFFER)?.0);
            next += PACE;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
    Ok(took)
}
