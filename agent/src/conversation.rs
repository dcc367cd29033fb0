//! What a responder can honestly say on one connection, and how it is found out that it is not honest.
//!
//! A responder is the program that strangers talk to, so its words are judged before they are believed. Nothing here is a
//! guess: each rule follows from the order of the records on the socket, from the one clock that both ends read
//! (`CLOCK_BOOTTIME`), and from what this end has said. Words that are still on their way when the agent says something new
//! break none of them. A word that breaks one ends the responder ([`Fault`]); its VM is served by a fresh one.
//!
//! What a responder that was taken over can still do is to lie within its own link: claim before its VM has asked, deny or
//! invent an acknowledgement or a release of its own generation, and count what never was.

use slash32_binding::Generation;
use slash32_ipc::{Counters, Hello, Kept, Malformed, State, ToResponder};

/// Claims that may be on their way when the responder reads that it is confirmed: the send buffer of a unix socket holds
/// fewer than 300 of them.
const CLAIMS_ON_THEIR_WAY: u32 = 1000;
/// An Inquire is answered by so many kept frames at most.
const KEPT_EACH: u32 = 2;
/// An honest responder says unasked how it is once or twice a second. More than this, for this many seconds in a row, is
/// a flood.
const FLOOD: (u32, u32) = (50, 5);

/// More generations than a socket holds that were not read yet.
const MOST_GIVEN: usize = 1024;

const SECOND: u64 = 1_000_000_000;

/// Why a responder is finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The process ended by itself, or was ended by somebody else.
    Ended,
    /// It did not say a word in time.
    Silent,
    /// It does not read what it is told.
    Deaf,
    /// It speaks another version.
    Version(u16),
    /// Its bytes are no message.
    Malformed,
    /// It spoke of a generation that it was never given.
    Generation,
    /// It claimed what it was confirmed before.
    Claim,
    /// It said that it is confirmed, or has acknowledged, and nobody has confirmed it.
    Confirmed,
    /// Something happened longer ago than it can have.
    Age,
    /// Its lease contradicts itself, or is longer than what it was given.
    Lease,
    /// A counter went backwards, or is beyond what it can have counted.
    Counters,
    /// It answered what nobody has asked.
    Unasked,
    /// It does not stop talking.
    Flood,
}

impl Fault {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = 13;

    /// The name of every kind, by [`Fault::index`].
    pub(crate) const NAMES: [&str; Self::COUNT] = [
        "ended",
        "silent",
        "deaf",
        "version",
        "malformed",
        "generation",
        "claim",
        "confirmed",
        "age",
        "lease",
        "counters",
        "unasked",
        "flood",
    ];

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Ended => 0,
            Self::Silent => 1,
            Self::Deaf => 2,
            Self::Version(_) => 3,
            Self::Malformed => 4,
            Self::Generation => 5,
            Self::Claim => 6,
            Self::Confirmed => 7,
            Self::Age => 8,
            Self::Lease => 9,
            Self::Counters => 10,
            Self::Unasked => 11,
            Self::Flood => 12,
        }
    }

    /// In snake case, as counters are named.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Version(version) => Self::Version(version),
            Malformed::Message => Self::Malformed,
        }
    }
}

/// What the responder did, as the end of a sentence that begins with it.
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ended => "ended",
            Self::Silent => "says nothing",
            Self::Deaf => "does not read what it is told",
            Self::Version(version) => return Malformed::Version(*version).fmt(f),
            Self::Malformed => return Malformed::Message.fmt(f),
            Self::Generation => "spoke of a generation that it was never given",
            Self::Claim => "claimed what it knew to be confirmed",
            Self::Confirmed => "said that it was confirmed, which nobody has done",
            Self::Age => "told of something that happened before it was given its binding",
            Self::Lease => "told of a lease that it cannot have acknowledged",
            Self::Counters => "told of counters that cannot be",
            Self::Unasked => "answered what nobody has asked",
            Self::Flood => "does not stop talking",
        })
    }
}

/// What was said so far on one connection, as far as it bears on what may be said next.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// Every generation that the responder was given, in rising order.
    given: Vec<Given>,
    /// The generation that it speaks of when it has done all that it was told; `None` when it has.
    awaited: Option<Generation>,
    /// Inquiries without an answer.
    inquiries: u32,
    /// Frames that may still come in answer to them.
    frames: u32,
    counters: Option<Box<Counters>>,
    talk: Talk,
}

/// One generation that the responder was given.
#[derive(Clone, Copy, Debug)]
struct Given {
    generation: Generation,
    /// When, in nanoseconds of the boot-time clock; 0 when an earlier agent gave it.
    since: u64,
    /// The longest lease that it may grant, in seconds.
    lease_time: u32,
    /// It was told that its host route is there.
    confirmed: bool,
    /// And has said that it knows.
    knows: bool,
    /// Claims that came after it was told.
    late_claims: u32,
}

/// How much it says unasked.
#[derive(Debug, Default)]
struct Talk {
    /// Nanoseconds of the boot-time clock.
    second: u64,
    words: u32,
    loud_seconds: u32,
}

impl Conversation {
    /// Goes on with a responder that an earlier agent has started, after its first word, which came `now`.
    ///
    /// Errors: no honest responder begins like that.
    pub(crate) fn continued(first: &State, now: u64) -> Result<Self, Fault> {
        let mut conversation = Self::default();
        if first.generation != Generation::NONE {
            conversation.given.push(Given {
                generation: first.generation,
                since: 0,
                lease_time: u32::MAX,
                confirmed: first.confirmed,
                knows: first.confirmed,
                late_claims: 0,
            });
        }
        conversation.state(first, now)?;
        Ok(conversation)
    }

