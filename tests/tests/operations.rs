//! What an operator orders: each command does what its help says, and is still so after a crash of the agent.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal::SIGHUP;
use serde_json::Value;
use slash32_tests::{
    Agent, Host, RawClient,
    dhcp::{Message, code, message_type},
    expect, guest_mac, until,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    process::Stdio,
    sync::mpsc,
    time::{Duration, Instant},
};

const BOUND: Duration = Duration::from_secs(15);

const FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const SECOND: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 11);
/// In the subnet, and in none of its pools.
const BESIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 50);
const OLDER_OPTIONS: &str = "runs on older options";

const CONFIG: &str = r#"[options]
dns = ["9.9.9.9"]
[[network]]
name = "public"
links = ["virbr*", "!virbr0"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.19"]
[[network.reservation]]
link = "virbr7"
address = "203.0.113.7"
options = { hostname = "web7", dns = ["198.51.100.53"] }
"#;

#[test]
fn an_address_can_be_bound_to_a_link_that_does_not_exist_yet() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    succeeds(&agent, &["bind", "virbr1", "203.0.113.50"])?;
    agent.kill()?;
    agent.restart()?;
    ensure!(vm(&host, 1)?.bind()?.yiaddr == BESIDE);
    ensure!(vm(&host, 2)?.bind()?.yiaddr == FIRST);
    Ok(())
}

#[test]
fn a_vm_that_is_bound_to_another_address_moves_at_its_next_renewal() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let mut client = vm(&host, 1)?;
    let ack = client.bind()?;
    ensure!(ack.yiaddr == FIRST);
    let said = succeeds(&agent, &["bind", "virbr1", "203.0.113.50"])?;
    ensure!(
        said.contains("virbr1") && said.contains("203.0.113.50"),
        "it said {said}"
    );
    moves(&mut client, &ack, BESIDE)?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.kill()?;
    agent.restart()?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(row["address"] == BESIDE.to_string(), "{row}");
    Ok(())
}

#[test]
fn a_link_that_is_unbound_gets_an_address_of_the_pool_again() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    succeeds(&agent, &["bind", "virbr1", "203.0.113.50"])?;
    let mut client = vm(&host, 1)?;
    let ack = client.bind()?;
    succeeds(&agent, &["unbind", "virbr1"])?;
    moves(&mut client, &ack, FIRST)?;
    agent.kill()?;
    agent.restart()?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(row["address"] == FIRST.to_string(), "{row}");
    let said = fails(&agent, &["unbind", "virbr1"])?;
    ensure!(said.contains("virbr1"), "it said {said}");
    Ok(())
}

#[test]
fn an_address_that_may_not_be_bound_is_refused_with_the_reason() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let mut client = vm(&host, 1)?;
    let ack = client.bind()?;
    succeeds(&agent, &["bind", "virbr3", "203.0.113.51"])?;
    let table = [
        ("virbr2", "198.51.100.7", "outside"),
        ("virbr2", "203.0.113.7", "slash32.toml:"),
        ("virbr2", "203.0.113.51", "virbr3"),
        ("virbr0", "203.0.113.52", "virbr0"),
        ("eth0", "203.0.113.52", "eth0"),
    ];
    for (link, address, reason) in table {
        let said = fails(&agent, &["bind", link, address])?;
        ensure!(said.contains(reason), "bind {link} {address} said {said}");
    }
    // Nobody has lost anything.
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    ensure!(vm(&host, 2)?.bind()?.yiaddr == SECOND);
    Ok(())
}

#[test]
fn the_address_of_a_vm_that_runs_is_not_bound_to_another_link() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let (mut holder, mut other) = (vm(&host, 1)?, vm(&host, 2)?);
    let acks = [holder.bind()?, other.bind()?];
    ensure!(acks[0].yiaddr == FIRST && acks[1].yiaddr == SECOND);
    agent.wait("virbr1", "bound", BOUND)?;
    let said = fails(&agent, &["bind", "virbr2", &FIRST.to_string()])?;
    ensure!(said.contains("virbr1"), "it said {said}");
    for (client, ack) in [(&mut holder, &acks[0]), (&mut other, &acks[1])] {
        let request = client.renewing(ack);
        expect(message_type::ACK, client.ask(&request)?)?;
    }
    Ok(())
}

