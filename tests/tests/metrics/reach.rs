//! What moves each series.

use crate::stage::{BOUND, Stage, with_metrics};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
use slash32_tests::{
    Agent, GATEWAY, Host, POOL_NETWORK, RawClient, binary,
    dhcp::{Message, code, message_type},
    expect, guest_mac, misbehaving, static_network, until, vm_address,
};
use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::Ipv4Addr,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// Operators who look at a link again and again: fewer than the agent serves at a time, and more looks, all in all, than the
/// socket of a responder holds (`net.core.wmem_default`, some 770 bytes a message).
const OPERATORS: usize = 50;
const LOOKS: usize = 8;
const LOOK: &str = "{\"method\":\"io.slash32.Agent.Show\",\"parameters\":{\"key\":\"virbr1\"}}\0";
/// So many link messages are caused before it is looked whether they were too many.
const NEWS: u32 = 2_000;

pub(crate) fn a_vm_on_its_way_to_its_address(stage: &Stage) -> Result<()> {
    let host = &stage.host;
    let agent = stage.start(&static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    stage.moves("links{state=idle}")?;
    let mut vm = host.raw_vm(1)?;
    stage.moves("links{state=ready}")?;
    vm.bind()?;
    stage.moves("links{state=bound}")?;
    stage.moves("routes")?;
    ensure!(stage.growth("claims_total{result=ok}")? >= 1.0);
    ensure!(
        stage.growth("claim_seconds_count")? == stage.growth("claims_total{result=ok}")?,
        "a claim without its time"
    );
    drop(vm);
    stage.moves("route_operations_total{operation=remove,result=ok}")?;
    ensure!(stage.growth("route_operations_total{operation=add,result=ok}")? == 1.0);
    ensure!(stage.growth("responder_starts_total{result=ok}")? == 1.0);
    // Once a minute, and after a reload of the config.
    agent.succeeds(&["reload"])?;
    stage.moves("kernel_dumps_total{result=ok}")
}

pub(crate) fn a_link_that_cannot_be_served(stage: &Stage) -> Result<()> {
    let host = &stage.host;
    let _agent = stage.start(&static_network(&[], ""))?;
    let _nameless = host.raw_vm(1)?;
    stage.moves("links{state=unassigned}")?;
    host.namespace().ip("addr add 192.0.2.9/24 dev virbr1")?;
    stage.moves("links{state=failed}")
}

pub(crate) fn every_kind_of_reply(stage: &Stage) -> Result<()> {
    let agent = stage.start(&static_network(&[("virbr1", 1)], "rapid-commit = true"))?;
    let mut client = stage.host.raw_vm(1)?;
    let ack = client.bind()?;
    stage.moves("replies_total{kind=offer}")?;
    stage.moves("replies_total{kind=ack_selecting}")?;
    let wrong = Message {
        yiaddr: ELSEWHERE,
        ..ack.clone()
    };
    let inform = Message {
        ciaddr: vm_address(1),
        ..client.message(message_type::INFORM)
    };
    let messages = [
        ("ack_rapid_commit", client.discover().with(80, &[])),
        ("ack_init_reboot", client.init_reboot(vm_address(1))),
        ("ack_renewing", client.renewing(&ack)),
        ("ack_rebinding", client.rebinding(&ack)),
        ("ack_inform", inform),
        ("nak_selecting", client.selecting(&wrong)),
        ("nak_init_reboot", client.init_reboot(ELSEWHERE)),
        ("nak_renewing", client.renewing(&wrong)),
        ("nak_rebinding", client.rebinding(&wrong)),
    ];
    for (kind, message) in messages {
        client.ask(&message)?;
        let series = format!("replies_total{{kind={kind}}}");
        told(stage, &agent, &series)?;
        ensure!(stage.growth(&series)? == 1.0, "{kind} is counted twice");
    }
    Ok(())
}

pub(crate) fn frames_that_are_ignored(stage: &Stage) -> Result<()> {
    let agent = stage.start(&static_network(&[("virbr1", 1)], ""))?;
    let mut client = stage.host.raw_vm(1)?;
    client.bind()?;
    let good = client.discover();
    let typed = |kind: u8| Message {
        options: vec![(code::MESSAGE_TYPE, vec![kind])],
        ..good.clone()
    };
    let with_server =
        |kind, server: Ipv4Addr| typed(kind).with(code::SERVER_IDENTIFIER, &server.octets());
    let mut flipped = good.frame();
    flipped[41] ^= 0x55;
    let gives_back = |ciaddr| Message {
        ciaddr,
        ..typed(message_type::RELEASE)
    };
    let frames = [
        ("bad_udp_checksum", flipped),
        (
            "not_a_request",
            Message {
                op: 2,
                ..good.clone()
            }
            .frame(),
        ),
        (
            "bad_hardware_address",
            Message {
                hlen: 17,
                ..good.clone()
            }
            .frame(),
        ),
        ("bad_message_type", typed(99).frame()),
        (
            "relayed",
            Message {
                giaddr: ELSEWHERE,
                ..good.clone()
            }
            .frame(),
        ),
        (
            "other_mac",
            Message::request(message_type::DISCOVER, guest_mac(2), 7).frame(),
        ),
        (
            "other_server",
            with_server(message_type::REQUEST, ELSEWHERE).frame(),
        ),
        ("other_servers_reply", other_servers_offer(&good).frame()),
        (
            "server_id_in_discover",
            with_server(message_type::DISCOVER, GATEWAY).frame(),
        ),
        ("other_address", gives_back(ELSEWHERE).frame()),
        (
            "decline",
            with_server(message_type::DECLINE, GATEWAY)
                .with(code::REQUESTED_ADDRESS, &vm_address(1).octets())
                .frame(),
        ),
        ("release", gives_back(vm_address(1)).frame()),
    ];
    for (reason, frame) in frames {
        client.is_ignored(&frame)?;
        let series = format!("ignored_total{{reason={reason}}}");
        told(stage, &agent, &series)?;
        ensure!(stage.growth(&series)? == 1.0, "{reason} is counted twice");
    }
    // What was counted on a link that is gone is still counted.
    drop(client);
    stage.host.namespace().ip("link del virbr1")?;
    until("the link to be forgotten", BOUND, || {
        Ok(agent.row("virbr1")?.is_none().then_some(()))
    })?;
    ensure!(stage.growth("ignored_total{reason=decline}")? == 1.0);
    Ok(())
}

/// What another server on the link sends to a client.
fn other_servers_offer(good: &Message) -> Message {
    let mut offer = Message {
        op: 2,
        yiaddr: ELSEWHERE,
        options: vec![(code::MESSAGE_TYPE, vec![message_type::OFFER])],
        ..good.clone()
    }
    .with(code::SERVER_IDENTIFIER, &[198, 51, 100, 1]);
    offer.envelope.source = Ipv4Addr::new(198, 51, 100, 1);
    offer.envelope.source_port = 67;
    offer.envelope.destination_port = 68;
    offer
}

/// Waits for a counter of a responder, which tells what it has counted when somebody looks at its link.
fn told(stage: &Stage, agent: &Agent<'_>, series: &str) -> Result<()> {
    stage.moves_while(series, || agent.json(&["show", "virbr1"]).map(drop))
}

pub(crate) fn what_is_to_be_said_of_a_link(stage: &Stage) -> Result<()> {
    let host = &stage.host;
    let config = static_network(&[("virbr1", 1)], "dns = [\"192.0.2.53\"]");
    let agent = stage.start(&config)?;
    let mut client = host.raw_vm(1)?;
    client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&with_metrics(&config.replace("192.0.2.53", "192.0.2.54")))?;
    agent.succeeds(&["reload"])?;
    stage.moves("link_remarks{remark=older_options}")?;
    let _second = host.tap("vnet9", Some("virbr1"))?;
    stage.moves("link_remarks{remark=several_ports}")?;
    let other_mac = Message::request(message_type::DISCOVER, guest_mac(2), 7);
    client.is_ignored(&other_mac.frame())?;
    told(stage, &agent, "link_remarks{remark=second_mac}")?;
    let offer = other_servers_offer(&client.discover());
    client.is_ignored(&offer.frame())?;
    told(stage, &agent, "link_remarks{remark=other_dhcp_server}")?;
    libvirt_serves_dhcp(&agent)?;
    stage.moves("link_remarks{remark=libvirt_dhcp}")
}

