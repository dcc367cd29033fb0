//! Which frames are answered at all, and with what kind of message: as RFC 2131 §4.3 says, in `slash32_properties::Expected`.

use crate::captures::captured_binding;
use crate::client::{ADDRESS, SERVER};
use crate::mutated::{binding, damaged_frame, damaged_request, overlaid};
use proptest::prelude::*;
use proptest::sample::select;
use slash32_binding::{Ipv4Addr, MacAddr};
use slash32_dhcp::MAX_FRAME;
use slash32_properties::{check, mended};

/// The client of the captures.
const CAPTURED: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 0x13]);
/// Nobody that a capture knows.
const STRANGER: MacAddr = MacAddr([2; 6]);

/// A request whose headers say something else than they did: a word at an offset of the frame, checksums right.
fn misaddressed() -> impl Strategy<Value = Vec<u8>> {
    let gateway = captured_binding().gateway;
    let links = select(vec![MacAddr::BROADCAST, SERVER, STRANGER, MacAddr::ZERO]);
    let link = links.prop_map(|mac| (0, mac.0.to_vec()));
    let near = Ipv4Addr::from_bits(gateway.to_bits() ^ 1);
    let to = [
        Ipv4Addr::BROADCAST,
        gateway,
        near,
        ADDRESS,
        Ipv4Addr::UNSPECIFIED,
    ];
    let ip = select(to.to_vec()).prop_map(|address| (30, address.octets().to_vec()));
    let bytes = select(vec![
        (12, vec![8, 6]),
        (12, vec![0x81, 0]),
        (14, vec![0x46]),
        (14, vec![0x55]),
        (14, vec![0x44]),
        (20, vec![0x20, 0]),
        (20, vec![0, 1]),
        (20, vec![0x40, 0]),
        (23, vec![6]),
        (36, vec![0, 68]),
        (36, vec![0, 67]),
        (42, vec![2]),
        (43, vec![6]),
        (44, vec![16]),
        (66, vec![10, 32, 0, 1]),
        (70, vec![1]),
        (278, vec![0x63, 0x82, 0x53, 0x64]),
    ]);
    let change = prop_oneof![link, ip, bytes];
    let changes = proptest::collection::vec(change, 1..3);
    (damaged_request(), changes).prop_map(|(mut frame, changes)| {
        for (at, bytes) in changes {
            if let Some(place) = frame.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(&bytes);
            }
        }
        mended(frame)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1024)))]

    #[test]
    fn nothing_but_a_valid_request_for_this_link_is_answered_and_every_such_is(
        binding in prop_oneof![binding(), overlaid()],
        frame in prop_oneof![damaged_request(), damaged_frame(), misaddressed()],
        owner in select(vec![None, Some(CAPTURED), Some(STRANGER)]),
        room in prop_oneof![3 => Just(MAX_FRAME), 1 => 0..=MAX_FRAME],
    ) {
        check(&binding, owner, &frame, room);
    }
}
