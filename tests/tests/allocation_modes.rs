//! How a VM comes to its address: dynamic, by its MAC address, by class, and what happens when there is none left.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slash32_tests::{
    Agent, Host, RawClient, Tap,
    dhcp::{Message, code, message_type},
    expect, guest_mac, until,
};
use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

const BOUND: Duration = Duration::from_secs(15);
/// Well before the agent looks at everything again by itself, which it does once a minute.
const AT_ONCE: Duration = Duration::from_secs(5);
/// As in the config [`dynamic`].
const QUARANTINE: Duration = Duration::from_secs(5);
const CI_FARM: &str = include_str!("../../examples/ci-farm.toml");
/// Option 77 (RFC 3004).
const USER_CLASS: u8 = 77;
/// Option 67 (RFC 2132 §9.5).
const BOOTFILE_NAME: u8 = 67;

const FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

#[test]
fn a_dynamic_address_is_the_waiting_vms_the_moment_its_vm_has_gone() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &one_address("allocation = \"dynamic\""))?;
    let mut first = host.raw_vm(1)?;
    ensure!(first.bind()?.yiaddr == FIRST);
    let mut second = host.raw_vm(2)?;
    agent.wait("virbr2", "unassigned", BOUND)?;
    drop(first);
    is_given(&agent, "virbr2", FIRST)?;
    ensure!(second.bind()?.yiaddr == FIRST);
    agent.wait("virbr1", "idle", BOUND)?;
    Ok(())
}

#[test]
fn a_dynamic_address_goes_to_the_next_vm_when_that_comes() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &one_address("allocation = \"dynamic\""))?;
    host.raw_vm(1)?.bind()?;
    agent.wait("virbr1", "idle", BOUND)?;
    let mut second = host.raw_vm(2)?;
    is_given(&agent, "virbr2", FIRST)?;
    ensure!(second.bind()?.yiaddr == FIRST);
    // The first one is back, and has nothing more to claim.
    let _first = host.tap("vnet1", Some("virbr1"))?;
    let row = agent.wait("virbr1", "unassigned", BOUND)?;
    ensure!(row["address"].is_null(), "{row}");
    Ok(())
}

#[test]
fn a_dynamic_address_that_came_free_without_an_agent_goes_to_the_next_vm() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &one_address("allocation = \"dynamic\""))?;
    let mut first = host.raw_vm(1)?;
    first.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.kill()?;
    drop(first);
    let mut second = host.raw_vm(2)?;
    agent.restart()?;
    is_given(&agent, "virbr2", FIRST)?;
    ensure!(second.bind()?.yiaddr == FIRST);
    Ok(())
}

#[test]
fn a_dynamic_address_stays_with_its_vm_over_a_restart_of_the_agent() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &one_address("allocation = \"dynamic\""))?;
    // A bridge whose name comes first must not be the first to be asked.
    let mut client = host.raw_vm(5)?;
    let ack = client.bind()?;
    agent.wait("virbr5", "bound", BOUND)?;
    agent.kill()?;
    let _other = host.raw_vm(1)?;
    agent.restart()?;
    agent.wait("virbr1", "unassigned", BOUND)?;
    let row = agent.wait("virbr5", "bound", BOUND)?;
    ensure!(row["address"] == FIRST.to_string(), "{row}");
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    Ok(())
}

#[test]
fn a_dynamic_address_in_quarantine_waits_until_that_is_over() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &quarantined())?;
    let mut first = host.raw_vm(1)?;
    first.bind()?;
    let _second = host.raw_vm(2)?;
    agent.wait("virbr2", "unassigned", BOUND)?;
    let gone = Instant::now();
    drop(first);
    until("the pool to tell of the quarantine", AT_ONCE, || {
        Ok((pool(&agent)?["quarantined"] == 1).then_some(()))
    })?;
    is_given_within(&agent, "virbr2", FIRST, QUARANTINE + AT_ONCE)?;
    let waited = gone.elapsed();
    ensure!(waited >= QUARANTINE, "it was given after {waited:?}");
    Ok(())
}

#[test]
fn a_quarantine_is_not_cut_short_by_a_restart_of_the_agent() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &quarantined())?;
    let mut first = host.raw_vm(1)?;
    first.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    let gone = Instant::now();
    drop(first);
    agent.wait("virbr1", "idle", BOUND)?;
    agent.kill()?;
    let _second = host.raw_vm(2)?;
    agent.restart()?;
    is_given_within(&agent, "virbr2", FIRST, QUARANTINE + AT_ONCE)?;
    let waited = gone.elapsed();
    ensure!(waited >= QUARANTINE, "it was given after {waited:?}");
    Ok(())
}

