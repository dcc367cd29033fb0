//! The Debian package in a booted Debian: what an operator does with it, from the installation to the purge.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{
    Capture, Change, Client, Container, ContainerFiles, GATEWAY, Guest, Host, RouteMonitor,
    Software, dhcp::message_type, static_network, until, vm_address,
};
use std::{collections::BTreeSet, fs, time::Duration};

/// For what the host does; the machine may be busy with other cases.
const BOUND: Duration = Duration::from_secs(30);
/// VM 13 is behind this bridge, and has the address 203.0.113.13.
const LINK: &str = "virbr13";
const VM: u16 = 13;
/// What `slash32 hook install` puts there.
const HOOK: &str = "/etc/libvirt/hooks/qemu.d/slash32";
/// Of a lease that is renewed every second.
const TIMES: &str = "lease-time = \"60s\"\nt1 = \"1s\"\nt2 = \"50s\"";

#[test]
fn an_installed_agent_serves_nothing_before_a_network_is_configured() -> Result<()> {
    let host = Host::new()?;
    host.bridge(LINK)?;
    let container = Container::boot(&host, &ContainerFiles::prepared()?)?;
    container.install(&ContainerFiles::prepared()?.package()?)?;
    ensure!(container.is_active("slash32-agent")?, "it is not started");
    for unit in ["slash32-agent.service", "slash32.target"] {
        let enabled = container.property(unit, "UnitFileState")?;
        ensure!(enabled == "enabled", "{unit} is {enabled}");
    }
    let status = container.property("slash32-agent", "StatusText")?;
    ensure!(status.contains("no network configured"), "{status:?}");
    let rows = container.slash32(&["list"])?;
    ensure!(rows == serde_json::json!([]), "{rows}");
    ensure!(
        host.namespace()
            .ip_json(&format!("-4 addr show {LINK}"))?
            .is_empty()
    );
    Ok(())
}

#[test]
fn no_limit_of_systemd_keeps_the_agent_from_thousands_of_links() -> Result<()> {
    let host = Host::new()?;
    let container = configured(&host)?;
    let pid = main_pid(&container)?;
    let limits = container.sh(&format!(
        "awk '/Max open files/ {{ print $4, $5 }}' /proc/{pid}/limits"
    ))?;
    let (soft, hard) = limits.split_once(' ').context("no limit")?;
    ensure!(
        soft == hard && hard.parse::<u64>()? > 10_000,
        "open files: {limits}"
    );
    let tasks = container.property("slash32-agent", "TasksMax")?;
    ensure!(tasks == "infinity", "TasksMax={tasks}");
    Ok(())
}

#[test]
fn a_vm_gets_its_address_and_is_reached_both_ways() -> Result<()> {
    let host = Host::new()?;
    let container = configured(&host)?;
    let vm = Vm::start(&host, &container)?;
    let route = host.route_to(vm_address(VM))?.context("no host route")?;
    // The name comes from the package's file in /etc/iproute2/rt_protos.d.
    let named = container.sh(&format!("ip route show {}", vm_address(VM)))?;
    ensure!(named.contains("proto slash32"), "{named} {route}");
    vm.guest.ping(GATEWAY)?;
    container.sh(&format!("ping -c 1 -W 5 {}", vm_address(VM)))?;
    let user = container.sh(&format!("ps -o user:32= -p {}", responder(&container)?))?;
    ensure!(user == "slash32-responder", "the responder runs as {user}");
    Ok(())
}

#[test]
fn the_journal_tells_the_story_of_one_link() -> Result<()> {
    let host = Host::new()?;
    let container = configured(&host)?;
    let _vm = Vm::start(&host, &container)?;
    host.bridge("virbr14")?;
    container.wait_link("virbr14", "idle", BOUND)?;
    let story = container.sh(&format!("journalctl --output=cat LINK={LINK}"))?;
    let address = vm_address(VM).to_string();
    ensure!(story.contains(&address), "no {address} in: {story}");
    ensure!(!story.contains("virbr14"), "another link is in: {story}");
    Ok(())
}

