//! Links that are served without an agent, as `slash32-responder@LINK.service` does it: the cases play systemd.
#![allow(missing_docs, clippy::unwrap_used)]

mod beside_an_agent;
mod unit;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use slash32_tests::{
    Agent, GATEWAY, Host, RawClient, RouteMonitor, Software, dhcp::message_type, expect, until,
};
use std::fs;
use unit::{BOUND, HOME, Unit, address, addresses, is_renewed, link_file, write_link_file};

#[test]
fn a_real_client_binds_renews_and_is_reached_without_an_agent() -> Result<()> {
    let host = Host::new()?;
    host.bridge("virbr1")?;
    let agent = link_file(&host, "", "virbr1", &address(HOME))?;
    let unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    let said = unit.prepare()?;
    ensure!(
        said == format!("virbr1: {HOME} is served, behind the gateway {GATEWAY}\n"),
        "{said}"
    );
    let route = host.route_to(HOME)?.context("no host route")?;
    ensure!(
        route["dev"] == "virbr1" && route["protocol"] == "132" && route["scope"] == "link",
        "{route}"
    );
    let guest = host.guest("virbr1", 1)?;
    let client = guest.start(Software::UdhcpcClassless)?;
    let leases = || -> Result<usize> {
        let obtained = format!("lease of {HOME} obtained");
        Ok(client.log()?.matches(&obtained).count())
    };
    guest.wait_configured(HOME, GATEWAY, BOUND)?;
    guest.ping(GATEWAY)?;
    let ping = ["-n", "-c", "1", "-W", "2", &HOME.to_string()];
    host.namespace().run("ping", &ping)?;
    let before = leases()?;
    client.renew(&guest)?;
    until("the renewal", BOUND, || {
        Ok((leases()? > before).then_some(()))
    })
}

#[test]
fn a_responder_that_crashed_is_followed_by_one_that_renews_and_no_route_moves() -> Result<()> {
    let host = Host::new()?;
    let mut client = host.raw_vm(1)?;
    let agent = link_file(&host, "", "virbr1", &address(HOME))?;
    let mut unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    unit.prepare()?;
    let ack = client.bind()?;
    ensure!(ack.yiaddr == HOME, "bound as {}", ack.yiaddr);
    let routes = RouteMonitor::open(host.namespace())?;
    let mut responder = unit.responder.take().context("no responder")?;
    responder.signal(Signal::SIGKILL)?;
    responder.wait(BOUND)?;
    unit.withdraw("signal")?;
    unit.start_responder()?;
    unit.prepare()?;
    is_renewed(&mut client, &ack)?;
    let changes = routes.changes();
    ensure!(changes.is_empty(), "{changes:?}");
    ensure!(addresses(&host, "virbr1")?.contains("169.254.0.1/32"));
    Ok(())
}

#[test]
fn what_was_done_for_a_link_is_taken_back_when_its_unit_stops_whatever_its_file_says_by_then()
-> Result<()> {
    let host = Host::new()?;
    host.bridge("virbr1")?;
    let route = "[route]\nprotocol = 177\ntable = 500\n";
    let agent = link_file(&host, "", "virbr1", &format!("{}{route}", address(HOME)))?;
    let mut unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    unit.prepare()?;
    let table = || host.namespace().ip("route show table 500");
    ensure!(table()?.contains(&HOME.to_string()), "{}", table()?);
    // Somebody else's route and address on the link are not ours to take.
    host.namespace()
        .ip("route add 198.51.100.9/32 dev virbr1 proto static")?;
    host.namespace().ip("addr add 192.0.2.77/32 dev virbr1")?;
    write_link_file(&agent, "virbr1", "nonsense")?;
    agent.configure("nonsense")?;
    // As systemd's socket, which is in the folder that the config names.
    unit.config = agent.config_file().with_file_name("gone.toml");
    let runtime = agent.config_file().with_file_name("run");
    fs::write(
        &unit.config,
        format!("[agent]\nruntime-dir = {runtime:?}\n"),
    )?;
    unit.stop()?;
    ensure!(table()?.trim().is_empty(), "left behind: {}", table()?);
    let left = addresses(&host, "virbr1")?;
    ensure!(
        left.contains("192.0.2.77/32") && !left.contains("169.254.0.1"),
        "{left}"
    );
    ensure!(host.route_to([198, 51, 100, 9].into())?.is_some());
    Ok(())
}

