//! Links that are served without an agent, as `slash32-responder@LINK.service` does it: the cases play systemd.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use slash32_tests::{
    Agent, GATEWAY, Host, Process, RawClient, RouteMonitor, Software, binary, dhcp::message_type,
    expect, static_network, until, vm_address,
};
use std::{
    fs,
    net::Ipv4Addr,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

const BOUND: Duration = Duration::from_secs(15);
/// nobody and nogroup: as good as DynamicUser= for what a responder may do.
const NOBODY: u32 = 65534;
const HOME: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 77);

/// A started instance of `slash32-responder@.service` with its socket.
struct Unit<'a> {
    host: &'a Host,
    config: PathBuf,
    name: String,
    listener: OwnedFd,
    socket: PathBuf,
    program: PathBuf,
    responder: Option<Process>,
}

impl<'a> Unit<'a> {
    /// Starts the responder of `name` beside `agent`, which need not run. `path` is what systemd makes of `%I`.
    fn start(host: &'a Host, agent: &Agent<'_>, name: &str, path: &str) -> Result<Self> {
        let config = agent.config_file();
        let folder = config.parent().context("no folder")?;
        let path = folder.join(format!("run/standalone/{path}.sock"));
        fs::create_dir_all(path.parent().context("no folder")?)?;
        let listener = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        bind(listener.as_raw_fd(), &UnixAddr::new(&path)?)?;
        listen(&listener, Backlog::new(8)?)?;
        // Where nobody may read and execute it.
        let program = tempfile::Builder::new()
            .prefix("s32-responder-")
            .tempfile_in("/tmp")?
            .into_temp_path()
            .keep()?;
        fs::copy(binary("slash32-responder")?, &program)?;
        let mut unit = Self {
            host,
            config,
            name: name.to_owned(),
            listener,
            socket: path,
            program,
            responder: None,
        };
        unit.start_responder()?;
        Ok(unit)
    }

    /// The main process: without a right, as a user of its own, its listening socket as standard input.
    fn start_responder(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .stdin(Stdio::from(self.listener.try_clone()?))
            .uid(NOBODY)
            .gid(NOBODY);
        self.responder = Some(self.host.namespace().spawn(&mut command)?);
        Ok(())
    }

    fn once(&self, arguments: &[&str], result: Option<&str>) -> Result<Output> {
        let mut command = Command::new(binary("slash32-agent")?);
        command
            .arg("--config")
            .arg(&self.config)
            .args(["--once", &self.name])
            .args(arguments)
            .env_remove("SERVICE_RESULT");
        if let Some(result) = result {
            command.env("SERVICE_RESULT", result);
        }
        self.host.namespace().output(&mut command)
    }

    /// `ExecStartPost=`. Errors: what it said, when it did not succeed.
    fn prepare(&self) -> Result<String> {
        let output = self.once(&[], None)?;
        ensure!(output.status.success(), "--once failed: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The one sentence in which `ExecStartPost=` fails.
    fn fails(&self) -> Result<String> {
        let output = self.once(&[], None)?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(1), "it did not fail: {said}");
        Ok(said)
    }

    /// `ExecStopPost=`.
    fn withdraw(&self, result: &str) -> Result<()> {
        let output = self.once(&["--withdraw"], Some(result))?;
        ensure!(output.status.success(), "--withdraw failed: {output:?}");
        Ok(())
    }

    /// SIGTERM, the socket's end, `ExecStopPost=`.
    fn stop(&mut self) -> Result<()> {
        let mut responder = self.responder.take().context("no responder")?;
        responder.signal(Signal::SIGTERM)?;
        responder.wait(BOUND)?;
        self.withdraw("success")?;
        Ok(fs::remove_file(&self.socket)?)
    }
}

impl Drop for Unit<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.program);
    }
}

/// A config beside which the file of `link` says `text`.
fn link_file<'h>(host: &'h Host, config: &str, link: &str, text: &str) -> Result<Agent<'h>> {
    let agent = Agent::prepare(host, config)?;
    write_link_file(&agent, link, text)?;
    Ok(agent)
}

