//! What an operator orders: each command does what its help says, and is still so after a crash of the agent.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slash32_tests::{
    Agent, Host, POOL_NETWORK, RawClient,
    dhcp::{Message, message_type},
    expect,
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

#[test]
fn an_address_can_be_bound_to_a_link_that_does_not_exist_yet() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    agent.succeeds(&["bind", "virbr1", "203.0.113.50"])?;
    agent.kill()?;
    agent.restart()?;
    ensure!(host.raw_vm(1)?.bind()?.yiaddr == BESIDE);
    ensure!(host.raw_vm(2)?.bind()?.yiaddr == FIRST);
    Ok(())
}

#[test]
fn a_vm_that_is_bound_to_another_address_moves_at_its_next_renewal() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    ensure!(ack.yiaddr == FIRST);
    let said = agent.succeeds(&["bind", "virbr1", "203.0.113.50"])?;
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
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    agent.succeeds(&["bind", "virbr1", "203.0.113.50"])?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.succeeds(&["unbind", "virbr1"])?;
    moves(&mut client, &ack, FIRST)?;
    agent.kill()?;
    agent.restart()?;
    let row = agent.wait("virbr1", "bound", BOUND)?;
    ensure!(row["address"] == FIRST.to_string(), "{row}");
    let said = agent.fails(&["unbind", "virbr1"])?;
    ensure!(said.contains("virbr1"), "it said {said}");
    Ok(())
}

#[test]
fn an_address_that_may_not_be_bound_is_refused_with_the_reason() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    agent.succeeds(&["bind", "virbr3", "203.0.113.51"])?;
    let table = [
        ("virbr2", "198.51.100.7", "outside"),
        ("virbr2", "203.0.113.7", "slash32.toml:"),
        ("virbr2", "203.0.113.51", "virbr3"),
        ("virbr0", "203.0.113.52", "virbr0"),
        ("eth0", "203.0.113.52", "eth0"),
    ];
    for (link, address, reason) in table {
        let said = agent.fails(&["bind", link, address])?;
        ensure!(said.contains(reason), "bind {link} {address} said {said}");
    }
    // Nobody has lost anything.
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    ensure!(host.raw_vm(2)?.bind()?.yiaddr == SECOND);
    Ok(())
}

#[test]
fn the_address_of_a_vm_that_runs_is_not_bound_to_another_link() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let (mut holder, mut other) = (host.raw_vm(1)?, host.raw_vm(2)?);
    let acks = [holder.bind()?, other.bind()?];
    ensure!(acks[0].yiaddr == FIRST && acks[1].yiaddr == SECOND);
    agent.wait("virbr1", "bound", BOUND)?;
    let said = agent.fails(&["bind", "virbr2", &FIRST.to_string()])?;
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
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    let (mut holder, mut heir) = (host.raw_vm(1)?, host.raw_vm(2)?);
    holder.bind()?;
    let ack = heir.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    drop(holder);
    agent.wait("virbr1", "idle", BOUND)?;
    agent.succeeds(&["bind", "virbr2", &FIRST.to_string()])?;
    moves(&mut heir, &ack, FIRST)?;
    agent.kill()?;
    agent.restart()?;
    let got = host.raw_vm(1)?.bind()?.yiaddr;
    ensure!(got != FIRST, "both have {got}");
    let route = host.route_to(FIRST)?.context("no host route")?;
    ensure!(route["dev"] == "virbr2", "{route}");
    Ok(())
}

#[test]
fn a_released_address_is_free_also_for_the_next_agent() -> Result<()> {
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    host.raw_vm(1)?.bind()?;
    agent.wait("virbr1", "idle", BOUND)?;
    ensure!(pool(&agent)?["used"] == 1);
    let said = agent.succeeds(&["release", "virbr1"])?;
    ensure!(said.contains(&FIRST.to_string()), "it said {said}");
    agent.kill()?;
    agent.restart()?;
    let numbers = pool(&agent)?;
    ensure!(numbers["used"] == 0 && numbers["free"] == 10, "{numbers}");
    ensure!(host.raw_vm(2)?.bind()?.yiaddr == FIRST);
    let said = agent.fails(&["release", "virbr1"])?;
    ensure!(said.contains("virbr1"), "it said {said}");
    Ok(())
}