#[test]
fn an_address_that_an_absent_vm_holds_moves_to_the_link_that_it_is_bound_to() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let (mut holder, mut heir) = (vm(&host, 1)?, vm(&host, 2)?);
    holder.bind()?;
    let ack = heir.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    drop(holder);
    agent.wait("virbr1", "idle", BOUND)?;
    succeeds(&agent, &["bind", "virbr2", &FIRST.to_string()])?;
    moves(&mut heir, &ack, FIRST)?;
    agent.kill()?;
    agent.restart()?;
    let got = vm(&host, 1)?.bind()?.yiaddr;
    ensure!(got != FIRST, "both have {got}");
    let route = host.route_to(FIRST)?.context("no host route")?;
    ensure!(route["dev"] == "virbr2", "{route}");
    Ok(())
}

#[test]
fn a_released_address_is_free_also_for_the_next_agent() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    vm(&host, 1)?.bind()?;
    agent.wait("virbr1", "idle", BOUND)?;
    ensure!(pool(&agent)?["used"] == 1);
    let said = succeeds(&agent, &["release", "virbr1"])?;
    ensure!(said.contains(&FIRST.to_string()), "it said {said}");
    agent.kill()?;
    agent.restart()?;
    let numbers = pool(&agent)?;
    ensure!(numbers["used"] == 0 && numbers["free"] == 10, "{numbers}");
    ensure!(vm(&host, 2)?.bind()?.yiaddr == FIRST);
    let said = fails(&agent, &["release", "virbr1"])?;
    ensure!(said.contains("virbr1"), "it said {said}");
    Ok(())
}

#[test]
fn a_vm_that_is_there_has_an_address_after_its_release_too() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let mut client = vm(&host, 1)?;
    client.bind()?;
    succeeds(&agent, &["release", &FIRST.to_string()])?;
    let row = agent.wait_row("virbr1", "given an address", BOUND, |row| {
        row["address"].is_string()
    })?;
    ensure!(row["address"] == client.bind()?.yiaddr.to_string(), "{row}");
    Ok(())
}

#[test]
fn explain_names_the_line_of_each_value() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let mut client = vm(&host, 7)?;
    client.bind()?;
    agent.wait("virbr7", "bound", BOUND)?;
    agent.kill()?;
    agent.restart()?;
    agent.wait("virbr7", "bound", BOUND)?;
    for key in ["virbr7", "203.0.113.7"] {
        let explained = agent.json(&["explain", key])?;
        ensure!(explained["link"] == "virbr7", "{explained}");
        let network = &explained["network"];
        ensure!(network["name"] == "public", "{explained}");
        is_from(&agent, &network["origin"], "links =")?;
        let address = &explained["address"];
        ensure!(address["value"] == "203.0.113.7", "{explained}");
        is_from(&agent, &address["origin"], "address = \"203.0.113.7\"")
            .or_else(|_| is_from(&agent, &address["origin"], "[[network.reservation]]"))?;
        let dns = option(&explained, "dns")?;
        ensure!(
            dns["value"] == "198.51.100.53"
                && dns["scope"]
                    .as_str()
                    .is_some_and(|scope| scope.starts_with("reservation")),
            "{dns}"
        );
        is_from(&agent, &dns["origin"], "hostname = \"web7\"")?;
        ensure!(
            dns["overrides"][0]["value"] == "9.9.9.9" && dns["overrides"][0]["scope"] == "global",
            "{dns}"
        );
        is_from(
            &agent,
            &dns["overrides"][0]["origin"],
            "dns = [\"9.9.9.9\"]",
        )?;
        is_from(
            &agent,
            &option(&explained, "hostname")?["origin"],
            "hostname = \"web7\"",
        )?;
        let lease_time = option(&explained, "lease-time")?;
        ensure!(
            lease_time["scope"] == "default" && lease_time["origin"].is_null(),
            "{lease_time}"
        );
    }
    Ok(())
}

