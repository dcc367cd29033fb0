//! What a guest calls itself, and what a link may be called, never writes to a terminal, a log or between the lines of
//! JSON.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Agent, Host, POOL_NETWORK, RawClient, dhcp::message_type, expect, guest_mac, static_network,
    until, vm_address,
};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

const BOUND: Duration = Duration::from_secs(30);

/// What a guest may put into an option: sequences of a terminal in 7 and 8 bits, ends of lines, NUL, the direction of
/// writing, JSON, a format of a log, bytes that are no UTF-8, and as much as fits.
fn hostile_values() -> Vec<Vec<u8>> {
    let texts = [
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{9b}31m\u{90}q\u{9c}",
        "a\r\nvirbr1: bound 203.0.113.9\n",
        "\0\0",
        "\u{202e}gnp.exe\u{2066}\u{200f}\u{200b}\u{feff}",
        "\u{7f}\u{8}\u{8}\u{8}",
        "{}{0}%s%n\"}],\"state\":\"bound\"",
        "\u{e0001}\u{e0041}",
    ];
    let mut values: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    values.push(vec![0xff, 0xc3, 0x28, 0xa0, 0xed, 0xa0, 0x80]);
    values.push("\u{1b}[31m".bytes().cycle().take(255).collect());
    values.push(texts.concat().into_bytes().into_iter().take(255).collect());
    values
}

/// Every command that shows anything of a link, and `LINK` where its name stands.
const SHOWS: [&[&str]; 17] = [
    &["list"],
    &["list", "--json"],
    &["show", "LINK"],
    &["show", "LINK", "--json"],
    &["explain", "LINK"],
    &["explain", "LINK", "--json"],
    &["wait", "LINK", "--state", "ready"],
    &["wait", "LINK", "--state", "ready", "--json"],
    &["wait", "LINK", "--state", "unassigned", "--timeout", "0s"],
    &["bind", "LINK", "203.0.113.1"],
    &["bind", "LINK", "203.0.113.1", "--json"],
    &["bind", "LINK", "198.51.100.1"],
    &["release", "LINK"],
    &["pools"],
    &["store", "export", "-"],
    &["reload"],
    &["unbind", "LINK"],
];

#[test]
fn what_a_hostile_guest_calls_itself_reaches_nothing_unescaped() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    let streams = Streams::start(&agent)?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    agent.wait("tap1", "ready", BOUND)?;
    for value in hostile_values() {
        let dress = |mut message: slash32_tests::dhcp::Message| {
            let fqdn = [&[0, 0, 0][..], &value[..value.len().min(252)]].concat();
            // As many as a frame has room for.
            let codes: &[u8] = match value.len() {
                0..100 => &[12, 14, 15, 60, 61, 66, 67, 77, 125],
                _ => &[12, 60, 77],
            };
            for code in codes {
                message = message.with(*code, &value);
            }
            message.with(81, &fqdn)
        };
        let discover = dress(client.discover());
        let offer = expect(message_type::OFFER, client.insist(&discover, BOUND)?)?;
        everything_is_clean(&agent, "tap1")?;
        let request = dress(client.selecting(&offer));
        expect(message_type::ACK, client.insist(&request, BOUND)?)?;
        agent.wait("tap1", "bound", BOUND)?;
        everything_is_clean(&agent, "tap1")?;
        let release = dress(slash32_tests::dhcp::Message {
            ciaddr: vm_address(1),
            ..client.message(message_type::RELEASE)
        });
        client.send(&release)?;
        agent.wait("tap1", "ready", BOUND)?;
        everything_is_clean(&agent, "tap1")?;
    }
    streams.are_clean("released")
}

#[test]
fn what_a_link_is_called_reaches_nothing_unescaped() -> Result<()> {
    let host = Host::new()?;
    // All but white space, '/', ':' and NUL may stand in a name.
    let names = [
        "virbr\u{1b}[2J",
        "virbr\u{9b}\u{202e}\u{7f}",
        "virbr\"'\\{}$(",
        "virbr\u{1}\u{8}",
    ];
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let streams = Streams::start(&agent)?;
    let mut clients = Vec::new();
    for (name, number) in names.iter().zip(1..) {
        let inside = host.namespace();
        inside.run("ip", &["link", "add", "name", name, "type", "bridge"])?;
        inside.run("ip", &["link", "set", "dev", name, "up"])?;
        let tap = host.tap(&format!("vnet{number}"), Some(name))?;
        let mut client = RawClient::new(tap, guest_mac(number));
        let ack = client.bind()?;
        let row = agent.wait(name, "bound", BOUND)?;
        ensure!(row["address"] == ack.yiaddr.to_string(), "{row}");
        everything_is_clean(&agent, name)?;
        // The operator has given it other addresses meanwhile.
        client.bind()?;
        agent.wait(name, "bound", BOUND)?;
        clients.push(client);
    }
    // The next agent finds their responders by their sockets.
    let pids = names.map(|name| agent.responder(name).unwrap_or(0));
    agent.kill()?;
    agent.restart()?;
    for (name, pid) in names.iter().zip(pids) {
        agent.wait(name, "bound", BOUND)?;
        ensure!(agent.responder(name)? == pid, "{name:?} was not adopted");
        everything_is_clean(&agent, name)?;
    }
    streams.are_clean("bound")
}

