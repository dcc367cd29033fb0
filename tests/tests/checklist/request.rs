//! REQUEST in the four states of RFC 2131 §4.3.2, and what a restart, a lost store and a new address do to them.

use crate::{BOUND, LINK, capture, counter, only_answer, with_a_vm};
use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Capture, GATEWAY, Host, MacAddr, RawClient,
    dhcp::{Message, code, message_type},
    expect, static_network, until, vm_address,
};
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

/// Sends `request`: its one answer is an ACK of the VM's address.
fn is_acknowledged(capture: &Capture, vm: &mut RawClient, request: &Message) -> Result<Message> {
    let (_, answer) = only_answer(capture, vm, request)?;
    let ack = expect(message_type::ACK, answer)?;
    ensure!(ack.yiaddr == vm_address(1), "{ack:?}");
    ensure!(ack.number(code::LEASE_TIME) > Some(0), "{ack:?}");
    ensure!(ack.option(code::CLASSLESS_ROUTES).is_some(), "{ack:?}");
    Ok(ack)
}

/// Sends `request`: its one answer is a NAK to everybody.
fn is_refused(capture: &Capture, vm: &mut RawClient, request: &Message) -> Result<()> {
    let (_, answer) = only_answer(capture, vm, request)?;
    let nak = expect(message_type::NAK, answer)?;
    let to = (nak.envelope.destination, nak.envelope.destination_mac);
    ensure!(to == (Ipv4Addr::BROADCAST, MacAddr::BROADCAST), "{nak:?}");
    ensure!(
        nak.yiaddr.is_unspecified() && nak.ciaddr.is_unspecified(),
        "{nak:?}"
    );
    Ok(())
}

#[test]
fn items_34_to_39_in_selecting_the_offered_address_is_acknowledged_and_no_other() -> Result<()> {
    with_a_vm(|host, agent, vm| {
        let capture = capture(host)?;
        let discover = vm.discover();
        let offer = expect(message_type::OFFER, vm.ask(&discover)?)?;
        let request = vm.selecting(&offer);
        let ack = is_acknowledged(&capture, vm, &request)?;
        ensure!(
            ack.options[1..] == offer.options[1..],
            "{offer:?} became {ack:?}"
        );

        let select = |vm: &mut RawClient, server: Ipv4Addr| {
            vm.message(message_type::REQUEST)
                .with(code::SERVER_IDENTIFIER, &server.octets())
        };
        let wrong = select(vm, GATEWAY).with(code::REQUESTED_ADDRESS, &vm_address(2).octets());
        is_refused(&capture, vm, &wrong)?;
        let addressless = select(vm, GATEWAY);
        is_refused(&capture, vm, &addressless)?;
        let mut filled = select(vm, GATEWAY).with(code::REQUESTED_ADDRESS, &vm_address(1).octets());
        filled.ciaddr = vm_address(1);
        is_acknowledged(&capture, vm, &filled)?;

        let foreign = select(vm, Ipv4Addr::new(198, 51, 100, 1))
            .with(code::REQUESTED_ADDRESS, &vm_address(1).octets());
        crate::is_counted(agent, vm, "other_server", &foreign)
    })
}

#[test]
fn item_40_a_request_after_a_restart_of_everything_is_acknowledged() -> Result<()> {
    with_a_vm(|host, agent, vm| {
        let discover = vm.discover();
        let offer = expect(message_type::OFFER, vm.ask(&discover)?)?;
        restart_everything(host, agent)?;
        let request = vm.selecting(&offer);
        let ack = expect(message_type::ACK, vm.insist(&request, BOUND)?)?;
        ensure!(ack.yiaddr == offer.yiaddr, "{ack:?}");
        Ok(())
    })
}

/// Kills the agent and the responder of [`LINK`], and starts an agent again.
pub(crate) fn restart_everything(host: &Host, agent: &mut Agent<'_>) -> Result<()> {
    let responder = agent.responder(LINK)?;
    agent.kill()?;
    host.namespace().signal(responder, "KILL")?;
    agent.restart()
}

