//! The loop: waits for a guest's frame, a word of the agent, or a new agent, and deals with what is there.

use crate::generation::{LEAST_ROOM, Serving};
use crate::seen::{Frame, Seen};
use slash32_bare::fd::{BorrowedFd, OwnedFd};
use slash32_bare::{Errno, Place, clock, packet, seqpacket, wait};
use slash32_binding::{Generation, Instant, Outcome, Reason, Verdict};
use slash32_dhcp::{Action, MAX_FRAME, Responder, acknowledges, forget_udp_checksum};
use slash32_ipc::{
    Counters, Greeting, KeptAs, MAX_DOWN, MAX_UP, State, Word, digest, encode_claim,
};

/// So many frames are answered before the agent is listened to again.
const FRAMES_A_TURN: usize = 64;
/// Between two unasked States, in nanoseconds, and between two Claims: what a guest does must not become work for the agent.
pub(crate) const REPORT_INTERVAL: u64 = 1_000_000_000;

/// All that a responder has. It is a place of its own and not on the stack, where it would lie between the pages that the
/// calls below it touch, and be moved there through others: each page that a responder writes to is one of its own, and
/// there are thousands of them.
static SERVER: Place<Server> = Place::new(Server {
    agent: None,
    serving: None,
    counters: Counters::ZERO,
    last_unasked: None,
    due: None,
    held: [0; MAX_FRAME],
    request: Frame::NONE,
    buffer: [0; BUFFER],
    responder: Responder::NONE,
    other_server: Frame::NONE,
});

