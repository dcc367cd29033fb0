//! The core as a whole: `Responder::handle`.

use crate::expected::{Expected, Kind};
use crate::reply::Reply;
use crate::setup::{ADDRESS, CLIENT, Form, SERVER, Setup};
use crate::wire::{broadcast, mended, unicast};
use slash32_binding::{Binding, MacAddr};
use slash32_dhcp::{Action, Instant, MAX_FRAME, Outcome, Responder};

/// See the table of the crate.
pub fn handle(input: &[u8]) {
    let (setup, rest) = Setup::split(input);
    let frame = match setup.form {
        Form::Frame => rest.to_vec(),
        Form::Mended => mended(rest.to_vec()),
        Form::Broadcast => broadcast(rest, CLIENT),
        Form::Unicast => unicast(rest, (CLIENT, SERVER), (ADDRESS, setup.binding.gateway)),
    };
    check(&setup.binding, setup.owner, &frame, setup.room);
}

/// Everything that holds for a frame that comes to `binding` when `owner` was acknowledged before, with `room` bytes for the
/// reply, at most [`MAX_FRAME`]; returns the reply, if there is one.
pub fn check(
    binding: &Binding,
    owner: Option<MacAddr>,
    frame: &[u8],
    room: usize,
) -> Option<Reply> {
    let mut responder = Responder::new(*binding);
    if let Some(owner) = owner {
        acknowledge(&mut responder, owner);
    }
    // A binding that names its client has no other owner.
    let owner = owner.filter(|owner| binding.chaddr.is_none_or(|mac| mac == *owner));

    let mut first = [0x55; MAX_FRAME + 8];
    let mut second = [0xaa; MAX_FRAME + 8];
    let action = responder.handle(Instant(0), frame, &mut first[..room]);
    let again = responder.handle(Instant(u64::MAX), frame, &mut second[..room]);
    assert_eq!(action, again, "the same frame again gets the same");
    let length = match action {
        Action::Reply { len, .. } => len,
        Action::Ignore(_) => 0,
    };
    assert!(length <= room);
    assert_eq!(first[..length], second[..length], "the same, byte for byte");
    assert!(
        first[length..].iter().all(|byte| *byte == 0x55),
        "written behind the reply"
    );

    let expected = Expected::of(frame, binding, owner);
    let Action::Reply { outcome, .. } = action else {
        // The least reply is of 342 bytes, and so much room it may lack.
        assert!(
            expected.is_none() || room < MAX_FRAME,
            "{action:?} for {expected:?}"
        );
        return None;
    };
    let expected = expected.unwrap_or_else(|| panic!("{outcome:?} for nothing"));
    assert_eq!(kind(outcome), expected.kind);
    let reply = Reply::decode(&first[..length]);
    reply.assert_answers(&expected, binding, room);
    Some(reply)
}

fn kind(outcome: Outcome) -> Kind {
    match outcome {
        Outcome::Offer => Kind::Offer,
        Outcome::AckSelecting
        | Outcome::AckInitReboot
        | Outcome::AckRenewing
        | Outcome::AckRebinding => Kind::Ack,
        Outcome::AckInform => Kind::AckInform,
        Outcome::NakSelecting
        | Outcome::NakInitReboot
        | Outcome::NakRenewing
        | Outcome::NakRebinding => Kind::Nak,
    }
}

/// `owner` gets its address.
fn acknowledge(responder: &mut Responder, owner: MacAddr) {
    let mut message = vec![0; 240];
    message[..3].copy_from_slice(&[1, 1, 6]);
    message[28..34].copy_from_slice(&owner.0);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend([53, 1, 3, 50, 4]);
    message.extend(responder.binding().address.octets());
    message.push(255);
    let action = responder.handle(Instant(0), &broadcast(&message, owner), &mut [0; MAX_FRAME]);
    let served = responder.binding().chaddr.is_none_or(|mac| mac == owner);
    assert_eq!(action.acknowledges(), served);
}