#[test]
fn restarting_and_stopping_the_agent_leaves_the_responders_serving() -> Result<()> {
    let host = Host::new()?;
    let container = configured(&host)?;
    let vm = Vm::start(&host, &container)?;
    let (before, agent) = (responder(&container)?, main_pid(&container)?);
    container.sh("systemctl restart slash32-agent")?;
    ensure!(
        main_pid(&container)? != agent,
        "the agent was not restarted"
    );
    container.wait_link(LINK, "bound", BOUND)?;
    ensure!(
        responder(&container)? == before,
        "the responder was not adopted"
    );
    container.sh("systemctl stop slash32-agent")?;
    ensure!(
        is_running(&container, before),
        "the responder ended with the agent"
    );
    vm.sees_renewals(2)?;
    ensure!(
        host.route_to(vm_address(VM))?.is_some(),
        "the route went with the agent"
    );
    container.sh("systemctl start slash32-agent")?;
    container.wait_link(LINK, "bound", BOUND)?;
    ensure!(
        responder(&container)? == before,
        "the responder was not adopted"
    );
    Ok(())
}

#[test]
fn a_responder_that_is_stopped_under_a_restarted_agent_is_ended_and_replaced() -> Result<()> {
    let host = Host::new()?;
    let container = configured(&host)?;
    let _vm = Vm::start(&host, &container)?;
    let stopped = responder(&container)?;
    container.sh(&format!("kill -STOP {stopped}"))?;
    container.sh("systemctl restart slash32-agent")?;
    until("the end of the stopped responder", BOUND, || {
        Ok((!is_running(&container, stopped)).then_some(()))
    })?;
    container.wait_link(LINK, "bound", BOUND)?;
    ensure!(responder(&container)? != stopped, "it is still shown");
    // The one request that it did not answer is sent again, and the next ones are answered at once.
    let acked_at = || -> Result<serde_json::Value> {
        Ok(container.slash32(&["list"])?[0]["lease"]["acked_at"].clone())
    };
    let before = acked_at()?;
    until("the next renewal", BOUND, || {
        let now = acked_at()?;
        Ok((now.is_string() && now != before).then_some(()))
    })
}

#[test]
fn stopping_the_target_stops_everything() -> Result<()> {
    let host = Host::new()?;
    let container = configured(&host)?;
    let _vm = Vm::start(&host, &container)?;
    let before = responder(&container)?;
    container.sh("systemctl stop slash32.target")?;
    ensure!(
        !container.is_active("slash32-agent")?,
        "the agent is active"
    );
    ensure!(!is_running(&container, before), "the responder runs");
    nothing_runs(&container)?;
    container.sh("systemctl start slash32.target")?;
    container.wait_link(LINK, "bound", BOUND)?;
    Ok(())
}

#[test]
fn a_responder_that_is_killed_is_replaced_while_the_route_stays() -> Result<()> {
    let host = Host::new()?;
    let container = configured(&host)?;
    let vm = Vm::start(&host, &container)?;
    let routes = RouteMonitor::open(host.namespace())?;
    let before = responder(&container)?;
    container.sh(&format!("kill -KILL {before}"))?;
    until("another responder", BOUND, || {
        let rows = container.slash32(&["list"])?;
        let pid = rows[0]["responder"]["pid"].as_u64();
        Ok(pid.filter(|pid| *pid != before && is_running(&container, *pid)))
    })?;
    vm.sees_acknowledged_renewals(2)?;
    routes_stayed(&routes)
}

