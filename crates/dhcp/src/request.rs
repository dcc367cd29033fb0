//! What the decision depends on, read from a message.

use crate::code;
use crate::frame::Datagram;
use crate::message::Message;
use crate::options::Options;
use slash32_binding::{Ipv4Addr, MacAddr, Reason};

/// The message types that a client sends to a server (RFC 2132 §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageType {
    Discover,
    Request,
    Decline,
    Release,
    Inform,
}

impl MessageType {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Discover,
            3 => Self::Request,
            4 => Self::Decline,
            7 => Self::Release,
            8 => Self::Inform,
            _ => return None,
        })
    }
}

/// A client's message, reduced to what the answer's kind depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Option 53.
    pub(crate) message_type: MessageType,
    /// The client.
    pub(crate) chaddr: MacAddr,
    /// The address that the client has, 0.0.0.0 for none.
    pub(crate) ciaddr: Ipv4Addr,
    /// The relay agent, 0.0.0.0 for none.
    pub(crate) giaddr: Ipv4Addr,
    /// Option 50.
    pub(crate) requested_address: Option<Ipv4Addr>,
    /// Option 54.
    pub(crate) server_identifier: Option<Ipv4Addr>,
    /// Option 80, which is empty (RFC 4039 §4): the client takes an ACK at once.
    pub(crate) rapid_commit: bool,
    /// The parameter request list has option 108 (RFC 8925 §3.2): the client can do without IPv4. Not looked for without
    /// `rapid_commit`, since nothing else depends on it.
    pub(crate) ipv6_only: bool,
    /// IP source.
    pub(crate) source: Ipv4Addr,
    /// IP destination.
    pub(crate) destination: Ipv4Addr,
}

impl Request {
    /// Errors: `BadMessageType`; `MalformedOptions` when option 50 or 54 is not of 4 bytes; `BadHardwareAddress` for a
    /// client that has neither `chaddr` nor option 61 (RFC 6842 §2 allows one without the other).
    pub(crate) fn read(
        datagram: &Datagram,
        message: &Message,
        options: &Options,
    ) -> Result<Self, Reason> {
        let message_type = options
            .array(code::MESSAGE_TYPE)
            .and_then(|[code]| MessageType::from_code(code))
            .ok_or(Reason::BadMessageType)?;
        if message.chaddr() == MacAddr::ZERO && client_identifier(options).is_none() {
            return Err(Reason::BadHardwareAddress);
        }
        let rapid_commit = options.value(code::RAPID_COMMIT) == Some(&[]);
        Ok(Self {
            message_type,
            chaddr: message.chaddr(),
            ciaddr: message.ciaddr(),
            giaddr: message.giaddr(),
            requested_address: address(options, code::REQUESTED_ADDRESS)?,
            server_identifier: address(options, code::SERVER_IDENTIFIER)?,
            rapid_commit,
            ipv6_only: rapid_commit && options.ask_for(code::IPV6_ONLY_PREFERRED),
            source: datagram.source,
            destination: datagram.destination,
        })
    }
}

/// Option 61, unless it is empty.
pub(crate) fn client_identifier<'a>(options: &Options<'a>) -> Option<&'a [u8]> {
    options
        .value(code::CLIENT_IDENTIFIER)
        .filter(|value| !value.is_empty())
}

/// An option that is one address.
fn address(options: &Options, code: u8) -> Result<Option<Ipv4Addr>, Reason> {
    match (options.value(code), options.array::<4>(code)) {
        (None, _) => Ok(None),
        (_, Some(octets)) => Ok(Some(octets.into())),
        (Some(_), None) => Err(Reason::MalformedOptions),
    }
}
