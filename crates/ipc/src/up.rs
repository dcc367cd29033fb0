//! Responder to agent: fixed sizes, no address, no string, but for the frames that are kept to be shown.

use crate::Malformed;
use crate::record::{Reader, Writer};
use slash32_binding::{Bytes, Generation, Outcome, Reason, Verdict};

/// Every message from a responder has this many bytes at most.
pub const MAX_UP: usize = if STATE_SIZE > KEPT_SIZE {
    STATE_SIZE
} else {
    KEPT_SIZE
};
const STATE_SIZE: usize = 4 + 8 + 4 + 8 + 4 + 8 + 8 * (Outcome::COUNT + Reason::COUNT);
const KEPT_SIZE: usize = 4 + 8 + 1 + 8 + 2 + 2 + MAX_KEPT;

/// So many bytes of a frame are kept and sent at most: what is behind them is lost.
pub const MAX_KEPT: usize = 1500;

/// How often each [`Outcome`] and [`Reason`] has ended a frame, since the responder's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counters {
    /// By [`Outcome::index`].
    pub outcomes: [u64; Outcome::COUNT],
    /// By [`Reason::index`].
    pub reasons: [u64; Reason::COUNT],
}

impl Counters {
    /// All zero.
    pub const ZERO: Self = Self {
        outcomes: [0; Outcome::COUNT],
        reasons: [0; Reason::COUNT],
    };
}

/// What a responder knows: sent first on every connection, after the first ACK of a generation, when asked, and at most
/// once a second when something changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// The generation that it serves; [`Generation::NONE`] before the first Hello and after an End.
    pub generation: Generation,
    /// The host route of this generation is known to be installed.
    pub confirmed: bool,
    /// Nanoseconds since the last ACK of this generation was sent; `None` when there was none.
    pub last_ack_age: Option<u64>,
    /// Option 51 of that ACK, in seconds; 0 when there was none.
    pub lease_time: u32,
    /// The [`digest`](crate::digest) of the binding that the last ACK told; 0 when there was none.
    pub told: u64,
    /// The client gave its lease back (DHCPRELEASE) and did not ask again since.
    pub released: bool,
    /// It is the answer to an Inquire: the frames that are kept were sent before it.
    pub asked: bool,
    /// What became of every frame.
    pub counters: Counters,
}

/// A frame that a responder keeps, for an operator to see. It is as a stranger sent it: whoever reads its bytes must expect
/// anything of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The generation that was served when it came.
    pub generation: Generation,
    /// What it is kept for.
    pub kept_as: KeptAs,
    /// Nanoseconds since it came.
    pub age: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// Its first bytes, from the Ethernet destination on.
    pub frame: Bytes<MAX_KEPT>,
}

/// What a frame is kept for; of each kind there is one, the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeptAs {
    /// It is the last request.
    Request,
    /// It tells of another DHCP server on the link.
    OtherServer,
}

/// A message from a responder.
// One lives at a time, on a stack.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToAgent {
    /// See [`State`].
    State(State),
    /// The first ACK of this generation is ready and waits for the host route.
    Claim(Generation),
    /// See [`Kept`].
    Kept(Kept),
}

const STATE: u16 = 1;
const CLAIM: u16 = 2;
const KEPT: u16 = 3;

impl State {
    /// Writes the message [`ToAgent::State`] to the front of `out` and returns its length.
    pub fn encode(&self, out: &mut [u8; MAX_UP]) -> usize {
        let mut w = Writer::message(out, STATE);
        w.u64(self.generation.0);
        w.flag(self.confirmed);
        w.flag(self.released);
        w.flag(self.asked);
        w.flag(self.last_ack_age.is_some());
        w.u64(self.last_ack_age.unwrap_or(0));
        w.u32(self.lease_time);
        w.u64(self.told);
        for count in self.counters.outcomes.iter().chain(&self.counters.reasons) {
            w.u64(*count);
        }
        w.finish()
    }
}

/// Writes the message [`ToAgent::Claim`] to the front of `out` and returns its length.
pub fn encode_claim(generation: Generation, out: &mut [u8; MAX_UP]) -> usize {
    let mut w = Writer::message(out, CLAIM);
    w.u64(generation.0);
    w.finish()
}

/// Writes the message [`ToAgent::Kept`] to the front of `out` and returns its length; `frame` is cut to what is kept.
pub fn encode_kept(
    generation: Generation,
    kept_as: KeptAs,
    age: u64,
    verdict: Verdict,
    frame: &[u8],
    out: &mut [u8; MAX_UP],
) -> usize {
    let mut w = Writer::message(out, KEPT);
    w.u64(generation.0);
    w.flag(kept_as == KeptAs::OtherServer);
    w.u64(age);
    let (answered, index) = match verdict {
        Verdict::Answered(outcome) => (true, outcome.index()),
        Verdict::Ignored(reason) => (false, reason.index()),
    };
    w.flag(answered);
    w.u8(index as u8);
    w.list(&frame[..frame.len().min(MAX_KEPT)], Writer::u8);
    w.finish()
}

impl ToAgent {
    /// Writes the message to the front of `out` and returns its length.
    pub fn encode(&self, out: &mut [u8; MAX_UP]) -> usize {
        match self {
            Self::State(state) => state.encode(out),
            Self::Claim(generation) => encode_claim(*generation, out),
            Self::Kept(kept) => encode_kept(
                kept.generation,
                kept.kept_as,
                kept.age,
                kept.verdict,
                &kept.frame,
                out,
            ),
        }
    }

    /// Reads one record. Errors: [`Malformed`] for anything that [`ToAgent::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (kind, mut r) = Reader::message(bytes)?;
        let message = match kind {
            STATE => {
                let generation = Generation(r.u64()?);
                let confirmed = r.flag()?;
                let released = r.flag()?;
                let asked = r.flag()?;
                let acknowledged = r.flag()?;
                let age = r.u64()?;
                let lease_time = r.u32()?;
                let told = r.u64()?;
                if !acknowledged && age != 0 {
                    return Err(Malformed::Message);
                }
                let mut counters = Counters::ZERO;
                for count in counters.outcomes.iter_mut().chain(&mut counters.reasons) {
                    *count = r.u64()?;
                }
                let last_ack_age = acknowledged.then_some(age);
                Self::State(State {
                    generation,
                    confirmed,
                    last_ack_age,
                    released,
                    lease_time,
                    told,
                    asked,
                    counters,
                })
            }
            CLAIM => Self::Claim(Generation(r.u64()?)),
            KEPT => Self::Kept(Kept {
                generation: Generation(r.u64()?),
                kept_as: if r.flag()? {
                    KeptAs::OtherServer
                } else {
                    KeptAs::Request
                },
                age: r.u64()?,
                verdict: verdict(r.flag()?, r.u8()?)?,
                frame: r.list(0, Reader::u8)?,
            }),
            _ => return Err(Malformed::Message),
        };
        r.finish(message)
    }
}

fn verdict(answered: bool, index: u8) -> Result<Verdict, Malformed> {
    let index = usize::from(index);
    let verdict = if answered {
        Outcome::ALL.get(index).copied().map(Verdict::Answered)
    } else {
        Reason::ALL.get(index).copied().map(Verdict::Ignored)
    };
    verdict.ok_or(Malformed::Message)
}