#[test]
fn an_upgrade_adopts_the_responder_of_a_vm_that_renews_all_the_while() -> Result<()> {
    let host = Host::new()?;
    let files = ContainerFiles::prepared()?;
    let container = Container::boot(&host, &files)?;
    container.install(&files.previous_package()?)?;
    configure(&container)?;
    let vm = Vm::start(&host, &container)?;
    let routes = RouteMonitor::open(host.namespace())?;
    let (before, agent) = (responder(&container)?, main_pid(&container)?);
    container.install(&files.package()?)?;
    ensure!(main_pid(&container)? != agent, "the old agent still runs");
    container.wait_link(LINK, "bound", BOUND)?;
    ensure!(
        responder(&container)? == before,
        "the responder was not adopted"
    );
    vm.sees_renewals(3)?;
    vm.lost_no_renewal()?;
    let config = container.sh("cat /etc/slash32/slash32.toml")?;
    ensure!(
        config.contains("[[network]]"),
        "the upgrade changed the config"
    );
    routes_stayed(&routes)
}

#[test]
fn a_removal_stops_everything_and_keeps_config_and_store_for_the_next_installation() -> Result<()> {
    let host = Host::new()?;
    let container = configured(&host)?;
    let _vm = Vm::start(&host, &container)?;
    container.sh("slash32 hook install")?;
    container.sh("dpkg --remove slash32")?;
    nothing_runs(&container)?;
    // libvirt still calls it, and a complaint would keep VMs from starting.
    let hook = container.output(HOOK, &["vm13", "start", "begin", "-"])?;
    ensure!(hook.status.success() && hook.stderr.is_empty(), "{hook:?}");
    for gone in [
        "/usr/sbin/slash32-agent",
        "/usr/lib/systemd/system/slash32-agent.service",
    ] {
        ensure!(!container.path(gone).exists(), "{gone} is still there");
    }
    for kept in ["/etc/slash32/slash32.toml", "/var/lib/slash32/slash32.redb"] {
        ensure!(container.path(kept).exists(), "{kept} is gone");
    }
    container.install(&ContainerFiles::prepared()?.package()?)?;
    container.wait_link(LINK, "bound", BOUND)?;
    Ok(())
}

#[test]
fn a_purge_leaves_nothing() -> Result<()> {
    /// Everything but what dpkg and the journal write about it.
    const FILES: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /root -o \
        -path /var/lib/dpkg -o -path /var/log \\) -prune -o -print; ls -d /run/slash32* /run/systemd/system/slash32* \
        2>/dev/null; getent passwd; getent group; sort /etc/subuid /etc/subgid 2>/dev/null";
    let host = Host::new()?;
    let container = Container::boot(&host, &ContainerFiles::prepared()?)?;
    container
        .sh("mkdir -p /etc/libvirt/hooks/network.d && touch /etc/libvirt/hooks/network.d/own")?;
    let before = container.sh(FILES)?;
    container.install(&ContainerFiles::prepared()?.package()?)?;
    configure(&container)?;
    let _vm = Vm::start(&host, &container)?;
    container.sh("slash32 hook install")?;
    let installed = container.sh(FILES)?;
    ensure!(installed.contains("slash32-responder:x:"), "it has no user");
    ensure!(installed.contains(HOOK), "it has no hook");
    container.sh("dpkg --purge slash32")?;
    nothing_runs(&container)?;
    let after = container.sh(FILES)?;
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) =
        (before.lines().collect(), after.lines().collect());
    let left: Vec<_> = after.difference(&before).collect();
    ensure!(left.is_empty(), "left behind: {left:#?}");
    let missing: Vec<_> = before.difference(&after).collect();
    ensure!(missing.is_empty(), "taken away: {missing:#?}");
    Ok(())
}

