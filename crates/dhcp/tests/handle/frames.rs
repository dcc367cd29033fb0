//! Which frames are taken: Ethernet, IPv4 and UDP.

use crate::client::{CLIENT, Client, DISCOVER, GATEWAY, SERVER, ask, binding};
use slash32_binding::{Ipv4Addr, MacAddr, Reason};
use slash32_dhcp::{Outcome, Responder, forget_udp_checksum};

fn discover() -> Vec<u8> {
    Client::sends(DISCOVER).frame()
}

fn verdict(frame: &[u8]) -> Result<Outcome, Reason> {
    ask(&mut Responder::new(binding()), frame).map(|answer| answer.outcome)
}

/// Writes the checksum that the IP header should have.
fn mend_ip(frame: &mut [u8]) {
    let length = usize::from(frame[14] & 0x0f) * 4;
    frame[24..26].fill(0);
    let sum: u32 = frame[14..14 + length]
        .chunks_exact(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    frame[24..26].copy_from_slice(&(!(folded as u16)).to_be_bytes());
}

/// `discover()` with bytes of its IP header changed and the checksum right.
fn with_ip(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = discover();
    frame[14 + at..14 + at + bytes.len()].copy_from_slice(bytes);
    mend_ip(&mut frame);
    frame
}

#[test]
fn a_whole_frame_is_taken() {
    assert_eq!(verdict(&discover()), Ok(Outcome::Offer));
}

#[test]
fn item_86_no_prefix_of_a_frame_is_answered() {
    let frame = discover();
    for length in 0..frame.len() {
        let reason = verdict(&frame[..length]).unwrap_err();
        assert_eq!(reason, Reason::Truncated, "{length}");
    }
}

#[test]
fn padding_of_ethernet_is_no_fault() {
    let mut frame = discover();
    frame.extend([0x55; 100]);
    assert_eq!(verdict(&frame), Ok(Outcome::Offer));
}

#[test]
fn item_66_only_ipv4_without_a_tag_is_taken() {
    for ethertype in [0x0806_u16, 0x8100, 0x86dd, 0x88a8, 0x8035, 0x05dc, 0x0000] {
        let mut frame = discover();
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        assert_eq!(verdict(&frame), Err(Reason::NotIpv4), "{ethertype:#06x}");
    }
}

#[test]
fn a_frame_to_another_host_is_not_taken() {
    let everybody = Ipv4Addr::BROADCAST;
    let elsewhere = Ipv4Addr::new(169, 254, 0, 2);
    for (link, ip, taken) in [
        (MacAddr::BROADCAST, everybody, true),
        (SERVER, everybody, true),
        (MacAddr::BROADCAST, GATEWAY, true),
        (SERVER, GATEWAY, true),
        (CLIENT, everybody, false),
        (MacAddr([0x01, 0, 0x5e, 0, 0, 1]), everybody, false),
        (SERVER, elsewhere, false),
        (MacAddr::BROADCAST, elsewhere, false),
        (MacAddr::BROADCAST, Ipv4Addr::new(203, 0, 113, 255), false),
        (MacAddr::BROADCAST, Ipv4Addr::UNSPECIFIED, false),
    ] {
        let mut client = Client::sends(DISCOVER);
        client.link.1 = link;
        client.ip.1 = ip;
        let expected = if taken { None } else { Some(Reason::OtherHost) };
        assert_eq!(client.ignored(), expected, "{link} {ip}");
    }
}

#[test]
fn an_ip_header_that_contradicts_itself_is_refused() {
    for (at, bytes, reason) in [
        (0, &[0x65][..], Reason::BadIpHeader),
        (0, &[0x05], Reason::BadIpHeader),
        (0, &[0x44], Reason::BadIpHeader),
        (0, &[0x40], Reason::BadIpHeader),
        (2, &[0, 19], Reason::BadIpHeader),
        (2, &[0, 0], Reason::BadIpHeader),
        (2, &[0xff, 0xff], Reason::Truncated),
        (2, &[0, 20], Reason::BadUdpLength),
        (2, &[0, 27], Reason::BadUdpLength),
        (2, &[0, 28], Reason::BadUdpLength),
        (9, &[6], Reason::NotDhcp),
        (9, &[1], Reason::NotDhcp),
        (6, &[0x20, 0], Reason::Fragment),
        (6, &[0, 1], Reason::Fragment),
        (6, &[0x1f, 0xff], Reason::Fragment),
    ] {
        assert_eq!(
            verdict(&with_ip(at, bytes)),
            Err(reason),
            "{at} {bytes:02x?}"
        );
    }
}

#[test]
fn a_header_length_past_the_frame_is_truncated() {
    let mut frame = discover();
    frame[14] = 0x4f;
    frame[16..18].copy_from_slice(&60_u16.to_be_bytes());
    frame.truncate(14 + 40);
    assert_eq!(verdict(&frame), Err(Reason::Truncated));
}

#[test]
fn a_wrong_ip_checksum_is_refused() {
    let mut frame = discover();
    frame[24] ^= 1;
    assert_eq!(verdict(&frame), Err(Reason::BadIpHeader));
}

#[test]
fn item_66_ip_options_are_stepped_over() {
    for words in 1..=10_u8 {
        let mut frame = discover();
        let length = frame.len() - 14 + usize::from(words) * 4;
        frame.splice(34..34, std::iter::repeat_n(1, usize::from(words) * 4));
        frame[14] = 0x45 + words;
        frame[16..18].copy_from_slice(&(length as u16).to_be_bytes());
        mend_ip(&mut frame);
        assert_eq!(verdict(&frame), Ok(Outcome::Offer), "{words} words");
    }
}

#[test]
fn the_dont_fragment_flag_is_no_fault() {
    assert_eq!(verdict(&with_ip(6, &[0x40, 0])), Ok(Outcome::Offer));
}

#[test]
fn another_port_is_not_dhcp() {
    for port in [0, 53, 66, 68, 69, 0xffff] {
        let mut client = Client::sends(DISCOVER);
        client.ports.1 = port;
        assert_eq!(client.ignored(), Some(Reason::NotDhcp), "{port}");
    }
}

#[test]
fn the_source_port_says_nothing_and_the_reply_goes_to_68() {
    for port in [0, 67, 68, 4011, 0xffff] {
        let mut client = Client::sends(DISCOVER);
        client.ports.0 = port;
        // `ask` checks the ports of the reply.
        assert_eq!(client.outcome(), Ok(Outcome::Offer), "{port}");
    }
}

#[test]
fn item_120_another_servers_reply_is_told_apart_and_never_answered() {
    let mut reply = Client::sends(2).with(0, &[2]);
    reply.ports = (67, 68);
    for destination in [Ipv4Addr::BROADCAST, Ipv4Addr::new(198, 51, 100, 9), GATEWAY] {
        reply.ip.1 = destination;
        assert_eq!(
            reply.ignored(),
            Some(Reason::OtherServersReply),
            "{destination}"
        );
    }
    let mut broken = reply.frame();
    broken[41] ^= 1;
    assert_eq!(verdict(&broken), Err(Reason::BadUdpChecksum));
    reply.link.1 = MacAddr([0x52, 0x54, 0, 0, 0, 99]);
    assert_eq!(reply.ignored(), Some(Reason::OtherHost));
}

#[test]
fn a_udp_length_that_is_not_there_is_refused() {
    let whole = (discover().len() - 34) as u16;
    for length in [0, 7, whole + 1, 0xffff] {
        let mut frame = discover();
        frame[38..40].copy_from_slice(&length.to_be_bytes());
        assert_eq!(verdict(&frame), Err(Reason::BadUdpLength), "{length}");
    }
}

#[test]
fn a_udp_length_shorter_than_the_packet_ends_the_message() {
    let mut frame = discover();
    frame[38..40].copy_from_slice(&(8_u16 + 239).to_be_bytes());
    frame[40..42].fill(0);
    assert_eq!(verdict(&frame), Err(Reason::Truncated));
}

#[test]
fn a_wrong_udp_checksum_is_refused_and_a_missing_one_is_not() {
    let mut frame = discover();
    frame[41] ^= 1;
    assert_eq!(verdict(&frame), Err(Reason::BadUdpChecksum));
    frame[40..42].fill(0);
    assert_eq!(verdict(&frame), Ok(Outcome::Offer));
}

#[test]
fn a_udp_checksum_that_sums_to_zero_is_taken_as_ffff() {
    // The xid is free, so some xid makes the sum 0; etherparse then writes 0xffff, as RFC 768 says.
    let frame = (0..=u16::MAX)
        .map(|low| Client::sends(DISCOVER).with(6, &low.to_be_bytes()).frame())
        .find(|frame| frame[40..42] == [0xff, 0xff])
        .unwrap();
    assert_eq!(verdict(&frame), Ok(Outcome::Offer));
}

#[test]
fn an_unfinished_udp_checksum_is_no_fault_once_it_is_forgotten() {
    let mut frame = discover();
    frame[40..42].copy_from_slice(&[0x12, 0x34]);
    assert_eq!(verdict(&frame), Err(Reason::BadUdpChecksum));
    forget_udp_checksum(&mut frame);
    assert_eq!(verdict(&frame), Ok(Outcome::Offer));
}

#[test]
fn forgetting_a_checksum_changes_nothing_else() {
    let udp = discover();
    let mut arp = udp.clone();
    arp[13] = 6;
    for (name, frame) in [
        ("fragment", with_ip(6, &[0, 1])),
        ("tcp", with_ip(9, &[6])),
        ("ihl", with_ip(0, &[0x44])),
        ("version", with_ip(0, &[0x65])),
        ("arp", arp),
    ] {
        let mut changed = frame.clone();
        forget_udp_checksum(&mut changed);
        assert_eq!(changed, frame, "{name}");
    }
    for length in 0..42 {
        let mut frame = udp[..length].to_vec();
        forget_udp_checksum(&mut frame);
        assert_eq!(frame, udp[..length]);
    }
}