#[test]
fn item_41_a_repeated_request_gets_its_ack_again_and_the_lease_does_not_end_earlier() -> Result<()>
{
    with_a_vm(|_, agent, vm| {
        let discover = vm.discover();
        let offer = expect(message_type::OFFER, vm.ask(&discover)?)?;
        let request = vm.selecting(&offer);
        let first = expect(message_type::ACK, vm.ask(&request)?)?;
        let ends = |agent: &Agent<'_>| -> Result<String> {
            let row = agent.wait(LINK, "bound", BOUND)?;
            Ok(row["lease"]["expires_at"]
                .as_str()
                .context("no end")?
                .to_owned())
        };
        let end = ends(agent)?;
        for _ in 0..3 {
            ensure!(vm.ask(&request)? == first, "the ACK is another one");
        }
        let before = counter(agent, "ack_selecting")?;
        ensure!(before == 4, "{before} ACKs were counted");
        // RFC 3339 in UTC: the order of the text is the order of time.
        let after = ends(agent)?;
        ensure!(after >= end, "{end} became {after}");
        Ok(())
    })
}

#[test]
fn items_42_and_43_in_init_reboot_the_right_address_is_acknowledged_and_a_wrong_one_refused()
-> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let right = vm.init_reboot(vm_address(1));
        is_acknowledged(&capture, vm, &right)?;
        for wrong in [
            vm_address(2),
            Ipv4Addr::new(198, 51, 100, 7),
            Ipv4Addr::UNSPECIFIED,
        ] {
            let request = vm.init_reboot(wrong);
            is_refused(&capture, vm, &request)?;
        }
        Ok(())
    })
}

#[test]
fn items_44_and_52_init_reboot_and_renewal_are_acknowledged_when_nobody_remembers_the_lease()
-> Result<()> {
    with_a_vm(|host, agent, vm| {
        let ack = vm.bind()?;
        let responder = agent.responder(LINK)?;
        agent.stop()?;
        host.namespace().signal(responder, "KILL")?;
        fs::remove_dir_all(agent.state_dir())?;
        agent.restart()?;
        let capture = capture(host)?;
        for request in [
            vm.renewing(&ack),
            vm.rebinding(&ack),
            vm.init_reboot(ack.yiaddr),
        ] {
            let again = expect(message_type::ACK, vm.insist(&request, BOUND)?)?;
            ensure!(again.yiaddr == ack.yiaddr, "{again:?}");
        }
        let discovers = capture.messages()?.into_iter();
        let discovers = discovers
            .filter(|(_, message)| message.message_type() == 1)
            .count();
        ensure!(discovers == 0, "the VM had to start again");
        Ok(())
    })
}

#[test]
fn item_45_the_first_packet_with_an_old_address_is_refused_and_the_new_one_offered() -> Result<()> {
    with_a_vm(|host, agent, vm| {
        let old = vm.bind()?;
        agent.wait(LINK, "bound", BOUND)?;
        agent.configure(&static_network(&[(LINK, 2)], ""))?;
        agent.succeeds(&["reload", "--force"])?;
        agent.wait_row(LINK, "of another address", BOUND, |row| {
            row["address"] == vm_address(2).to_string()
        })?;
        let capture = capture(host)?;
        for request in [vm.init_reboot(old.yiaddr), vm.renewing(&old)] {
            is_refused(&capture, vm, &request)?;
        }
        ensure!(vm.bind()?.yiaddr == vm_address(2));
        Ok(())
    })
}

#[test]
fn item_46_a_request_that_names_no_address_is_refused() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let capture = capture(host)?;
        let request = vm.message(message_type::REQUEST);
        is_refused(&capture, vm, &request)
    })
}

