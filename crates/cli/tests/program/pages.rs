//! Completions, man pages and `check`: what needs no agent.

use crate::{output, slash32};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const NOWHERE: &str = "/nonexistent/agent.sock";
const COMMANDS: [&str; 19] = [
    "list",
    "show",
    "explain",
    "pools",
    "wait",
    "watch",
    "events",
    "bind",
    "unbind",
    "release",
    "check",
    "reload",
    "doctor",
    "hook",
    "store",
    "mac",
    "version",
    "completions",
    "man",
];

/// Commands of commands.
const SUBCOMMANDS: [&str; 10] = [
    "hook-install",
    "hook-uninstall",
    "hook-status",
    "hook-network",
    "hook-qemu",
    "store-export",
    "store-import",
    "mac-encode",
    "mac-decode",
    "mac-next",
];

#[test]
fn completions_of_every_shell_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(Path::new(NOWHERE), &format!("completions {shell}"));
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn man_prints_the_page_of_the_program() {
    let page = output(Path::new(NOWHERE), "man");
    assert!(page.contains(".TH slash32 1"), "{page}");
    assert!(page.contains("SLASH32_SOCKET"), "{page}");
}

#[test]
fn man_writes_a_page_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    output(
        Path::new(NOWHERE),
        &format!("man --dir {}", pages.display()),
    );
    let mut names: Vec<String> = fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected: Vec<String> = COMMANDS
        .iter()
        .chain(&SUBCOMMANDS)
        .map(|command| format!("slash32-{command}.1"))
        .collect();
    expected.push("slash32.1".to_owned());
    expected.sort();
    assert_eq!(names, expected);
}

/// A config and the folder that it lies in.
fn config(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slash32.toml");
    fs::write(&file, text).unwrap();
    let name = file.display().to_string();
    (folder, name)
}

const GOOD: &str = r#"
[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "static"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr13"
address = "203.0.113.7"
[[network.reservation]]
link = "virbr14"
address = "203.0.113.8"
"#;

#[test]
fn check_counts_what_a_good_config_has() {
    let (_folder, file) = config(GOOD);
    assert_eq!(
        output(Path::new(NOWHERE), &format!("check {file}")),
        format!("{file}: ok, 1 network, 2 reservations\n")
    );
    let answer: Value =
        serde_json::from_str(&output(Path::new(NOWHERE), &format!("check {file} --json"))).unwrap();
    assert_eq!(answer, json!({ "ok": true, "errors": [] }));
}

#[test]
fn check_prints_every_error_with_its_place() {
    let (_folder, file) = config(
        &GOOD
            .replace("links =", "limks =")
            .replace("203.0.113.8", "203.0.114.8"),
    );
    let assert = slash32(Path::new(NOWHERE), &format!("check {file}"))
        .assert()
        .code(1)
        .stdout("");
    let complaint = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(complaint.contains(&format!("{file}:4:")), "{complaint}");
    assert!(complaint.contains("limks"), "{complaint}");
    assert!(
        complaint
            .lines()
            .last()
            .unwrap()
            .starts_with(&format!("slash32: {file}: ")),
        "{complaint}"
    );
}

#[test]
fn check_json_has_the_errors_on_stdout() {
    let (_folder, file) = config(&GOOD.replace("203.0.113.8", "203.0.114.8"));
    let assert = slash32(Path::new(NOWHERE), &format!("check {file} --json"))
        .assert()
        .code(1)
        .stderr("");
    let answer: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(answer["ok"], false);
    let error = &answer["errors"][0];
    assert_eq!(
        (&error["file"], &error["line"]),
        (&json!(file), &json!(14)),
        "{answer}"
    );
    assert!(
        error["column"].is_u64() && error["key"].is_string() && error["message"].is_string(),
        "{answer}"
    );
}

#[test]
fn check_takes_the_file_of_a_link_that_is_served_alone() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/links/virbr13.toml"
    );
    assert_eq!(
        output(Path::new(NOWHERE), &format!("check {file}")),
        format!("{file}: ok, 1 network, 1 reservation\n")
    );
}

