//! What an operator may want to see of the guest: its last request, and the last sign of another DHCP server.
//!
//! Two frames are kept, as they came. Nobody reads them here, and nobody is told of them before the agent asks.

use slash32_binding::{Bytes, Generation, Instant, Outcome, Reason, Verdict};
use slash32_ipc::{KeptAs, MAX_KEPT, MAX_UP, encode_kept};

/// The frames of one VM's time on the link. They lie apart, because hardly a responder ever has one of the second kind.
pub(crate) struct Seen<'a> {
    pub(crate) request: &'a mut Frame,
    pub(crate) other_server: &'a mut Frame,
}

/// A frame that is kept, or the place for one.
pub(crate) struct Frame {
    at: Instant,
    /// `None` while none is kept.
    verdict: Option<Verdict>,
    bytes: Bytes<MAX_KEPT>,
}

impl Frame {
    pub(crate) const NONE: Self = Self {
        at: Instant(0),
        verdict: None,
        bytes: Bytes::new(0),
    };

    fn keep(&mut self, at: Instant, frame: &[u8], verdict: Verdict) {
        self.at = at;
        self.verdict = Some(verdict);
        self.bytes.truncate(0);
        // What is cut to fit does fit.
        let _ = self
            .bytes
            .extend_from_slice(&frame[..frame.len().min(MAX_KEPT)]);
    }
}

impl Seen<'_> {
    /// Another VM's time on the link begins.
    pub(crate) fn forget(self) {
        self.request.verdict = None;
        // Its page is not written to while there is nothing to forget.
        if self.other_server.verdict.is_some() {
            self.other_server.verdict = None;
        }
    }

    /// A frame came, and this became of it.
    pub(crate) fn take(self, at: Instant, frame: &[u8], verdict: Verdict) {
        let (is_request, tells_of_another) = match verdict {
            Verdict::Answered(_) => (true, false),
            Verdict::Ignored(reason) => worth_keeping(reason),
        };
        if is_request {
            self.request.keep(at, frame, verdict);
        }
        // The other server's own word, which has its MAC address, is not given up for a request that only names it.
        let reply = Some(Verdict::Ignored(Reason::OtherServersReply));
        if tells_of_another && !(is_request && self.other_server.verdict == reply) {
            self.other_server.keep(at, frame, verdict);
        }
    }
}

impl Frame {
    /// The ACK that was held has left, which this request, if it is the one, asked for.
    pub(crate) fn answered_at_last(&mut self, outcome: Outcome) {
        if self.verdict == Some(Verdict::Ignored(Reason::Held)) {
            self.verdict = Some(Verdict::Answered(outcome));
        }
    }

    /// Writes the frame, as it is told to the agent, to the front of `out`, and returns the length; `None` when there is
    /// none.
    pub(crate) fn encode(
        &self,
        kept_as: KeptAs,
        generation: Generation,
        now: Instant,
        out: &mut [u8; MAX_UP],
    ) -> Option<usize> {
        let age = now.nanoseconds_since(self.at);
        let verdict = self.verdict?;
        Some(encode_kept(
            generation,
            kept_as,
            age,
            verdict,
            &self.bytes,
            out,
        ))
    }
}

/// Whether a frame that was ignored for this reason is a request, and whether it tells of another server.
fn worth_keeping(reason: Reason) -> (bool, bool) {
    match reason {
        // Noise of the link: there is no DHCP message that could be shown.
        Reason::Truncated
        | Reason::NotIpv4
        | Reason::BadIpHeader
        | Reason::Fragment
        | Reason::NotDhcp
        | Reason::BadUdpLength
        | Reason::BadUdpChecksum
        | Reason::OtherHost => (false, false),
        Reason::OtherServersReply => (false, true),
        Reason::OtherServer => (true, true),
        Reason::NotARequest
        | Reason::BadHardwareAddress
        | Reason::BadCookie
        | Reason::MalformedOptions
        | Reason::BadMessageType
        | Reason::Relayed
        | Reason::OtherMac
        | Reason::ServerIdInDiscover
        | Reason::OtherAddress
        | Reason::Decline
        | Reason::Release
        | Reason::ReplyTooLarge
        | Reason::Held => (true, false),
    }
}
