//! `cargo xtask demo`: the whole of slash32 to watch, in private namespaces.
//!
//! ```text
//!   vm1 ── virbr1 ─┐
//!   vm2 ── virbr2 ─┼─ hypervisor ══ iBGP ══ fabric
//!   vm3 ── tap3 ───┘
//! ```
//!
//! The agent runs first and the VMs appear afterwards, one by one, each with another DHCP client. The fabric's router has no
//! route to any VM of its own: what it reaches, it learnt from the hypervisor's BIRD, which took it from the agent's routes.
//! Every claim on the screen was checked before it was printed; the first that does not hold ends the demo with an error.

use crate::guest;
use crate::step::step;
use crate::vm::{Behind, Machine, Vm};
use crate::{cargo, packages, privilege};
use anyhow::{Context, Result};
use slash32_tests::bird::{self, Bird, Role};
use slash32_tests::{Agent, BootFiles, Fabric, Host, Namespace, Software, until};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How long the machine may take for one thing before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The agent's configuration, without `[agent]`, which holds paths of this run.
const CONFIG: &str = r#"
[options]
dns = ["9.9.9.9"]

[[network]]
name = "public"
links = ["virbr*", "tap3"]
gateway = "169.254.0.1"
allocation = "automatic"

[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.99"]

[[network.reservation]]
link = "tap3"
address = "203.0.113.7"
"#;

/// The harness's addresses on the link between hypervisor and fabric, and the static route that BGP replaces here.
const HYPERVISOR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FABRIC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const STATIC_ROUTE: &str = "203.0.113.0/24";

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Boot a real virtual machine behind virbr2 (QEMU, without KVM) instead of udhcpc in a namespace
    #[arg(long)]
    qemu: bool,
    /// Keep everything running until Enter is pressed, and say how to look inside
    #[arg(long)]
    keep: bool,
}

/// Prepares what needs no root, goes on as root, shows, and takes everything down.
///
/// # Errors
/// When something is missing, a VM did not get its address, or the fabric does not reach it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    privilege::ask("The demo runs in network namespaces of its own, and making them needs root.")?;
    let mut wanted = [packages::NETWORK, packages::BIRD].concat();
    wanted.extend(
        arguments
            .qemu
            .then_some(packages::QEMU)
            .into_iter()
            .flatten(),
    );
    packages::install(&wanted)?;
    let programs = cargo::programs(false)?;
    let files = arguments
        .qemu
        .then(|| anyhow::Ok(BootFiles::at(&guest::prepare(&cargo::cache()?)?)))
        .transpose()?;
    privilege::continue_as_root(&programs)?;
    show(arguments, files)
}

fn show(arguments: &Arguments, files: Option<BootFiles>) -> Result<()> {
    let start = Instant::now();
    picture(arguments.qemu);
    let (host, fabric) = step("hypervisor and fabric, in namespaces", || {
        let host = Host::new()?;
        let fabric = host.fabric()?;
        fabric
            .namespace()
            .ip(&format!("route del {STATIC_ROUTE}"))?;
        Ok((host, fabric))
    })?;
    let _birds = step("BIRD on both, an iBGP session", || peer(&host, &fabric))?;
    let mut agent = step("slash32-agent", || Agent::start(&host, CONFIG))?;

    let second = files.map_or(Machine::Namespace(Software::Udhcpc), Machine::Qemu);
    let plan = [
        (
            Behind::Bridge("virbr1"),
            Machine::Namespace(Software::Dhclient),
        ),
        (Behind::Bridge("virbr2"), second),
        (Behind::Tap("tap3"), Machine::Namespace(Software::Dhcpcd)),
    ];
    let mut vms = Vec::new();
    for (number, (behind, machine)) in (1..).zip(plan) {
        let name = format!("vm{number}: {} behind {}", machine.name(), behind.kind());
        vms.push(step(&name, || {
            bind(&host, &agent, number, behind, machine)
        })?);
    }
    step("the fabric learns every VM's route", || {
        learn(&fabric, &vms)
    })?;

    println!("\nWhat each VM has now");
    for vm in &vms {
        println!(
            "\n  vm{} ({}, {})",
            vm.number(),
            vm.machine(),
            vm.behind().kind()
        );
        indent(&vm.network()?);
    }
    report(&agent, &host, &fabric)?;
    println!("\nPing from the fabric's router");
    for vm in &vms {
        let took = ping(fabric.namespace(), vm.address())
            .with_context(|| format!("the fabric does not reach vm{}", vm.number()))?;
        println!(
            "  vm{}  {:<14} {took}",
            vm.number(),
            vm.address().to_string()
        );
    }
    println!(
        "\nThree VMs, three clients, three /32s, {:.0} s.",
        start.elapsed().as_secs_f64()
    );
    if arguments.keep {
        keep(&agent, &host, &fabric, &vms)?;
    }
    agent.hush();
    vms.iter_mut().for_each(Vm::hush);
    step("take everything down", || {
        drop((vms, agent));
        Ok(())
    })
}

