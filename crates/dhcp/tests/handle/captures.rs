//! Real clients, captured behind another server: each of their frames through the core.

use crate::client::{SERVER, ask};
use slash32_binding::{Binding, Ipv4Addr, Reason};
use slash32_dhcp::{Outcome, Responder};

/// The address and the server of the captures.
const LEASED: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 13);
const SERVED_BY: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 1);

pub(crate) const CAPTURES: [(&str, &[u8]); 5] = [
    ("dhclient", include_bytes!("../pcaps/client-dhclient.pcap")),
    ("dhcpcd", include_bytes!("../pcaps/client-dhcpcd.pcap")),
    ("networkd", include_bytes!("../pcaps/client-networkd.pcap")),
    ("udhcpc", include_bytes!("../pcaps/client-udhcpc.pcap")),
    (
        "ipxe",
        include_bytes!("../pcaps/pxe-virtio-net-pci-tcg.pcap"),
    ),
];

/// The frames of a little-endian pcap file: 24 bytes of header, then 16 bytes in front of each frame.
pub(crate) fn frames(pcap: &[u8]) -> Vec<&[u8]> {
    assert_eq!(pcap[..4], 0xa1b2_c3d4_u32.to_le_bytes());
    let mut frames = Vec::new();
    let mut rest = &pcap[24..];
    while !rest.is_empty() {
        let captured = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let original = u32::from_le_bytes(rest[12..16].try_into().unwrap()) as usize;
        assert_eq!(captured, original, "a cut frame");
        frames.push(&rest[16..16 + captured]);
        rest = &rest[16 + captured..];
    }
    frames
}

pub(crate) fn captured_binding() -> Binding {
    let mut binding = Binding::new(LEASED, SERVED_BY);
    binding.server_mac = SERVER;
    binding
}

#[test]
fn real_clients_get_the_address_that_they_ask_for() {
    for (name, pcap) in CAPTURES {
        let mut responder = Responder::new(captured_binding());
        let mut outcomes = Vec::new();
        for frame in frames(pcap) {
            match ask(&mut responder, frame) {
                Ok(answer) => {
                    assert_eq!(answer.yiaddr(), LEASED, "{name}");
                    outcomes.push(answer.outcome);
                }
                // The other traffic of the link: IPv6, ARP, and the answers of the server that was captured.
                Err(reason) => assert!(
                    matches!(
                        reason,
                        Reason::NotIpv4 | Reason::OtherHost | Reason::NotDhcp
                    ),
                    "{name} {reason:?}"
                ),
            }
        }
        outcomes.dedup();
        assert_eq!(outcomes, [Outcome::Offer, Outcome::AckSelecting], "{name}");
    }
}

#[test]
fn real_clients_get_what_their_lists_ask_for_and_their_identifier_back() {
    for (name, identifier, mask) in [
        ("dhclient", None, 255),
        ("dhcpcd", Some(19), 255),
        ("networkd", Some(19), 255),
        ("udhcpc", Some(7), 255),
        ("ipxe", Some(7), 252),
    ] {
        let (_, pcap) = CAPTURES
            .into_iter()
            .find(|capture| capture.0 == name)
            .unwrap();
        let mut responder = Responder::new(captured_binding());
        for answer in frames(pcap)
            .into_iter()
            .filter_map(|frame| ask(&mut responder, frame).ok())
        {
            assert_eq!(
                answer.option(61).map(|value| value.len()),
                identifier,
                "{name}"
            );
            assert_eq!(answer.option(1), Some(vec![255, 255, 255, mask]), "{name}");
        }
    }
}
