//! A config with an error is refused as a whole, with the place, the key and what would be right.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use nix::sys::signal::Signal::SIGHUP;
use slash32_tests::{
    Agent, Host, check_config,
    dhcp::{code, message_type},
    expect, static_network, until, vm_address,
};
use std::{process::Output, time::Duration};

const BOUND: Duration = Duration::from_secs(15);

const GOOD: &str = r#"[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "static"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr1"
address = "203.0.113.7"
"#;

#[test]
fn a_good_config_passes() -> Result<()> {
    for output in check(GOOD)? {
        ensure!(output.status.success(), "{output:?}");
    }
    Ok(())
}

#[test]
fn an_unknown_key_is_refused_and_the_right_one_is_named() -> Result<()> {
    is_refused(
        &GOOD.replace("gateway =", "gatway ="),
        &[":4:", "gatway", "gateway"],
    )
}

#[test]
fn overlapping_subnets_are_refused() -> Result<()> {
    let second = "[[network.subnet]]\nprefix = \"203.0.113.128/25\"\n[[network.reservation]]";
    let config = GOOD.replace("[[network.reservation]]", second);
    is_refused(
        &config,
        &[":9:", "prefix", "203.0.113.128/25", "203.0.113.0/24"],
    )
}

#[test]
fn a_reservation_outside_every_subnet_is_refused() -> Result<()> {
    is_refused(
        &GOOD.replace("203.0.113.7", "198.51.100.7"),
        &[":10:", "address", "198.51.100.7"],
    )
}

#[test]
fn a_network_without_a_gateway_is_refused() -> Result<()> {
    is_refused(
        &GOOD.replace("gateway = \"169.254.0.1\"\n", ""),
        &["gateway"],
    )
}

#[test]
fn two_networks_that_claim_one_link_are_refused() -> Result<()> {
    let second = GOOD
        .replace("public", "private")
        .replace("203.0.113.", "198.51.100.");
    is_refused(&format!("{GOOD}{second}"), &[":13:", "links", "public"])
}

#[test]
fn a_reservation_of_one_address_for_two_links_is_refused() -> Result<()> {
    let second = "[[network.reservation]]\nlink = \"virbr2\"\naddress = \"203.0.113.7\"\n";
    is_refused(
        &format!("{GOOD}{second}"),
        &[":13:", "address", "203.0.113.7"],
    )
}

#[test]
fn the_etcd_store_is_refused_until_it_exists() -> Result<()> {
    is_refused(
        &format!("[store]\nbackend = \"etcd\"\n{GOOD}"),
        &[":2:", "backend", "etcd"],
    )
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_place() -> Result<()> {
    is_refused(&GOOD.replace("\"public\"", "public"), &[":2:"])
}

#[test]
fn all_errors_are_told_at_once() -> Result<()> {
    let config = GOOD
        .replace("gateway =", "gatway =")
        .replace("203.0.113.7", "198.51.100.7");
    is_refused(&config, &[":4:", ":10:"])
}

#[test]
fn an_agent_with_a_bad_config_does_not_start_and_touches_nothing() -> Result<()> {
    let host = Host::new()?;
    host.bridge("virbr1")?;
    let _guest = host.guest("virbr1", 1)?;
    let good = static_network(&[("virbr1", 1)], "");
    let mut agent = Agent::prepare(&host, &good.replace("gateway =", "gatway ="))?;
    agent.launch()?;
    let code = agent.process()?.wait(Duration::from_secs(10))?;
    ensure!(code.is_some_and(|code| code != 0), "it ended with {code:?}");
    ensure!(agent.log().contains("gatway"), "it said {}", agent.log());
    ensure!(!agent.socket().exists(), "it made its socket");
    let links = host.namespace().ip_json("-4 addr show dev virbr1")?;
    let untouched = links
        .iter()
        .all(|link| link["addr_info"].as_array().is_none_or(Vec::is_empty));
    ensure!(untouched, "it put an address on the link: {links:?}");
    Ok(())
}

#[test]
fn an_agent_without_a_config_says_so_in_one_sentence() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("absent.toml");
    let program = slash32_tests::binary("slash32-agent")?;
    let output = std::process::Command::new(program)
        .arg("--config")
        .arg(&file)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && said.lines().count() == 1 && said.contains("absent.toml"),
        "it said {said}"
    );
    Ok(())
}

#[test]
fn a_reload_with_an_error_leaves_the_running_config_in_force() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    guest.raw_client()?.bind()?;
    let pid = agent.wait("virbr1", "bound", BOUND)?["responder"]["pid"].clone();
    let two = static_network(&[("virbr1", 1), ("virbr2", 2)], "");
    agent.configure(&two.replace("gateway =", "gatway ="))?;
    agent.signal(SIGHUP)?;
    until("the agent to say what is wrong", BOUND, || {
        Ok(agent.log().contains("gatway").then_some(()))
    })?;
    let row = agent.row("virbr1")?.expect("a row");
    ensure!(
        row["state"] == "bound" && row["route"] == true && row["responder"]["pid"] == pid,
        "{row}"
    );
    // The next one is right, and adds a link.
    host.bridge("virbr2")?;
    let second = host.guest("virbr2", 2)?;
    agent.wait("virbr2", "unassigned", BOUND)?;
    agent.configure(&two)?;
    agent.signal(SIGHUP)?;
    ensure!(second.raw_client()?.bind()?.yiaddr == vm_address(2));
    ensure!(
        agent.row("virbr1")?.expect("a row")["responder"]["pid"] == pid,
        "a link that did not change was touched"
    );
    Ok(())
}

#[test]
fn an_option_that_is_reloaded_reaches_the_vm_with_its_next_renewal() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(
        &host,
        &static_network(&[("virbr1", 1)], "dns = [\"9.9.9.9\"]"),
    )?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    let mut client = guest.raw_client()?;
    let ack = client.bind()?;
    ensure!(ack.option(code::DNS) == Some(&[9, 9, 9, 9]), "{ack:?}");
    agent.configure(&static_network(
        &[("virbr1", 1)],
        "dns = [\"198.51.100.53\"]",
    ))?;
    agent.signal(SIGHUP)?;
    until("the new DNS server", BOUND, || {
        let request = client.renewing(&ack);
        let ack = expect(message_type::ACK, client.ask(&request)?)?;
        Ok((ack.option(code::DNS) == Some(&[198, 51, 100, 53])).then_some(()))
    })
}

fn check(config: &str) -> Result<[Output; 2]> {
    check_config(tempfile::tempdir()?.path(), config)
}

/// Both programs refuse it, name the file, and say each of `facts`.
fn is_refused(config: &str, facts: &[&str]) -> Result<()> {
    for output in check(config)? {
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(!output.status.success(), "it was accepted: {said}");
        for fact in ["slash32.toml"].iter().chain(facts) {
            ensure!(
                said.contains(fact),
                "{fact:?} is not in what it said:\n{said}"
            );
        }
    }
    Ok(())
}