#[test]
fn a_vm_that_is_back_within_its_quarantine_has_its_address_again() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &quarantined())?;
    host.raw_vm(1)?.bind()?;
    agent.wait("virbr1", "idle", BOUND)?;
    let _waiting = host.raw_vm(2)?;
    agent.wait("virbr2", "unassigned", BOUND)?;
    let mut again = RawClient::new(host.tap("vnet1", Some("virbr1"))?, guest_mac(1));
    ensure!(again.bind()?.yiaddr == FIRST);
    let numbers = pool(&agent)?;
    ensure!(
        numbers["used"] == 1 && numbers["quarantined"] == 0,
        "{numbers}"
    );
    Ok(())
}

#[test]
fn a_bare_tap_has_a_dynamic_address_as_long_as_it_is_there() -> Result<()> {
    let host = Host::new()?;
    let config = one_address("allocation = \"dynamic\"").replace("virbr*", "tap*");
    let mut agent = Agent::start(&host, &config)?;
    let mut first = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    let ack = first.bind()?;
    ensure!(ack.yiaddr == FIRST);
    agent.wait("tap1", "bound", BOUND)?;
    agent.kill()?;
    agent.restart()?;
    agent.wait("tap1", "bound", BOUND)?;
    let request = first.renewing(&ack);
    expect(message_type::ACK, first.ask(&request)?)?;
    let mut second = RawClient::new(host.tap("tap2", None)?, guest_mac(2));
    agent.wait("tap2", "unassigned", BOUND)?;
    drop(first);
    is_given(&agent, "tap2", FIRST)?;
    ensure!(second.bind()?.yiaddr == FIRST);
    Ok(())
}

#[test]
fn the_mac_of_a_bare_tap_says_the_address_of_its_vm() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CI_FARM)?;
    let wanted = Ipv4Addr::new(10, 20, 7, 9);
    let tap = tap_with_mac(&host, "vnet7", "fe:54:00:14:07:09")?;
    // What the guest sends itself says nothing.
    let mut client = RawClient::new(tap, guest_mac(77));
    let ack = client.bind()?;
    ensure!(ack.yiaddr == wanted, "it got {ack:?}");
    ensure!(ack.number(code::LEASE_TIME) == Some(u32::MAX), "{ack:?}");
    let row = agent.wait("vnet7", "bound", BOUND)?;
    ensure!(row["lease"]["expires_at"].is_null(), "{row}");
    Ok(())
}

#[test]
fn the_mac_of_a_bridges_tap_says_the_address_of_its_vm() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CI_FARM)?;
    host.bridge("ci-1")?;
    let tap = tap_with_mac(&host, "tap1", "fe:54:00:15:00:20")?;
    host.namespace().ip("link set tap1 master ci-1")?;
    let mut client = RawClient::new(tap, guest_mac(1));
    let wanted = Ipv4Addr::new(10, 21, 0, 32);
    is_given(&agent, "ci-1", wanted)?;
    let ack = client.bind()?;
    ensure!(ack.yiaddr == wanted, "it got {ack:?}");
    ensure!(
        ack.option(224) == Some(&[1]),
        "the subnet's own option is missing: {ack:?}"
    );
    Ok(())
}

#[test]
fn with_install_bind_the_route_is_there_before_the_vm_asks() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CI_FARM)?;
    let _tap = tap_with_mac(&host, "vnet7", "fe:54:00:14:07:09")?;
    let row = agent.wait_row("vnet7", "routed", BOUND, |row| row["route"] == true)?;
    ensure!(row["state"] == "ready", "{row}");
    ensure!(
        host.route_to(Ipv4Addr::new(10, 20, 7, 9))?.is_some(),
        "the list says so, the kernel does not"
    );
    Ok(())
}

#[test]
fn a_mac_that_says_no_address_of_the_network_gets_none() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CI_FARM)?;
    // 10.99.0.1 lies in no subnet, 10.21.0.2 in one and in none of its pools; the third begins otherwise.
    let table = [
        ("vnet1", "fe:54:00:63:00:01"),
        ("vnet2", "fe:54:00:15:00:02"),
        ("vnet3", "fe:55:00:14:00:01"),
    ];
    let mut taps = Vec::new();
    for (tap, mac) in table {
        taps.push(tap_with_mac(&host, tap, mac)?);
        let row = agent.wait(tap, "unassigned", BOUND)?;
        let reason = row["reason"].as_str().context("no reason")?;
        ensure!(
            reason.contains("MAC") && reason.contains("ci"),
            "{tap}: the reason is {reason}"
        );
        ensure!(row["address"].is_null() && row["route"] == false, "{row}");
    }
    Ok(())
}