/// libvirt has started a network with a DHCP server of its own on virbr1.
fn libvirt_serves_dhcp(agent: &Agent<'_>) -> Result<()> {
    let socket = agent.socket();
    let runtime = socket.parent().context("a socket without a folder")?;
    let mut hook = Command::new(binary("slash32")?)
        .args(["hook", "--runtime-dir"])
        .arg(runtime)
        .args(["network", "net1", "started", "begin", "-"])
        .stdin(Stdio::piped())
        .spawn()?;
    let xml = "<hookData><network><name>net1</name><uuid>11111111-0000-4000-8000-000000000001</uuid>\
               <bridge name='virbr1'/><ip address='169.254.0.1' prefix='24'>\
               <dhcp><range start='169.254.0.2' end='169.254.0.9'/></dhcp></ip></network></hookData>";
    let mut stdin = hook.stdin.take().context("no stdin")?;
    stdin.write_all(xml.as_bytes())?;
    drop(stdin);
    ensure!(hook.wait()?.success(), "a hook failed");
    Ok(())
}

pub(crate) fn a_route_that_is_in_the_way(stage: &Stage) -> Result<()> {
    let host = &stage.host;
    let _agent = stage.start(&static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr9")?;
    let route = format!(
        "route add {}/32 dev virbr9 proto static metric 1",
        vm_address(1)
    );
    host.namespace().ip(&route)?;
    let mut client = host.raw_vm(1)?;
    let discover = client.discover();
    let offer = expect(message_type::OFFER, client.insist(&discover, BOUND)?)?;
    let request = client.selecting(&offer);
    client.send(&request)?;
    stage.moves("claims_total{result=failed}")?;
    stage.moves("route_operations_total{operation=add,result=failed}")?;
    ensure!(stage.growth("claim_seconds_count")? == 0.0);
    Ok(())
}

pub(crate) fn a_responder_that_is_killed(stage: &Stage) -> Result<()> {
    let agent = stage.start(&static_network(&[("virbr1", 1)], ""))?;
    let mut client = stage.host.raw_vm(1)?;
    let ack = client.bind()?;
    stage.moves("replies_total{kind=ack_selecting}")?;
    let pid = agent.responder("virbr1")?;
    stage.host.namespace().signal(pid, "KILL")?;
    stage.moves("responder_ends_total{reason=ended}")?;
    // The next one counts from 0: the sum goes on.
    let request = client.renewing(&ack);
    client.insist(&request, BOUND)?;
    told(stage, &agent, "replies_total{kind=ack_renewing}")?;
    ensure!(stage.growth("replies_total{kind=ack_selecting}")? == 1.0);
    Ok(())
}

pub(crate) fn a_responder_that_lies(stage: &Stage) -> Result<()> {
    const LIES: [&str; 11] = [
        "silent",
        "version",
        "malformed",
        "generation",
        "claim",
        "confirmed",
        "age",
        "lease",
        "counters",
        "unasked",
        "flood",
    ];
    let links: Vec<String> = LIES.iter().map(|lie| format!("tap-{lie}")).collect();
    let reserved: Vec<_> = links.iter().map(String::as_str).zip(1..).collect();
    let config = with_metrics(&static_network(&reserved, ""));
    let liar = Path::new(env!("CARGO_BIN_EXE_misbehaving-responder"));
    let agent = misbehaving::agent(liar, &stage.host, &config)?;
    stage.begin()?;
    let mut vms = Vec::new();
    for ((link, lie), number) in links.iter().zip(LIES).zip(1..) {
        let mut client = RawClient::new(stage.host.tap(link, None)?, guest_mac(number));
        client.bind()?;
        agent.wait(link, "bound", BOUND)?;
        vms.push(client);
        misbehaving::misbehave(&agent, link, lie)?;
        let pid = agent.responder(link)?;
        stage.host.namespace().signal(pid, "KILL")?;
    }
    LIES.iter()
        .try_for_each(|lie| stage.moves(&format!("responder_ends_total{{reason={lie}}}")))
}

pub(crate) fn a_responder_that_does_not_read(stage: &Stage) -> Result<()> {
    let config = static_network(&[("virbr1", 1)], "dns = [\"192.0.2.53\"]");
    let agent = stage.start(&config)?;
    let mut client = stage.host.raw_vm(1)?;
    client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    let pid = agent.responder("virbr1")?;
    stage.host.namespace().signal(pid, "STOP")?;
    // Each look at its link is a word to it, until its queue is full; then it is told of another config.
    let mut operators = Vec::new();
    for _ in 0..OPERATORS {
        let mut operator = UnixStream::connect(agent.socket())?;
        operator.write_all(LOOK.repeat(LOOKS).as_bytes())?;
        operators.push(operator);
    }
    let mut other = false;
    stage.moves_while("responder_ends_total{reason=deaf}", || {
        other = !other;
        let dns = if other { "192.0.2.54" } else { "192.0.2.53" };
        agent.configure(&with_metrics(&config.replace("192.0.2.53", dns)))?;
        agent.succeeds(&["reload"]).map(drop)
    })
}

pub(crate) fn a_responder_that_cannot_be_started(stage: &Stage) -> Result<()> {
    let (folder, program) = responder("exit 0")?;
    let _agent = stage.start(&with_responder(&program))?;
    drop(folder);
    let _vm = stage.host.raw_vm(1)?;
    stage.moves("responder_starts_total{result=failed}")
}

pub(crate) fn a_responder_that_is_adopted(stage: &Stage) -> Result<()> {
    let mut agent = stage.start(&static_network(&[("virbr1", 1)], ""))?;
    let mut client = stage.host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.kill()?;
    agent.restart()?;
    stage.moves("responder_adoptions_total")?;
    // What it had counted before is the agent's before this one: an agent counts from its own start.
    let request = client.renewing(&ack);
    client.ask(&request)?;
    told(stage, &agent, "replies_total{kind=ack_renewing}")?;
    ensure!(stage.growth("replies_total{kind=ack_selecting}")? == 0.0);
    Ok(())
}

pub(crate) fn an_overrun_of_the_kernels_news(stage: &Stage) -> Result<()> {
    let host = &stage.host;
    let mut agent = stage.start(&static_network(&[], ""))?;
    host.bridge("virbr1")?;
    agent.signal(SIGSTOP)?;
    let mut news = String::new();
    for number in 0..NEWS {
        writeln!(news, "link set virbr1 mtu {}", 1400 + number % 2)?;
    }
    until("the kernel to drop news", BOUND, || {
        host.namespace().ip_batch(&news)?;
        Ok((dropped(host)? > 0).then_some(()))
    })?;
    agent.signal(SIGCONT)?;
    stage.moves("netlink_overruns_total")
}

/// How many messages the kernel had no room for, over all netlink sockets of the host (`Drops` of /proc/net/netlink).
fn dropped(host: &Host) -> Result<u64> {
    let table = host
        .namespace()
        .inside(|| Ok(fs::read_to_string("/proc/thread-self/net/netlink")?))?;
    let drops = table.lines().skip(1).map(|row| {
        let drops = row.split_whitespace().nth(8).context("no Drops")?;
        Ok(drops.parse::<u64>()?)
    });
    drops.sum()
}

pub(crate) fn a_store_without_room(stage: &Stage) -> Result<()> {
    let config = POOL_NETWORK.replace("203.0.113.19", "203.0.113.99");
    let mut agent = Agent::prepare(&stage.host, &with_metrics(&config))?;
    let folder = agent.state_dir();
    fs::create_dir(&folder)?;
    let inside = folder.to_str().context("no text")?;
    let mount = ["-t", "tmpfs", "-o", "size=8m", "tmpfs", inside];
    stage.host.namespace().run("mount", &mount)?;
    agent.restart()?;
    stage.begin()?;
    let ballast = folder.join("ballast");
    let fill = format!("cat /dev/zero >{} 2>/dev/null || true", ballast.display());
    stage.host.namespace().run("sh", &["-c", &fill])?;
    let mut crowd = Vec::new();
    // A store can write some records where others were.
    stage.moves_while("store_commits_total{result=failed}", || {
        if crowd.len() < 40 {
            crowd.push(stage.host.raw_vm(u16::try_from(crowd.len())? + 1)?);
        }
        Ok(())
    })
}

pub(crate) fn a_config_that_is_reloaded(stage: &Stage) -> Result<()> {
    let agent = stage.start(POOL_NETWORK)?;
    // Its time is told to the second.
    stage.moves_while("config_loaded_timestamp_seconds", || {
        agent.succeeds(&["reload"]).map(drop)
    })
}

pub(crate) fn a_config_that_is_refused(stage: &Stage) -> Result<()> {
    let agent = stage.start(POOL_NETWORK)?;
    agent.configure(&with_metrics(
        &POOL_NETWORK.replace("gateway =", "gatway ="),
    ))?;
    ensure!(!agent.cli(&["reload"])?.status.success());
    stage.moves("last_reload_successful")?;
    ensure!(stage.growth("config_loaded_timestamp_seconds")? == 0.0);
    Ok(())
}

pub(crate) fn every_fate_of_an_address(stage: &Stage) -> Result<()> {
    let host = &stage.host;
    let _fabric = host.fabric()?;
    let config = POOL_NETWORK.replace(
        "allocation = \"automatic\"",
        "allocation = \"dynamic\"\nquarantine = \"10m\"",
    );
    let agent = stage.start(&config)?;
    let pool = |state: &str| {
        format!("pool_addresses{{network=public,pool=203.0.113.10-203.0.113.19,state={state}}}")
    };
    let mut client = host.raw_vm(1)?;
    client.bind()?;
    stage.moves(&pool("used"))?;
    stage.moves(&pool("free"))?;
    agent.succeeds(&["bind", "virbr5", "203.0.113.15"])?;
    stage.moves(&pool("reserved"))?;
    host.namespace()
        .ip("route add 203.0.113.19/32 dev uplink proto static")?;
    stage.moves(&pool("set_aside"))?;
    drop(client);
    stage.moves(&pool("quarantined"))
}

/// A program in place of the responder: a shell script with this command. It is there as long as the folder.
fn responder(command: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::Builder::new().prefix("s32-").tempdir_in("/tmp")?;
    let program = folder.path().join("responder");
    fs::write(&program, format!("#!/bin/sh\n{command}\n"))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok((folder, program))
}

fn with_responder(program: &std::path::Path) -> String {
    let network = static_network(&[("virbr1", 1)], "");
    format!("responder = {program:?}\n{network}")
}
