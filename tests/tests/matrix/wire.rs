//! What is looked for on the wire.

use crate::stages::BOUND;
use anyhow::{Result, ensure};
use slash32_tests::{
    Capture, Frame, GATEWAY, MacAddr,
    dhcp::{Message, code, message_type},
    expect, vm_address,
};
use std::net::Ipv4Addr;

/// The types of all messages up to now.
pub(crate) fn kinds(capture: &Capture) -> Result<Vec<u8>> {
    let messages = capture.messages()?.into_iter();
    Ok(messages
        .map(|(_, message)| message.message_type())
        .collect())
}

pub(crate) fn is_init_reboot(message: &Message) -> bool {
    message.message_type() == message_type::REQUEST
        && message.option(code::SERVER_IDENTIFIER).is_none()
        && message.option(code::REQUESTED_ADDRESS).is_some()
}

/// A REQUEST in RENEWING or REBINDING: which of the two, only its envelope says.
pub(crate) fn is_extension(message: &Message) -> bool {
    message.message_type() == message_type::REQUEST
        && message.ciaddr == vm_address(1)
        && message.option(code::SERVER_IDENTIFIER).is_none()
        && message.option(code::REQUESTED_ADDRESS).is_none()
}

pub(crate) fn is_broadcast_nak(nak: &Message) -> Result<()> {
    ensure!(
        nak.envelope.destination == Ipv4Addr::BROADCAST
            && nak.envelope.destination_mac == MacAddr::BROADCAST
            && nak.address(code::SERVER_IDENTIFIER) == Some(GATEWAY)
            && nak.yiaddr.is_unspecified(),
        "{nak:?}"
    );
    Ok(())
}

/// The first answer to `request`, which must be of this type. A client may use one xid for all its messages.
pub(crate) fn answer_to(
    capture: &Capture,
    request: &(Frame, Message),
    message_type: u8,
) -> Result<Message> {
    let (asked, request) = request;
    let is_answer = |frame: &Frame, message: &Message| {
        frame.at > asked.at && message.op == 2 && message.xid == request.xid
    };
    expect(
        message_type,
        capture.wait_for("an answer", BOUND, is_answer)?.1,
    )
}
