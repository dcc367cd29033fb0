//! `slash32 show` tells a guest's story: what it asked for, what became of that, and who else serves DHCP on its link.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket,
};
use serde_json::{Value, json};
use slash32_ipc::{KeptAs, MAX_DOWN, MAX_UP, ToAgent, ToResponder};
use slash32_tests::{
    Agent, GATEWAY, Host, RawClient, Software,
    dhcp::{Message, code, message_type},
    expect, guest_mac, static_network, until, vm_address,
};
use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

const BOUND: Duration = Duration::from_secs(30);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const OTHER_SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

#[test]
fn show_tells_what_udhcpc_said_and_got() -> Result<()> {
    let (page, request) = after(Software::Udhcpc)?;
    ensure!(
        request["vendor_class"]
            .as_str()
            .is_some_and(|class| class.starts_with("udhcp ")),
        "{request}"
    );
    ensure!(
        request["client"] == "BusyBox udhcpc (by its vendor class)",
        "{request}"
    );
    ensure!(request["client_id"] == "01:52:54:00:00:00:01", "{request}");
    ensure!(
        page.contains(
            "asks for       subnet mask (1), router (3), domain name server (6), hostname (12)"
        ),
        "{page}"
    );
    Ok(())
}

#[test]
fn show_tells_what_dhclient_said_and_got() -> Result<()> {
    let (page, request) = after(Software::Dhclient)?;
    ensure!(
        request["client"] == "ISC dhclient (by the options that it asks for)",
        "{request}"
    );
    ensure!(request["hostname"] == "guest1", "{request}");
    ensure!(page.contains("hostname       guest1"), "{page}");
    Ok(())
}

/// The page and the last request of a guest that has got its address by this client.
fn after(software: Software) -> Result<(String, Value)> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    let _client = guest.start(software)?;
    guest.wait_configured(vm_address(1), GATEWAY, BOUND)?;
    agent.wait("virbr1", "bound", BOUND)?;
    let request = last_request(&agent, "virbr1")?;
    ensure!(
        request["outcome"] == "ack_selecting"
            && request["message_type"] == "REQUEST"
            && request["mac"] == "52:54:00:00:00:01"
            && request["requested_address"] == "203.0.113.1"
            && request["server_identifier"] == "169.254.0.1"
            && request["options"]["53"] == "03",
        "{request}"
    );
    let page = agent.succeeds(&["show", "virbr1"])?;
    println!("{page}");
    ensure!(
        page.contains("acknowledged: it took the offer of 203.0.113.1"),
        "{page}"
    );
    Ok((page, request))
}

#[test]
fn every_outcome_is_counted_and_told() -> Result<()> {
    let host = Host::new()?;
    let config = static_network(&[("tap1", 1)], "rapid-commit = true");
    let agent = Agent::start(&host, &config)?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    agent.wait("tap1", "ready", BOUND)?;
    let discover = client.discover();
    let offer = expect(message_type::OFFER, client.ask(&discover)?)?;
    told(&agent, "offer", "offered 203.0.113.1")?;
    let request = client.selecting(&offer);
    let ack = expect(message_type::ACK, client.ask(&request)?)?;
    told(&agent, "ack_selecting", "it took the offer of 203.0.113.1")?;
    let wrong = Message {
        yiaddr: ELSEWHERE,
        ..ack.clone()
    };
    let inform = Message {
        ciaddr: vm_address(1),
        ..client.message(message_type::INFORM)
    };
    let cases = [
        (
            "ack_rapid_commit",
            client.discover().with(80, &[]),
            "by rapid commit",
        ),
        (
            "ack_init_reboot",
            client.init_reboot(vm_address(1)),
            "it started with 203.0.113.1",
        ),
        (
            "ack_renewing",
            client.renewing(&ack),
            "asked in good time to keep 203.0.113.1",
        ),
        (
            "ack_rebinding",
            client.rebinding(&ack),
            "it asked everybody",
        ),
        ("ack_inform", inform, "answered with the options only"),
        (
            "nak_selecting",
            client.selecting(&wrong),
            "it took an offer of 198.51.100.7",
        ),
        (
            "nak_init_reboot",
            client.init_reboot(ELSEWHERE),
            "it remembered 198.51.100.7",
        ),
        (
            "nak_renewing",
            client.renewing(&wrong),
            "it wanted to keep 198.51.100.7",
        ),
        (
            "nak_rebinding",
            client.rebinding(&wrong),
            "it wanted to keep 198.51.100.7",
        ),
    ];
    for (outcome, message, why) in &cases {
        client.ask(message)?;
        told(&agent, outcome, why)?;
    }
    let mut reached: Vec<&str> = cases.iter().map(|(outcome, ..)| *outcome).collect();
    reached.extend(["offer", "ack_selecting"]);
    for outcome in slash32_binding::Outcome::ALL {
        ensure!(
            reached.contains(&outcome.name()),
            "{outcome:?} is not shown to be reachable"
        );
    }
    // What we answered never came back as another server's reply.
    let shown = agent.json(&["show", "tap1"])?;
    ensure!(
        shown["counters"]["other_servers_reply"] == 0 && shown["other_servers"] == json!([]),
        "{shown}"
    );
    Ok(())
}

