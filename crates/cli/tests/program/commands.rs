//! What each command prints when all is well.

use crate::agent::{Agent, bound, event};
use crate::{output, slash32};
use serde_json::{Value, json};
use slash32_control::EventKind;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn list_prints_a_row_a_link() {
    let agent = Agent::start();
    let expected = "\
LINK    VM    MAC                ADDRESS      GATEWAY      NETWORK  STATE   ROUTE  LEASE     REASON
virbr1  web1  52:54:00:12:34:56  203.0.113.7  169.254.0.1  public   bound   yes    infinite  -
virbr2  web2  -                  -            -            -        failed  no     -         foreign address
virbr3  db    -                  -            -            -        idle    no     -         -
virbr4  db    -                  -            -            -        idle    no     -         -
";
    assert_eq!(output(agent.path(), "list"), expected);
}

#[test]
fn list_json_is_an_array_of_objects_with_every_key() {
    let agent = Agent::start();
    let links: Value = serde_json::from_str(&output(agent.path(), "list --json")).unwrap();
    assert_eq!(links.as_array().unwrap().len(), 4);
    assert_eq!(
        links[0],
        json!({
            "link": "virbr1", "ifindex": 7, "vm": "web1", "uuid": "4dea22b3-1d52-d8f3-2516-782e98ab3fa0",
            "mac": "52:54:00:12:34:56", "address": "203.0.113.7", "gateway": "169.254.0.1", "network": "public",
            "state": "bound", "reason": null, "route": true, "generation": 1,
            "lease": { "acked_at": "2026-11-22T10:41:00Z", "expires_at": null },
            "responder": { "pid": 4711, "state": "serving" },
        })
    );
    assert_eq!(
        links[1],
        json!({
            "link": "virbr2", "ifindex": 7, "vm": "web2", "uuid": null, "mac": null, "address": null, "gateway": null,
            "network": null, "state": "failed", "reason": "foreign address", "route": false, "generation": null,
            "lease": null, "responder": null,
        })
    );
}

#[test]
fn json_has_its_keys_in_the_order_of_the_columns() {
    let agent = Agent::start();
    let text = output(agent.path(), "wait web1 --json");
    assert!(
        text.starts_with("{\n  \"link\": \"virbr1\",\n  \"ifindex\": 7,\n  \"vm\": \"web1\",\n"),
        "{text}"
    );
}

#[test]
fn an_empty_list_is_a_header_or_an_empty_array() {
    let agent = Agent::with(Vec::new());
    assert_eq!(
        output(agent.path(), "list"),
        "LINK  VM  MAC  ADDRESS  GATEWAY  NETWORK  STATE  ROUTE  LEASE\n"
    );
    assert_eq!(output(agent.path(), "list --json"), "[]\n");
}

#[test]
fn show_prints_what_is_known_of_one_link() {
    let agent = Agent::start();
    let expected = "\
link        virbr1 (ifindex 7)
vm          web1
uuid        4dea22b3-1d52-d8f3-2516-782e98ab3fa0
mac         52:54:00:12:34:56
address     203.0.113.7
gateway     169.254.0.1
network     public
state       bound
reason      -
host route  installed
generation  1
lease       from 2026-11-22T10:41:00Z, infinite
responder   pid 4711, serving

ports
  vnet3  carrier

options
  dns  9.9.9.9

counters
  offer  3

history
  2026-11-22T10:40:59Z  the link appeared
";
    for key in [
        "virbr1",
        "web1",
        "203.0.113.7",
        "4dea22b3-1d52-d8f3-2516-782e98ab3fa0",
    ] {
        assert_eq!(
            output(agent.path(), &format!("show {key}")),
            expected,
            "{key}"
        );
    }
}