#[test]
fn explain_tells_people_the_same() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let _client = vm(&host, 7)?;
    agent.wait("virbr7", "ready", BOUND)?;
    let page = succeeds(&agent, &["explain", "virbr7"])?;
    let line = line_of(&agent, "hostname = \"web7\"")?;
    for fact in [
        "virbr7",
        "public",
        "virbr*",
        "203.0.113.7",
        "198.51.100.53",
        "instead of",
        "9.9.9.9",
        &format!("slash32.toml:{line}"),
    ] {
        ensure!(page.contains(fact), "{fact:?} is not in:\n{page}");
    }
    Ok(())
}

#[test]
fn explain_gives_nobody_an_address() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    host.bridge("virbr1")?;
    agent.wait("virbr1", "idle", BOUND)?;
    let explained = agent.json(&["explain", "virbr1"])?;
    ensure!(
        explained["address"]["value"] == FIRST.to_string(),
        "{explained}"
    );
    ensure!(pool(&agent)?["used"] == 0);
    ensure!(vm(&host, 2)?.bind()?.yiaddr == FIRST);
    Ok(())
}

#[test]
fn explain_knows_an_address_that_no_vm_has() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    vm(&host, 1)?.bind()?;
    agent.wait("virbr1", "idle", BOUND)?;
    let table = [
        ("203.0.113.10", "virbr1"),
        ("203.0.113.11", "203.0.113.10-203.0.113.19"),
        ("203.0.113.7", "reserved"),
        ("203.0.113.50", "none of its pools"),
    ];
    for (address, note) in table {
        let explained = agent.json(&["explain", address])?;
        ensure!(
            explained["link"].is_null() && explained["network"]["name"] == "public",
            "{explained}"
        );
        ensure!(
            explained["notes"].to_string().contains(note),
            "{note:?} is not in {explained}"
        );
    }
    let said = fails(&agent, &["explain", "nowhere"])?;
    ensure!(said.contains("nowhere"), "it said {said}");
    Ok(())
}

#[test]
fn pools_counts_every_address() -> Result<()> {
    let host = Host::new()?;
    let reserved = "[[network.reservation]]\nlink = \"virbr8\"\naddress = \"203.0.113.18\"\n";
    let mut agent = Agent::start(&host, &format!("{CONFIG}{reserved}"))?;
    let _clients = [bound_vm(&host, 1)?, bound_vm(&host, 2)?];
    succeeds(&agent, &["bind", "virbr9", "203.0.113.19"])?;
    for _ in 0..2 {
        let numbers = pool(&agent)?;
        let expected = [
            ("total", 10),
            ("used", 2),
            ("free", 6),
            ("reserved", 2),
            ("set_aside", 0),
            ("quarantined", 0),
        ];
        for (key, count) in expected {
            ensure!(numbers[key] == count, "{key}: {numbers}");
        }
        agent.kill()?;
        agent.restart()?;
    }
    let page = succeeds(&agent, &["pools"])?;
    ensure!(
        page.lines().nth(1).is_some_and(
            |line| line.contains("public") && line.contains("203.0.113.10-203.0.113.19")
        ),
        "{page}"
    );
    Ok(())
}

#[test]
fn list_shows_what_is_asked_for() -> Result<()> {
    let host = Host::new()?;
    let lab = "[[network]]\nname = \"lab\"\nlinks = [\"lab*\"]\ngateway = \"169.254.0.1\"\nallocation = \"static\"\n\
               [[network.subnet]]\nprefix = \"198.51.100.0/24\"\n";
    let agent = Agent::start(&host, &format!("{CONFIG}{lab}"))?;
    let _bound = bound_vm(&host, 1)?;
    for bridge in ["virbr2", "lab1"] {
        host.bridge(bridge)?;
        agent.wait(bridge, "idle", BOUND)?;
    }
    agent.wait("virbr1", "bound", BOUND)?;
    let table: [(&[&str], &[&str]); 6] = [
        (&[], &["virbr1", "virbr2", "lab1"]),
        (&["--network", "lab"], &["lab1"]),
        (&["--state", "idle"], &["virbr2", "lab1"]),
        (&["--state", "idle", "--network", "public"], &["virbr2"]),
        (&["--network", "nowhere"], &[]),
        (&["--vm", "web1"], &[]),
    ];
    for (filter, expected) in table {
        let rows = agent.json(&[&["list"], filter].concat())?;
        let mut links: Vec<&str> = rows
            .as_array()
            .context("no array")?
            .iter()
            .filter_map(|row| row["link"].as_str())
            .collect();
        let mut expected = expected.to_vec();
        links.sort_unstable();
        expected.sort_unstable();
        ensure!(links == expected, "{filter:?} shows {links:?}");
        let page = succeeds(&agent, &[&["list"], filter].concat())?;
        ensure!(
            page.lines().count() == expected.len() + 1,
            "{filter:?}: {page}"
        );
    }
    let said = agent.cli(&["list", "--state", "gone"])?;
    ensure!(said.status.code() == Some(2), "{said:?}");
    Ok(())
}

