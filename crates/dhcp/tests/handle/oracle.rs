//! Which frames are answered at all, and with what kind of message: as RFC 2131 §4.3 says, in `slash32_properties::Expected`.

use crate::client::CLIENT;
use crate::mutated::{binding, damaged_frame, damaged_request, overlaid};
use proptest::prelude::*;
use slash32_binding::MacAddr;
use slash32_dhcp::MAX_FRAME;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1024)))]

    #[test]
    fn nothing_but_a_valid_request_for_this_link_is_answered_and_every_such_is(
        binding in prop_oneof![binding(), overlaid()],
        frame in prop_oneof![damaged_request(), damaged_frame()],
        owner in prop_oneof![Just(None), Just(Some(CLIENT)), Just(Some(MacAddr([2; 6])))],
        room in prop_oneof![3 => Just(MAX_FRAME), 1 => 0..=MAX_FRAME],
    ) {
        slash32_properties::check(&binding, owner, &frame, room);
    }
}
