//! DISCOVER and OFFER, and who is offered anything.

use crate::{BOUND, LINK, capture, only_answer, replies, with_a_vm, with_options};
use anyhow::{Result, ensure};
use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
use slash32_tests::{
    Agent, Capture, Host, RawClient,
    dhcp::{Message, code, message_type},
    expect, guest_mac, static_network, vm_address,
};
use std::{net::Ipv4Addr, time::Duration};

const SILENCE: Duration = Duration::from_millis(500);

#[test]
fn item_22_a_discover_gets_exactly_one_offer_of_the_vms_32() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let discover = vm.discover();
        let (_, offer) = only_answer(&capture, vm, &discover)?;
        let offer = expect(message_type::OFFER, offer)?;
        ensure!(offer.yiaddr == vm_address(1), "{offer:?}");
        ensure!(
            offer.address(code::SUBNET_MASK) == Some(Ipv4Addr::BROADCAST),
            "{offer:?}"
        );
        let [t1, t2, lease] = [code::RENEWAL_TIME, code::REBINDING_TIME, code::LEASE_TIME]
            .map(|code| offer.number(code));
        ensure!(
            Some(0) < t1 && t1 < t2 && t2 < lease,
            "{t1:?}, {t2:?}, {lease:?}"
        );
        Ok(())
    })
}

#[test]
fn items_23_to_26_what_a_discover_wishes_for_changes_nothing_and_one_that_names_a_server_is_ignored()
-> Result<()> {
    with_a_vm(|_, agent, vm| {
        let plain = vm.discover();
        let usual = vm.ask(&plain)?;
        for (code, value) in [
            (code::REQUESTED_ADDRESS, vm_address(2).octets()),
            (code::REQUESTED_ADDRESS, vm_address(1).octets()),
            (code::LEASE_TIME, [0; 4]),
            (code::LEASE_TIME, [0, 0, 0, 60]),
            (code::LEASE_TIME, [0xff; 4]),
        ] {
            let discover = vm.discover().with(code, &value);
            let offer = vm.ask(&discover)?;
            ensure!(
                (offer.yiaddr, &offer.options) == (usual.yiaddr, &usual.options),
                "option {code} {value:?}: {offer:?}"
            );
        }
        let named = vm
            .discover()
            .with(code::SERVER_IDENTIFIER, &[198, 51, 100, 1]);
        crate::is_counted(agent, vm, "server_id_in_discover", &named)
    })
}

#[test]
fn item_27_a_discover_that_is_sent_again_gets_the_same_offer_again() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let discover = vm.discover();
        for _ in 0..20 {
            vm.send(&discover)?;
        }
        let offers = slash32_tests::until("twenty OFFERs", BOUND, || {
            let offers = replies(&capture)?;
            Ok((offers.len() == 20).then_some(offers))
        })?;
        let (first, _) = &offers[0];
        ensure!(
            offers.iter().all(|(frame, _)| frame.bytes == first.bytes),
            "they differ"
        );
        Ok(())
    })
}

