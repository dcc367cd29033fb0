//! The loop: waits for a guest's frame, a word of the agent, or a new agent, and deals with what is there.

use crate::generation::{LEAST_ROOM, Serving};
use slash32_binding::{Generation, Instant, Outcome, Reason, Verdict};
use slash32_dhcp::{Action, MAX_FRAME, acknowledges, forget_udp_checksum};
use slash32_ipc::{Counters, Hello, MAX_DOWN, MAX_UP, State, ToAgent, ToResponder};
use slash32_sys::fd::{AsFd, BorrowedFd, OwnedFd};
use slash32_sys::{Errno, clock, packet, seqpacket, wait};

/// So many frames are answered before the agent is listened to again.
const FRAMES_A_TURN: usize = 64;
/// Between two unasked States, in nanoseconds, and between two Claims: what a guest does must not become work for the agent.
pub(crate) const REPORT_INTERVAL: u64 = 1_000_000_000;

/// Serves until the agent says Quit. Errors: those of waiting on, or accepting from, `listener`.
pub(crate) fn serve(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut server = Server {
        agent: None,
        serving: None,
        counters: Counters::ZERO,
        last_unasked: None,
        due: None,
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
            wait::readable([Some(listener), agent, packet], listener, server.deadline())?;
        if from_agent && server.listen() == Order::Quit {
            return Ok(());
        }
        if from_guest {
            server.answer();
        }
        if new_agent {
            server.accept(listener)?;
        }
        server.report_due(now());
    }
}

struct Server {
    agent: Option<OwnedFd>,
    serving: Option<Serving>,
    counters: Counters,
    /// When the agent was last told a State that it had not caused itself.
    last_unasked: Option<Instant>,
    /// Something that a State tells has changed since the last one, and is told then.
    due: Option<Instant>,
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

/// The end of the interval that begins at `start`.
fn after(start: Instant) -> Instant {
    Instant(start.0.saturating_add(REPORT_INTERVAL))
}

impl Server {
    /// The newest connection is the agent; an older one is closed.
    fn accept(&mut self, listener: BorrowedFd<'_>) -> Result<(), Errno> {
        match seqpacket::accept(listener) {
            Ok(connection) => {
                self.agent = Some(connection);
                let now = now();
                self.report(now);
                if self.serving.as_ref().is_some_and(Serving::holds) {
                    self.claim(now);
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
            // The agent has left something unread, and closed: said once, before the last that it wrote, which may be Quit.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNRESET) => return Order::Continue,
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
            self.count_ignored(now, Reason::Held);
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
                self.count_ignored(now, Reason::Truncated);
                continue;
            }
            let frame = &mut self.frame[..received.length];
            if received.checksum_unfinished {
                forget_udp_checksum(frame);
            }
            let room = &mut self.reply[..serving.room];
            let action = serving.responder.handle(now, frame, room);
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
                    self.count_ignored(now, reason);
                    if gives_back {
                        self.hurry(now);
                    }
                }
                Action::Reply { len, outcome } if acknowledges(outcome) && !serving.confirmed => {
                    let may_claim = serving.may_claim(now);
                    if serving.hold(now, &self.reply[..len], outcome) {
                        self.count_ignored(now, Reason::Held);
                    }
                    if may_claim {
                        self.claim(now);
                    }
                }
                Action::Reply { len, outcome } => self.transmit(now, len, outcome),
            }
            self.report_due(now);
        }
    }

    /// Sends the reply. One that the link does not take is lost, as any packet may be: the client asks again.
    fn transmit(&mut self, now: Instant, length: usize, outcome: Outcome) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        let sent = packet::transmit(serving.packet.as_fd(), &self.reply[..length]);
        if sent == Err(Errno::MSGSIZE) {
            // Longer than the link's MTU, whatever the client and the binding allow: the next one fits.
            serving.room = LEAST_ROOM;
            self.count_ignored(now, Reason::ReplyTooLarge);
            return;
        }
        self.counters.outcomes[outcome.index()] += 1;
        let mut news = false;
        if acknowledges(outcome) {
            serving.lease_time = serving.responder.binding().lease_time;
            news |= serving.last_ack.replace(now).is_none();
            news |= core::mem::replace(&mut serving.told, serving.tells) != serving.tells;
            news |= core::mem::take(&mut serving.released);
        }
        self.changed(now);
        if news {
            self.hurry(now);
        }
    }

    fn count_ignored(&mut self, now: Instant, reason: Reason) {
        self.counters.reasons[reason.index()] += 1;
        self.changed(now);
    }

    /// The agent does not know yet what has changed now, and is told of all that changes until then at once.
    fn changed(&mut self, now: Instant) {
        self.due.get_or_insert(after(now));
    }

    /// What has changed now cannot wait for more, but for the end of the interval: a guest may do it again and again.
    fn hurry(&mut self, now: Instant) {
        self.due = Some(self.last_unasked.map_or(now, after));
        self.report_due(now);
    }

    /// When to stop waiting for frames and tell the agent; `None` when there is nothing to tell, or nobody.
    fn deadline(&self) -> Option<u64> {
        self.agent.as_ref().and(self.due).map(|due| due.0)
    }

    /// Tells the agent what is due. One that does not read is tried again, as often as one that does is told.
    fn report_due(&mut self, now: Instant) {
        if self.agent.is_some() && self.due.is_some_and(|due| due.0 <= now.0) {
            self.last_unasked = Some(now);
            if !self.report(now) {
                self.due = Some(after(now));
            }
        }
    }

    /// Asks the agent for the host route of the ACK that is held.
    fn claim(&mut self, now: Instant) {
        if let Some(number) = self.serving.as_ref().map(|serving| serving.number)
            && self.tell(&ToAgent::Claim(number))
            && let Some(serving) = &mut self.serving
        {
            serving.claimed = Some(now);
        }
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

    /// Says whether the agent was told.
    fn report(&mut self, now: Instant) -> bool {
        self.report_as(now, false)
    }

    fn report_as(&mut self, now: Instant, asked: bool) -> bool {
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
        self.due = None;
        self.tell(&ToAgent::State(state))
    }

    /// Writes to the agent; false when there is none, or none that reads. A message that is lost is told again: a Claim with
    /// the client's next try, a State with the next connection, or when it is due again.
    fn tell(&self, message: &ToAgent) -> bool {
        let mut buffer = [0; MAX_UP];
        let length = message.encode(&mut buffer);
        self.agent
            .as_ref()
            .is_some_and(|agent| seqpacket::send(agent.as_fd(), &buffer[..length]).is_ok())
    }
}