fn write_link_file(agent: &Agent<'_>, link: &str, text: &str) -> Result<()> {
    let folder = agent.config_file().with_file_name("links");
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(format!("{link}.toml")), text)?)
}

fn address(address: Ipv4Addr) -> String {
    format!("address = \"{address}\"\n")
}

fn is_renewed(client: &mut RawClient, ack: &slash32_tests::dhcp::Message) -> Result<()> {
    let renewal = client.renewing(ack);
    let answer = expect(message_type::ACK, client.ask(&renewal)?)?;
    ensure!(answer.yiaddr == ack.yiaddr, "renewed as {}", answer.yiaddr);
    Ok(())
}

fn addresses(host: &Host, link: &str) -> Result<String> {
    host.namespace().ip(&format!("-o -4 addr show dev {link}"))
}

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

#[test]
fn a_link_of_a_running_agent_stays_the_agents() -> Result<()> {
    let host = Host::new()?;
    let mut client = host.raw_vm(1)?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    write_link_file(&agent, "virbr1", &address(HOME))?;
    let unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    let said = unit.fails()?;
    ensure!(
        said.contains("virbr1 is slash32-agent's, as a link of network public")
            && said.contains("\"!virbr1\""),
        "{said}"
    );
    is_renewed(&mut client, &ack)?;
    ensure!(ack.yiaddr == vm_address(1) && host.route_to(HOME)?.is_none());
    Ok(())
}

#[test]
fn a_link_that_no_network_of_a_running_agent_claims_is_served_beside_it() -> Result<()> {
    let host = Host::new()?;
    let mut own = host.raw_vm(1)?;
    host.bridge("br-lan")?;
    let tap = host.tap("vnet2", Some("br-lan"))?;
    let mut alone = RawClient::new(tap, slash32_tests::guest_mac(2));
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    write_link_file(&agent, "br-lan", &address(HOME))?;
    let unit = Unit::start(&host, &agent, "br-lan", "br/lan")?;
    unit.prepare()?;
    let (ack, own_ack) = (alone.bind()?, own.bind()?);
    let routes = RouteMonitor::open(host.namespace())?;
    // Whatever makes an agent look at every link, and at every route of ours.
    agent.json(&["reload"])?;
    agent.kill()?;
    agent.restart()?;
    agent.wait("virbr1", "bound", BOUND)?;
    is_renewed(&mut alone, &ack)?;
    is_renewed(&mut own, &own_ack)?;
    let changes = routes.changes();
    ensure!(changes.is_empty(), "{changes:?}");
    ensure!(agent.row("br-lan")?.is_none());
    ensure!(addresses(&host, "br-lan")?.contains("169.254.0.1/32"));
    Ok(())
}

#[test]
fn an_agent_that_comes_later_leaves_a_link_that_it_claims_until_its_unit_stops() -> Result<()> {
    let host = Host::new()?;
    let mut client = host.raw_vm(1)?;
    let mut agent = link_file(
        &host,
        &static_network(&[("virbr1", 1)], ""),
        "virbr1",
        &address(HOME),
    )?;
    let mut unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    unit.prepare()?;
    let ack = client.bind()?;
    agent.restart()?;
    let row = agent.wait("virbr1", "failed", BOUND)?;
    let reason = row["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains("systemctl disable --now slash32-responder@virbr1"),
        "{row}"
    );
    ensure!(row["responder"].is_null(), "{row}");
    // Also after a crash, when it is prepared once more.
    unit.prepare()?;
    is_renewed(&mut client, &ack)?;
    ensure!(host.route_to(HOME)?.is_some());
    unit.stop()?;
    agent.wait("virbr1", "ready", BOUND)?;
    let got = client.bind()?.yiaddr;
    ensure!(got == vm_address(1), "bound as {got}");
    agent.wait("virbr1", "bound", BOUND)?;
    ensure!(host.route_to(HOME)?.is_none());
    Ok(())
}

