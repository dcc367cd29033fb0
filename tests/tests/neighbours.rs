//! Many links with one gateway address, and frames that are for somebody else.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, Host, MacAddr, RawClient, Tap, Wire,
    dhcp::{Message, message_type},
    guest_mac, static_network, vm_address,
};
use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

const BOUND: Duration = Duration::from_secs(30);

/// A hundred VMs.
const LINKS: u16 = 100;
/// DISCOVERs a second, of all together.
const RATE: u32 = 5_000;
const FLOOD: Duration = Duration::from_secs(30);
/// In which the links come up, one after the other.
const ARRIVAL: Duration = Duration::from_secs(15);

#[test]
fn load_a_hundred_noisy_neighbours_get_their_own_answers_only() -> Result<()> {
    let host = Host::new()?;
    let names: Vec<String> = (1..=LINKS).map(|number| format!("virbr{number}")).collect();
    let reservations: Vec<(&str, u16)> = names.iter().map(String::as_str).zip(1..).collect();
    let agent = Agent::start(&host, &static_network(&reservations, ""))?;
    let mut vms: Vec<Vm> = Vec::new();
    let (start, mut sent, mut offers) = (Instant::now(), 0u32, 0u32);
    while start.elapsed() < FLOOD {
        let due =
            (f64::from(LINKS) * start.elapsed().as_secs_f64() / ARRIVAL.as_secs_f64()) as usize;
        if vms.len() < due.min(usize::from(LINKS)) {
            let number = vms.len() as u16 + 1;
            let (bridge, port) = (&names[usize::from(number) - 1], format!("vnet{number}"));
            host.bridge(bridge)?;
            let tap = Tap::open(host.namespace(), &port)?;
            host.namespace()
                .ip(&format!("link set {port} master {bridge} up"))?;
            vms.push(Vm { number, tap });
        }
        // The schedule, not the last step, says how many are due: a late step makes up for it.
        while f64::from(sent) < f64::from(RATE) * start.elapsed().as_secs_f64() && !vms.is_empty() {
            for vm in &vms {
                let discover = Message::request(message_type::DISCOVER, guest_mac(vm.number), sent);
                vm.tap.send(&discover.frame())?;
                sent += 1;
            }
            for vm in &vms {
                offers += vm.hear()?;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    ensure!(
        sent > RATE * FLOOD.as_secs() as u32 * 9 / 10,
        "only {sent} DISCOVERs were sent"
    );
    let mut clients: Vec<_> = vms
        .into_iter()
        .map(|Vm { number, tap }| (number, RawClient::new(tap, guest_mac(number))))
        .collect();
    for (number, client) in &mut clients {
        let ack = client.bind()?;
        ensure!(ack.yiaddr == vm_address(*number), "VM {number} got {ack:?}");
    }
    for (number, _) in &clients {
        let row = agent.wait(&names[usize::from(*number) - 1], "bound", BOUND)?;
        ensure!(
            row["address"] == vm_address(*number).to_string(),
            "VM {number}: {row}"
        );
    }
    println!("{sent} DISCOVERs, {offers} OFFERs");
    Ok(())
}

struct Vm {
    number: u16,
    tap: Tap,
}

impl Vm {
    /// Reads all that is there. Returns the number of OFFERs. Errors: anything that is not for this VM.
    fn hear(&self) -> Result<u32> {
        let mut offers = 0;
        while let Some(frame) = self.tap.receive(Duration::ZERO)? {
            let Some(message) = Message::read(&frame.bytes) else {
                continue;
            };
            let right = message.op == 2
                && message.message_type() == message_type::OFFER
                && message.client() == guest_mac(self.number)
                && message.envelope.destination_mac == guest_mac(self.number)
                && message.yiaddr == vm_address(self.number);
            ensure!(right, "VM {} heard {message:?}", self.number);
            offers += 1;
        }
        Ok(offers)
    }
}

#[test]
fn a_tagged_frame_behind_a_bridge_is_not_answered() -> Result<()> {
    on_a_bridge(|client| {
        for vid in [1, 100, 4094] {
            let frame = tagged(&client.discover().frame(), vid);
            client.is_ignored(&frame)?;
        }
        Ok(())
    })
}

#[test]
fn a_tagged_frame_behind_a_bare_tap_is_not_answered() -> Result<()> {
    on_a_tap(|client| {
        let frame = tagged(&client.discover().frame(), 100);
        client.is_ignored(&frame)
    })
}

#[test]
fn a_priority_tagged_frame_behind_a_bridge_is_answered() -> Result<()> {
    on_a_bridge(priority_tag_is_answered)
}

#[test]
fn a_priority_tagged_frame_behind_a_bare_tap_is_answered() -> Result<()> {
    on_a_tap(priority_tag_is_answered)
}

#[test]
fn a_frame_to_another_hosts_mac_behind_a_promiscuous_bridge_is_not_answered() -> Result<()> {
    on_a_bridge(other_host_is_ignored)
}

#[test]
fn a_frame_to_another_hosts_mac_behind_a_bare_tap_is_not_answered() -> Result<()> {
    on_a_tap(other_host_is_ignored)
}

fn priority_tag_is_answered(client: &mut RawClient) -> Result<()> {
    let discover = client.discover();
    client.wire().send(&tagged(&discover.frame(), 0xe000))?;
    let answer = client.answer(discover.xid, BOUND)?;
    ensure!(answer.is_some(), "priority 7, VLAN 0: no answer");
    Ok(())
}

fn other_host_is_ignored(client: &mut RawClient) -> Result<()> {
    let mut discover = client.discover();
    discover.envelope.destination_mac = guest_mac(77);
    client.is_ignored(&discover.frame())?;
    discover.envelope.destination_mac = MacAddr([0x01, 0x00, 0x5e, 0, 0, 1]);
    client.is_ignored(&discover.frame())?;
    let mut elsewhere = client.discover();
    elsewhere.envelope.destination = Ipv4Addr::new(198, 51, 100, 9);
    client.is_ignored(&elsewhere.frame())
}

fn on_a_bridge(case: impl FnOnce(&mut RawClient) -> Result<()>) -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    host.namespace().ip("link set virbr1 promisc on")?;
    let tap = host.tap("vnet1", Some("virbr1"))?;
    agent.wait("virbr1", "ready", BOUND)?;
    case(&mut RawClient::new(tap, guest_mac(1)))
}

fn on_a_tap(case: impl FnOnce(&mut RawClient) -> Result<()>) -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let tap = host.tap("tap1", None)?;
    agent.wait("tap1", "ready", BOUND)?;
    case(&mut RawClient::new(tap, guest_mac(1)))
}

/// The frame with an 802.1Q tag; `control` is priority (3 bits), DEI, VID (12 bits).
fn tagged(frame: &[u8], control: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &[0x81, 0x00], &control.to_be_bytes(), rest].concat()
}
