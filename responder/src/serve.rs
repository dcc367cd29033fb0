//! The loop: waits for a guest's frame, a word of the agent, or a new agent, and deals with what is there.

use crate::generation::Serving;
use slash32_binding::{Generation, Instant, Outcome, Reason, Verdict};
use slash32_dhcp::{Action, MAX_FRAME, acknowledges, forget_udp_checksum};
use slash32_ipc::{Counters, Hello, MAX_DOWN, MAX_UP, State, ToAgent, ToResponder};
use slash32_sys::fd::{AsFd, BorrowedFd, OwnedFd};
use slash32_sys::{Errno, clock, packet, seqpacket, wait};

/// So many frames are answered before the agent is listened to again.
const FRAMES_A_TURN: usize = 64;
/// Between two unasked States, in nanoseconds: what a guest does must not become work for the agent.
const REPORT_INTERVAL: u64 = 1_000_000_000;

/// Serves until the agent says Quit. Errors: those of waiting on, or accepting from, `listener`.
pub(crate) fn serve(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut server = Server {
        agent: None,
        serving: None,
        counters: Counters::ZERO,
        last_report: Instant(0),
        changed: false,
        frame: [0; MAX_FRAME],
        reply: [0; MAX_FRAME],
    };
    loop {
        let agent = server.agent.as_ref().map(AsFd::as_fd);
        let packet = server
            .serving
            .as_ref()
            .map(|serving| serving.packet.as_fd());
        let [new_agent, from_agent, from_guest] =
            wait::readable([Some(listener), agent, packet], listener)?;
        if from_agent && server.listen() == Order::Quit {
            return Ok(());
        }
        if from_guest {
            server.answer();
        }
        if new_agent {
            server.accept(listener)?;
        }
    }
}

struct Server {
    agent: Option<OwnedFd>,
    serving: Option<Serving>,
    counters: Counters,
    last_report: Instant,
    /// Something that a State tells has changed since the last one.
    changed: bool,
    frame: [u8; MAX_FRAME],
    reply: [u8; MAX_FRAME],
}

#[derive(PartialEq, Eq)]
enum Order {
    Continue,
    Quit,
}

fn now() -> Instant {
    Instant(clock::boottime())
}

