//! DECLINE, RELEASE and INFORM.

use crate::{BOUND, LINK, capture, counter, is_counted, lines_of_log, only_answer, with_a_vm};
use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, GATEWAY, Host, RawClient,
    dhcp::{Message, code, message_type},
    expect, vm_address,
};
use std::net::Ipv4Addr;

/// What must stay as it is: the VM's row but for the time of its ACK, and the kernel's route.
fn standing(host: &Host, agent: &Agent<'_>) -> Result<(String, bool)> {
    let row = agent.wait(LINK, "bound", BOUND)?;
    let of_row = format!("{} {} {}", row["address"], row["generation"], row["route"]);
    Ok((of_row, host.route_to(vm_address(1))?.is_some()))
}

fn decline(vm: &mut RawClient, server: Ipv4Addr, address: Ipv4Addr) -> Message {
    vm.message(message_type::DECLINE)
        .with(code::SERVER_IDENTIFIER, &server.octets())
        .with(code::REQUESTED_ADDRESS, &address.octets())
}

fn release(vm: &mut RawClient, server: Ipv4Addr, ciaddr: Ipv4Addr) -> Message {
    let mut message = vm
        .message(message_type::RELEASE)
        .with(code::SERVER_IDENTIFIER, &server.octets());
    message.ciaddr = ciaddr;
    message
}

fn inform(vm: &mut RawClient, ciaddr: Ipv4Addr, source: Ipv4Addr) -> Message {
    let mut message = vm.message(message_type::INFORM);
    message.ciaddr = ciaddr;
    message.envelope.source = source;
    message
}

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

#[test]
fn items_93_and_94_a_decline_is_counted_and_moves_nothing() -> Result<()> {
    with_a_vm(|host, agent, vm| {
        let ack = vm.bind()?;
        let before = standing(host, agent)?;
        let ours = decline(vm, GATEWAY, vm_address(1));
        is_counted(agent, vm, "decline", &ours)?;
        let of_another_address = decline(vm, GATEWAY, vm_address(2));
        is_counted(agent, vm, "other_address", &of_another_address)?;
        let to_another_server = decline(vm, ELSEWHERE, vm_address(1));
        is_counted(agent, vm, "other_server", &to_another_server)?;
        let after = standing(host, agent)?;
        ensure!(before == after, "{before:?} became {after:?}");
        let request = vm.init_reboot(ack.yiaddr);
        expect(message_type::ACK, vm.ask(&request)?).map(drop)
    })
}

#[test]
fn item_95_a_thousand_declines_cost_the_vm_nothing_and_the_log_no_line() -> Result<()> {
    with_a_vm(|host, agent, vm| {
        vm.bind()?;
        let before = (standing(host, agent)?, lines_of_log(agent));
        for number in 1..=1000 {
            let message = decline(vm, GATEWAY, vm_address(1));
            vm.send(&message)?;
            // Now and then it asks, too: so that no queue overflows, and to see that it is answered all the while.
            if number % 50 == 0 {
                let request = vm.init_reboot(vm_address(1));
                expect(message_type::ACK, vm.ask(&request)?)?;
            }
        }
        slash32_tests::until("all to be counted", BOUND, || {
            Ok((counter(agent, "decline")? == 1000).then_some(()))
        })?;
        let after = (standing(host, agent)?, lines_of_log(agent));
        ensure!(
            before == after,
            "{before:?} became {after:?}: {}",
            agent.log()
        );
        Ok(())
    })
}

#[test]
fn item_96_a_released_address_stays_the_vms_and_so_does_its_route() -> Result<()> {
    with_a_vm(|host, agent, vm| {
        let ack = vm.bind()?;
        agent.wait(LINK, "bound", BOUND)?;
        let message = release(vm, GATEWAY, vm_address(1));
        is_counted(agent, vm, "release", &message)?;
        let row = agent.wait(LINK, "ready", BOUND)?;
        ensure!(
            row["address"] == vm_address(1).to_string() && row["route"] == true,
            "{row}"
        );
        ensure!(
            host.route_to(vm_address(1))?.is_some(),
            "the host route went"
        );
        // systemd-networkd does so within a millisecond.
        let request = vm.init_reboot(ack.yiaddr);
        expect(message_type::ACK, vm.ask(&request)?)?;
        ensure!(vm.bind()?.yiaddr == vm_address(1));
        agent.wait(LINK, "bound", BOUND).map(drop)
    })
}

#[test]
fn item_97_a_release_of_another_address_or_to_another_server_releases_nothing() -> Result<()> {
    with_a_vm(|host, agent, vm| {
        vm.bind()?;
        let before = standing(host, agent)?;
        let of_another_address = release(vm, GATEWAY, vm_address(2));
        is_counted(agent, vm, "other_address", &of_another_address)?;
        let to_another_server = release(vm, ELSEWHERE, vm_address(1));
        is_counted(agent, vm, "other_server", &to_another_server)?;
        let mut of_another_client = release(vm, GATEWAY, vm_address(1));
        of_another_client.chaddr[5] ^= 0x40;
        is_counted(agent, vm, "other_mac", &of_another_client)?;
        let after = standing(host, agent)?;
        ensure!(before == after, "{before:?} became {after:?}");
        Ok(())
    })
}

#[test]
fn items_98_and_99_an_inform_gets_the_configuration_by_unicast_and_no_lease() -> Result<()> {
    with_a_vm(|host, _, vm| {
        let ack = vm.bind()?;
        let capture = capture(host)?;
        let none = Ipv4Addr::UNSPECIFIED;
        for ciaddr in [ack.yiaddr, none] {
            let message = inform(vm, ciaddr, ack.yiaddr);
            let (_, answer) = only_answer(&capture, vm, &message)?;
            let answer = expect(message_type::ACK, answer)?;
            let to = (answer.envelope.destination, answer.envelope.destination_mac);
            ensure!(to == (vm_address(1), vm.mac()), "{answer:?}");
            ensure!(
                answer.yiaddr == none && answer.ciaddr == ciaddr,
                "{answer:?}"
            );
            for absent in [code::LEASE_TIME, code::RENEWAL_TIME, code::REBINDING_TIME] {
                ensure!(answer.option(absent).is_none(), "{answer:?}");
            }
            for present in [
                code::SERVER_IDENTIFIER,
                code::ROUTER,
                code::CLASSLESS_ROUTES,
            ] {
                ensure!(answer.option(present) == ack.option(present), "{answer:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn items_100_and_101_an_inform_from_no_address_or_another_one_gets_silence_and_no_nak() -> Result<()>
{
    with_a_vm(|_, agent, vm| {
        vm.bind()?;
        let none = Ipv4Addr::UNSPECIFIED;
        for (ciaddr, source) in [
            (none, none),
            (vm_address(2), vm_address(1)),
            (vm_address(2), vm_address(2)),
            (none, vm_address(2)),
        ] {
            let message = inform(vm, ciaddr, source);
            is_counted(agent, vm, "other_address", &message)?;
        }
        Ok(())
    })
}
