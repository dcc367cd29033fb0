//! What is said, and how the program exits, when something is wrong.

use crate::agent::{Agent, failed};
use crate::{output, slash32};
use slash32_control::LinkRow;
use std::path::Path;
use std::process::{Command, Stdio};

/// `slash32 ARGUMENTS` exits with 1, prints nothing and says `sentence`, once.
fn fails(socket: &Path, arguments: &str, sentence: &str) {
    slash32(socket, arguments)
        .assert()
        .code(1)
        .stdout("")
        .stderr(format!("slash32: {sentence}\n"));
}

#[test]
fn an_agent_that_is_not_there_is_one_sentence_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let sentence = |why: &str| {
        format!(
            "the agent does not answer at {} ({why}): is slash32-agent running? \
             (systemctl status slash32-agent; another socket: --socket PATH or SLASH32_SOCKET)",
            socket.display()
        )
    };
    let commands = [
        "list",
        "list --json",
        "show web1",
        "explain web1",
        "pools",
        "wait web1",
        "watch --json",
        "events",
        "bind virbr1 203.0.113.7",
        "unbind virbr1",
        "release virbr1",
        "reload",
        "store export",
        "store import /dev/null",
        "mac next",
    ];
    for command in commands {
        fails(&socket, command, &sentence("no such file"));
    }
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    fails(&socket, "list", &sentence("connection refused"));
}

#[test]
fn a_key_that_names_no_link_or_several_is_said_so() {
    let agent = Agent::start();
    fails(
        agent.path(),
        "show web9",
        "no link, VM, address or UUID is called web9: `slash32 list` shows what there is",
    );
    fails(
        agent.path(),
        "show db",
        "db may be any of virbr3, virbr4: name the link",
    );
}

#[test]
fn a_wait_that_times_out_names_the_state_and_the_reason() {
    let agent = Agent::start();
    fails(
        agent.path(),
        "wait web2 --timeout 10ms",
        "web2 is not bound after 10ms: it is failed (foreign address)",
    );
    fails(
        agent.path(),
        "wait web2 --timeout 0s --state idle --json",
        "web2 is not idle: it is failed (foreign address)",
    );
    // A VM with two NICs, of which one has no address yet.
    fails(
        agent.path(),
        "wait db --timeout 10ms",
        "db is not bound after 10ms: it is idle",
    );
    fails(
        agent.path(),
        "wait web9 --timeout 10ms",
        "web9 is not bound after 10ms: there is no such link, VM, address or UUID",
    );
}

#[test]
fn a_wrong_call_exits_with_2() {
    let nowhere = Path::new("/nonexistent/agent.sock");
    for arguments in [
        "lsit",
        "list extra",
        "show",
        "wait web1 --state up",
        "wait web1 --timeout 60",
        "wait web1 --timeout -1s",
        "list --state up",
        "bind virbr1",
        "bind virbr1 203.0.113.256",
        "store",
        "store import",
        "mac",
        "mac decode 52:54",
        "completions tcl",
    ] {
        let assert = slash32(nowhere, arguments).assert().code(2).stdout("");
        assert!(!assert.get_output().stderr.is_empty(), "{arguments}");
    }
    assert_cmd::cargo::cargo_bin_cmd!("slash32")
        .assert()
        .code(2);
}

#[test]
fn a_text_from_outside_cannot_reach_the_terminal_with_a_control_character() {
    let evil = "a\u{1b}[2J\u{9b}31m\nb".to_owned();
    let agent = Agent::with(vec![LinkRow {
        vm: Some(evil.clone()),
        reason: Some(evil),
        ..failed()
    }]);
    for arguments in ["list", "show virbr2", "wait virbr2 --state failed"] {
        let text = output(agent.path(), arguments);
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        assert!(text.contains("a\\u{1b}[2J\\u{9b}31m\\nb"), "{text:?}");
    }
    let assert = slash32(agent.path(), "wait virbr2 --timeout 1ms")
        .assert()
        .code(1);
    let complaint = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(
        complaint.trim_end().chars().all(|c| !c.is_control()),
        "{complaint:?}"
    );
}

#[test]
fn a_reader_of_stdout_that_has_left_is_no_failure() {
    let agent = Agent::start();
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["version"],
        &["completions", "bash"],
        &["man"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(assert_cmd::cargo::cargo_bin!("slash32"))
            .arg("--socket")
            .arg(agent.path())
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(
            (output.status.code(), &*output.stderr),
            (Some(0), &b""[..]),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_full_disk_under_stdout_is_a_failure() {
    let agent = Agent::start();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = Command::new(assert_cmd::cargo::cargo_bin!("slash32"))
        .arg("--socket")
        .arg(agent.path())
        .arg("list")
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}
