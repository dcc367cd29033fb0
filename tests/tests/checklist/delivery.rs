//! Where replies go on the wire (RFC 2131 §4.1), and what never gets one.

use crate::{BOUND, LINK, capture, is_counted, only_answer, replies, with_a_vm};
use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, Capture, GATEWAY, Host, MacAddr, RawClient,
    dhcp::{BROADCAST_FLAG, Message, code, message_type},
    expect, guest_mac, static_network, vm_address,
};
use std::net::Ipv4Addr;

const EVERYBODY: (Ipv4Addr, MacAddr) = (Ipv4Addr::BROADCAST, MacAddr::BROADCAST);

/// Where it was sent.
fn destination(answer: &Message) -> (Ipv4Addr, MacAddr) {
    (answer.envelope.destination, answer.envelope.destination_mac)
}

#[test]
fn items_59_and_60_offer_and_ack_are_broadcast_when_the_flag_asks_and_else_sent_to_the_vm_without_arp()
-> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        for (flags, expected) in [(0, (vm_address(1), vm.mac())), (BROADCAST_FLAG, EVERYBODY)] {
            let discover = Message {
                flags,
                ..vm.discover()
            };
            let (_, offer) = only_answer(&capture, vm, &discover)?;
            ensure!(destination(&offer) == expected, "{offer:?}");
            let request = Message {
                flags,
                ..vm.selecting(&offer)
            };
            let (_, ack) = only_answer(&capture, vm, &request)?;
            ensure!(
                destination(&expect(message_type::ACK, ack.clone())?) == expected,
                "{ack:?}"
            );
        }
        let asked = capture
            .frames()?
            .into_iter()
            .filter(|frame| is_arp_for(&frame.bytes, vm_address(1)));
        ensure!(
            asked.count() == 0,
            "the host asked by ARP for an address that nobody had yet"
        );
        Ok(())
    })
}

fn is_arp_for(frame: &[u8], target: Ipv4Addr) -> bool {
    frame.get(12..14) == Some(&[0x08, 0x06]) && frame.get(38..42) == Some(&target.octets())
}

#[test]
fn item_61_a_client_without_a_hardware_address_is_answered_by_broadcast() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let mut discover = vm.discover().with(code::CLIENT_IDENTIFIER, &[0, 1, 2, 3]);
        discover.chaddr = [0; 16];
        let (_, offer) = only_answer(&capture, vm, &discover)?;
        ensure!(
            destination(&expect(message_type::OFFER, offer.clone())?) == EVERYBODY,
            "{offer:?}"
        );
        Ok(())
    })
}

#[test]
fn items_62_and_63_an_ack_goes_to_ciaddr_and_a_nak_to_everybody_whatever_the_flag_says()
-> Result<()> {
    with_a_vm(|host, _, vm| {
        let ack = vm.bind()?;
        let capture = capture(host)?;
        for flags in [0, BROADCAST_FLAG] {
            for request in [vm.renewing(&ack), vm.rebinding(&ack)] {
                let right = Message { flags, ..request };
                let (_, answer) = only_answer(&capture, vm, &right)?;
                let ack = expect(message_type::ACK, answer)?;
                ensure!(destination(&ack) == (vm_address(1), vm.mac()), "{ack:?}");
                let wrong = Message {
                    xid: vm.discover().xid,
                    ciaddr: vm_address(2),
                    ..right
                };
                let (_, answer) = only_answer(&capture, vm, &wrong)?;
                let nak = expect(message_type::NAK, answer)?;
                ensure!(destination(&nak) == EVERYBODY, "{nak:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn item_64_a_nak_holds_nothing_but_the_refusal() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let wrong = vm
            .init_reboot(vm_address(2))
            .with(code::CLIENT_IDENTIFIER, &[1, 2, 3]);
        let (frame, nak) = only_answer(&capture, vm, &wrong)?;
        let nak = expect(message_type::NAK, nak)?;
        let codes: Vec<u8> = nak.options.iter().map(|(code, _)| *code).collect();
        ensure!(codes == [53, 54, 56, 61], "{codes:?}");
        ensure!(
            frame.bytes[42 + 12..42 + 28] == [0; 16],
            "ciaddr, yiaddr, siaddr or giaddr is set"
        );
        ensure!(
            frame.bytes[42 + 44..42 + 236] == [0; 192],
            "sname or file is set"
        );
        Ok(())
    })
}

#[test]
fn item_65_a_reply_leaves_on_the_link_of_its_request_and_on_no_other() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[(LINK, 1), ("virbr2", 2)], ""))?;
    let first = host.raw_vm(1)?;
    host.bridge("virbr2")?;
    // The same hardware address on two links.
    let tap = host.tap("vnet2", Some("virbr2"))?;
    let mut clients = [first, RawClient::new(tap, guest_mac(1))];
    for link in [LINK, "virbr2"] {
        agent.wait(link, "ready", BOUND)?;
    }
    let captures = [
        Capture::open(host.namespace(), "vnet1")?,
        Capture::open(host.namespace(), "vnet2")?,
    ];
    for client in &mut clients {
        client.bind()?;
    }
    for (number, capture) in (1..).zip(&captures) {
        for (_, reply) in replies(capture)? {
            ensure!(
                reply.yiaddr == vm_address(number),
                "on link {number}: {reply:?}"
            );
        }
        ensure!(replies(capture)?.len() >= 2, "link {number} is silent");
    }
    Ok(())
}

#[test]
fn item_66_ip_options_are_stepped_over_and_fragments_dropped() -> Result<()> {
    with_a_vm(|_, _, vm| {
        for words in [1, 10] {
            let discover = vm.discover();
            let mut frame = discover.frame();
            frame.splice(34..34, vec![1; words * 4]);
            let length = (frame.len() - 14) as u16;
            frame[14] += words as u8;
            frame[16..18].copy_from_slice(&length.to_be_bytes());
            vm.wire().send(&with_ip_checksum(frame))?;
            let offer = vm.answer(discover.xid, BOUND)?;
            ensure!(offer.is_some(), "{words} words of options: no answer");
        }
        for fragment in [[0x20, 0], [0, 1], [0x3f, 0xff]] {
            let mut frame = vm.discover().frame();
            frame[20..22].copy_from_slice(&fragment);
            vm.is_ignored(&with_ip_checksum(frame))?;
        }
        Ok(())
    })
}

/// The frame with the header checksum that its IPv4 header should have.
fn with_ip_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    let end = 14 + usize::from(frame[14] & 0x0f) * 4;
    frame[24..26].fill(0);
    let sum: u32 = frame[14..end]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    frame[24..26].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    frame
}

#[test]
fn item_67_a_relayed_message_is_dropped_and_nothing_is_sent_to_its_relay() -> Result<()> {
    with_a_vm(|host, agent, vm| {
        let capture = capture(host)?;
        for relay in [GATEWAY, Ipv4Addr::new(198, 51, 100, 1), vm_address(1)] {
            let relayed = Message {
                giaddr: relay,
                ..vm.discover()
            };
            is_counted(agent, vm, "relayed", &relayed)?;
        }
        for (_, reply) in replies(&capture)? {
            ensure!(
                destination(&reply) == (vm_address(1), vm.mac()),
                "{reply:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn item_69_relay_agent_information_from_the_vm_comes_back_as_the_last_option() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let discover = vm.discover().with(82, &[1, 3, b'a', b'b', b'c']);
        let (_, offer) = only_answer(&capture, vm, &discover)?;
        let last = offer.options.last();
        ensure!(
            last == Some(&(82, vec![1, 3, b'a', b'b', b'c'])),
            "{offer:?}"
        );
        Ok(())
    })
}