#[test]
fn a_changed_file_is_applied_by_a_reload_without_an_end_of_service() -> Result<()> {
    let host = Host::new()?;
    let mut client = host.raw_vm(1)?;
    let agent = link_file(
        &host,
        "[options]\ndns = [\"192.0.2.53\"]\n",
        "virbr1",
        &address(HOME),
    )?;
    let unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    unit.prepare()?;
    let ack = client.bind()?;
    const DNS: u8 = 6;
    ensure!(ack.option(DNS) == Some(&[192, 0, 2, 53][..]), "{ack:?}");
    let options = "[options]\ndns = [\"9.9.9.9\"]\n";
    write_link_file(&agent, "virbr1", &format!("{}{options}", address(HOME)))?;
    let routes = RouteMonitor::open(host.namespace())?;
    unit.prepare()?;
    let renewal = client.renewing(&ack);
    let ack = expect(message_type::ACK, client.ask(&renewal)?)?;
    ensure!(ack.option(DNS) == Some(&[9, 9, 9, 9][..]), "{ack:?}");
    ensure!(routes.changes().is_empty(), "{:?}", routes.changes());
    Ok(())
}

#[test]
fn a_link_that_was_down_or_was_made_anew_is_served_after_a_reload() -> Result<()> {
    let host = Host::new()?;
    let mut client = host.raw_vm(1)?;
    let agent = link_file(&host, "", "virbr1", &address(HOME))?;
    let mut unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    unit.prepare()?;
    client.bind()?;
    host.namespace()
        .ip_batch("link set virbr1 down\nlink set virbr1 up\n")?;
    ensure!(host.route_to(HOME)?.is_none(), "the kernel keeps the route");
    unit.prepare()?;
    ensure!(host.route_to(HOME)?.is_some(), "down and up: no route");
    drop(client);
    host.namespace().ip("link del virbr1")?;
    let mut client = host.raw_vm(1)?;
    unit.prepare()?;
    let got = client.bind()?.yiaddr;
    ensure!(got == HOME, "bound as {got}");
    unit.stop()?;
    ensure!(host.route_to(HOME)?.is_none(), "the route is left");
    Ok(())
}

#[test]
fn a_link_has_one_unit_however_its_name_is_written() -> Result<()> {
    let host = Host::new()?;
    host.bridge("br-lan")?;
    let agent = link_file(&host, "", "br-lan", &address(HOME))?;
    let first = Unit::start(&host, &agent, "br-lan", "br/lan")?;
    first.prepare()?;
    let second = Unit::start(&host, &agent, r"br\x2dlan", "br-lan")?;
    let said = second.fails()?;
    ensure!(
        said.contains("br-lan is served by slash32-responder@br-lan already"),
        "{said}"
    );
    ensure!(host.route_to(HOME)?.is_some());
    Ok(())
}

#[test]
fn instances_are_link_names_with_hyphens_dots_and_ats_or_what_systemd_escape_makes_of_them()
-> Result<()> {
    for (name, socket) in [
        ("br-lan.100@x", "br/lan.100@x"),
        (r"br\x2dlan.100\x40x", "br-lan.100@x"),
    ] {
        let host = Host::new()?;
        host.bridge("br-lan.100@x")?;
        let tap = host.tap("vnet1", Some("br-lan.100@x"))?;
        let mut client = RawClient::new(tap, slash32_tests::guest_mac(1));
        let agent = link_file(&host, "", "br-lan.100@x", &address(HOME))?;
        let mut unit = Unit::start(&host, &agent, name, socket)?;
        unit.prepare()?;
        let got = client.bind()?.yiaddr;
        ensure!(got == HOME, "{name}: bound as {got}");
        unit.stop()?;
        ensure!(host.route_to(HOME)?.is_none(), "{name}: the route is left");
    }
    Ok(())
}