/// Names that systemd escapes, or that look like parts of a unit's name, as an operator types them.
#[test]
fn the_template_serves_a_link_without_an_agent_whatever_its_name() -> Result<()> {
    let host = Host::new()?;
    let container = Container::boot(&host, &ContainerFiles::prepared()?)?;
    container.install(&ContainerFiles::prepared()?.package()?)?;
    container.sh("systemctl stop slash32-agent && mkdir -p /etc/slash32/links")?;
    for (number, link) in (1..).zip(["virbr13", "br-lan", "br.100", "br@x", "br-lan.100@x"]) {
        let (unit, address) = (format!("slash32-responder@{link}"), vm_address(number));
        fs::write(
            container.path(format!("/etc/slash32/links/{link}.toml")),
            format!("address = \"{address}\"\n"),
        )?;
        host.bridge(link)?;
        let guest = host.guest(link, number)?;
        container.sh(&format!("systemctl start {unit}"))?;
        let route = host.route_to(address)?.context("no host route")?;
        ensure!(route["dev"] == link, "{route}");
        let _client = guest.start(Software::Dhclient)?;
        guest.wait_configured(address, GATEWAY, BOUND)?;
        guest.ping(GATEWAY)?;
        container.sh(&format!("ping -c 1 -W 5 {address}"))?;
        let pid = container.property(&unit, "MainPID")?;
        let user = container.sh(&format!("ps -o uid= -p {pid}"))?;
        ensure!(user.trim() != "0", "the responder of {link} runs as root");
        container.sh(&format!("systemctl stop {unit}"))?;
        ensure!(host.route_to(address)?.is_none(), "{link}: the route stays");
        let addresses = host.namespace().ip_json(&format!("-4 addr show {link}"))?;
        ensure!(addresses.is_empty(), "{link}: the gateway's address stays");
    }
    nothing_runs(&container)
}

#[test]
fn a_responder_of_the_template_that_is_killed_is_replaced_while_the_route_stays() -> Result<()> {
    let host = Host::new()?;
    let container = Container::boot(&host, &ContainerFiles::prepared()?)?;
    container.install(&ContainerFiles::prepared()?.package()?)?;
    let file = format!("address = \"{}\"\n[options]\n{TIMES}\n", vm_address(VM));
    container.sh("mkdir -p /etc/slash32/links")?;
    fs::write(
        container.path(format!("/etc/slash32/links/{LINK}.toml")),
        file,
    )?;
    host.bridge(LINK)?;
    let guest = host.guest(LINK, VM)?;
    let capture = Capture::open(host.namespace(), &format!("vnet{VM}"))?;
    let unit = format!("slash32-responder@{LINK}");
    container.sh(&format!("systemctl start {unit}"))?;
    let vm = Vm {
        _client: guest.start(Software::Dhclient)?,
        guest,
        capture,
    };
    vm.sees_renewals(1)?;
    let routes = RouteMonitor::open(host.namespace())?;
    let before = container.property(&unit, "MainPID")?;
    container.sh(&format!("kill -KILL {before}"))?;
    until("another responder", BOUND, || {
        let active = container.is_active(&unit)?;
        let pid = container.property(&unit, "MainPID")?;
        Ok((active && pid != before && pid != "0").then_some(()))
    })?;
    vm.sees_acknowledged_renewals(2)?;
    // An agent that comes and goes leaves it alone.
    container.sh("systemctl restart slash32-agent && systemctl stop slash32-agent")?;
    vm.sees_acknowledged_renewals(2)?;
    routes_stayed(&routes)?;
    container.sh("systemctl stop slash32.target")?;
    nothing_runs(&container)?;
    ensure!(host.route_to(vm_address(VM))?.is_none(), "the route stays");
    Ok(())
}

/// A booted system with the package in it and a network in force.
fn configured(host: &Host) -> Result<Container<'_>> {
    let files = ContainerFiles::prepared()?;
    let container = Container::boot(host, &files)?;
    container.install(&files.package()?)?;
    configure(&container)?;
    Ok(container)
}

/// Writes a network into the config that the package brought, and has the agent read it.
fn configure(container: &Container) -> Result<()> {
    let text = static_network(&[(LINK, VM)], TIMES);
    fs::write(container.path("/etc/slash32/slash32.toml"), text)?;
    container
        .sh("slash32 check && systemctl reload slash32-agent")
        .map(drop)
}