#[test]
fn two_taps_with_one_mac_never_share_its_address() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CI_FARM)?;
    let wanted = Ipv4Addr::new(10, 20, 0, 5);
    let first = tap_with_mac(&host, "vnet1", "fe:54:00:14:00:05")?;
    is_given(&agent, "vnet1", wanted)?;
    let _second = tap_with_mac(&host, "vnet2", "fe:54:00:14:00:05")?;
    let row = agent.wait("vnet2", "unassigned", BOUND)?;
    ensure!(
        row["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("vnet1")),
        "{row}"
    );
    drop(first);
    is_given(&agent, "vnet2", wanted)
}

#[test]
fn mac_encode_decode_and_next_agree_with_what_a_vm_gets() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CI_FARM)?;
    let config = agent.config_file();
    let config = config.to_str().context("no text")?;
    let mut seen = Vec::new();
    let mut clients = Vec::new();
    for tap in ["vnet1", "vnet2", "vnet3"] {
        let next = agent.json(&["mac", "next"])?;
        let (mac, address) = (text(&next["mac"])?, text(&next["address"])?);
        let encoded = agent.json(&["mac", "encode", &address, "--config", config])?;
        ensure!(encoded["mac"] == mac, "{encoded}, and next said {next}");
        let decoded = agent.json(&["mac", "decode", &mac, "--config", config])?;
        ensure!(
            decoded["address"] == address,
            "{decoded}, and next said {next}"
        );
        // As libvirt does: fe in front.
        let tap = tap_with_mac(&host, tap, &format!("fe{}", &mac[2..]))?;
        let mut client = RawClient::new(tap, guest_mac(1));
        let got = client.bind()?.yiaddr.to_string();
        ensure!(got == address, "next said {next}, and the VM got {got}");
        ensure!(!seen.contains(&got), "{got} was given twice");
        seen.push(got);
        clients.push(client);
    }
    Ok(())
}

const CLASSES: &str = r#"[options]
boot-file = "undionly.kpxe"
[[class]]
name = "gold"
match = { link = "virbr9*" }
[[class]]
name = "ipxe"
match = { user-class = "iPXE" }
options = { boot-file = "http://boot.example/menu.ipxe" }
[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "198.51.100.0/24"
pools = ["198.51.100.10-198.51.100.19"]
class = ["gold"]
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.19"]
"#;

#[test]
fn a_class_of_the_host_chooses_the_subnet() -> Result<()> {
    let host = Host::new()?;
    // "gold" is listed first, so without classes everybody would get an address there.
    let _agent = Agent::start(&host, CLASSES)?;
    let (plain, gold) = (host.raw_vm(1)?.bind()?, host.raw_vm(9)?.bind()?);
    ensure!(plain.yiaddr == FIRST, "virbr1 got {}", plain.yiaddr);
    let wanted = Ipv4Addr::new(198, 51, 100, 10);
    ensure!(gold.yiaddr == wanted, "virbr9 got {}", gold.yiaddr);
    Ok(())
}

#[test]
fn a_vm_that_is_of_no_class_of_the_network_is_refused_with_that_reason() -> Result<()> {
    let host = Host::new()?;
    let config = one_address("allocation = \"automatic\"\nclass = [\"gold\"]");
    let class = "[[class]]\nname = \"gold\"\nmatch = { link = \"virbr9*\" }\n";
    let agent = Agent::start(&host, &format!("{class}{config}"))?;
    let _plain = host.raw_vm(1)?;
    let row = agent.wait("virbr1", "unassigned", BOUND)?;
    let reason = row["reason"].as_str().context("no reason")?;
    ensure!(reason.contains("class gold"), "the reason is {reason}");
    ensure!(host.raw_vm(9)?.bind()?.yiaddr == FIRST);
    Ok(())
}

#[test]
fn a_guest_that_calls_itself_ipxe_gets_another_boot_file() -> Result<()> {
    let host = Host::new()?;
    let _agent = Agent::start(&host, CLASSES)?;
    let client = host.raw_vm(1)?;
    let discover = |xid| {
        Message::request(message_type::DISCOVER, guest_mac(1), xid)
            .with(code::PARAMETER_REQUEST_LIST, &[1, 3, 6, 121, BOOTFILE_NAME])
    };
    let table: [(&[u8], &str); 4] = [
        (b"", "undionly.kpxe"),
        (b"iPXE", "http://boot.example/menu.ipxe"),
        // As RFC 3004 has it: a length before each.
        (b"\x04iPXE", "http://boot.example/menu.ipxe"),
        (b"iPXEx", "undionly.kpxe"),
    ];
    for (xid, (user_class, file)) in (1..).zip(table) {
        let mut message = discover(xid);
        if !user_class.is_empty() {
            message = message.with(USER_CLASS, user_class);
        }
        let offer = expect(message_type::OFFER, client.insist(&message, BOUND)?)?;
        let got = String::from_utf8_lossy(offer.option(BOOTFILE_NAME).unwrap_or_default());
        ensure!(got == file, "{user_class:?} gets {got:?}");
        ensure!(
            offer.yiaddr == FIRST,
            "a guest talked itself into {}",
            offer.yiaddr
        );
    }
    Ok(())
}

#[test]
fn a_vm_without_an_address_has_one_as_soon_as_another_is_released() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &one_address("allocation = \"automatic\""))?;
    let mut first = host.raw_vm(1)?;
    first.bind()?;
    drop(first);
    agent.wait("virbr1", "idle", BOUND)?;
    let mut second = host.raw_vm(2)?;
    let row = agent.wait("virbr2", "unassigned", BOUND)?;
    let reason = row["reason"].as_str().context("no reason")?;
    ensure!(
        reason.contains("no free address") && reason.contains("public"),
        "the reason is {reason}"
    );
    agent.json(&["release", "virbr1"])?;
    is_given(&agent, "virbr2", FIRST)?;
    ensure!(second.bind()?.yiaddr == FIRST);
    Ok(())
}

