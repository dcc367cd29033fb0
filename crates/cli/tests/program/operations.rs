//! What is explained, changed, saved and restored.

use crate::agent::{Agent, bound, explained, failed, idle, pool, unexplained};
use crate::{output, slash32};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn json_of(agent: &Agent, arguments: &str) -> Value {
    serde_json::from_str(&output(agent.path(), arguments)).unwrap()
}

/// `slash32 ARGUMENTS` exits with 1, prints nothing and says `text`.
fn fails(agent: &Agent, arguments: &str, text: &str) {
    slash32(agent.path(), arguments)
        .assert()
        .code(1)
        .stdout("")
        .stderr(text.to_owned());
}

#[test]
fn explain_names_what_decided_and_what_was_overridden() {
    let agent = Agent::start();
    let expected = "\
link     virbr1
network  public
         \"virbr*\" matches the link (/etc/slash32/slash32.toml:21)
address  203.0.113.7
         it is reserved for the link (/etc/slash32/slash32.toml:31)

OPTION        VALUE                     SCOPE    SET IN
lease-time    12h                       network  /etc/slash32/slash32.toml:24
  instead of  24h                       global   /etc/slash32/slash32.toml:9
dns           9.9.9.9, 149.112.112.112  global   /etc/slash32/slash32.toml:10
mtu           1500                      default  -
";
    for key in ["virbr1", "web1", "203.0.113.7"] {
        assert_eq!(output(agent.path(), &format!("explain {key}")), expected);
        assert_eq!(
            json_of(&agent, &format!("explain {key} --json")),
            json!(explained("virbr1"))
        );
    }
}

#[test]
fn explain_tells_of_an_address_that_no_vm_has() {
    let agent = Agent::start();
    let expected = "\
link     -
network  public
         \"virbr*\" matches the link (/etc/slash32/slash32.toml:21)
address  203.0.113.99
         no VM has it
refused  another host announces it

it is in the pool 203.0.113.10-203.0.113.99
it is set aside since 2026-11-22T10:00:00Z
";
    assert_eq!(output(agent.path(), "explain 203.0.113.99"), expected);
    assert_eq!(
        json_of(&agent, "explain 203.0.113.99 --json"),
        json!(unexplained())
    );
}

#[test]
fn pools_is_a_row_a_pool() {
    let agent = Agent::start();
    let expected = "\
NETWORK  SUBNET          POOL                       TOTAL  USED  FREE  RESERVED  SET ASIDE  QUARANTINE
public   203.0.113.0/24  203.0.113.10-203.0.113.99  90     40    45    2         1          2
";
    assert_eq!(output(agent.path(), "pools"), expected);
    assert_eq!(json_of(&agent, "pools --json"), json!([pool()]));
}

#[test]
fn list_shows_only_what_was_asked_for() {
    let agent = Agent::start();
    let table = [
        ("--vm db", json!(["virbr3", "virbr4"])),
        ("--state failed", json!(["virbr2"])),
        ("--network public --state bound", json!(["virbr1"])),
        ("--network lab", json!([])),
    ];
    for (filter, expected) in table {
        let links = json_of(&agent, &format!("list --json {filter}"));
        let names: Value = links
            .as_array()
            .unwrap()
            .iter()
            .map(|link| link["link"].clone())
            .collect();
        assert_eq!(names, expected, "{filter}");
    }
    assert!(output(agent.path(), "list --network lab").starts_with("LINK  VM"));
}

#[test]
fn a_change_is_told_in_a_sentence_or_as_json_with_the_row() {
    let agent = Agent::start();
    let table = [
        (
            "bind virbr1 203.0.113.9",
            "203.0.113.9 is reserved for virbr1",
            json!(bound()),
        ),
        (
            "bind virbr9 203.0.113.9",
            "203.0.113.9 is reserved for virbr9",
            Value::Null,
        ),
        ("release web1", "web1 gave its address back", json!(bound())),
    ];
    for (arguments, sentence, link) in table {
        assert_eq!(output(agent.path(), arguments), format!("{sentence}\n"));
        assert_eq!(
            json_of(&agent, &format!("{arguments} --json")),
            json!({ "done": sentence, "link": link })
        );
    }
}

#[test]
fn a_refused_change_is_one_sentence_and_exits_with_1() {
    let agent = Agent::start();
    let table = [
        (
            "bind virbr1 10.0.0.1",
            "10.0.0.1 is in no subnet of the network public",
        ),
        ("unbind virbr1", "nothing is bound to virbr1"),
        (
            "release web9",
            "no link, VM, address or UUID is called web9: `slash32 list` shows what there is",
        ),
        ("mac next --network lab", "there is no network lab"),
    ];
    for (arguments, sentence) in table {
        fails(&agent, arguments, &format!("slash32: {sentence}\n"));
    }
}