/// Serves until the agent says Quit. Errors: those of waiting on, or accepting from, `listener`.
pub(crate) fn serve(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    // There is one call in the life of the program.
    let server = SERVER.take().ok_or(Errno::INVAL)?;
    loop {
        let agent = server.agent.as_ref().map(OwnedFd::as_fd);
        let packet = server
            .serving
            .as_ref()
            .map(|serving| serving.packet.as_fd());
        let [new_agent, from_agent, from_guest] =
            wait::readable([Some(listener), agent, packet], server.deadline())?;
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

/// A frame and the reply to it, or a message to the agent; or one message of the agent.
const BUFFER: usize = if MAX_DOWN > MAX_FRAME + ROOM {
    MAX_DOWN
} else {
    MAX_FRAME + ROOM
};
/// The longest of what is sent.
const ROOM: usize = if MAX_UP > MAX_FRAME {
    MAX_UP
} else {
    MAX_FRAME
};

/// The order of the fields is that in memory: what a usual binding and usual frames touch of it lies in two pages.
#[repr(C)]
struct Server {
    agent: Option<OwnedFd>,
    /// The VM that is served: the fields below belong to it, and mean nothing without it.
    serving: Option<Serving>,
    counters: Counters,
    /// When the agent was last told a State that it had not caused itself.
    last_unasked: Option<Instant>,
    /// Something that a State tells has changed since the last one, and is told then.
    due: Option<Instant>,
    /// The ACK that waits for the host route.
    held: [u8; MAX_FRAME],
    /// See [`Seen`].
    request: Frame,
    /// Nothing in it outlives the turn of a frame or of a message.
    buffer: [u8; BUFFER],
    responder: Responder,
    /// See [`Seen`].
    other_server: Frame,
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
        let Some(agent) = &self.agent else {
            return Order::Continue;
        };
        let record = match seqpacket::receive(agent.as_fd(), &mut self.buffer[..MAX_DOWN]) {
            Ok(record) if record.length > 0 && !record.truncated => record,
            // The agent has left something unread, and closed: said once, before the last that it wrote, which may be Quit.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNRESET) => return Order::Continue,
            // Closed, broken, or not our protocol: go on without an agent until a new one comes.
            Ok(_) | Err(_) => {
                self.agent = None;
                return Order::Continue;
            }
        };
        match Word::read(&self.buffer[..record.length]) {
            Ok(Word::Hello(greeting)) => {
                let served = greet(
                    &greeting,
                    record.descriptors,
                    &mut self.serving,
                    &mut self.responder,
                    Seen {
                        request: &mut self.request,
                        other_server: &mut self.other_server,
                    },
                );
                if !served {
                    self.agent = None;
                    return Order::Continue;
                }
                self.release_held();
                self.report(now());
            }
            Ok(Word::Confirm(generation)) => self.confirm(generation),
            Ok(Word::End(generation)) => {
                self.serving.take_if(|serving| serving.number == generation);
                self.report(now());
            }
            Ok(Word::Inquire) => self.show(),
            Ok(Word::Quit) => return Order::Quit,
            Err(_) => self.agent = None,
        }
        Order::Continue
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
        let Some((length, outcome)) = serving.take_held(now) else {
            self.count_ignored(now, Reason::Held);
            return;
        };
        let frame = &self.held[..length];
        let sent = packet::transmit(serving.packet.as_fd(), frame);
        self.request.answered_at_last(outcome);
        self.transmitted(now, sent, outcome);
    }

    /// Answers what the guest has sent.
    fn answer(&mut self) {
        for _ in 0..FRAMES_A_TURN {
            let Some(serving) = &mut self.serving else {
                return;
            };
            let (frame, reply) = self.buffer.split_at_mut(MAX_FRAME);
            let received = match packet::receive(serving.packet.as_fd(), frame) {
                Ok(received) => received,
                // No more for now; or the link went down, which is told once and passes.
                Err(_) => return,
            };
            let now = now();
            if received.truncated {
                self.count_ignored(now, Reason::Truncated);
                continue;
            }
            let frame = &mut frame[..received.length];
            if received.checksum_unfinished {
                forget_udp_checksum(frame);
            }
            let room = &mut reply[..serving.room];
            let action = self.responder.handle(now, frame, room);
            let verdict = match action {
                Action::Ignore(reason) => Verdict::Ignored(reason),
                Action::Reply { outcome, .. } if acknowledges(outcome) && !serving.confirmed => {
                    Verdict::Ignored(Reason::Held)
                }
                Action::Reply { outcome, .. } => Verdict::Answered(outcome),
            };
            let seen = Seen {
                request: &mut self.request,
                other_server: &mut self.other_server,
            };
            seen.take(now, frame, verdict);
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
                    self.held[..len].copy_from_slice(&reply[..len]);
                    if serving.hold(now, len, outcome) {
                        self.count_ignored(now, Reason::Held);
                    }
                    if may_claim {
                        self.claim(now);
                    }
                }
                Action::Reply { len, outcome } => {
                    let sent = packet::transmit(serving.packet.as_fd(), &reply[..len]);
                    self.transmitted(now, sent, outcome);
                }
            }
            self.report_due(now);
        }
    }

    /// A reply was sent. One that the link does not take is lost, as any packet may be: the client asks again.
    fn transmitted(&mut self, now: Instant, sent: Result<(), Errno>, outcome: Outcome) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        if sent == Err(Errno::MSGSIZE) {
            // Longer than the link's MTU, whatever the client and the binding allow: the next one fits.
            serving.room = LEAST_ROOM;
            self.count_ignored(now, Reason::ReplyTooLarge);
            return;
        }
        self.counters.outcomes[outcome.index()] += 1;
        let mut news = false;
        if acknowledges(outcome) {
            serving.lease_time = self.responder.binding().lease_time;
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
            self.report(now);
        }
    }

    /// Asks the agent for the host route of the ACK that is held.
    fn claim(&mut self, now: Instant) {
        if let Some(number) = self.serving.as_ref().map(|serving| serving.number)
            && self.tell(|_, out| Some(encode_claim(number, out)))
            && let Some(serving) = &mut self.serving
        {
            serving.claimed = Some(now);
        }
    }

    /// Tells the agent, which asks, what an operator may see.
    fn show(&mut self) {
        let now = now();
        if let Some(number) = self.serving.as_ref().map(|serving| serving.number) {
            let (request, other) = (KeptAs::Request, KeptAs::OtherServer);
            self.tell(|told, out| told.request.encode(request, number, now, out));
            self.tell(|told, out| told.other_server.encode(other, number, now, out));
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
        let is_told = self.tell(|_, out| Some(state.encode(out)));
        // An agent that does not read is tried again, as often as one that does is told.
        self.due = (!is_told).then(|| after(now));
    }

    /// Writes to the agent what `encode` puts into the buffer; false when that is nothing, when there is no agent, or none that
    /// reads. A message that is lost is told again: a Claim with the client's next try, a State with the next connection, or
    /// when it is due again.
    fn tell(&mut self, encode: impl FnOnce(Told<'_>, &mut [u8; MAX_UP]) -> Option<usize>) -> bool {
        let (Some(agent), Some(out)) = (
            &self.agent,
            self.buffer[MAX_FRAME..].first_chunk_mut::<MAX_UP>(),
        ) else {
            return false;
        };
        let told = Told {
            request: &self.request,
            other_server: &self.other_server,
        };
        encode(told, out)
            .is_some_and(|length| seqpacket::send(agent.as_fd(), &out[..length]).is_ok())
    }
}

/// What a message to the agent may be made of, besides what its sender has.
struct Told<'a> {
    request: &'a Frame,
    other_server: &'a Frame,
}

/// Takes a new or changed binding, and the sockets that came with it. False when that is not our protocol: a new generation
/// without its sockets.
fn greet(
    greeting: &Greeting<'_>,
    [packet, idle]: [Option<OwnedFd>; 2],
    serving: &mut Option<Serving>,
    responder: &mut Responder,
    seen: Seen<'_>,
) -> bool {
    let (number, confirmed) = (greeting.generation, greeting.confirmed);
    let is_same = serving
        .as_ref()
        .is_some_and(|serving| serving.number == number);
    if !is_same && packet.is_none() {
        return false;
    }
    let former = responder.binding().address;
    responder.change(|binding| greeting.unpack(binding));
    let binding = responder.binding();
    let (tells, same_address) = (digest(binding), binding.address == former);
    match (packet, serving) {
        (packet, Some(serving)) if is_same => {
            serving.rebind(confirmed, tells, same_address);
            if let Some(packet) = packet {
                serving.replace_sockets(packet, idle);
            }
        }
        (Some(packet), serving) => {
            *serving = Some(Serving::new(number, confirmed, tells, packet, idle));
            responder.forget_owner();
            seen.forget();
        }
        (None, _) => {}
    }
    true
}
