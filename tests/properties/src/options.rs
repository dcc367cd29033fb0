//! The option codec, seen through what the core echoes, obeys and refuses.

use crate::handle::check;
use crate::setup::{self, ADDRESS, CLIENT, GATEWAY, SERVER, Setup};
use crate::wire::{broadcast, request, unicast};
use slash32_dhcp::MAX_FRAME;

/// The first bytes of a [`Setup`] whose binding has a value for every option.
const RICH: [u8; setup::LENGTH] = [
    0x40, 0x10, 0, 0, 3, 0x22, 0x12, 2, 9, 20, 0x23, 0x28, 0, 0, 0x12, 224,
];

/// See the table of the crate. The bytes: message type; flags (1 is unicast, 2 is with ciaddr, 4 is the broadcast flag);
/// how long `file` is; how long `sname` is; those two; the options field.
pub fn options(input: &[u8]) {
    let Some((&[message_type, flags, file, sname], rest)) = input.split_first_chunk() else {
        return;
    };
    let (file, rest) = rest.split_at(rest.len().min(usize::from(file) % 129));
    let (sname, field) = rest.split_at(rest.len().min(usize::from(sname) % 65));
    let mut message = request(CLIENT, &[]);
    if flags & 2 != 0 {
        message[12..16].copy_from_slice(&ADDRESS.octets());
    }
    if flags & 4 != 0 {
        message[10] = 0x80;
    }
    message[44..44 + sname.len()].copy_from_slice(sname);
    message[108..108 + file.len()].copy_from_slice(file);
    // 0 leaves the type to the options field.
    if message_type != 0 {
        message.extend([53, 1, message_type]);
    }
    message.extend(field);
    let frame = if flags & 1 != 0 {
        unicast(&message, (CLIENT, SERVER), (ADDRESS, GATEWAY))
    } else {
        broadcast(&message, CLIENT)
    };

    let (setup, _) = Setup::split(&RICH);
    check(&setup.binding, None, &frame, MAX_FRAME);
}