#[test]
fn show_json_is_the_object_of_the_list_and_more() {
    let agent = Agent::start();
    let mut detail: Value =
        serde_json::from_str(&output(agent.path(), "show web1 --json")).unwrap();
    let mut more = Vec::new();
    for key in [
        "ports",
        "counters",
        "options",
        "history",
        "last_request",
        "other_servers",
    ] {
        more.push(detail.as_object_mut().unwrap().remove(key).unwrap());
    }
    assert_eq!(detail, json!(bound()));
    assert_eq!(
        more,
        [
            json!([{ "name": "vnet3", "carrier": true }]),
            json!({ "offer": 3, "other_mac": 0 }),
            json!({ "dns": "9.9.9.9" }),
            json!([{ "time": "2026-11-22T10:40:59Z", "event": "the link appeared" }]),
            json!(null),
            json!([]),
        ]
    );
}

#[test]
fn wait_prints_the_row_of_a_link_that_is_there() {
    let agent = Agent::start();
    let text = output(agent.path(), "wait web1 --state bound --timeout 2m");
    assert!(
        text.lines().nth(1).unwrap().starts_with("virbr1  web1"),
        "{text}"
    );
    let link: Value = serde_json::from_str(&output(agent.path(), "wait web1 --json")).unwrap();
    assert_eq!(link, json!(bound()));
}

/// `slash32 events`, which runs until it is ended.
struct Listener {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Listener {
    fn start(agent: &Agent, arguments: &[&str]) -> Self {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("slash32"))
            .arg("--socket")
            .arg(agent.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = child.stdout.take().map(BufReader::new);
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn events_prints_a_line_an_event_as_it_happens() {
    let agent = Agent::start();
    let mut listener = Listener::start(&agent, &["events"]);
    agent.happen(&event(EventKind::Bound));
    let expected = "2026-11-22T10:41:00Z virbr1          bound             203.0.113.7     web1 has 203.0.113.7\n";
    assert_eq!(listener.line(), expected);

    let mut listener = Listener::start(&agent, &["events", "--json"]);
    agent.until_listeners(2);
    agent.happen(&event(EventKind::RouteAdded));
    let line: Value = serde_json::from_str(&listener.line()).unwrap();
    assert_eq!(line, json!(event(EventKind::RouteAdded)));
    assert_eq!(line["kind"], "route_added");
}

#[test]
fn events_ends_quietly_when_nobody_reads_them_any_more() {
    let agent = Agent::start();
    let mut listener = Listener::start(&agent, &["events"]);
    agent.happen(&event(EventKind::Ready));
    assert!(listener.line().contains("ready"));
    listener.lines = None;
    // More than once: while another test forks, its child holds the pipe open for a moment and the event is still written.
    let started = Instant::now();
    let status = loop {
        agent.happen_to_whom_it_may_concern(&event(EventKind::Bound));
        if let Some(status) = listener.child.try_wait().unwrap() {
            break status;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it goes on for nobody"
        );
        std::thread::sleep(Duration::from_millis(1));
    };
    let mut complaint = String::new();
    listener
        .child
        .stderr
        .as_mut()
        .unwrap()
        .read_to_string(&mut complaint)
        .unwrap();
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
}

#[test]
fn version_tells_both_and_does_without_the_agent() {
    let agent = Agent::start();
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(
        output(agent.path(), "version"),
        format!("slash32        {own} (protocol 1)\nslash32-agent  1.2.3 (protocol 1)\n")
    );
    let version: Value = serde_json::from_str(&output(agent.path(), "version --json")).unwrap();
    assert_eq!(
        version,
        json!({ "client": { "version": own, "protocol": 1 }, "agent": { "version": "1.2.3", "protocol": 1 } })
    );
    let nowhere = agent.path().with_file_name("nobody.sock");
    assert!(output(&nowhere, "version").contains("slash32-agent  the agent does not answer at "));
    let version: Value = serde_json::from_str(&output(&nowhere, "version --json")).unwrap();
    assert_eq!(version["agent"], Value::Null);
}

#[test]
fn the_socket_can_be_named_by_the_environment() {
    let agent = Agent::start();
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("slash32");
    command
        .env("SLASH32_SOCKET", agent.path())
        .args(["list", "--json"])
        .assert()
        .success();
    // An option outdoes it.
    slash32(&agent.path().with_file_name("nobody.sock"), "list")
        .env("SLASH32_SOCKET", agent.path())
        .assert()
        .code(1);
}