#[test]
fn watch_prints_the_list_after_each_change() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let mut watching = agent
        .cli_command(&["watch", "--json"])?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = watching.stdout.take().context("no stdout")?;
    let (told, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| told.send(line))
    });
    let next = |what: &str, wanted: &dyn Fn(&[Value]) -> bool| -> Result<()> {
        let deadline = Instant::now() + BOUND;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = lines
                .recv_timeout(left)
                .with_context(|| format!("no line with {what}"))?;
            let rows: Vec<Value> = serde_json::from_str(&line)?;
            if wanted(&rows) {
                return Ok(());
            }
        }
    };
    next("nothing in it", &|rows| rows.is_empty())?;
    let client = bound_vm(&host, 1)?;
    next("a bound VM", &|rows| {
        rows.len() == 1 && rows[0]["link"] == "virbr1" && rows[0]["state"] == "bound"
    })?;
    drop(client);
    next("an idle link", &|rows| rows[0]["state"] == "idle")?;
    host.namespace().ip("link del virbr1")?;
    next("nothing in it", &|rows| rows.is_empty())?;
    agent.stop()?;
    let output = watching.wait_with_output()?;
    let said = sentence(&output.stderr)?;
    ensure!(
        !output.status.success() && said.contains("agent"),
        "it said {said}"
    );
    Ok(())
}

#[test]
fn a_reload_without_a_difference_says_so() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let _client = bound_vm(&host, 1)?;
    let said = succeeds(&agent, &["reload"])?;
    ensure!(said.trim() == "nothing is different", "it said {said}");
    Ok(())
}

#[test]
fn a_reload_with_errors_shows_them_all_and_changes_nothing() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    agent.configure(
        &CONFIG
            .replace("gateway =", "gatway =")
            .replace("203.0.113.7\"", "192.0.2.7\""),
    )?;
    let output = agent.cli(&["reload"])?;
    let said = String::from_utf8(output.stderr)?;
    for fact in [
        "gatway",
        "192.0.2.7",
        "slash32.toml",
        "the running one stays in force",
    ] {
        ensure!(said.contains(fact), "{fact:?} is not in:\n{said}");
    }
    ensure!(!output.status.success());
    ensure!(vm(&host, 7)?.bind()?.yiaddr == Ipv4Addr::new(203, 0, 113, 7));
    Ok(())
}

#[test]
fn a_reload_never_takes_a_bound_vms_address_by_itself() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let (mut client, _other) = (vm(&host, 1)?, bound_vm(&host, 7)?);
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&without_first())?;
    let said = fails(&agent, &["reload"])?;
    ensure!(
        said.contains("virbr1") && said.contains(&FIRST.to_string()) && said.contains("--force"),
        "it said {said}"
    );
    ensure!(!said.contains("virbr7"), "it said {said}");
    agent.signal(SIGHUP)?;
    until(
        "the agent to refuse the signal's config, too",
        BOUND,
        || Ok(agent.log().contains("not reloaded").then_some(())),
    )?;
    ensure!(agent.log().contains("virbr1 (203.0.113.10)"));
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(
        row["address"] == FIRST.to_string() && row["route"] == true,
        "{row}"
    );
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    Ok(())
}