#[test]
fn items_47_to_50_renewing_and_rebinding_extend_the_right_address_and_refuse_a_stale_one()
-> Result<()> {
    with_a_vm(|host, _, vm| {
        let ack = vm.bind()?;
        let capture = capture(host)?;
        for request in [vm.renewing(&ack), vm.rebinding(&ack)] {
            let again = is_acknowledged(&capture, vm, &request)?;
            ensure!(again.ciaddr == vm_address(1), "{again:?}");
            let to = (again.envelope.destination, again.envelope.destination_mac);
            ensure!(to == (vm_address(1), vm.mac()), "{again:?}");
            ensure!(again.options == ack.options, "{ack:?} became {again:?}");
        }
        for mut stale in [vm.renewing(&ack), vm.rebinding(&ack)] {
            stale.ciaddr = vm_address(2);
            is_refused(&capture, vm, &stale)?;
        }
        Ok(())
    })
}

#[test]
fn item_51_hundreds_of_renewals_are_all_acknowledged_and_cost_the_store_next_to_nothing()
-> Result<()> {
    with_a_vm(|_, agent, vm| {
        let ack = vm.bind()?;
        agent.wait(LINK, "bound", BOUND)?;
        let file = store(agent)?;
        let (start, mut writes) = (Instant::now(), 0);
        let mut written = fs::metadata(&file)?.modified()?;
        for _ in 0..300 {
            let request = vm.renewing(&ack);
            expect(message_type::ACK, vm.ask(&request)?)?;
            let now = fs::metadata(&file)?.modified()?;
            writes += u64::from(now != written);
            written = now;
        }
        // News of leases are written together, once a second at most; each commit touches the file a few times.
        let seconds = start.elapsed().as_secs() + 1;
        ensure!(writes <= 4 * seconds, "{writes} writes in {seconds} s");
        ensure!(writes < 100, "{writes} writes for 300 renewals");
        Ok(())
    })
}

/// The store's file.
fn store(agent: &Agent<'_>) -> Result<std::path::PathBuf> {
    let files = fs::read_dir(agent.state_dir())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    let file = files.into_iter().find(|path| Path::is_file(path));
    file.context("there is no store")
}

#[test]
fn items_53_and_54_a_spoofed_source_gets_nothing_and_option_50_says_nothing_in_a_renewal()
-> Result<()> {
    with_a_vm(|host, _, vm| {
        let ack = vm.bind()?;
        let capture = capture(host)?;
        let mut spoofed = vm.renewing(&ack);
        spoofed.envelope.source = Ipv4Addr::new(198, 51, 100, 9);
        let answer = is_acknowledged(&capture, vm, &spoofed)?;
        ensure!(answer.envelope.destination == vm_address(1), "{answer:?}");
        for named in [vm_address(1), vm_address(2)] {
            let request = vm
                .renewing(&ack)
                .with(code::REQUESTED_ADDRESS, &named.octets());
            is_acknowledged(&capture, vm, &request)?;
        }
        Ok(())
    })
}

#[test]
fn item_58_a_lease_that_is_over_costs_the_vm_nothing() -> Result<()> {
    crate::with_options("lease-time = \"2s\"", |host, agent, vm| {
        let ack = vm.bind()?;
        let row = agent.wait_row(LINK, "no longer bound", BOUND, |row| {
            row["state"] == "ready" && row["lease"]["acked_at"].is_string()
        })?;
        ensure!(
            row["address"] == vm_address(1).to_string() && row["route"] == true,
            "{row}"
        );
        ensure!(
            host.route_to(vm_address(1))?.is_some(),
            "the host route went"
        );
        let request = vm.renewing(&ack);
        expect(message_type::ACK, vm.ask(&request)?)?;
        until("a bound VM", Duration::from_secs(5), || {
            Ok(agent.row(LINK)?.filter(|row| row["state"] == "bound"))
        })?;
        Ok(())
    })
}
