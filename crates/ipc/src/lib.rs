//! What agent and responder say to each other, and nothing else.
//!
//! The two talk over one `SOCK_SEQPACKET` connection, one message a record, little-endian. Every message starts with
//! [`VERSION`] and a kind. Downwards the agent says what it knows ([`ToResponder`]); upwards the responder, which strangers
//! talk to, says as little as it can ([`ToAgent`]): messages of a fixed size, without an address and without a string. The
//! agent treats anything else that comes up as a broken process, never as data. The one exception are the two frames that a
//! responder keeps for `slash32 show` ([`Kept`]): sent only when the agent asks, and handed on unread.
//!
//! ```text
//! agent                                   responder
//!   | -- connect ------------------------->  |  accepts: the newest connection is the agent
//!   |  <------------------------- State ---  |
//!   | -- Hello{generation, binding} + fds ->  |  packet socket, idle socket: only with a new generation
//!   |                                        |  ... DISCOVER, OFFER; REQUEST: the ACK is held ...
//!   |  <------------- Claim{generation} ---  |
//!   |  installs the host route               |
//!   | -- Confirm{generation} ------------->  |  the ACK leaves
//!   |  <------------------------- State ---  |
//!   | -- Inquire ------------------------->  |  somebody wants to see the link
//!   |  <----------------- Kept, Kept, State  |
//!   | -- End{generation} ----------------->  |  the VM is gone: sockets closed, nothing is answered
//! ```
#![no_std]

mod down;
mod record;
mod up;

pub use down::{
    Greeting, Hello, MAX_DOWN, ToResponder, Word, decode_binding, digest, encode_binding,
};
pub use up::{Counters, Kept, KeptAs, MAX_KEPT, MAX_UP, State, ToAgent, encode_claim, encode_kept};

/// The version of these messages. A peer that speaks another one is replaced, not argued with.
pub const VERSION: u16 = if cfg!(feature = "other-version") {
    u16::MAX
} else {
    3
};

/// Not a message of this version: it is too short, too long, of another version, or holds a value that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The peer speaks this other version.
    Version(u16),
    /// The bytes are no message.
    Message,
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version(version) => write!(
                f,
                "speaks version {version} of the control protocol, not {VERSION}"
            ),
            Self::Message => f.write_str("sent bytes that are no message of the control protocol"),
        }
    }
}

impl core::error::Error for Malformed {}