/// The last request was answered so, is counted, and is told with this in its sentence.
fn told(agent: &Agent<'_>, outcome: &str, why: &str) -> Result<()> {
    let shown = until(&format!("{outcome} to be told"), BOUND, || {
        let shown = agent.json(&["show", "tap1"])?;
        Ok((shown["last_request"]["outcome"] == outcome).then_some(shown))
    })?;
    ensure!(shown["counters"][outcome] == 1, "{shown}");
    let sentence = shown["last_request"]["why"].as_str().unwrap_or_default();
    ensure!(sentence.contains(why), "{outcome}: {sentence}");
    Ok(())
}

#[test]
fn show_tells_why_a_request_was_not_answered() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    client.bind()?;
    let decline = client
        .message(message_type::DECLINE)
        .with(code::SERVER_IDENTIFIER, &GATEWAY.octets())
        .with(code::REQUESTED_ADDRESS, &vm_address(1).octets());
    let neighbour = Message::request(message_type::DISCOVER, guest_mac(2), 7);
    let release = Message {
        ciaddr: vm_address(1),
        ..client.message(message_type::RELEASE)
    };
    for (reason, message, why) in [
        ("decline", decline, "somebody else has 203.0.113.1"),
        ("other_mac", neighbour, "and this is 52:54:00:00:00:02"),
        ("release", release, "the VM gave 203.0.113.1 back"),
    ] {
        client.send(&message)?;
        let request = until(&format!("{reason} to be told"), BOUND, || {
            let request = last_request(&agent, "tap1")?;
            Ok((request["reason"] == reason).then_some(request))
        })?;
        let sentence = request["why"].as_str().unwrap_or_default();
        ensure!(sentence.contains(why), "{reason}: {sentence}");
        ensure!(request["outcome"].is_null(), "{request}");
    }
    // Noise of the link is no request: the last one is still told.
    let mut broken = client.discover().frame();
    broken[41] ^= 0x55;
    client.wire().send(&broken)?;
    until("the noise to be counted", BOUND, || {
        let shown = agent.json(&["show", "tap1"])?;
        Ok((shown["counters"]["bad_udp_checksum"] == 1).then_some(()))
    })?;
    ensure!(last_request(&agent, "tap1")?["reason"] == "release");
    Ok(())
}