impl Server {
    /// The newest connection is the agent; an older one is closed.
    fn accept(&mut self, listener: BorrowedFd<'_>) -> Result<(), Errno> {
        match seqpacket::accept(listener) {
            Ok(connection) => {
                self.agent = Some(connection);
                self.report(now());
                if let Some(serving) = &self.serving
                    && serving.holds()
                {
                    let number = serving.number;
                    self.tell(&ToAgent::Claim(number));
                }
                Ok(())
            }
            // The peer went away again, or the kernel is short of something for now.
            Err(
                Errno::CONNABORTED
                | Errno::AGAIN
                | Errno::INTR
                | Errno::NFILE
                | Errno::NOBUFS
                | Errno::NOMEM,
            ) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads one message of the agent and does what it says.
    fn listen(&mut self) -> Order {
        let mut buffer = [0; MAX_DOWN];
        let Some(agent) = &self.agent else {
            return Order::Continue;
        };
        let record = match seqpacket::receive(agent.as_fd(), &mut buffer) {
            Ok(record) if record.length > 0 && !record.truncated => record,
            Err(Errno::AGAIN | Errno::INTR) => return Order::Continue,
            // Closed, broken, or not our protocol: go on without an agent until a new one comes.
            Ok(_) | Err(_) => {
                self.agent = None;
                return Order::Continue;
            }
        };
        match ToResponder::decode(&buffer[..record.length]) {
            Ok(ToResponder::Hello(hello)) => self.greet(hello, record.descriptors),
            Ok(ToResponder::Confirm(generation)) => self.confirm(generation),
            Ok(ToResponder::End(generation)) => {
                self.serving.take_if(|serving| serving.number == generation);
                self.report(now());
            }
            Ok(ToResponder::Inquire) => self.show(),
            Ok(ToResponder::Quit) => return Order::Quit,
            Err(_) => self.agent = None,
        }
        Order::Continue
    }

    fn greet(&mut self, hello: Hello, [packet, idle]: [Option<OwnedFd>; 2]) {
        match (packet, &mut self.serving) {
            (packet, Some(serving)) if serving.number == hello.generation => {
                serving.rebind(hello);
                if let Some(packet) = packet {
                    serving.replace_sockets(packet, idle);
                }
            }
            (Some(packet), _) => self.serving = Some(Serving::new(hello, packet, idle)),
            // A new generation without its sockets: not our protocol.
            (None, _) => {
                self.agent = None;
                return;
            }
        }
        self.release_held();
        self.report(now());
    }

    fn confirm(&mut self, generation: Generation) {
        if let Some(serving) = &mut self.serving
            && serving.number == generation
        {
            serving.confirmed = true;
            self.release_held();
        }
    }

    /// Sends the ACK that waited, once the host route is known to be there.
    fn release_held(&mut self) {
        let now = now();
        let Some(serving) = &mut self.serving else {
            return;
        };
        if !serving.confirmed || !serving.holds() {
            return;
        }
        let Some((frame, outcome)) = serving.take_held(now) else {
            self.count_ignored(Reason::Held);
            return;
        };
        let length = frame.len();
        self.reply[..length].copy_from_slice(frame);
        serving.seen.answered_at_last(outcome);
        self.transmit(now, length, outcome);
    }

    /// Answers what the guest has sent.
    fn answer(&mut self) {
        for _ in 0..FRAMES_A_TURN {
            let Some(serving) = &mut self.serving else {
                return;
            };
            let received = match packet::receive(serving.packet.as_fd(), &mut self.frame) {
                Ok(received) => received,
                // No more for now; or the link went down, which is told once and passes.
                Err(_) => return,
            };
            let now = now();
            if received.truncated {
                self.count_ignored(Reason::Truncated);
                continue;
            }
            let frame = &mut self.frame[..received.length];
            if received.checksum_unfinished {
                forget_udp_checksum(frame);
            }
            let action = serving.responder.handle(now, frame, &mut self.reply);
            let verdict = match action {
                Action::Ignore(reason) => Verdict::Ignored(reason),
                Action::Reply { outcome, .. } if acknowledges(outcome) && !serving.confirmed => {
                    Verdict::Ignored(Reason::Held)
                }
                Action::Reply { outcome, .. } => Verdict::Answered(outcome),
            };
            serving.seen.take(now, frame, verdict);
            match action {
                Action::Ignore(reason) => {
                    let gives_back = reason == Reason::Release
                        && !core::mem::replace(&mut serving.released, true);
                    self.count_ignored(reason);
                    if gives_back {
                        // At once: it may be the last frame that this guest ever sends.
                        self.report(now);
                    }
                }
                Action::Reply { len, outcome } if acknowledges(outcome) && !serving.confirmed => {
                    let number = serving.number;
                    if serving.hold(now, &self.reply[..len], outcome) {
                        self.count_ignored(Reason::Held);
                    }
                    self.tell(&ToAgent::Claim(number));
                }
                Action::Reply { len, outcome } => self.transmit(now, len, outcome),
            }
            if self.changed && now.nanoseconds_since(self.last_report) >= REPORT_INTERVAL {
                self.report(now);
            }
        }
    }

    /// Sends the reply. One that the link does not take is lost, as any packet may be: the client asks again.
    fn transmit(&mut self, now: Instant, length: usize, outcome: Outcome) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        let _ = packet::transmit(serving.packet.as_fd(), &self.reply[..length]);
        self.counters.outcomes[outcome.index()] += 1;
        self.changed = true;
        if acknowledges(outcome) {
            serving.lease_time = serving.responder.binding().lease_time;
            let first = serving.last_ack.replace(now).is_none();
            let other = core::mem::replace(&mut serving.told, serving.tells) != serving.tells;
            if first || other || core::mem::take(&mut serving.released) {
                self.report(now);
            }
        }
    }

    fn count_ignored(&mut self, reason: Reason) {
        self.counters.reasons[reason.index()] += 1;
        self.changed = true;
    }

    /// Tells the agent, which asks, what an operator may see.
    fn show(&mut self) {
        let now = now();
        if let Some(serving) = &self.serving {
            for kept in serving.seen.told(serving.number, now) {
                self.tell(&kept);
            }
        }
        self.report_as(now, true);
    }

    fn report(&mut self, now: Instant) {
        self.report_as(now, false);
    }

    fn report_as(&mut self, now: Instant, asked: bool) {
        let state = match &self.serving {
            Some(serving) => State {
                generation: serving.number,
                confirmed: serving.confirmed,
                last_ack_age: serving.last_ack.map(|then| now.nanoseconds_since(then)),
                lease_time: serving.lease_time,
                told: serving.told,
                released: serving.released,
                asked,
                counters: self.counters,
            },
            None => State {
                generation: Generation::NONE,
                confirmed: false,
                last_ack_age: None,
                lease_time: 0,
                told: 0,
                released: false,
                asked,
                counters: self.counters,
            },
        };
        self.last_report = now;
        self.changed = false;
        self.tell(&ToAgent::State(state));
    }

    /// Writes to the agent when there is one that reads. A message that is lost is told again: a Claim with the client's
    /// next try, a State with the next connection.
    fn tell(&self, message: &ToAgent) {
        let mut buffer = [0; MAX_UP];
        let length = message.encode(&mut buffer);
        if let Some(agent) = &self.agent {
            let _ = seqpacket::send(agent.as_fd(), &buffer[..length]);
        }
    }
}
