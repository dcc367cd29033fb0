//! What one client a link needs beyond the RFCs: links that come and go, crashes at the worst moment, other servers.

use crate::request::restart_everything;
use crate::{BOUND, LINK, counter, is_counted, with_a_vm};
use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, GATEWAY, Host, POOL_NETWORK, RawClient, Tap,
    dhcp::{Message, code, message_type},
    expect, guest_mac, static_network, until, vm_address,
};
use std::{
    collections::BTreeSet,
    fs,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// After which a client sends a DISCOVER or REQUEST again, less the second by which it is randomised (RFC 2131 §4.1).
const FIRST_RETRANSMIT: Duration = Duration::from_secs(3);

#[test]
fn item_115_a_vm_that_asks_the_moment_its_link_is_there_is_answered_before_it_asks_again()
-> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let tap = host.tap("tap1", None)?;
    let start = Instant::now();
    let mut vm = RawClient::new(tap, guest_mac(1));
    let discover = vm.discover();
    // A client sends it once, and again after four seconds. This one is impatient, to measure how long it would have waited.
    vm.insist_each(&discover, Duration::from_millis(1), BOUND)?;
    let waited = start.elapsed();
    println!("answered {waited:?} after the link was there");
    ensure!(waited < FIRST_RETRANSMIT, "it took {waited:?}");
    agent.wait("tap1", "ready", BOUND).map(drop)
}

#[test]
fn item_116_links_that_go_in_the_middle_of_a_transaction_leave_nothing_behind() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    // What is opened once and kept is open after the first round.
    half_a_transaction(&host, &agent)?;
    let before = open_files(&mut agent)?;
    for _ in 0..10 {
        half_a_transaction(&host, &agent)?;
    }
    let after = open_files(&mut agent)?;
    ensure!(after <= before, "{before} open files became {after}");
    Ok(())
}

/// A tap that goes while its VM waits for an ACK, and with it the responder and the host route.
fn half_a_transaction(host: &Host, agent: &Agent<'_>) -> Result<()> {
    let mut vm = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    let discover = vm.discover();
    let offer = expect(message_type::OFFER, vm.insist(&discover, BOUND)?)?;
    let responder = agent.responder("tap1")?;
    let request = vm.selecting(&offer);
    vm.send(&request)?;
    drop(vm);
    until("the responder to end", BOUND, || {
        Ok((!host.namespace().has_process(responder)).then_some(()))
    })?;
    until("the link to leave the list", BOUND, || {
        Ok(agent.row("tap1")?.is_none().then_some(()))
    })?;
    ensure!(
        host.route_to(vm_address(1))?.is_none(),
        "the host route is still there"
    );
    Ok(())
}

