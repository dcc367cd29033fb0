//! `cargo xtask bench --flood`: what a VM that floods costs the others.
//!
//! Ten VMs ask, one after the other, while an eleventh sends 20,000 frames a second: messages that its responder answers,
//! messages that it finds malformed, and frames of the same size that never reach it. The last is what the machine charges for
//! so many frames whoever reads them. The four are measured in turns, so that what else the machine does falls on all.

use super::client::{PATIENCE, ask};
use super::link::{CONFIG, Kind, Switch, link};
use crate::figures::Figures;
use crate::step::step;
use anyhow::Result;
use slash32_tests::dhcp::{Message, message_type};
use slash32_tests::{Agent, Flood, Host, Namespace, RawClient, guest_mac};
use std::time::{Duration, Instant};

/// Frames a second.
const RATE: u32 = 20_000;
/// How often each flood is measured, for how long, and how often a VM asks meanwhile.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
const PACE: Duration = Duration::from_millis(4);
/// The VMs that ask.
const OTHERS: std::ops::RangeInclusive<usize> = 2..=11;

/// What was measured.
pub(super) struct Flooded {
    pub(super) figures: Vec<Figures>,
    /// A sentence for each flood that responders see.
    pub(super) ratios: Vec<String>,
}

/// A flood, and what the others found in it, by round.
struct Course {
    name: &'static str,
    frames: Vec<Vec<u8>>,
    rounds: Vec<Vec<Duration>>,
    rates: Vec<f64>,
}

/// Measures. Errors: a VM got no answer.
pub(super) fn measure() -> Result<Flooded> {
    let host = Host::new()?;
    let clients = Namespace::new("clients")?;
    let mut agent = step("slash32-agent", || Agent::start(&host, CONFIG))?;
    let mut noisy = Some(host.raw_vm(1)?);
    if let Some(noisy) = &mut noisy {
        noisy.bind()?;
    }
    let mut switch = Switch::new(host.namespace())?;
    let mut others = Vec::new();
    for number in OTHERS {
        let mut client = link(&host, &clients, &agent, Kind::Veth, number)?;
        switch.up(&format!("vnet{number}"))?;
        agent.wait(&format!("virbr{number}"), "ready", PATIENCE)?;
        client.bind()?;
        others.push(client);
    }
    let mut courses = courses();
    for round in 1..=ROUNDS {
        step(&format!("round {round} of {ROUNDS}"), || {
            for course in &mut courses {
                let Some(client) = noisy.take() else { continue };
                if course.frames.is_empty() {
                    course.rounds.push(asked(&mut others)?);
                    noisy = Some(client);
                } else {
                    let flood = Flood::start(client, course.frames.clone(), RATE);
                    course.rounds.push(asked(&mut others)?);
                    let sent = flood.stop()?;
                    course.rates.push(sent.rate());
                    noisy = Some(sent.client);
                }
            }
            Ok(())
        })?;
    }
    agent.hush();
    let ratios = courses[2..]
        .iter()
        .map(|course| course.against(&courses[1]));
    Ok(Flooded {
        ratios: ratios.collect(),
        figures: courses
            .into_iter()
            .map(|course| Figures::new(course.name, course.rounds.concat()))
            .collect(),
    })
}

fn courses() -> Vec<Course> {
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
        ("OFFER, no flood", Vec::new()),
        ("OFFER, another VM sends other frames", frames(&elsewhere)),
        ("OFFER, another VM sends DISCOVERs", frames(&discover)),
        ("OFFER, another VM sends malformed ones", frames(&malformed)),
    ]
    .into_iter()
    .map(|(name, frames)| Course {
        name,
        frames,
        rounds: Vec::new(),
        rates: Vec::new(),
    })
    .collect()
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

impl Course {
    /// What this flood costs beside one that no responder sees, and how fast it was.
    fn against(&self, unseen: &Self) -> String {
        let rate = self.rates.iter().copied().fold(f64::INFINITY, f64::min);
        format!(
            "{}, against other frames: p50 {}, p99 {} (median of {ROUNDS} rounds, and the range); at least {rate:.0} frames a second",
            self.name,
            self.ratio(unseen, 50),
            self.ratio(unseen, 99),
        )
    }

    /// This percentile of each round against that of the same round of `other`: the median, and the range.
    fn ratio(&self, other: &Self, percent: usize) -> String {
        let seconds = |round: &[Duration]| {
            let figures = Figures::new(self.name, round.to_vec());
            figures.percentile(percent).as_secs_f64()
        };
        let pairs = self.rounds.iter().zip(&other.rounds);
        let mut ratios: Vec<f64> = pairs.map(|(a, b)| seconds(a) / seconds(b)).collect();
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        format!(
            "x {:.2} ({least:.2} to {most:.2})",
            ratios[ratios.len() / 2]
        )
    }
}
