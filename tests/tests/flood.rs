//! A guest that floods costs the other VMs no frame, and the agent next to nothing. What it costs the others in time is shown
//! by `cargo xtask bench --case e`.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Fleet, Flood, Held, Host, MacAddr, all_bound,
    dhcp::{Message, code, message_type},
    guest_mac,
};
use std::{fs, time::Duration};

const RATE: u32 = 20_000;
/// The others.
const VMS: std::ops::RangeInclusive<u16> = 2..=11;
/// A flood that lasts as many rounds of renewals, each of a second or two.
const ROUNDS: usize = 3;
/// So much more memory may a process have after a flood of 100,000 frames and more, in KiB: 10 bytes a frame.
const ALLOWED: u64 = 1_024;
/// So many lines may be logged in a flood.
const LINES: usize = 20;
/// So often a second may the agent wake up: a few times for each VM that renews, and not for frames.
const WAKE_UPS: u64 = 200;

const CONFIG: &str = r#"
[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.1-203.0.113.99"]
"#;

#[test]
fn discovers_by_the_thousand_cost_the_others_nothing() -> Result<()> {
    let frames = (0..64).map(|xid| discover(xid).frame()).collect();
    is_survived(frames)
}

#[test]
fn malformed_messages_by_the_thousand_cost_the_others_nothing() -> Result<()> {
    let whole = discover(1).frame();
    let mut wrong_checksum = whole.clone();
    wrong_checksum[40] ^= 0x55;
    let mut wrong_cookie = discover(2);
    wrong_cookie.hlen = 255;
    let mut endless_option = discover(3);
    endless_option
        .options
        .push((code::HOST_NAME, vec![b'x'; 255]));
    let mut endless_option = endless_option.frame();
    endless_option.truncate(320);
    let frames = vec![
        wrong_checksum,
        wrong_cookie.frame(),
        endless_option,
        whole[..60].to_vec(),
    ];
    is_survived(frames)
}

#[test]
fn other_traffic_by_the_thousand_costs_the_others_nothing() -> Result<()> {
    let mut elsewhere = discover(1);
    elsewhere.envelope.destination_port = 5353;
    is_survived(vec![elsewhere.frame(), arp_request()])
}

fn discover(xid: u32) -> Message {
    Message::request(message_type::DISCOVER, guest_mac(1), xid)
}

/// Who has the gateway's address? (RFC 826)
fn arp_request() -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&MacAddr::BROADCAST.0);
    frame[6..12].copy_from_slice(&guest_mac(1).0);
    frame[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&guest_mac(1).0);
    frame[38..42].copy_from_slice(&slash32_tests::GATEWAY.octets());
    frame
}

fn is_survived(frames: Vec<Vec<u8>>) -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let mut noisy = host.raw_vm(1)?;
    let address = noisy.bind()?.yiaddr;
    let fleet = Fleet::bind(&host, &agent, &VMS.collect::<Vec<_>>())?;
    let mut addresses = fleet.addresses();
    addresses.insert(1, address);
    let mut newcomer = host.raw_vm(12)?;
    newcomer.bind()?;
    let agent_pid = agent.process()?.inner_pid()?;
    let mut pids: Vec<u64> = all_bound(&agent, &addresses)?.into_values().collect();
    pids.push(agent_pid);
    let mut renewals = fleet.renew();
    renewals.once_more(&[])?;

    let held = |pid: &u64| Held::by(&host, *pid);
    let before = pids.iter().map(held).collect::<Result<Vec<_>>>()?;
    let (woke, logged) = (wake_ups(&host, agent_pid)?, lines(&agent));
    let flood = Flood::start(noisy, frames, RATE);
    for _ in 0..ROUNDS {
        ensure!(newcomer.bind()?.yiaddr != address);
        renewals.once_more(&[])?;
    }
    let mut sent = flood.stop()?;
    let (woke, logged) = (wake_ups(&host, agent_pid)? - woke, lines(&agent) - logged);
    let after = pids.iter().map(held).collect::<Result<Vec<_>>>()?;
    println!(
        "{} frames, {:.0} a second; the agent woke {woke} times and logged {logged} lines",
        sent.frames,
        sent.rate()
    );

    ensure!(
        sent.client.bind()?.yiaddr == address,
        "the VM that flooded has another address now"
    );
    let accounts = renewals.stop()?;
    let lost: Vec<_> = accounts
        .iter()
        .filter(|(_, one)| one.retransmitted + one.refused + one.unanswered > 0)
        .collect();
    ensure!(lost.is_empty(), "others lost renewals: {lost:?}");
    for (before, after) in before.iter().zip(&after) {
        ensure!(
            after.is_within(before, ALLOWED),
            "{before:?} became {after:?}"
        );
    }
    ensure!(logged <= LINES, "{logged} lines were logged");
    let seconds = sent.took.max(Duration::from_secs(1)).as_secs();
    ensure!(
        woke <= WAKE_UPS * seconds,
        "the agent woke up {woke} times in {seconds} s"
    );
    Ok(())
}

/// How often the process had nothing to do and was woken: `voluntary_ctxt_switches` of proc_pid_status(5).
fn wake_ups(host: &Host, pid: u64) -> Result<u64> {
    let status = fs::read_to_string(host.namespace().path(format!("/proc/{pid}/status")))?;
    let count = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(count.context("no such line")?.trim().parse()?)
}

/// How many lines it logged, but for those that VMs cause by renewing, flood or no flood.
fn lines(agent: &Agent<'_>) -> usize {
    let log = agent.log();
    log.lines()
        .filter(|line| !line.ends_with("the lease was renewed"))
        .count()
}
