//! The core as a whole: `Responder::handle`.

use crate::expected::{Expected, Kind};
use crate::reply::Reply;
use crate::setup::{ADDRESS, CLIENT, Form, SERVER, Setup};
use crate::wire::{broadcast, mended, request, unicast};
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

    let mut first = [0x55; MAX_FRAME];
    let mut second = [0xaa; MAX_FRAME];
    let action = responder.handle(Instant(0), frame, &mut first[..room]);
    let again = responder.handle(Instant(u64::MAX), frame, &mut second[..room]);
    assert_eq!(action, again, "the same frame again gets the same");
    let length = match action {
        Action::Reply { len, .. } => len,
        Action::Ignore(_) => 0,
    };
    assert!(length <= room);
    assert_eq!(first[..length], second[..length], "the same, byte for byte");
    let untouched = &[0x55; MAX_FRAME][length..];
    assert_eq!(&first[length..], untouched, "written behind the reply");

    let expected = Expected::of(frame, binding, owner);
    let Action::Reply { outcome, .. } = action else {
        // The least reply is of 342 bytes, and so much room it may lack; and no longer frame is ever read.
        let fits = room == MAX_FRAME && frame.len() <= MAX_FRAME;
        assert!(expected.is_none() || !fits, "{action:?} for {expected:?}");
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
        Outcome::AckRapidCommit => Kind::RapidAck,
        Outcome::AckInform => Kind::AckInform,
        Outcome::NakSelecting
        | Outcome::NakInitReboot
        | Outcome::NakRenewing
        | Outcome::NakRebinding => Kind::Nak,
    }
}

/// `owner` gets its address.
fn acknowledge(responder: &mut Responder, owner: MacAddr) {
    let address = responder.binding().address.octets();
    let message = request(owner, &[&[53, 1, 3, 50, 4][..], &address, &[255]].concat());
    let action = responder.handle(Instant(0), &broadcast(&message, owner), &mut [0; MAX_FRAME]);
    let served = responder.binding().chaddr.is_none_or(|mac| mac == owner);
    assert_eq!(action.acknowledges(), served);
}