#[test]
fn a_vm_that_is_there_has_an_address_after_its_release_too() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let mut client = host.raw_vm(1)?;
    client.bind()?;
    agent.succeeds(&["release", &FIRST.to_string()])?;
    let row = agent.wait_row("virbr1", "given an address", BOUND, |row| {
        row["address"].is_string()
    })?;
    ensure!(row["address"] == client.bind()?.yiaddr.to_string(), "{row}");
    Ok(())
}

#[test]
fn pools_counts_every_address() -> Result<()> {
    let host = Host::new()?;
    let reserved = "[[network.reservation]]\nlink = \"virbr8\"\naddress = \"203.0.113.18\"\n";
    let mut agent = Agent::start(&host, &format!("{POOL_NETWORK}{reserved}"))?;
    let _clients = [bound_vm(&host, 1)?, bound_vm(&host, 2)?];
    agent.succeeds(&["bind", "virbr9", "203.0.113.19"])?;
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
    let page = agent.succeeds(&["pools"])?;
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
    let agent = Agent::start(&host, &format!("{POOL_NETWORK}{lab}"))?;
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
        let page = agent.succeeds(&[&["list"], filter].concat())?;
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
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
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
fn a_store_moves_house() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.json");
    let file = file.to_str().context("no text")?;
    {
        let host = Host::new()?;
        let agent = Agent::start(&host, POOL_NETWORK)?;
        let _clients = [bound_vm(&host, 1)?, bound_vm(&host, 2)?];
        agent.succeeds(&["bind", "virbr3", "203.0.113.50"])?;
        agent.succeeds(&["store", "export", file])?;
        let mode = fs::metadata(file)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "its mode is {mode:o}");
        let printed = agent.succeeds(&["store", "export"])?;
        let document: Value = serde_json::from_str(&printed)?;
        ensure!(
            document["allocations"]
                .as_array()
                .is_some_and(|all| all.len() == 2),
            "{document}"
        );
    }
    let host = Host::new()?;
    let mut agent = Agent::start(&host, POOL_NETWORK)?;
    agent.succeeds(&["store", "import", file])?;
    agent.kill()?;
    agent.restart()?;
    for (number, address) in [(2, SECOND), (3, BESIDE), (1, FIRST)] {
        let got = host.raw_vm(number)?.bind()?.yiaddr;
        ensure!(got == address, "VM {number} got {got}");
    }
    Ok(())
}

#[test]
fn an_import_that_would_take_a_running_vms_address_changes_nothing() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, POOL_NETWORK)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.json");
    let file = file.to_str().context("no text")?;
    let _bystander = bound_vm(&host, 2)?;
    let mut client = host.raw_vm(1)?;
    let ack = client.bind()?;
    ensure!(ack.yiaddr == SECOND);
    agent.wait("virbr1", "bound", BOUND)?;
    agent.succeeds(&["store", "export", file])?;
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
        agent.fails(&["store", "import", file])?;
    }
    let request = client.renewing(&ack);
    expect(message_type::ACK, client.ask(&request)?)?;
    ensure!(agent.succeeds(&["store", "export"])? == document);
    Ok(())
}

fn bound_vm(host: &Host, number: u16) -> Result<RawClient> {
    let mut client = host.raw_vm(number)?;
    client.bind()?;
    Ok(client)
}

/// The VM is refused (DHCPNAK) when it renews what `ack` gave it, begins anew, and gets `address`.
fn moves(client: &mut RawClient, ack: &Message, address: Ipv4Addr) -> Result<()> {
    let request = client.renewing(ack);
    expect(message_type::NAK, client.ask(&request)?)?;
    let got = client.bind()?.yiaddr;
    ensure!(got == address, "it got {got}");
    Ok(())
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