#[test]
fn what_cannot_be_served_is_refused_in_one_sentence_and_nothing_is_left_behind() -> Result<()> {
    struct Case {
        what: &'static str,
        links: &'static str,
        file: Option<&'static str>,
        said: &'static str,
    }
    const FILE: Option<&str> = Some("address = \"203.0.113.77\"\n");
    const BRIDGE: &str = "link add virbr1 type bridge\nlink set virbr1 up\n";
    let cases = [
        Case {
            what: "no link",
            links: "",
            file: FILE,
            said: "there is no link virbr1",
        },
        Case {
            what: "no file",
            links: BRIDGE,
            file: None,
            said: "links/virbr1.toml: No such file",
        },
        Case {
            what: "a wrong file",
            links: BRIDGE,
            file: Some("address = \"203.0.113\"\n"),
            said: "links/virbr1.toml:1:11: address: \"203.0.113\" is not an IPv4 address",
        },
        Case {
            what: "a link that is down",
            links: "link add virbr1 type bridge\n",
            file: FILE,
            said: "ip link set virbr1 up",
        },
        Case {
            what: "a foreign address",
            links: "link add virbr1 type bridge\nlink set virbr1 up\naddr add 192.0.2.1/24 dev virbr1\n",
            file: FILE,
            said: "virbr1 is refused: carries the foreign address 192.0.2.1/24",
        },
        Case {
            what: "a port of a bridge",
            links: "link add br0 type bridge\nlink add virbr1 type veth peer name x\nlink set virbr1 master br0 up\n",
            file: FILE,
            said: "a port of a bridge",
        },
        Case {
            what: "no bridge and no tap",
            links: "link add virbr1 type veth peer name x\nlink set virbr1 up\n",
            file: FILE,
            said: "a veth is neither a bridge nor a tap",
        },
        Case {
            what: "a bridge with a port that is no VM's",
            links: "link add virbr1 type bridge\nlink set virbr1 up\nlink add vx0 type vxlan id 5 dstport 4789 local 127.0.0.1\nlink set vx0 master virbr1\n",
            file: FILE,
            said: "virbr1 is refused: carries the port vx0",
        },
        Case {
            what: "a route in the way",
            links: "link add virbr1 type bridge\nlink set virbr1 up\nlink add br9 type bridge\nlink set br9 up\nroute add 203.0.113.77/32 dev br9 metric 1\n",
            file: FILE,
            said: "another route to 203.0.113.77/32 with metric 1 is in the way",
        },
    ];
    for case in cases {
        let what = case.what;
        let host = Host::new()?;
        host.namespace().ip_batch(case.links)?;
        let agent = Agent::prepare(&host, "")?;
        if let Some(file) = case.file {
            write_link_file(&agent, "virbr1", file)?;
        }
        let unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
        let said = unit.fails()?;
        ensure!(said.contains(case.said), "{what}: {said}");
        let of_ours = host.namespace().ip("route show proto 132")?;
        ensure!(of_ours.is_empty(), "{what} left {of_ours}");
        let gateway = host.namespace().ip("-o -4 addr")?;
        ensure!(!gateway.contains("169.254.0.1"), "{what} left {gateway}");
        let folder = unit.socket.with_file_name("");
        let left: Vec<_> = fs::read_dir(folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.ends_with(".sock"))
            .collect();
        ensure!(left.is_empty(), "{what} left {left:?}");
    }
    Ok(())
}

#[test]
fn without_a_responder_the_sentence_names_the_socket_and_the_unit() -> Result<()> {
    let host = Host::new()?;
    host.bridge("virbr1")?;
    let agent = link_file(&host, "", "virbr1", &address(HOME))?;
    let mut unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    let mut responder = unit.responder.take().context("no responder")?;
    responder.signal(Signal::SIGKILL)?;
    responder.wait(BOUND)?;
    fs::remove_file(&unit.socket)?;
    let said = unit.fails()?;
    let socket = unit.socket.display();
    ensure!(
        said.contains(&format!(
            "{socket}: no responder answers there: systemctl start slash32-responder@virbr1"
        )),
        "{said}"
    );
    ensure!(host.route_to(HOME)?.is_none());
    Ok(())
}