#[test]
fn item_120_another_server_on_the_link_is_named() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let mut client = host.raw_vm(1)?;
    agent.wait("virbr1", "ready", BOUND)?;
    let mut offer = Message {
        op: 2,
        yiaddr: ELSEWHERE,
        options: vec![(code::MESSAGE_TYPE, vec![message_type::OFFER])],
        ..client.discover()
    }
    .with(code::SERVER_IDENTIFIER, &OTHER_SERVER.octets());
    offer.envelope.source_mac = guest_mac(66);
    offer.envelope.source = OTHER_SERVER;
    offer.envelope.source_port = 67;
    offer.envelope.destination_port = 68;
    client.is_ignored(&offer.frame())?;
    // What a responder has to tell comes with a later frame.
    until("the remark in the list", BOUND, || {
        let discover = client.discover();
        client.ask(&discover)?;
        let row = agent.row("virbr1")?.unwrap_or_default();
        let remark = "another DHCP server is on the link: slash32 show tells which";
        Ok((row["reason"] == remark && row["state"] == "ready").then_some(()))
    })?;
    let shown = agent.json(&["show", "virbr1"])?;
    let mut servers = shown["other_servers"].clone();
    let at = servers[0]["at"].take();
    ensure!(at.is_string(), "{shown}");
    let expected = json!([{
        "identifier": "198.51.100.1", "source": "198.51.100.1", "mac": "52:54:00:00:00:42", "message": "OFFER",
        "address": "198.51.100.7", "at": null,
    }]);
    ensure!(servers == expected, "{servers}");
    ensure!(shown["counters"]["other_servers_reply"] == 1, "{shown}");
    // Its reply was no request of the guest's.
    ensure!(shown["last_request"]["outcome"] == "offer", "{shown}");

    // The guest takes that offer: nothing is answered, and who offered it is still known.
    let request = client.selecting(&offer);
    client.send(&request)?;
    until("the REQUEST to be counted", BOUND, || {
        let shown = agent.json(&["show", "virbr1"])?;
        Ok((shown["counters"]["other_server"] == 1).then_some(()))
    })?;
    let shown = agent.json(&["show", "virbr1"])?;
    ensure!(
        shown["last_request"]["why"]
            == "ignored: it is for the DHCP server 198.51.100.1, and this one is 169.254.0.1",
        "{shown}"
    );
    ensure!(shown["other_servers"][0]["message"] == "OFFER", "{shown}");
    ensure!(
        shown["other_servers"].as_array().map(Vec::len) == Some(1),
        "{shown}"
    );
    let page = agent.succeeds(&["show", "virbr1"])?;
    ensure!(
        page.contains("198.51.100.1  OFFER of 198.51.100.7, from 52:54:00:00:00:42"),
        "{page}"
    );
    Ok(())
}

#[test]
fn item_120_a_request_to_another_server_alone_tells_of_it() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    client.bind()?;
    let request = client
        .message(message_type::REQUEST)
        .with(code::SERVER_IDENTIFIER, &OTHER_SERVER.octets());
    // The DISCOVER behind it is the last request then.
    client.is_ignored(&request.frame())?;
    let shown = agent.json(&["show", "tap1"])?;
    ensure!(
        shown["other_servers"][0]["identifier"] == "198.51.100.1"
            && shown["other_servers"][0]["mac"].is_null()
            && shown["last_request"]["outcome"] == "offer",
        "{shown}"
    );
    Ok(())
}

#[test]
fn the_responder_keeps_the_story_while_there_is_no_agent() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    client.bind()?;
    agent.wait("tap1", "bound", BOUND)?;
    agent.kill()?;
    let discover = client.discover().with(code::HOST_NAME, b"meanwhile");
    expect(message_type::OFFER, client.ask(&discover)?)?;
    agent.restart()?;
    let request = last_request(&agent, "tap1")?;
    ensure!(
        request["hostname"] == "meanwhile" && request["outcome"] == "offer",
        "{request}"
    );
    Ok(())
}

#[test]
fn a_new_vm_has_a_story_of_its_own() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let mut first = host.raw_vm(1)?;
    first.bind()?;
    ensure!(last_request(&agent, "virbr1")?.is_object());
    let generation = agent.wait("virbr1", "bound", BOUND)?["generation"].clone();
    drop(first);
    agent.wait("virbr1", "idle", BOUND)?;
    ensure!(last_request(&agent, "virbr1")?.is_null());
    let _second = host.raw_vm(1)?;
    agent.wait_row("virbr1", "ready again", BOUND, |row| {
        row["state"] == "ready" && row["generation"] != generation
    })?;
    ensure!(last_request(&agent, "virbr1")?.is_null());
    Ok(())
}