fn open_files(agent: &mut Agent<'_>) -> Result<usize> {
    let pid = agent.process()?.pid();
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// VMs of the case below. `SLASH32_VMS` in the environment says another number: a thousand debug builds of the responder
/// take longer to start than a suite should.
const VMS: u16 = 100;

#[test]
fn load_item_118_vms_that_all_boot_at_once_are_bound_before_one_asks_again() -> Result<()> {
    let vms = match std::env::var("SLASH32_VMS") {
        Ok(number) => number.parse()?,
        Err(_) => VMS,
    };
    let host = Host::new()?;
    let agent = Agent::start(&host, &many(vms))?;
    let mut clients = Vec::new();
    for number in 0..vms {
        let tap = Tap::open(host.namespace(), &format!("tap{number}"))?;
        clients.push(RawClient::new(tap, guest_mac(number)));
    }
    let ups: String = (0..vms)
        .map(|number| format!("link set tap{number} up\n"))
        .collect();
    host.namespace().ip_batch(&ups)?;
    until("all links to be served", Duration::from_secs(90), || {
        let rows = agent.list()?;
        let ready = rows.iter().filter(|row| row["state"] == "ready").count();
        Ok((ready == usize::from(vms)).then_some(()))
    })?;

    let start = Instant::now();
    let discovers = clients
        .iter_mut()
        .map(RawClient::discover)
        .collect::<Vec<_>>();
    let offers = all_answered(&clients, &discovers)?;
    let requests = clients
        .iter_mut()
        .zip(&offers)
        .map(|(client, offer)| client.selecting(offer))
        .collect::<Vec<_>>();
    let acks = all_answered(&clients, &requests)?;
    let took = start.elapsed();
    println!("{vms} VMs were bound in {took:?}");
    let addresses: BTreeSet<Ipv4Addr> = acks.iter().map(|ack| ack.yiaddr).collect();
    ensure!(
        addresses.len() == usize::from(vms),
        "only {} addresses",
        addresses.len()
    );
    ensure!(took < FIRST_RETRANSMIT, "it took {took:?}");
    Ok(())
}

/// Sends each message once and returns the answers.
fn all_answered(clients: &[RawClient], messages: &[Message]) -> Result<Vec<Message>> {
    for (client, message) in clients.iter().zip(messages) {
        client.send(message)?;
    }
    let answers = clients.iter().zip(messages).map(|(client, message)| {
        let answer = client.answer(message.xid, BOUND)?;
        let (_, answer) = answer.with_context(|| format!("{} got no answer", client.mac()))?;
        Ok(answer)
    });
    answers.collect()
}

/// A network with an address for each of so many taps.
fn many(vms: u16) -> String {
    let mut config = format!(
        "[[network]]\nname = \"many\"\nlinks = [\"tap*\"]\ngateway = \"{GATEWAY}\"\nallocation = \"static\"\n\
         [[network.subnet]]\nprefix = \"10.64.0.0/16\"\n"
    );
    for number in 0..vms {
        let [high, low] = number.to_be_bytes();
        config.push_str(&format!(
            "[[network.reservation]]\nlink = \"tap{number}\"\naddress = \"10.64.{high}.{low}\"\n"
        ));
    }
    config
}

#[test]
fn item_119_a_crash_of_everything_right_after_the_ack_costs_no_vm_its_address() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let mut vm = host.raw_vm(1)?;
    agent.wait(LINK, "ready", BOUND)?;
    let responder = agent.responder(LINK)?;
    let discover = vm.discover();
    let offer = expect(message_type::OFFER, vm.ask(&discover)?)?;
    let request = vm.selecting(&offer);
    let ack = expect(message_type::ACK, vm.ask(&request)?)?;
    // News of a lease reach the store within a second: not this one.
    agent.kill()?;
    host.namespace().signal(responder, "KILL")?;
    agent.restart()?;
    for request in [vm.renewing(&ack), vm.init_reboot(ack.yiaddr)] {
        let again = expect(message_type::ACK, vm.insist(&request, BOUND)?)?;
        ensure!(again.yiaddr == ack.yiaddr, "{again:?}");
    }
    let row = agent.wait(LINK, "bound", BOUND)?;
    ensure!(row["address"] == ack.yiaddr.to_string(), "{row}");
    Ok(())
}

#[test]
fn item_119_a_crash_of_everything_between_offer_and_request_costs_no_vm_its_address() -> Result<()>
{
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let mut vm = host.raw_vm(1)?;
    agent.wait(LINK, "ready", BOUND)?;
    let discover = vm.discover();
    let offer = expect(message_type::OFFER, vm.ask(&discover)?)?;
    restart_everything(&host, &mut agent)?;
    let request = vm.selecting(&offer);
    let ack = expect(message_type::ACK, vm.insist(&request, BOUND)?)?;
    ensure!(ack.yiaddr == offer.yiaddr, "{offer:?} became {ack:?}");
    Ok(())
}

#[test]
fn item_120_another_server_on_the_link_is_not_answered_and_disturbs_nothing() -> Result<()> {
    let other = Ipv4Addr::new(198, 51, 100, 1);
    with_a_vm(|_, agent, vm| {
        for kind in [message_type::OFFER, message_type::ACK, message_type::NAK] {
            let mut reply =
                Message::request(kind, vm.mac(), 7).with(code::SERVER_IDENTIFIER, &other.octets());
            reply.op = 2;
            reply.yiaddr = vm_address(9);
            reply.envelope.source = other;
            reply.envelope.source_port = 67;
            // As a server sends it, and to the port of servers.
            for port in [68, 67] {
                reply.envelope.destination_port = port;
                vm.is_ignored(&reply.frame())?;
            }
        }
        let request = vm
            .message(message_type::REQUEST)
            .with(code::SERVER_IDENTIFIER, &other.octets())
            .with(code::REQUESTED_ADDRESS, &vm_address(9).octets());
        is_counted(agent, vm, "other_server", &request)?;
        ensure!(
            counter(agent, "not_a_request")? == 3,
            "what is no request was not counted"
        );
        ensure!(vm.bind()?.yiaddr == vm_address(1));
        Ok(())
    })
}