/// A VM with dhclient in it, which renews every second.
struct Vm {
    // Before the guest, which ends when all that runs in it has.
    _client: Client,
    guest: Guest,
    capture: Capture,
}

impl Vm {
    fn start(host: &Host, container: &Container) -> Result<Self> {
        host.bridge(LINK)?;
        let guest = host.guest(LINK, VM)?;
        let capture = Capture::open(host.namespace(), &format!("vnet{VM}"))?;
        container.wait_link(LINK, "ready", BOUND)?;
        let client = guest.start(Software::Dhclient)?;
        container.wait_link(LINK, "bound", BOUND)?;
        let vm = Self {
            guest,
            capture,
            _client: client,
        };
        vm.sees_renewals(1)?;
        Ok(vm)
    }

    /// Waits for so many more renewals that were acknowledged.
    fn sees_renewals(&self, count: usize) -> Result<()> {
        let seen = self.exchanges()?.len();
        // REQUEST and ACK; the first may be one that began before.
        let wanted = seen + 2 * count + 1;
        until(&format!("{count} renewals"), BOUND, || {
            Ok((self.exchanges()?.len() >= wanted).then_some(()))
        })?;
        self.lost_no_renewal()
    }

    /// Waits for so many more renewals that were acknowledged, even if one was not at first.
    fn sees_acknowledged_renewals(&self, count: usize) -> Result<()> {
        let acknowledged = || -> Result<usize> {
            let all = self.exchanges()?;
            Ok(all
                .iter()
                .filter(|kind| **kind == message_type::ACK)
                .count())
        };
        let wanted = acknowledged()? + count;
        until(&format!("{count} renewals"), BOUND, || {
            Ok((acknowledged()? >= wanted).then_some(()))
        })
    }

    /// Every renewal was acknowledged before the next, and none was refused.
    fn lost_no_renewal(&self) -> Result<()> {
        let exchanges = self.exchanges()?;
        let answers = exchanges.iter().skip(1).step_by(2);
        let requests = exchanges.iter().step_by(2);
        let in_turn = requests.clone().all(|kind| *kind == message_type::REQUEST)
            && answers.clone().all(|kind| *kind == message_type::ACK);
        ensure!(in_turn, "not a REQUEST and an ACK in turn: {exchanges:?}");
        Ok(())
    }

    /// The types of the messages since the VM asked for an address, without DISCOVER and OFFER.
    fn exchanges(&self) -> Result<Vec<u8>> {
        let messages = self.capture.messages()?.into_iter();
        Ok(messages
            .map(|(_, message)| message.message_type())
            .filter(|kind| ![message_type::DISCOVER, message_type::OFFER].contains(kind))
            .collect())
    }
}

/// The pid of the responder of [`LINK`], as the system counts.
fn responder(container: &Container) -> Result<u64> {
    let rows = container.slash32(&["list"])?;
    let pid = rows[0]["responder"]["pid"].as_u64();
    pid.with_context(|| format!("no responder in {rows}"))
}

fn main_pid(container: &Container) -> Result<u64> {
    Ok(container.property("slash32-agent", "MainPID")?.parse()?)
}

fn is_running(container: &Container, pid: u64) -> bool {
    container.path(format!("/proc/{pid}/stat")).exists()
}

/// No program of the package runs.
fn nothing_runs(container: &Container) -> Result<()> {
    let running = container.output("pgrep", &["--list-full", "slash32"])?;
    let running = String::from_utf8_lossy(&running.stdout).into_owned();
    ensure!(running.is_empty(), "still running: {running}");
    Ok(())
}

/// The host route to the VM was not taken away for a moment.
fn routes_stayed(routes: &RouteMonitor) -> Result<()> {
    let changes = routes.changes();
    let gone = |change: &&slash32_tests::RouteChange| {
        change.change == Change::Deleted && change.to == vm_address(VM)
    };
    let gone = changes.iter().find(gone);
    ensure!(gone.is_none(), "the route blinked: {changes:#?}");
    Ok(())
}