#[test]
fn a_link_whose_name_is_no_text_hinders_no_other() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("tap1", 1)], ""))?;
    // Before and after the dump.
    let make = r#"ip link add name "$(printf 'tap\377\033[31m')" type bridge && ip link set dev "$(printf 'tap\377\033[31m')" up"#;
    host.namespace().run("sh", &["-c", make])?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    client.bind()?;
    agent.wait("tap1", "bound", BOUND)?;
    everything_is_clean(&agent, "tap1")?;
    agent.kill()?;
    agent.restart()?;
    let request = client.init_reboot(vm_address(1));
    expect(message_type::ACK, client.insist(&request, BOUND)?)?;
    agent.wait("tap1", "bound", BOUND)?;
    everything_is_clean(&agent, "tap1")
}

/// `slash32 events` and `slash32 watch --json`, and events as JSON, as they go on beside everything else.
struct Streams(Vec<(std::process::Child, std::thread::JoinHandle<Vec<u8>>)>);

impl Streams {
    fn start(agent: &Agent<'_>) -> Result<Self> {
        let commands: [&[&str]; 3] = [&["events"], &["events", "--json"], &["watch", "--json"]];
        let mut streams = Vec::new();
        for arguments in commands {
            let mut command: Command = agent.cli_command(arguments)?;
            let mut child = command.stdout(Stdio::piped()).spawn()?;
            let stdout = child.stdout.take().context("a pipe")?;
            let reader = std::thread::spawn(move || {
                let mut said = Vec::new();
                let mut reader = BufReader::new(stdout);
                while reader
                    .read_until(b'\n', &mut said)
                    .is_ok_and(|length| length > 0)
                {}
                said
            });
            streams.push((child, reader));
        }
        Ok(Self(streams))
    }

    /// Ends them. Errors: what they said, when it is not clean, or nothing of what has happened.
    fn are_clean(self, word: &str) -> Result<()> {
        for (number, (mut child, reader)) in self.0.into_iter().enumerate() {
            let _ = child.kill();
            child.wait()?;
            let said = reader
                .join()
                .map_err(|_| anyhow::anyhow!("a reader panicked"))?;
            is_clean(&format!("stream {number}"), &said)?;
            let text = String::from_utf8(said)?;
            ensure!(
                text.contains(word) || number == 2,
                "stream {number}: {text}"
            );
            ensure!(!text.is_empty(), "stream {number} is empty");
        }
        Ok(())
    }
}

fn everything_is_clean(agent: &Agent<'_>, link: &str) -> Result<()> {
    for arguments in SHOWS {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|word| if *word == "LINK" { link } else { word })
            .collect();
        let output = agent.cli(&arguments)?;
        let what = format!("{arguments:?}");
        is_clean(&what, &output.stdout)?;
        is_clean(&what, &output.stderr)?;
        ensure!(
            !(output.stdout.is_empty() && output.stderr.is_empty()) || arguments[0] == "wait",
            "{what} said nothing"
        );
        if arguments.contains(&"--json") && output.status.success() {
            serde_json::from_slice::<serde_json::Value>(&output.stdout).context(what)?;
        }
    }
    let log = agent.log();
    is_clean("the agent's log", log.as_bytes())?;
    // Nobody writes a line of it but the agent.
    for line in log.lines() {
        let is_own = line.contains(" INFO ") || line.contains(" WARN ") || line.contains("ERROR");
        ensure!(is_own, "a line of somebody else: {line:?}");
    }
    until("the agent to answer", BOUND, || Ok(agent.list().ok())).map(drop)
}

/// No character but the end of a line that is shown as anything but itself.
fn is_clean(what: &str, bytes: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(bytes).with_context(|| format!("{what}: {bytes:?}"))?;
    let moves = |c: char| {
        let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        let is_tag = ('\u{e0000}'..='\u{e007f}').contains(&c);
        (c.is_control() && c != '\n') || turns || is_tag
    };
    let found = text.find(moves);
    ensure!(
        found.is_none(),
        "{what} has a control character at {found:?}: {text:?}"
    );
    Ok(())
}