#[test]
fn a_reload_that_would_take_an_address_names_the_vm_and_does_it_when_forced() {
    let agent = Agent::start();
    fails(
        &agent,
        "reload",
        "slash32: the new config would take the address of: virbr1 (203.0.113.7): use --force\n",
    );
    assert_eq!(
        output(agent.path(), "reload --force"),
        "the network public is gone\nvirbr1 (web1) has lost 203.0.113.7\n"
    );
    assert_eq!(
        json_of(&agent, "reload --force --json"),
        json!({ "changed": ["the network public is gone"], "lost": [bound()] })
    );
}

#[test]
fn a_reload_that_changes_nothing_says_so() {
    let agent = Agent::with(vec![failed()]);
    assert_eq!(
        output(agent.path(), "reload"),
        "the config is in force; nothing is different for the VMs that run\n"
    );
}

#[test]
fn a_reload_of_a_wrong_config_shows_every_line_of_its_errors() {
    let agent = Agent::with(Vec::new());
    fails(
        &agent,
        "reload",
        "slash32.toml:1:1: unknown key \\u{1b}[2J\n  limks = 1\n  ^\n\
         slash32: the config has errors, and the running one stays in force\n",
    );
}

#[test]
fn mac_next_prints_a_mac_and_its_address() {
    let agent = Agent::start();
    for arguments in ["mac next", "mac next --network ci"] {
        assert_eq!(
            output(agent.path(), arguments),
            "52:54:cb:00:71:09  203.0.113.9\n"
        );
    }
    assert_eq!(
        json_of(&agent, "mac next --json"),
        json!({ "mac": "52:54:cb:00:71:09", "address": "203.0.113.9" })
    );
}

#[test]
fn store_export_writes_the_document_to_a_file_that_only_its_owner_reads() {
    let agent = Agent::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.json");
    fs::write(&file, "the last one").unwrap();
    let export = format!("store export {}", file.display());
    assert_eq!(output(agent.path(), &export), "");
    assert_eq!(fs::read_to_string(&file).unwrap(), agent.store());
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a draft");
}

#[test]
fn store_export_without_a_file_writes_to_stdout() {
    let agent = Agent::start();
    for arguments in ["store export", "store export -", "store export --json"] {
        assert_eq!(output(agent.path(), arguments), agent.store());
    }
}

#[test]
fn store_export_does_not_replace_a_device_a_link_or_a_folder() {
    let agent = Agent::start();
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    for file in [&link, folder.path()] {
        fails(
            &agent,
            &format!("store export {}", file.display()),
            &format!(
                "slash32: {} is no regular file and is not replaced: - is the standard output\n",
                file.display()
            ),
        );
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn store_export_that_cannot_write_says_where() {
    let agent = Agent::start();
    fails(
        &agent,
        "store export /nonexistent/store.json",
        "slash32: cannot write /nonexistent/store.json: No such file or directory (os error 2)\n",
    );
}

#[test]
fn store_import_sends_the_document_as_it_is() {
    let agent = Agent::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.json");
    // More than a call of anybody else may have.
    let document = format!("{{ \"ä\": 1,{}\n \"b\": 2 }}\n", " ".repeat(1 << 20));
    fs::write(&file, &document).unwrap();
    let import = format!("store import {}", file.display());
    assert_eq!(
        output(agent.path(), &import),
        "the store has 2 allocations\n"
    );
    assert!(agent.store() == document);
    assert_eq!(
        json_of(&agent, &format!("{import} --json")),
        json!({ "done": "the store has 2 allocations" })
    );
}

#[test]
fn store_import_reads_stdin_and_a_refusal_changes_nothing() {
    let agent = Agent::start();
    slash32(agent.path(), "store import -")
        .write_stdin("{}")
        .assert()
        .success()
        .stdout("the store has 2 allocations\n");
    assert_eq!(agent.store(), "{}");
    slash32(agent.path(), "store import -")
        .write_stdin("[]")
        .assert()
        .code(1)
        .stderr("slash32: the document is no JSON object\n");
    assert_eq!(agent.store(), "{}");
    fails(
        &agent,
        "store import /nonexistent/store.json",
        "slash32: cannot read /nonexistent/store.json: No such file or directory (os error 2)\n",
    );
}

#[test]
fn watch_without_a_terminal_says_what_to_use() {
    let agent = Agent::with(vec![idle("virbr1")]);
    fails(
        &agent,
        "watch",
        "slash32: `slash32 watch` draws on a terminal, and its output is none: \
         use `slash32 events` for a line an event, or `slash32 list`\n",
    );
}
