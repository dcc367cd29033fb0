//! What carries a reply, how long it is, and whether the server that it names is there.

use crate::{BOUND, LINK, capture, only_answer, with_a_vm, with_options};
use anyhow::{Context, Result, ensure};
use slash32_tests::{
    GATEWAY, MacAddr, RawClient,
    dhcp::{BROADCAST_FLAG, Message, code, message_type},
    expect, until, vm_address,
};
use std::{net::Ipv4Addr, time::Duration};

/// Options of more than 1,500 bytes.
fn too_much() -> String {
    let name = |letter: &str| [letter; 4].map(|letter| letter.repeat(60)).join(".");
    let raw = |code: u8, length: usize| {
        let hex = "07".repeat(length);
        format!("{{ code = {code}, hex = \"{hex}\", always = true }}")
    };
    let route = |third: u8| format!("{{ to = \"10.0.{third}.0/24\", via = \"{GATEWAY}\" }}");
    format!(
        "domain = {:?}\nsearch = [{:?}]\nboot-file = {:?}\nraw = [{}, {}]\nroutes = [{}]",
        name("d"),
        name("e"),
        "b".repeat(253),
        raw(224, 255),
        raw(225, 248),
        (0..16).map(route).collect::<Vec<_>>().join(", "),
    )
}

#[test]
fn items_1_and_7_and_12_a_reply_is_a_whole_datagram_from_port_67_to_port_68() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let discover = vm.discover();
        let (_, offer) = only_answer(&capture, vm, &discover)?;
        let request = vm.selecting(&offer);
        let wrong = vm.init_reboot(vm_address(2));
        for request in [again(vm, discover), request, wrong] {
            let (frame, reply) = only_answer(&capture, vm, &request)?;
            // What is not to be read as such (a wrong checksum of IP or UDP, no cookie, no END) is no `Message`.
            let envelope = &reply.envelope;
            ensure!((envelope.source_port, envelope.destination_port) == (67, 68));
            ensure!(envelope.source == GATEWAY, "{envelope:?}");
            let udp_checksum = &frame.bytes[40..42];
            ensure!(udp_checksum != [0, 0], "there is no UDP checksum");
            let payload = &frame.bytes[42..];
            ensure!(
                (300..=548).contains(&payload.len()),
                "{} bytes",
                payload.len()
            );
            ensure!(payload[..4] == [2, 1, 6, 0], "op, htype, hlen, hops");
            ensure!(payload[8..10] == [0, 0], "secs");
            ensure!(payload[236..240] == [99, 130, 83, 99]);
            ensure!(
                payload[240..242] == [53, 1],
                "the message type is not first"
            );
        }
        Ok(())
    })
}

/// The same message with a transaction id of its own.
fn again(vm: &mut RawClient, message: Message) -> Message {
    let xid = vm.discover().xid;
    Message { xid, ..message }
}