#[test]
fn check_names_a_file_that_is_not_there() {
    let file = "/nonexistent/slash32.toml";
    slash32(Path::new(NOWHERE), &format!("check {file}"))
        .assert()
        .code(1)
        .stdout("")
        .stderr(format!(
            "slash32: {file}: No such file or directory (os error 2)\n"
        ));
    let assert = slash32(Path::new(NOWHERE), &format!("check {file} --json"))
        .assert()
        .code(1)
        .stderr("");
    let answer: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["errors"][0]["file"], file);
}

/// Two networks whose VMs carry their address in their MAC: one the whole of it, one its end.
const MAC_ENCODED: &str = r#"
[[network]]
name = "ci"
links = ["ci*"]
gateway = "169.254.0.1"
allocation = "mac"
mac-prefix = "52:54"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network]]
name = "lab"
links = ["lab*"]
gateway = "169.254.0.1"
allocation = "mac"
mac-prefix = "52:54:cb"
[[network.subnet]]
prefix = "10.0.0.0/8"
"#;

#[test]
fn mac_encode_and_decode_read_the_scheme_from_the_config() {
    let (_folder, file) = config(MAC_ENCODED);
    let mac = |arguments: &str| {
        output(
            Path::new(NOWHERE),
            &format!("mac {arguments} --config {file}"),
        )
    };
    assert_eq!(mac("encode 203.0.113.7"), "52:54:cb:00:71:07\n");
    assert_eq!(mac("encode 10.1.2.3"), "52:54:cb:01:02:03\n");
    assert_eq!(mac("decode 52:54:cb:01:02:03"), "10.1.2.3\n");
    assert_eq!(
        mac("decode 52:54:cb:00:71:07 --network ci"),
        "203.0.113.7\n"
    );
    let answer = mac("decode 52:54:cb:00:71:07 --network lab --json");
    assert_eq!(
        serde_json::from_str::<Value>(&answer).unwrap(),
        json!({ "mac": "52:54:cb:00:71:07", "address": "10.0.113.7", "network": "lab" })
    );
}

#[test]
fn a_mac_or_an_address_outside_the_scheme_is_said_so() {
    let (_folder, file) = config(MAC_ENCODED);
    let (_other_folder, wrong) = config(&MAC_ENCODED.replace("links", "limks"));
    let none = |network: &str, what: &str| {
        format!(
            "no network {network}gives {what} by the scheme: it takes `allocation = \"mac\"`, \
             an address in its pools and a MAC that begins with its mac-prefix"
        )
    };
    let table = [
        (
            format!("encode 192.0.2.1 --config {file}"),
            none("", "192.0.2.1"),
        ),
        (
            format!("encode 10.1.2.3 --network ci --config {file}"),
            none("called ci ", "10.1.2.3"),
        ),
        (
            format!("decode 52:55:cb:00:71:07 --config {file}"),
            none("", "52:55:cb:00:71:07"),
        ),
        (
            format!("decode 52:54:cb:00:71:07 --config {file}"),
            "52:54:cb:00:71:07 may be 203.0.113.7 in ci or 10.0.113.7 in lab: say --network"
                .to_owned(),
        ),
        (
            format!("encode 203.0.113.7 --network nowhere --config {file}"),
            "there is no network nowhere in the config".to_owned(),
        ),
        (
            format!("encode 203.0.113.7 --config {wrong}"),
            format!("{wrong} has errors: `slash32 check {wrong}` shows them"),
        ),
    ];
    for (arguments, sentence) in table {
        slash32(Path::new(NOWHERE), &format!("mac {arguments}"))
            .assert()
            .code(1)
            .stdout("")
            .stderr(format!("slash32: {sentence}\n"));
    }
}