#[test]
fn the_address_of_a_link_that_is_gone_can_be_released_by_its_number() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &one_address("allocation = \"automatic\""))?;
    host.raw_vm(1)?.bind()?;
    host.namespace().ip("link del virbr1")?;
    let _second = host.raw_vm(2)?;
    agent.wait("virbr2", "unassigned", BOUND)?;
    agent.json(&["release", &FIRST.to_string()])?;
    is_given(&agent, "virbr2", FIRST)
}

#[test]
fn a_vm_without_an_address_has_one_as_soon_as_the_pool_has_grown() -> Result<()> {
    let host = Host::new()?;
    let config = one_address("allocation = \"automatic\"");
    let agent = Agent::start(&host, &config)?;
    let mut first = host.raw_vm(1)?;
    first.bind()?;
    let _second = host.raw_vm(2)?;
    agent.wait("virbr2", "unassigned", BOUND)?;
    agent.configure(&config.replace("-203.0.113.10", "-203.0.113.11"))?;
    agent.json(&["reload"])?;
    is_given(&agent, "virbr2", Ipv4Addr::new(203, 0, 113, 11))
}

#[test]
fn the_next_subnet_is_used_when_one_is_full() -> Result<()> {
    let host = Host::new()?;
    let second = "[[network.subnet]]\nprefix = \"198.51.100.0/24\"\npools = [\"198.51.100.7-198.51.100.8\"]\n";
    let config = one_address("allocation = \"automatic\"") + second;
    let _agent = Agent::start(&host, &config)?;
    let mut clients = Vec::new();
    for (number, wanted) in (1..).zip([
        FIRST,
        Ipv4Addr::new(198, 51, 100, 7),
        Ipv4Addr::new(198, 51, 100, 8),
    ]) {
        let mut client = host.raw_vm(number)?;
        let got = client.bind()?.yiaddr;
        ensure!(got == wanted, "VM {number} got {got}");
        clients.push(client);
    }
    Ok(())
}

/// A network with a single address to give; `keys` are further keys of it.
fn one_address(keys: &str) -> String {
    format!(
        "[[network]]\nname = \"public\"\nlinks = [\"virbr*\"]\ngateway = \"169.254.0.1\"\n{keys}\n\
         [[network.subnet]]\nprefix = \"203.0.113.0/24\"\npools = [\"{FIRST}-{FIRST}\"]\n"
    )
}

fn quarantined() -> String {
    one_address("allocation = \"dynamic\"\nquarantine = \"5s\"")
}

/// A tap that is up and has this MAC address from the beginning.
fn tap_with_mac(host: &Host, name: &str, mac: &str) -> Result<Tap> {
    let tap = Tap::open(host.namespace(), name)?;
    host.namespace()
        .ip(&format!("link set {name} address {mac}"))?;
    host.namespace().ip(&format!("link set {name} up"))?;
    Ok(tap)
}

/// The VM of `link` has `address` in the list, soon.
fn is_given(agent: &Agent<'_>, link: &str, address: Ipv4Addr) -> Result<()> {
    is_given_within(agent, link, address, AT_ONCE)
}

fn is_given_within(
    agent: &Agent<'_>,
    link: &str,
    address: Ipv4Addr,
    bound: Duration,
) -> Result<()> {
    let wanted = address.to_string();
    agent
        .wait_row(link, &format!("given {address}"), bound, |row| {
            row["address"] == wanted
        })
        .map(drop)
}

/// The row of the only pool.
fn pool(agent: &Agent<'_>) -> Result<Value> {
    agent.json(&["pools"])?.get(0).cloned().context("no pool")
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("no text")?.to_owned())
}
