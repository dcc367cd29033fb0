//! What brought other DHCP servers down, frame by frame: each test is named for the row of the checklist and for the fault.

use crate::answer::Answer;
use crate::client::{ADDRESS, CLIENT, Client, DISCOVER, GATEWAY, REQUEST, ask, binding};
use slash32_binding::{Claim, MacAddr, Reason, Setting, Text};
use slash32_dhcp::{Outcome, Responder};

/// Where the UDP header stands in a frame without IP options: source, destination, length, checksum.
const UDP: usize = 34;

/// What a new responder does with the bytes of a frame.
fn asks(frame: &[u8]) -> Result<Answer, Reason> {
    ask(&mut Responder::new(binding()), frame)
}

/// Both requests of a client that starts, with more options.
fn starts(add: impl Fn(Client) -> Client) -> [Client; 2] {
    [
        add(Client::sends(DISCOVER)),
        add(Client::sends(REQUEST).chooses(GATEWAY).asks_for(ADDRESS)),
    ]
}

fn holds(answer: &Answer, text: &[u8]) -> bool {
    answer
        .message
        .windows(text.len())
        .any(|bytes| bytes == text)
}

/// ISC dhcpd believed the UDP length, and read behind the packet.
#[test]
fn item_86_cve_2015_8605_a_udp_length_that_the_packet_does_not_have_is_not_believed() {
    let frame = Client::sends(DISCOVER).frame();
    let length = frame.len() - UDP;
    for claimed in (0..8)
        .chain(length + 1..length + 9)
        .chain([1500, 0x7fff, 0xffff])
    {
        let mut frame = frame.clone();
        frame[UDP + 4..UDP + 6].copy_from_slice(&(claimed as u16).to_be_bytes());
        // Without a checksum, that only the length can stop it; and with bytes behind the packet, which are not its own.
        frame[UDP + 6..UDP + 8].fill(0);
        assert_eq!(asks(&frame).err(), Some(Reason::BadUdpLength), "{claimed}");
        frame.extend([53, 1, 1].repeat(100));
        assert_eq!(
            asks(&frame).err(),
            Some(Reason::BadUdpLength),
            "{claimed}, padded"
        );
    }
}

/// systemd-networkd asserted that a message is longer than its fixed part.
#[test]
fn item_86_systemd_26151_a_message_that_ends_with_its_cookie_is_not_answered() {
    for length in 230..=240 {
        for giaddr in [[0; 4], GATEWAY.octets()] {
            let mut client = Client::sends_raw(&[]).with(24, &giaddr);
            client.message.truncate(length);
            let reason = client.ignored().unwrap();
            let expected = [Reason::Truncated, Reason::BadMessageType];
            assert!(expected.contains(&reason), "{length}: {reason:?}");
        }
    }
}

/// ISC dhcpd ended itself over a client identifier of no bytes.
#[test]
fn item_88_cve_2010_2156_an_empty_client_identifier_is_none_and_its_client_is_served() {
    for client in starts(|client| client.option(61, &[])) {
        let answer = client.gets(binding());
        assert_eq!((answer.yiaddr(), answer.option(61)), (ADDRESS, None));
        let nobody = client.chaddr(MacAddr::ZERO);
        assert_eq!(nobody.ignored(), Some(Reason::BadHardwareAddress));
    }
}

/// ISC dhcpd looped for ever over malformed client identifiers.
#[test]
fn item_88_cve_2012_3571_a_client_identifier_of_empty_pieces_comes_to_an_end() {
    for (last, echo) in [(&[][..], None), (&[9, 8], Some(vec![9, 8]))] {
        let pieces = |client: Client| {
            let pieces = (0..400).fold(client, |client, _| client.option(61, &[]));
            pieces.option(61, last)
        };
        for client in starts(pieces) {
            let answer = client.gets(binding());
            assert_eq!(
                (answer.yiaddr(), answer.option(61)),
                (ADDRESS, echo.clone())
            );
        }
    }
}

/// udhcpd read four bytes of options that were shorter.
#[test]
fn item_88_cve_2018_20679_an_option_that_is_too_short_is_not_read_beyond_its_end() {
    for length in 0..4 {
        for code in [50, 54] {
            // The last bytes of the packet; the rest of the address stands behind it, where Ethernet pads.
            let client = Client::sends(REQUEST).option(code, &ADDRESS.octets()[..length]);
            let mut frame = client.frame();
            frame.extend(&ADDRESS.octets()[length..]);
            let reason = asks(&frame).err();
            assert_eq!(
                reason,
                Some(Reason::MalformedOptions),
                "{code} of {length} bytes"
            );
        }
    }
    let client = Client::sends(DISCOVER).list(&[12; 200]).option(57, &[5]);
    let mut frame = client.frame();
    frame.push(220);
    assert!(asks(&frame).unwrap().packet <= 576);
}

/// Kea asserted that a hardware address has a type and a length.
#[test]
fn item_89_cve_2019_6474_a_client_without_a_hardware_type_and_length_is_not_answered() {
    for (htype, hlen) in [
        (0, 0),
        (1, 0),
        (0, 6),
        (1, 17),
        (1, 255),
        (32, 0),
        (255, 255),
    ] {
        for client in starts(|client| client.with(1, &[htype, hlen])) {
            assert_eq!(
                client.ignored(),
                Some(Reason::BadHardwareAddress),
                "{htype} {hlen}"
            );
        }
    }
}

