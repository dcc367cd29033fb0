//! Records between agent and responder, both ways.

use crate::setup::CLIENT;
use crate::wire::broadcast;
use slash32_binding::Binding;
use slash32_dhcp::{Action, Instant, MAX_FRAME, Responder};
use slash32_ipc::{MAX_DOWN, MAX_UP, ToAgent, ToResponder, digest};

/// See the table of the crate.
pub fn ipc(input: &[u8]) {
    if let Ok(message) = ToAgent::decode(input) {
        let mut out = [0; MAX_UP];
        let length = message.encode(&mut out);
        assert_eq!(&out[..length], input);
    }
    if let Ok(message) = ToResponder::decode(input) {
        let mut out = [0; MAX_DOWN];
        let length = message.encode(&mut out);
        assert_eq!(&out[..length], input);
        if let ToResponder::Hello(hello) = message {
            serve(&hello.binding);
        }
    }
}

/// Whatever binding comes, the core answers or not, within its bounds.
fn serve(binding: &Binding) {
    digest(binding);
    let _ = format!("{binding:?}");
    let mut message = vec![0; 240];
    message[..3].copy_from_slice(&[1, 1, 6]);
    message[28..34].copy_from_slice(&CLIENT.0);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend([53, 1, 1, 60, 9]);
    message.extend(b"PXEClient");
    message.extend([77, 4]);
    message.extend(b"iPXE");
    message.extend([93, 2, 0, 7, 57, 2, 5, 220, 55, 12]);
    message.extend([1, 3, 6, 12, 15, 26, 42, 66, 67, 119, 121, 150]);
    message.push(255);
    let frame = broadcast(&message, CLIENT);
    let mut out = [0; MAX_FRAME];
    if let Action::Reply { len, .. } = Responder::new(*binding).handle(Instant(0), &frame, &mut out)
    {
        assert!((342..=MAX_FRAME).contains(&len));
    }
}