#[test]
fn item_30_the_stages_of_a_boot_get_the_same_address_whatever_they_call_themselves() -> Result<()> {
    let stages: [&[u8]; 3] = [
        b"\x00\x01\x02\x03\x04",
        b"",
        b"\xff\x00\x00\x00\x01\x00\x02\x00\x00\xab\x11\x01\x02\x03\x04",
    ];
    with_a_vm(|_, _, vm| {
        for identifier in stages {
            let identify = |message: Message| match identifier {
                b"" => message,
                _ => message.with(code::CLIENT_IDENTIFIER, identifier),
            };
            let discover = identify(vm.discover());
            let offer = expect(message_type::OFFER, vm.ask(&discover)?)?;
            let request = identify(vm.selecting(&offer));
            let ack = expect(message_type::ACK, vm.ask(&request)?)?;
            ensure!(ack.yiaddr == vm_address(1), "{identifier:?}: {ack:?}");
            ensure!(
                ack.option(code::CLIENT_IDENTIFIER).unwrap_or_default() == identifier,
                "{ack:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn items_29_and_31_a_new_mac_is_ignored_while_the_vm_is_there_and_served_when_it_comes_anew()
-> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[(LINK, 1)], ""))?;
    let mut vm = host.raw_vm(1)?;
    vm.bind()?;
    agent.wait(LINK, "bound", BOUND)?;
    let mut stranger = Message::request(message_type::DISCOVER, guest_mac(2), 7);
    crate::is_counted(&agent, &mut vm, "other_mac", &stranger)?;
    // The NIC is replaced: its tap goes, and one of the same name comes.
    drop(vm);
    agent.wait(LINK, "idle", BOUND)?;
    let tap = host.tap("vnet1", Some(LINK))?;
    let vm = RawClient::new(tap, guest_mac(2));
    stranger.xid = 8;
    let offer = expect(message_type::OFFER, vm.insist(&stranger, BOUND)?)?;
    ensure!(offer.yiaddr == vm_address(1), "{offer:?}");
    Ok(())
}

#[test]
fn items_32_and_109_and_114_a_link_without_an_address_is_silent_whatever_is_asked() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr2", 2)], ""))?;
    let mut vm = host.raw_vm(1)?;
    let row = agent.wait(LINK, "unassigned", BOUND)?;
    ensure!(row["reason"].is_string(), "{row}");
    let capture = Capture::open(host.namespace(), "vnet1")?;
    let mut messages = vec![
        vm.discover(),
        vm.discover().with(80, &[]),
        vm.discover().with(116, &[1]),
        vm.init_reboot(vm_address(1)),
    ];
    let mut inform = vm.message(message_type::INFORM);
    inform.ciaddr = vm_address(1);
    messages.push(inform);
    let before = agent.log();
    for message in &messages {
        vm.send(message)?;
    }
    capture.listen(SILENCE)?;
    let seen = capture.messages()?;
    ensure!(
        seen.len() == messages.len(),
        "of {} messages {} were seen",
        messages.len(),
        seen.len()
    );
    ensure!(
        seen.iter().all(|(_, message)| message.op == 1),
        "it was answered: {seen:?}"
    );
    let after = agent.log();
    ensure!(
        after == before,
        "what a guest sends became lines of the log:\n{after}"
    );
    Ok(())
}

#[test]
fn items_108_and_110_and_112_rapid_commit_and_ipv6_only_are_off_unless_configured() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let wishing = |message: Message| {
            message
                .with(80, &[])
                .with(code::PARAMETER_REQUEST_LIST, &[108])
        };
        let discover = wishing(vm.discover());
        let (_, offer) = only_answer(&capture, vm, &discover)?;
        let offer = expect(message_type::OFFER, offer)?;
        let request = wishing(vm.selecting(&offer));
        let (_, ack) = only_answer(&capture, vm, &request)?;
        let ack = expect(message_type::ACK, ack)?;
        for answer in [offer, ack] {
            ensure!(answer.yiaddr == vm_address(1), "{answer:?}");
            ensure!(
                answer.option(80).is_none() && answer.option(108).is_none(),
                "{answer:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn item_107_with_rapid_commit_the_one_answer_to_a_discover_is_an_ack_behind_its_route() -> Result<()>
{
    with_options("rapid-commit = true", |host, agent, vm| {
        let capture = capture(host)?;
        let discover = vm.discover().with(80, &[]);
        agent.signal(SIGSTOP)?;
        vm.send(&discover)?;
        capture.listen(SILENCE)?;
        let early = replies(&capture)?;
        ensure!(
            early.is_empty(),
            "it was answered without the agent: {early:?}"
        );
        agent.signal(SIGCONT)?;
        let (_, ack) = capture.wait_for("an answer", BOUND, |_, answer| answer.op == 2)?;
        ensure!(
            host.route_to(vm_address(1))?.is_some(),
            "the ACK is there, and the route is not"
        );
        let ack = expect(message_type::ACK, ack)?;
        ensure!(
            ack.yiaddr == vm_address(1) && ack.option(80) == Some(&[]),
            "{ack:?}"
        );
        ensure!(ack.number(code::LEASE_TIME) > Some(0), "{ack:?}");
        agent.wait(LINK, "bound", BOUND)?;
        // Again, and once without: as often as it likes.
        let again = vm.discover().with(80, &[]);
        let (_, answer) = only_answer(&capture, vm, &again)?;
        expect(message_type::ACK, answer)?;
        let plain = vm.discover();
        let (_, answer) = only_answer(&capture, vm, &plain)?;
        expect(message_type::OFFER, answer).map(drop)
    })
}

#[test]
fn items_111_and_113_a_vm_that_could_do_without_ipv4_is_told_so_and_offered_its_address_all_the_same()
-> Result<()> {
    let options = "rapid-commit = true\nipv6-only-preferred = \"30m\"";
    with_options(options, |host, _, vm| {
        let capture = capture(host)?;
        let asks = |message: Message| message.with(code::PARAMETER_REQUEST_LIST, &[108]);
        let discover = asks(vm.discover()).with(80, &[]);
        let (_, offer) = only_answer(&capture, vm, &discover)?;
        let offer = expect(message_type::OFFER, offer)?;
        let request = asks(vm.selecting(&offer));
        let (_, ack) = only_answer(&capture, vm, &request)?;
        let ack = expect(message_type::ACK, ack)?;
        for answer in [&offer, &ack] {
            ensure!(answer.yiaddr == vm_address(1), "{answer:?}");
            ensure!(answer.number(108) == Some(1800), "{answer:?}");
            ensure!(answer.option(80).is_none(), "{answer:?}");
        }
        let plain = vm.discover();
        let (_, offer) = only_answer(&capture, vm, &plain)?;
        ensure!(offer.option(108).is_none(), "{offer:?}");
        Ok(())
    })
}