/// dhclient gave the host name to a shell; what a guest says of itself goes nowhere here.
#[test]
fn item_90_cve_2011_0997_a_host_name_made_for_a_shell_or_a_terminal_is_in_no_reply() {
    let mut named = binding();
    named.hostname = Text::new("web1").unwrap();
    for name in [
        &b"$(reboot)"[..],
        b"`id`;|&",
        b"\x1b]0;owned\x07\x1b[2J",
        b"guest\0\r\nhidden",
        b"../../etc/passwd",
        b"%n%n%s",
    ] {
        for client in starts(|client| client.option(12, name).list(&[12, 15])) {
            let answer = client.gets(named);
            assert_eq!(answer.option(12), Some(b"web1".to_vec()));
            assert!(!holds(&answer, name), "{name:?}");
        }
    }
}

/// Kea ended itself over host names that are none.
#[test]
fn item_90_cve_2019_6473_a_host_name_that_is_none_changes_nothing() {
    let long = [b'x'; 255];
    let names: [&[u8]; 6] = [b"", b"\0", b".", b"..", b"\xff\xfe\xc3\x28", &long];
    for name in names {
        let plain = starts(|client| client).map(|client| client.gets(binding()));
        let named = starts(|client| client.option(12, name)).map(|client| client.gets(binding()));
        assert_eq!(named, plain, "{name:?}");
    }
}

/// ISC dhcpd wrote host names of several options into one buffer for its log.
#[test]
fn item_90_cve_2004_0460_a_host_name_in_many_options_is_in_no_reply() {
    let pieces = |client| (0..20).fold(client, |client: Client, _| client.option(12, &[b'A'; 60]));
    for client in starts(pieces) {
        let answer = client.gets(binding());
        assert_eq!(answer.yiaddr(), ADDRESS);
        assert!(!holds(&answer, b"AAAA"));
    }
}

/// ISC dhcpd leaked memory over labels of more than 63 bytes; compression that points at itself is of the same kind.
#[test]
fn item_90_cve_2022_2929_a_domain_name_that_is_none_is_neither_followed_nor_repeated() {
    let label = [&[5, 0, 0, 64][..], &[b'A'; 64], &[0]].concat();
    let names: [&[u8]; 7] = [
        b"",
        b"\x05",
        b"\x05\0\0",
        b"\x04\0\0\xc0\x03",
        b"\x04\0\0\xc0\xff",
        b"\x04\0\0\x3fAAAA",
        &label,
    ];
    for name in names {
        for client in starts(|client| client.option(81, name).list(&[12, 15, 81, 119])) {
            let answer = client.gets(binding());
            assert_eq!(answer.yiaddr(), ADDRESS);
            assert!(!holds(&answer, b"AAAA"), "{name:?}");
        }
    }
}

/// What vendors put into options 60, 77, 93, 124 and 125 (RFC 3004, RFC 3925, RFC 4578), with lengths that are not so.
#[test]
fn item_91_cve_class_options_of_vendors_that_run_past_their_own_end_choose_nothing() {
    let mut binding = binding();
    let file = Setting::BootFile(Text::new("claimed").unwrap());
    for claim in [
        Claim::VendorClass("PXEClient"),
        Claim::UserClass("iPXE"),
        Claim::Architecture(7),
    ] {
        binding.overlays.push(&[claim], &[file]).unwrap();
    }
    let long = [b'P'; 254];
    let malformed: [(u8, &[u8]); 14] = [
        (60, b""),
        (60, b"PXEClien"),
        (60, b"PXEClient\0"),
        (60, &long),
        (77, b""),
        (77, b"\x05iPXE"),
        (77, b"\x04iPXE\xff"),
        (77, b"\0\0\0\0\0\xff"),
        (93, b""),
        (93, b"\x07"),
        (124, b"\0\0\x0d\xe9\xff"),
        (124, b"\0\0"),
        (125, b"\0\0\x0d\xe9\x04\x01\xff\0\0"),
        (125, b"\xff\xff\xff\xff\xff"),
    ];
    for (code, value) in malformed {
        // Once in one piece, and once with another behind it, so that it is longer than any buffer for one.
        for client in starts(|client| client.option(code, value)) {
            let answer = client.gets(binding);
            assert_eq!(answer.yiaddr(), ADDRESS);
            assert!(!holds(&answer, b"claimed"), "{code} {value:?}");
        }
        for client in starts(|client| client.option(code, value).option(code, &long)) {
            let answer = client.gets(binding);
            assert!(!holds(&answer, b"claimed"), "{code} {value:?}, longer");
        }
    }
}

/// ISC dhcpd ended itself over BOOTP.
#[test]
fn item_92_cve_2011_2749_bootp_with_and_without_vendor_bytes_is_not_answered() {
    for vendor in [
        &[][..],
        &[0; 64],
        &[255],
        &[1, 4, 255, 255, 255, 0, 255],
        &[12; 60],
    ] {
        let client = Client::sends_raw(vendor);
        assert!(client.ignored().is_some(), "{vendor:?}");
        assert_eq!(client.with(236, &[0; 4]).ignored(), Some(Reason::BadCookie));
    }
}

/// Whatever was thrown at it, the client gets its address afterwards.
#[test]
fn item_86_cve_class_what_was_malformed_leaves_nothing_behind() {
    let mut responder = Responder::new(binding());
    let good = Client::sends(REQUEST).asks_for(ADDRESS).frame();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        let _ = ask(&mut responder, &bad);
        let _ = ask(&mut responder, &good[..at]);
    }
    let answer = ask(&mut responder, &good);
    let outcome = answer.map(|answer| (answer.outcome, answer.link.1));
    assert_eq!(outcome, Ok((Outcome::AckInitReboot, CLIENT)));
}
