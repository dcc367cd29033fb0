//! What an operator may want to see of the guest: its last request, and the last sign of another DHCP server.
//!
//! Two frames are kept, as they came. Nobody reads them here, and nobody is told of them before the agent asks.

use slash32_binding::{Bytes, Generation, Instant, Outcome, Reason, Verdict};
use slash32_ipc::{Kept, KeptAs, MAX_KEPT, ToAgent};

/// The frames of one VM's time on the link.
#[derive(Default)]
pub(crate) struct Seen {
    request: Option<Frame>,
    other_server: Option<Frame>,
}

struct Frame {
    at: Instant,
    verdict: Verdict,
    bytes: Bytes<MAX_KEPT>,
}

impl Seen {
    /// A frame came, and this became of it.
    pub(crate) fn take(&mut self, at: Instant, frame: &[u8], verdict: Verdict) {
        let (is_request, tells_of_another) = match verdict {
            Verdict::Answered(_) => (true, false),
            Verdict::Ignored(reason) => worth_keeping(reason),
        };
        let kept = || {
            let mut bytes = Bytes::new(0);
            // What is cut to fit does fit.
            let _ = bytes.extend_from_slice(&frame[..frame.len().min(MAX_KEPT)]);
            Frame { at, verdict, bytes }
        };
        if is_request {
            self.request = Some(kept());
        }
        // The other server's own word, which has its MAC address, is not given up for a request that only names it.
        let is_reply = |kept: &Frame| kept.verdict == Verdict::Ignored(Reason::OtherServersReply);
        if tells_of_another && !(is_request && self.other_server.as_ref().is_some_and(is_reply)) {
            self.other_server = Some(kept());
        }
    }

    /// The ACK that was held has left.
    pub(crate) fn answered_at_last(&mut self, outcome: Outcome) {
        let held = Verdict::Ignored(Reason::Held);
        if let Some(request) = self.request.as_mut().filter(|kept| kept.verdict == held) {
            request.verdict = Verdict::Answered(outcome);
        }
    }

    /// Both, as they are told to the agent.
    pub(crate) fn told(
        &self,
        generation: Generation,
        now: Instant,
    ) -> impl Iterator<Item = ToAgent> {
        let kinds = [
            (KeptAs::Request, &self.request),
            (KeptAs::OtherServer, &self.other_server),
        ];
        kinds.into_iter().filter_map(move |(kept_as, frame)| {
            let frame = frame.as_ref()?;
            Some(ToAgent::Kept(Kept {
                generation,
                kept_as,
                age: now.nanoseconds_since(frame.at),
                verdict: frame.verdict,
                frame: frame.bytes,
            }))
        })
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
