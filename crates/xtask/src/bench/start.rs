//! Case a: from the start of a responder or daemon to the first OFFER, and from a link to it through the running agent.
//!
//! The clients ask already. What starts writes no config and makes no link meanwhile: both are there. For a responder, what the
//! agent does for it counts: its listening socket, its start, its two sockets and its binding. Peers are started by a shell, in the
//! mode in which they become daemons.

use super::cgroup::Cgroup;
use super::client::{PATIENCE, offer_after};
use super::extent::Extent;
use super::link::{self, CONFIG, Kind, Switch, link};
use super::peer::Peer;
use super::report::{Figure, PEERS, Report, Subject};
use super::sample::Sample;
use super::{figure, floor};
use crate::step::step;
use anyhow::{Context, Result, bail};
use slash32_binding::{Binding, Generation};
use slash32_ipc::{Hello, MAX_DOWN, ToResponder};
use slash32_sys::fd::AsFd;
use slash32_sys::{idle, packet, seqpacket};
use slash32_tests::{Agent, GATEWAY, Host, Namespace, Process, RawClient, binary, bridge_mac};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// What the VM gets.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 112, 1);

/// How many links come up, how often a responder or daemon is started, and how often the kernel is asked.
fn times(extent: Extent) -> (usize, usize, usize) {
    match extent {
        Extent::Quick => (20, 7, 200),
        Extent::Standard | Extent::Full => (60, 21, 1000),
    }
}

/// Measures everybody once. Errors: an OFFER does not come.
pub(super) fn measure(extent: Extent, run: usize, report: &mut Report) -> Result<()> {
    let (links, starts, floors) = times(extent);
    step("links that come up", || {
        link_up(Kind::Veth, figure::LINK_UP, links, run, report)?;
        link_up(Kind::Tap, figure::TAP_UP, links, run, report)
    })?;
    step("responders and daemons that start", || {
        started(starts, run, report)
    })?;
    step("what the kernel takes", || {
        floor::measure(floors, run, report)
    })
}

/// From just before a link comes up to its first OFFER, through an agent that knows its bridge.
fn link_up(
    kind: Kind,
    figure: Figure,
    links: usize,
    run: usize,
    report: &mut Report,
) -> Result<()> {
    let host = Host::new()?;
    let clients = Namespace::new("clients")?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let mut switch = Switch::new(host.namespace())?;
    let mut offered = Vec::new();
    let mut there = Vec::new();
    for number in 1..=links {
        let mut client = link(&host, &clients, &agent, kind, number)?;
        let port = format!("vnet{number}");
        let (took, ..) = offer_after(&mut client, || Ok((switch.up(&port)?, ())))?;
        offered.push(took);
        there.push(client);
    }
    agent.hush();
    Sample::new(offered).take(report, run, Subject::Slash32, [Some(figure), None]);
    drop(agent);
    link::delete(&host, 1..=links)
}

/// Everybody is started on the same link, one after the other, again and again. Errors: the first one's that does not answer;
/// what was read of the others is taken.
fn started(times: usize, run: usize, report: &mut Report) -> Result<()> {
    let host = Host::new()?;
    let clients = Namespace::new("clients")?;
    let mut client = link::make(&host, &clients, Kind::Veth, 1)?;
    link::raise(&host, 1)?;
    let mut subjects = vec![(Subject::Slash32, Some(binary("slash32-responder")?))];
    if let Some(program) = std_responder()? {
        subjects.push((Subject::Slash32Std, Some(program)));
    }
    subjects.extend(PEERS.map(|peer| (peer, None)));
    let mut durations = vec![Vec::new(); subjects.len()];
    let mut failed = vec![None; subjects.len()];
    for _ in 0..times {
        let tried = subjects.iter().zip(&mut durations).zip(&mut failed);
        for (((subject, program), durations), failed) in tried {
            // Who has failed once does not get a second chance to take ten seconds.
            if failed.is_some() {
                continue;
            }
            let took = match program {
                Some(program) => responder(&host, &mut client, program),
                None => daemon(&host, &mut client, *subject),
            };
            match took {
                Ok(took) => durations.push(took),
                Err(error) => *failed = Some(format!("{}: {error:#}", subject.name())),
            }
        }
    }
    for ((subject, _), durations) in subjects.iter().zip(durations) {
        Sample::new(durations).take(report, run, *subject, [Some(figure::START), None]);
    }
    match failed.into_iter().flatten().next() {
        Some(failed) => bail!(failed),
        None => Ok(()),
    }
}

/// Has a shell that waits already start a peer, and ends that.
fn daemon(host: &Host, client: &mut RawClient, subject: Subject) -> Result<Duration> {
    let cgroup = Cgroup::new()?;
    let links = [link::for_peer(client)];
    let mut peer = Peer::prepare(subject, host.namespace(), &links, &cgroup)?;
    let begin = || {
        let start = SystemTime::now();
        peer.start()?;
        Ok((start, ()))
    };
    let offered = offer_after(client, begin);
    let (took, ..) = offered.with_context(|| format!("it said: {}", peer.log()))?;
    peer.stop()?;
    Ok(took)
}

/// The responder that uses the standard library, where it was built beside the other.
fn std_responder() -> Result<Option<PathBuf>> {
    let released = binary("slash32-responder")?;
    let path = released
        .with_file_name(slash32_tests::WITH_STD)
        .join("slash32-responder");
    Ok(path.is_file().then_some(path))
}

/// Starts a responder, is its agent until the first OFFER, and ends it.
fn responder(host: &Host, client: &mut RawClient, program: &Path) -> Result<Duration> {
    let namespace = host.namespace();
    namespace.ip(&format!("addr replace {GATEWAY}/32 dev virbr1"))?;
    let ifindex = fs::read_to_string(namespace.path("/sys/class/net/virbr1/ifindex"))?;
    let ifindex: u32 = ifindex.trim().parse()?;
    let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
    let socket = folder.path().join("virbr1.sock").display().to_string();
    let mut command = Command::new(program);
    command.args(["--user", "65534:65534"]).env_clear();
    command.current_dir("/").stdout(Stdio::null());
    let hello = hello();

    let begin = || {
        namespace.within(|| {
            let start = SystemTime::now();
            let listener = seqpacket::listen(&socket)?;
            let process = command.stdin(Stdio::from(listener)).spawn();
            let process = Process::from(process.context("the responder cannot be started")?);
            let packets = packet::open(ifindex)?;
            let idle = idle::open("virbr1", GATEWAY)?;
            let agent = seqpacket::connect(&socket)?;
            let descriptors = [packets.as_fd(), idle.as_fd()];
            seqpacket::send_with(agent.as_fd(), &hello, &descriptors)?;
            Ok((start, (process, agent)))
        })
    };
    let (took, _, (mut process, _agent)) = offer_after(client, begin)?;
    process.child().kill()?;
    process.wait(PATIENCE)?;
    // Peers bring an address of their own.
    namespace.ip("addr flush dev virbr1")?;
    Ok(took)
}

/// The binding, as the agent says it.
fn hello() -> Vec<u8> {
    let mut binding = Binding::new(ADDRESS, GATEWAY);
    binding.server_mac = bridge_mac("virbr1");
    let hello = ToResponder::Hello(Hello {
        generation: Generation(1),
        confirmed: true,
        binding,
    });
    let mut record = [0; MAX_DOWN];
    let length = hello.encode(&mut record);
    record[..length].to_vec()
}
