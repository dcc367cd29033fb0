//! The clients of many VMs: one thread, one socket, frames that are written before the clock runs.
//!
//! Each VM sends a DISCOVER within the first 100 ms (they are spread over these, as VMs are), and again each 100 ms, until it has
//! an OFFER; then its REQUEST, in the same way, until it has its ACK. Times are the kernel's receive timestamps.

mod frame;

use super::lab::Lab;
use anyhow::{Context, Result};
use frame::{Answer, Template};
use nix::sys::socket::LinkAddr;
use slash32_tests::EveryLink;
use slash32_tests::dhcp::message_type;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime};

/// How long a VM waits before it sends its message again. Real clients wait seconds; this is how fine the figures are.
pub(super) const RETRANSMIT: Duration = Duration::from_millis(100);
/// How often it is looked whose turn it is.
const TICK: Duration = Duration::from_millis(1);

/// The VMs of a [`Lab`].
pub(super) struct Crowd {
    wire: EveryLink,
    vms: Vec<Vm>,
    /// By the index of the link.
    places: HashMap<usize, usize>,
}

struct Vm {
    address: LinkAddr,
    template: Template,
}

/// What came of one start.
pub(super) struct Course {
    /// When the clock began to run.
    pub(super) start: SystemTime,
    /// For each VM that got one: when its first OFFER was there.
    pub(super) offers: Vec<SystemTime>,
    /// For each VM that got one: when its first ACK was there, and for which address.
    pub(super) acks: Vec<(SystemTime, Ipv4Addr)>,
}

/// Where a VM stands.
enum State {
    Discovering,
    Requesting(Vec<u8>),
    Bound,
}

impl Crowd {
    /// The VMs of all links that are there.
    pub(super) fn new(lab: &Lab) -> Result<Self> {
        let wire = EveryLink::open(lab.vms())?;
        let mut vms = Vec::new();
        for link in lab.links() {
            let name = format!("vm{}", link.number);
            let address = wire
                .address(&name)
                .with_context(|| format!("there is no link {name}"))?;
            let template = Template::new(link.vm, 0x5132_0000 + u32::from(link.number));
            vms.push(Vm { address, template });
        }
        let places = vms.iter().enumerate();
        let places = places.map(|(place, vm)| (vm.address.ifindex(), place));
        Ok(Self {
            places: places.collect(),
            wire,
            vms,
        })
    }

    /// Starts the clock, does `start`, and has every VM ask until all are served, at most for `bound`.
    pub(super) fn run(
        &mut self,
        bound: Duration,
        start: impl FnOnce() -> Result<()>,
    ) -> Result<Course> {
        while self.wire.receive()?.is_some() {}
        let mut states: Vec<State> = self.vms.iter().map(|_| State::Discovering).collect();
        let mut course = Course {
            start: SystemTime::now(),
            offers: Vec::new(),
            acks: Vec::new(),
        };
        let begin = Instant::now();
        start()?;
        let spread = RETRANSMIT / u32::try_from(self.vms.len().max(1))?;
        let mut due: Vec<Instant> = (0..self.vms.len())
            .map(|place| begin + spread * place as u32)
            .collect();
        while course.acks.len() < self.vms.len() && begin.elapsed() < bound {
            let now = Instant::now();
            for ((vm, state), due) in self.vms.iter().zip(&states).zip(&mut due) {
                if *due <= now {
                    // A link that is down takes nothing: the frame is lost, as on any wire.
                    let _ = match state {
                        State::Discovering => self.wire.send(&vm.address, vm.template.discover()),
                        State::Requesting(frame) => self.wire.send(&vm.address, frame),
                        State::Bound => Ok(()),
                    };
                    *due += RETRANSMIT;
                }
            }
            if self.wire.wait(TICK)? {
                self.hear(&mut states, &mut due, &mut course)?;
            }
        }
        Ok(course)
    }

    /// Reads what has come.
    fn hear(
        &mut self,
        states: &mut [State],
        due: &mut [Instant],
        course: &mut Course,
    ) -> Result<()> {
        while let Some(arrived) = self.wire.receive()? {
            let at = arrived.at;
            let Some(&place) = self.places.get(&arrived.ifindex) else {
                continue;
            };
            let vm = &self.vms[place];
            let Some(answer) = Answer::read(arrived.bytes, vm.template.xid) else {
                continue;
            };
            match (&states[place], answer.message_type) {
                (State::Discovering, message_type::OFFER) => {
                    let request = vm.template.request(&answer);
                    let _ = self.wire.send(&vm.address, &request);
                    states[place] = State::Requesting(request);
                    due[place] = Instant::now() + RETRANSMIT;
                    course.offers.push(at);
                }
                (State::Requesting(_), message_type::ACK) => {
                    states[place] = State::Bound;
                    course.acks.push((at, answer.address));
                }
                (State::Requesting(_), message_type::NAK) => states[place] = State::Discovering,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Course {
    /// From the start to the first OFFER.
    pub(super) fn first_offer(&self) -> Option<Duration> {
        self.offers.iter().min().map(|at| self.since_start(*at))
    }

    /// From the start to the last ACK.
    pub(super) fn last_ack(&self) -> Option<Duration> {
        let last = self.acks.iter().map(|(at, _)| at).max();
        last.map(|at| self.since_start(*at))
    }

    /// A step of the clock between the two shows as no time at all.
    pub(super) fn since_start(&self, at: SystemTime) -> Duration {
        at.duration_since(self.start).unwrap_or_default()
    }
}