#[test]
fn a_forced_reload_names_who_lost_an_address_and_the_vm_is_refused_at_its_next_renewal()
-> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let mut client = vm(&host, 1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&without_first())?;
    let report = agent.json(&["reload", "--force"])?;
    ensure!(
        report["lost"][0]["link"] == "virbr1" && report["lost"][0]["address"] == FIRST.to_string(),
        "{report}"
    );
    moves(&mut client, &ack, SECOND)?;
    ensure!(
        host.route_to(FIRST)?.is_none(),
        "the old host route is still there"
    );
    agent.wait("virbr1", "bound", BOUND)?;
    agent.kill()?;
    agent.restart()?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(row["address"] == SECOND.to_string(), "{row}");
    Ok(())
}

#[test]
fn a_link_that_no_network_claims_any_more_needs_force_too() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let _client = bound_vm(&host, 1)?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&CONFIG.replace("\"!virbr0\"", "\"!virbr1\""))?;
    let said = fails(&agent, &["reload"])?;
    ensure!(said.contains("virbr1"), "it said {said}");
    succeeds(&agent, &["reload", "--force"])?;
    ensure!(agent.row("virbr1")?.is_none(), "it is still in the list");
    ensure!(host.route_to(FIRST)?.is_none(), "its route is still there");
    Ok(())
}

#[test]
fn a_reload_by_signal_serves_a_new_network() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    host.bridge("lab1")?;
    let mut client = RawClient::new(host.tap("vnet1", Some("lab1"))?, guest_mac(1));
    let lab = "[[network]]\nname = \"lab\"\nlinks = [\"lab*\"]\ngateway = \"169.254.0.1\"\nallocation = \"dynamic\"\n\
               [[network.subnet]]\nprefix = \"198.51.100.0/24\"\npools = [\"198.51.100.10-198.51.100.19\"]\n";
    agent.configure(&format!("{CONFIG}{lab}"))?;
    agent.signal(SIGHUP)?;
    ensure!(client.bind()?.yiaddr == Ipv4Addr::new(198, 51, 100, 10));
    Ok(())
}

#[test]
fn changed_options_reach_a_vm_at_its_next_renewal_and_until_then_its_row_says_so() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let (mut client, _untouched) = (vm(&host, 1)?, bound_vm(&host, 7)?);
    let ack = client.bind()?;
    ensure!(
        ack.option(code::DNS) == Some(&[9, 9, 9, 9]) && ack.option(code::MTU).is_none(),
        "{ack:?}"
    );
    for link in ["virbr1", "virbr7"] {
        agent.wait(link, "bound", BOUND)?;
    }
    agent.configure(&CONFIG.replace("dns = [\"9.9.9.9\"]", "dns = [\"9.9.9.10\"]"))?;
    let said = succeeds(&agent, &["reload"])?;
    ensure!(
        said.contains("virbr1") && !said.contains("virbr7"),
        "it said {said}"
    );
    is_on_older_options(&agent, "virbr1")?;
    let row = agent.row("virbr7")?.context("no row")?;
    ensure!(row["reason"].is_null(), "{row}");
    let shown = agent.json(&["show", "virbr1"])?;
    ensure!(
        shown["reason"].to_string().contains(OLDER_OPTIONS),
        "{shown}"
    );

    renews_to(&agent, &mut client, &ack, |renewed| {
        renewed.option(code::DNS) == Some(&[9, 9, 9, 10]) && renewed.yiaddr == FIRST
    })
}

#[test]
fn a_changed_mtu_reaches_a_vm_at_its_next_renewal() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let mut client = vm(&host, 1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&CONFIG.replace("dns = [\"9.9.9.9\"]", "mtu = 1400"))?;
    succeeds(&agent, &["reload"])?;
    is_on_older_options(&agent, "virbr1")?;
    renews_to(&agent, &mut client, &ack, |renewed| {
        renewed.option(code::MTU) == Some(&1400u16.to_be_bytes())
            && renewed.option(code::DNS).is_none()
    })
}

#[test]
fn a_changed_gateway_reaches_a_vm_at_its_next_renewal() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let mut client = vm(&host, 1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&other_gateway())?;
    succeeds(&agent, &["reload"])?;
    is_on_older_options(&agent, "virbr1")?;
    renews_to(&agent, &mut client, &ack, has_other_gateway)
}