fn picture(qemu: bool) {
    let second = if qemu { "QEMU" } else { "udhcpc" };
    println!(
        "
  vm1 dhclient ── virbr1 ─┐
  vm2 {second:<8} ── virbr2 ─┼─ hypervisor ══ iBGP ══ fabric
  vm3 dhcpcd   ── tap3 ───┘  (slash32-agent)

Everything is in namespaces made for this run; the machine's own interfaces are not touched.
"
    );
}

fn peer(host: &Host, fabric: &Fabric) -> Result<[Bird; 2]> {
    let birds = [
        Bird::start(fabric.namespace(), Role::Router, &[(FABRIC, HYPERVISOR)])?,
        Bird::start(host.namespace(), Role::Hypervisor, &[(HYPERVISOR, FABRIC)])?,
    ];
    bird::established(fabric.namespace(), PATIENCE)?;
    Ok(birds)
}

/// Makes the VM's link, starts the VM, and waits until the guest has what the agent says it should have.
fn bind(host: &Host, agent: &Agent, number: u16, behind: Behind, machine: Machine) -> Result<Vm> {
    let mut vm = Vm::start(host, number, behind, machine)?;
    let row = agent.wait(behind.link(), "bound", PATIENCE)?;
    let address = row["address"]
        .as_str()
        .context("a bound link has an address")?
        .parse()?;
    vm.configured(address, PATIENCE)?;
    Ok(vm)
}

fn learn(fabric: &Fabric, vms: &[Vm]) -> Result<()> {
    for vm in vms {
        let address = vm.address();
        until(
            &format!("a route to {address} in the fabric"),
            PATIENCE,
            || {
                Ok(fabric
                    .namespace()
                    .ip_json(&format!("route show {address}/32"))?
                    .into_iter()
                    .next())
            },
        )?;
    }
    Ok(())
}

/// Shows the same thing from three sides: the operator's, the kernel's, the fabric's.
fn report(agent: &Agent, host: &Host, fabric: &Fabric) -> Result<()> {
    println!("\nslash32 list");
    let output = agent.cli(&["list"])?;
    anyhow::ensure!(
        output.status.success(),
        "slash32 list failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    indent(&String::from_utf8_lossy(&output.stdout));
    println!("\nThe hypervisor's host routes (ip route show proto 132)");
    indent(&host.namespace().ip("route show proto 132")?);
    println!("\nWhat the fabric learnt over iBGP (ip route show proto bird)");
    indent(&fabric.namespace().ip("route show proto bird")?);
    Ok(())
}

/// Pings `address` and returns the round-trip times, as ping words them.
fn ping(from: &Namespace, address: Ipv4Addr) -> Result<String> {
    let output = from.run(
        "ping",
        &[
            "-n",
            "-q",
            "-c",
            "3",
            "-i",
            "0.2",
            "-W",
            "2",
            &address.to_string(),
        ],
    )?;
    let times = output.lines().find_map(|line| line.strip_prefix("rtt "));
    times
        .map(str::to_owned)
        .context("ping printed no round-trip times")
}

fn indent(text: &str) {
    for line in text.lines() {
        println!("    {}", line.trim_end());
    }
}

fn keep(agent: &Agent, host: &Host, fabric: &Fabric, vms: &[Vm]) -> Result<()> {
    println!("\nLook inside, from another terminal, as root:");
    let enter = |name: &str, namespace: &Namespace| {
        println!("  {name:<11} nsenter -t {} -n -m -p -u", namespace.pid())
    };
    enter("hypervisor", host.namespace());
    enter("fabric", fabric.namespace());
    for vm in vms {
        if let Some(namespace) = vm.namespace() {
            enter(&format!("vm{}", vm.number()), namespace);
        }
    }
    println!(
        "  {}",
        agent
            .cli_command(&["list"])?
            .get_args()
            .fold("slash32".to_owned(), |line, word| {
                format!("{line} {}", word.to_string_lossy())
            })
    );
    println!("\nEnter ends the demo.");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