#[test]
fn items_2_to_5_what_identifies_the_client_and_its_transaction_comes_back_as_it_was() -> Result<()>
{
    with_a_vm(|_, _, vm| {
        for (xid, flags, padding) in [
            (0, 0, 0),
            (u32::MAX, BROADCAST_FLAG, 0xff),
            (0x1234_5678, 0x7fff, 0x11),
        ] {
            let mut discover = Message {
                xid,
                flags,
                ..vm.discover()
            };
            discover.chaddr[6..].fill(padding);
            let offer = vm.ask(&discover)?;
            ensure!(
                (offer.xid, offer.flags, offer.chaddr) == (xid, flags, discover.chaddr),
                "{discover:?} got {offer:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn item_6_what_a_client_writes_into_the_servers_fields_is_not_believed() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let plain = vm.discover();
        let (usual, _) = only_answer(&capture, vm, &plain)?;
        let mut junk = vm.discover();
        junk.ciaddr = Ipv4Addr::BROADCAST;
        junk.yiaddr = vm_address(2);
        junk.siaddr = vm_address(3);
        let mut payload = junk.payload();
        payload[44..236].fill(b'x');
        vm.wire().send(&junk.frame_around(&payload))?;
        let (frame, _) = capture.wait_for("the OFFER", BOUND, |_, message| {
            message.op == 2 && message.xid == junk.xid
        })?;
        let (header, xid) = (42..42 + 4, 42 + 4..42 + 8);
        ensure!(frame.bytes[header.clone()] == usual.bytes[header]);
        ensure!(
            frame.bytes[xid.end..] == usual.bytes[xid.end..],
            "the OFFERs differ"
        );
        Ok(())
    })
}

#[test]
fn item_8_the_server_identifier_answers_arp_on_the_link() -> Result<()> {
    with_a_vm(|_, _, vm| {
        let ack = vm.bind()?;
        let server = ack
            .address(code::SERVER_IDENTIFIER)
            .context("no option 54")?;
        vm.wire().send(&arp_request(vm.mac(), ack.yiaddr, server))?;
        let answered_by = until("an ARP reply", BOUND, || {
            let frame = vm.wire().receive(Duration::from_millis(100))?;
            Ok(frame.and_then(|frame| arp_reply_from(&frame.bytes, server)))
        })?;
        ensure!(
            answered_by == ack.envelope.source_mac,
            "{answered_by} answers for {server}"
        );
        // And that is where a renewal reaches it.
        let request = vm.renewing(&ack);
        expect(message_type::ACK, vm.ask(&request)?).map(drop)
    })
}

/// "Who has `target`, tell `sender`" (RFC 826).
fn arp_request(mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = [[0xff; 6], mac.0].concat();
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac.0);
    frame.extend(sender.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

/// The hardware address that an ARP reply names for `address`.
fn arp_reply_from(frame: &[u8], address: Ipv4Addr) -> Option<MacAddr> {
    let is_reply = frame.get(12..22)? == [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2];
    let names = frame.get(28..32)? == address.octets();
    (is_reply && names).then_some(MacAddr(*frame.get(22..)?.first_chunk()?))
}

#[test]
fn items_13_to_15_a_reply_is_as_long_as_the_client_allows_and_never_longer() -> Result<()> {
    with_options(&too_much(), |host, _, vm| {
        let capture = capture(host)?;
        for (size, limit) in [
            (None, 576),
            (Some(&[2, 64][..]), 576),
            (Some(&[5, 220]), 1500),
            (Some(&[0xff, 0xff]), 1500),
            (Some(&[0, 100]), 576),
            (Some(&[5]), 576),
            (Some(&[5, 220, 0]), 576),
        ] {
            let mut discover = vm
                .discover()
                .with(code::PARAMETER_REQUEST_LIST, &[15, 119, 67, 249]);
            if let Some(size) = size {
                discover = discover.with(57, size);
            }
            let (frame, offer) = only_answer(&capture, vm, &discover)?;
            let packet = frame.bytes.len() - 14;
            ensure!(packet <= limit, "{size:?}: {packet} bytes");
            ensure!(packet > limit - 260, "{size:?}: only {packet} bytes");
            for code in [53, 54, 51, 1, 121, 3] {
                ensure!(offer.option(code).is_some(), "{size:?}: no option {code}");
            }
            for (code, value) in &offer.options {
                // A name and the raw options have one length only: whole.
                let whole = match code {
                    15 => 243,
                    67 => 253,
                    224 => 255,
                    225 => 248,
                    _ => continue,
                };
                ensure!(
                    value.len() == whole,
                    "option {code} of {} bytes",
                    value.len()
                );
            }
        }
        Ok(())
    })
}

#[test]
fn item_14_a_reply_fits_the_link_whatever_the_client_allows() -> Result<()> {
    with_options(&too_much(), |host, _, vm| {
        host.namespace().ip("link set vnet1 mtu 1000")?;
        until("the bridge to take the MTU of its port", BOUND, || {
            let links = host.namespace().ip_json(&format!("link show dev {LINK}"))?;
            Ok((links[0]["mtu"] == 1000).then_some(()))
        })?;
        let capture = capture(host)?;
        let discover = vm.discover().with(57, &[5, 220]);
        let offer = vm.insist(&discover, BOUND)?;
        expect(message_type::OFFER, offer)?;
        for (frame, _) in crate::replies(&capture)? {
            ensure!(
                frame.bytes.len() - 14 <= 1000,
                "{} bytes",
                frame.bytes.len()
            );
        }
        Ok(())
    })
}