#[test]
fn a_changed_gateway_reaches_a_vm_that_rebinds() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let mut client = vm(&host, 1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&other_gateway())?;
    succeeds(&agent, &["reload"])?;
    let request = client.rebinding(&ack);
    let renewed = expect(message_type::ACK, client.ask(&request)?)?;
    ensure!(has_other_gateway(&renewed), "{renewed:?}");
    ensure!(
        host.route_to(FIRST)?.is_some(),
        "the host route is not there any more"
    );
    Ok(())
}

#[test]
fn who_runs_on_older_options_is_known_to_the_next_agent_too() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    let mut client = vm(&host, 1)?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.configure(&CONFIG.replace("dns = [\"9.9.9.9\"]", "dns = [\"9.9.9.10\"]"))?;
    agent.kill()?;
    agent.restart()?;
    is_on_older_options(&agent, "virbr1")?;
    renews_to(&agent, &mut client, &ack, |renewed| {
        renewed.option(code::DNS) == Some(&[9, 9, 9, 10])
    })
}

#[test]
fn a_store_moves_house() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.json");
    let file = file.to_str().context("no text")?;
    {
        let host = Host::new()?;
        let agent = Agent::start(&host, CONFIG)?;
        let _clients = [bound_vm(&host, 1)?, bound_vm(&host, 2)?];
        succeeds(&agent, &["bind", "virbr3", "203.0.113.50"])?;
        succeeds(&agent, &["store", "export", file])?;
        let mode = fs::metadata(file)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "its mode is {mode:o}");
        let printed = succeeds(&agent, &["store", "export"])?;
        let document: Value = serde_json::from_str(&printed)?;
        ensure!(
            document["allocations"]
                .as_array()
                .is_some_and(|all| all.len() == 2),
            "{document}"
        );
    }
    let host = Host::new()?;
    let mut agent = Agent::start(&host, CONFIG)?;
    succeeds(&agent, &["store", "import", file])?;
    agent.kill()?;
    agent.restart()?;
    for (number, address) in [(2, SECOND), (3, BESIDE), (1, FIRST)] {
        let got = vm(&host, number)?.bind()?.yiaddr;
        ensure!(got == address, "VM {number} got {got}");
    }
    Ok(())
}

#[test]
fn an_import_that_would_take_a_running_vms_address_changes_nothing() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, CONFIG)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.json");
    let file = file.to_str().context("no text")?;
    let _bystander = bound_vm(&host, 2)?;
    let mut client = vm(&host, 1)?;
    let ack = client.bind()?;
    ensure!(ack.yiaddr == SECOND);
    agent.wait("virbr1", "bound", BOUND)?;
    succeeds(&agent, &["store", "export", file])?;
    // In this document the two have changed places.
    let document = fs::read_to_string(file)?;
    let swapped = document
        .replace("203.0.113.10", "x")
        .replace("203.0.113.11", "203.0.113.10")
        .replace('x', "203.0.113.11");
    for broken in [
        swapped.as_str(),
        "{}",
        "nonsense",
        &document[..document.len() / 2],
    ] {
        fs::write(file, broken)?;
        fails(&agent, &["store", "import", file])?;
    }
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    ensure!(succeeds(&agent, &["store", "export"])? == document);
    Ok(())
}

/// The config with a pool that begins one later.
fn without_first() -> String {
    CONFIG.replace("203.0.113.10-", "203.0.113.11-")
}

/// The VM with this number, behind the tap vnetN in the bridge virbrN, new or there already. It is there until the client
/// is dropped.
fn vm(host: &Host, number: u16) -> Result<RawClient> {
    let bridge = format!("virbr{number}");
    if !host
        .namespace()
        .path(format!("/sys/class/net/{bridge}"))
        .exists()
    {
        host.bridge(&bridge)?;
    }
    let tap = host.tap(&format!("vnet{number}"), Some(&bridge))?;
    Ok(RawClient::new(tap, guest_mac(number)))
}

fn bound_vm(host: &Host, number: u16) -> Result<RawClient> {
    let mut client = vm(host, number)?;
    client.bind()?;
    Ok(client)
}