#[test]
fn what_a_unit_has_left_that_stopped_after_a_crash_is_taken_off_by_a_running_agent() -> Result<()> {
    let host = Host::new()?;
    host.bridge("br-lan")?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    write_link_file(&agent, "br-lan", &address(HOME))?;
    let mut unit = Unit::start(&host, &agent, "br-lan", "br/lan")?;
    unit.prepare()?;
    let mut responder = unit.responder.take().context("no responder")?;
    responder.signal(Signal::SIGKILL)?;
    responder.wait(BOUND)?;
    unit.withdraw("signal")?;
    agent.json(&["reload"])?;
    ensure!(host.route_to(HOME)?.is_some(), "the next responder's route");
    // systemctl stop, before the restart: the socket goes, and nothing is run.
    fs::remove_file(&unit.socket)?;
    agent.json(&["reload"])?;
    until("the route to go", BOUND, || {
        Ok(host.route_to(HOME)?.is_none().then_some(()))
    })?;
    until("the gateway's address to go", BOUND, || {
        Ok(addresses(&host, "br-lan")?.is_empty().then_some(()))
    })
}

#[test]
fn a_responder_that_an_agent_has_left_keeps_its_link() -> Result<()> {
    let host = Host::new()?;
    let mut client = host.raw_vm(1)?;
    let mut agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    let ack = client.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    agent.stop()?;
    write_link_file(&agent, "virbr1", &address(HOME))?;
    let unit = Unit::start(&host, &agent, "virbr1", "virbr1")?;
    let said = unit.fails()?;
    ensure!(
        said.contains("run/responder/virbr1.sock: a responder that slash32-agent has left"),
        "{said}"
    );
    is_renewed(&mut client, &ack)
}

#[test]
fn withdraw_ends_what_a_stopped_agent_has_left_deaf_responders_too_and_nothing_else() -> Result<()>
{
    let host = Host::new()?;
    let mut clients = [host.raw_vm(1)?, host.raw_vm(2)?];
    host.bridge("br-lan")?;
    let tap = host.tap("vnet3", Some("br-lan"))?;
    let mut alone = RawClient::new(tap, slash32_tests::guest_mac(3));
    let network = static_network(&[("virbr1", 1), ("virbr2", 2)], "");
    let mut agent = Agent::start(&host, &network)?;
    for client in &mut clients {
        client.bind()?;
    }
    let mut responders = Vec::new();
    for link in ["virbr1", "virbr2"] {
        agent.wait(link, "bound", BOUND)?;
        responders.push(agent.responder(link)?);
    }
    write_link_file(&agent, "br-lan", &address(HOME))?;
    let unit = Unit::start(&host, &agent, "br-lan", "br/lan")?;
    unit.prepare()?;
    let ack = alone.bind()?;
    let config = agent.config_file();
    let withdraw = || {
        let mut command = Command::new(binary("slash32-agent")?);
        command.arg("--config").arg(&config).arg("--withdraw");
        host.namespace().output(&mut command)
    };
    let output = withdraw()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(
        output.status.code() == Some(1) && said.contains("systemctl stop slash32-agent"),
        "it was withdrawn under a running agent: {said}"
    );
    agent.signal(Signal::SIGTERM)?;
    agent.process()?.wait(BOUND)?;
    host.namespace().signal(responders[0], "STOP")?;
    let output = withdraw()?;
    ensure!(output.status.success(), "{output:?}");
    for (pid, number) in responders.into_iter().zip(1..) {
        until("a responder to end", BOUND, || {
            Ok((!host.namespace().has_process(pid)).then_some(()))
        })?;
        ensure!(host.route_to(vm_address(number))?.is_none());
        ensure!(addresses(&host, &format!("virbr{number}"))?.is_empty());
    }
    let left = fs::read_dir(agent.config_file().with_file_name("run/responder"))?.count();
    ensure!(left == 0, "{left} sockets are left");
    is_renewed(&mut alone, &ack)?;
    ensure!(host.route_to(HOME)?.is_some());
    Ok(())
}