    /// The responder was told this.
    pub(crate) fn told(&mut self, message: &ToResponder, now: u64) {
        match message {
            ToResponder::Hello(hello) => {
                self.awaited = Some(hello.generation);
                self.greeted(hello, now);
            }
            ToResponder::Confirm(generation) => {
                if let Some(given) = self.given_mut(*generation) {
                    given.confirmed = true;
                }
            }
            ToResponder::Inquire => {
                self.inquiries += 1;
                self.frames += KEPT_EACH;
            }
            ToResponder::End(_) => self.awaited = Some(Generation::NONE),
            ToResponder::Quit => {}
        }
    }

    /// It was told to begin or end a generation, and has not said yet that it did. To close a packet socket takes the kernel
    /// some 16 ms, and a link may flap faster than that: what is said meanwhile would pile up in the socket.
    pub(crate) fn is_behind(&self) -> bool {
        self.awaited.is_some()
    }

    fn greeted(&mut self, hello: &Hello, now: u64) {
        let lease_time = hello.binding.lease_time;
        if let Some(given) = self.given_mut(hello.generation) {
            given.confirmed |= hello.confirmed;
            given.lease_time = given.lease_time.max(lease_time);
            return;
        }
        // The socket does not hold so many: the oldest was read long ago.
        if self.given.len() == MOST_GIVEN {
            self.given.remove(0);
        }
        self.given.push(Given {
            generation: hello.generation,
            since: now,
            lease_time,
            confirmed: hello.confirmed,
            knows: hello.confirmed,
            late_claims: 0,
        });
    }

    fn given_mut(&mut self, generation: Generation) -> Option<&mut Given> {
        let is_it = |given: &&mut Given| given.generation == generation;
        self.given.iter_mut().find(is_it)
    }

    /// It speaks of `generation`: so it has read all that was said before that was given, and never speaks of one of before
    /// again.
    fn spoken_of(&mut self, generation: Generation) -> Result<&mut Given, Fault> {
        let is_it = |given: &Given| given.generation == generation;
        let place = self.given.iter().position(is_it);
        self.given.drain(..place.ok_or(Fault::Generation)?);
        self.given.first_mut().ok_or(Fault::Generation)
    }

    /// The responder said how it is. Errors: it cannot be so.
    pub(crate) fn state(&mut self, state: &State, now: u64) -> Result<(), Fault> {
        self.awaited.take_if(|awaited| *awaited == state.generation);
        if state.asked {
            self.inquiries = self.inquiries.checked_sub(1).ok_or(Fault::Unasked)?;
            self.frames = self.inquiries * KEPT_EACH;
        } else {
            self.talk.hear(now)?;
        }
        self.count(&state.counters, now)?;
        let acknowledged = state.last_ack_age.is_some();
        if !acknowledged && (state.lease_time, state.told) != (0, 0) {
            return Err(Fault::Lease);
        }
        if acknowledged && !state.confirmed {
            return Err(Fault::Confirmed);
        }
        if state.generation == Generation::NONE {
            let says_nothing = !state.confirmed && !acknowledged && !state.released;
            return says_nothing.then_some(()).ok_or(Fault::Generation);
        }
        let given = self.spoken_of(state.generation)?;
        // What it once knew it does not forget.
        if state.confirmed && !given.confirmed || given.knows && !state.confirmed {
            return Err(Fault::Confirmed);
        }
        given.knows = state.confirmed;
        if state.lease_time > given.lease_time {
            return Err(Fault::Lease);
        }
        given.reaches_back(state.last_ack_age.unwrap_or(0), now)
    }

    /// The first ACK of `generation` waits for its host route. Errors: it cannot.
    pub(crate) fn claim(&mut self, generation: Generation) -> Result<(), Fault> {
        let given = self.spoken_of(generation)?;
        given.late_claims += u32::from(given.confirmed);
        if given.knows || given.late_claims > CLAIMS_ON_THEIR_WAY {
            return Err(Fault::Claim);
        }
        Ok(())
    }

    /// It sent a frame that it keeps. Errors: it cannot have kept it.
    pub(crate) fn kept(&mut self, kept: &Kept, now: u64) -> Result<(), Fault> {
        self.frames = self.frames.checked_sub(1).ok_or(Fault::Unasked)?;
        self.spoken_of(kept.generation)?.reaches_back(kept.age, now)
    }

    /// Counters only rise, and a frame takes longer than a nanosecond.
    fn count(&mut self, counters: &Counters, now: u64) -> Result<(), Fault> {
        let all = |counters: &Counters| counters.outcomes.into_iter().chain(counters.reasons);
        let before = self.counters.get_or_insert(Box::new(Counters::ZERO));
        let rises = all(before)
            .zip(all(counters))
            .all(|(before, now)| before <= now);
        **before = *counters;
        let sum: u128 = all(counters).map(u128::from).sum();
        if rises && sum <= u128::from(now) {
            Ok(())
        } else {
            Err(Fault::Counters)
        }
    }
}

impl Given {
    /// Something that happened `age` nanoseconds before now happened in this generation.
    fn reaches_back(&self, age: u64, now: u64) -> Result<(), Fault> {
        (age <= now.saturating_sub(self.since))
            .then_some(())
            .ok_or(Fault::Age)
    }
}

impl Talk {
    fn hear(&mut self, now: u64) -> Result<(), Fault> {
        let (words, seconds) = FLOOD;
        if now.saturating_sub(self.second) >= SECOND {
            let follows = now.saturating_sub(self.second) < 2 * SECOND;
            let loud = follows && self.words > words;
            self.loud_seconds = if loud { self.loud_seconds + 1 } else { 0 };
            (self.second, self.words) = (now, 0);
        }
        self.words += 1;
        if self.loud_seconds >= seconds {
            Err(Fault::Flood)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