/// The VM of virbr1 renews, is acknowledged what is `wanted`, and its row says that it is up to date.
///
/// It renews until then: an agent takes two acknowledgements within half a second for one.
fn renews_to(
    agent: &Agent<'_>,
    client: &mut RawClient,
    ack: &Message,
    wanted: impl Fn(&Message) -> bool,
) -> Result<()> {
    until("the VM to be up to date", BOUND, || {
        let request = client.renewing(ack);
        let renewed = expect(message_type::ACK, client.ask(&request)?)?;
        ensure!(wanted(&renewed), "it was acknowledged {renewed:?}");
        let row = agent.row("virbr1")?.context("no row")?;
        Ok((row["state"] == "bound" && row["reason"].is_null()).then_some(()))
    })
}

/// [`CONFIG`] with the gateway 169.254.0.2.
fn other_gateway() -> String {
    CONFIG.replace("169.254.0.1", "169.254.0.2")
}

fn has_other_gateway(ack: &Message) -> bool {
    let gateway = Some(Ipv4Addr::new(169, 254, 0, 2));
    ack.address(code::ROUTER) == gateway
        && ack.address(code::SERVER_IDENTIFIER) == gateway
        && ack.yiaddr == FIRST
}

/// The VM is refused (DHCPNAK) when it renews what `ack` gave it, begins anew, and gets `address`.
fn moves(client: &mut RawClient, ack: &Message, address: Ipv4Addr) -> Result<()> {
    let request = client.renewing(ack);
    expect(message_type::NAK, client.ask(&request)?)?;
    let got = client.bind()?.yiaddr;
    ensure!(got == address, "it got {got}");
    Ok(())
}

fn is_on_older_options(agent: &Agent<'_>, link: &str) -> Result<()> {
    agent
        .wait_row(link, "bound, on older options", BOUND, |row| {
            let reason = row["reason"].as_str().unwrap_or_default();
            row["state"] == "bound" && reason.contains(OLDER_OPTIONS)
        })
        .map(drop)
}

/// What it printed. Errors: it did not succeed, or complained.
fn succeeds(agent: &Agent<'_>, arguments: &[&str]) -> Result<String> {
    let output = agent.cli(arguments)?;
    if !output.status.success() || !output.stderr.is_empty() {
        bail!("slash32 {arguments:?}: {output:?}");
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The one sentence that it complained in. Errors: it succeeded, printed something, or complained otherwise.
fn fails(agent: &Agent<'_>, arguments: &[&str]) -> Result<String> {
    let output = agent.cli(arguments)?;
    if output.status.code() != Some(1) || !output.stdout.is_empty() {
        bail!("slash32 {arguments:?}: {output:?}");
    }
    sentence(&output.stderr).with_context(|| format!("slash32 {arguments:?}"))
}

fn sentence(stderr: &[u8]) -> Result<String> {
    let said = String::from_utf8(stderr.to_vec())?;
    ensure!(said.lines().count() == 1, "it said {said:?}");
    Ok(said)
}

/// The row of the only pool.
fn pool(agent: &Agent<'_>) -> Result<Value> {
    agent.json(&["pools"])?.get(0).cloned().context("no pool")
}

fn option<'v>(explained: &'v Value, key: &str) -> Result<&'v Value> {
    explained["options"]
        .as_array()
        .and_then(|options| options.iter().find(|option| option["key"] == key))
        .with_context(|| format!("no option {key} in {explained}"))
}

/// The number of the first line of the agent's config that contains `text`, from 1 up.
fn line_of(agent: &Agent<'_>, text: &str) -> Result<usize> {
    let config = fs::read_to_string(agent.config_file())?;
    let index = config.lines().position(|line| line.contains(text));
    Ok(index.with_context(|| format!("{text} is not in the config"))? + 1)
}

/// `origin` names the first line of the agent's config that contains `text`.
fn is_from(agent: &Agent<'_>, origin: &Value, text: &str) -> Result<()> {
    let expected = format!(
        "{}:{}",
        agent.config_file().display(),
        line_of(agent, text)?
    );
    ensure!(origin == &expected, "{origin} is not {expected}");
    Ok(())
}
