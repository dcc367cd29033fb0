//! Records between agent and responder, both ways.

use crate::handle::check;
use crate::setup::CLIENT;
use crate::wire::{broadcast, request};
use slash32_binding::Binding;
use slash32_dhcp::MAX_FRAME;
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

/// Whatever binding comes, its client is served as it says.
fn serve(binding: &Binding) {
    digest(binding);
    let _ = format!("{binding:?}");
    // DISCOVER: claims to be everything that an overlay can ask for, and asks for everything that has a field.
    let options = [
        &b"\x35\x01\x01\x3c\x09PXEClient\x4d\x04iPXE\x5d\x02\0\x07\x39\x02\x05\xdc"[..],
        &[
            80, 0, 81, 3, 4, 0, 0, 55, 13, 1, 3, 6, 12, 15, 26, 42, 66, 67, 108, 119, 121, 150, 255,
        ],
    ];
    let client = binding.chaddr.unwrap_or(CLIENT);
    let frame = broadcast(&request(client, &options.concat()), client);
    check(binding, None, &frame, MAX_FRAME);
}