#[test]
fn item_90_what_a_guest_calls_itself_cannot_write_to_the_terminal() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    agent.wait("tap1", "ready", BOUND)?;
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\n  answer  \0".as_bytes();
    let name = [hostile, b"\xff\xc3"].concat();
    let mut discover = client.discover();
    // FQDN: labels (the flag E), one of them a pointer to itself (CVE-2019-6473, CVE-2022-2929).
    let loops = [&[4, 0, 0, 0xc0, 0x03][..], &name].concat();
    for (code, value) in [
        (12, &name),
        (60, &name),
        (61, &name),
        (77, &name),
        (81, &loops),
    ] {
        discover = discover.with(code, value);
    }
    expect(message_type::OFFER, client.ask(&discover)?)?;
    let escaped = "\\u{1b}[2J\\u{9b}31m\\u{202e}\\n  answer  \\0\\xff\\xc3";
    let request = last_request(&agent, "tap1")?;
    for key in ["hostname", "vendor_class", "user_class"] {
        ensure!(request[key] == escaped, "{key}: {request}");
    }
    for output in [
        agent.succeeds(&["show", "tap1"])?,
        agent.succeeds(&["show", "tap1", "--json"])?,
    ] {
        ensure!(
            output
                .chars()
                .all(|c| c == '\n' || (' '..='~').contains(&c)),
            "{output:?}"
        );
    }
    ensure!(!agent.log().contains("[2J"), "{}", agent.log());
    Ok(())
}

#[test]
fn a_guest_that_floods_makes_no_work_for_the_agent() -> Result<()> {
    const FLOOD: u32 = 5_000;
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    agent.wait("tap1", "ready", BOUND)?;
    agent.kill()?;
    let responder = Connection::open(&agent, "tap1")?;
    let (ToAgent::State(first), start) = (responder.word()?, Instant::now()) else {
        bail!("its first word is no State");
    };
    for xid in 0..FLOOD {
        let discover = Message::request(message_type::DISCOVER, guest_mac(1), xid);
        client.send(&discover)?;
    }
    // The responder takes frames in order: when this is answered it has had them all, or the kernel dropped them.
    let discover = client.discover().with(code::HOST_NAME, b"last");
    client.insist(&discover, BOUND)?;
    let seconds = start.elapsed().as_secs();
    responder.tell(&ToResponder::Inquire)?;
    let (mut unasked, mut kept) = (0, Vec::new());
    let last = loop {
        match responder.word()? {
            ToAgent::State(state) if state.asked => break state,
            ToAgent::State(_) => unasked += 1,
            ToAgent::Kept(frame) => kept.push(frame),
            claim => bail!("it said {claim:?}"),
        }
    };
    ensure!(unasked <= seconds + 1, "{unasked} States in {seconds} s");
    // Only what was asked for, and before the State that answers.
    ensure!(kept.len() == 1, "{} frames", kept.len());
    ensure!(
        kept[0].kept_as == KeptAs::Request && kept[0].frame.windows(4).any(|part| part == b"last"),
        "{kept:?}"
    );
    ensure!(!first.asked && last.generation == first.generation);
    let offers = last.counters.outcomes[slash32_binding::Outcome::Offer.index()];
    ensure!(offers > 100, "only {offers} OFFERs: it was no flood");
    Ok(())
}

/// A connection to a responder, in place of the agent's.
struct Connection(OwnedFd);

impl Connection {
    fn open(agent: &Agent<'_>, link: &str) -> Result<Self> {
        let path = agent
            .socket()
            .with_file_name("responder")
            .join(format!("{link}.sock"));
        let connection = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        connect(connection.as_raw_fd(), &UnixAddr::new(&path)?).context("no responder")?;
        Ok(Self(connection))
    }

    fn tell(&self, message: &ToResponder) -> Result<()> {
        let mut buffer = [0; MAX_DOWN];
        let length = message.encode(&mut buffer);
        send(self.0.as_raw_fd(), &buffer[..length], MsgFlags::empty())?;
        Ok(())
    }

    /// Its next word. Errors: there is none for a long time, it has ended, or it said what is no word.
    fn word(&self) -> Result<ToAgent> {
        let mut buffer = [0; MAX_UP];
        let length = until("a word of the responder", BOUND, || {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => Ok(Some(length)),
                Err(nix::errno::Errno::EAGAIN) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        Ok(ToAgent::decode(&buffer[..length])?)
    }
}

fn last_request(agent: &Agent<'_>, link: &str) -> Result<Value> {
    Ok(agent.json(&["show", link])?["last_request"].clone())
}
