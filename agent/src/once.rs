//! One link, served without an agent that stays: `slash32-agent --once LINK`, and the way back, `--withdraw`.
//!
//! `slash32-responder@LINK.service` starts a responder on the socket of `slash32-responder@LINK.socket`, and then this, with
//! the rights that the responder lacks. It does for the one link what the agent does for many, by the same [`plan`]: the
//! gateway's address, the settings, the host route, the packet socket and the idle socket. The route is there before the
//! responder hears of its VM, so nothing is ever claimed. It ends when the responder says that it serves.
//!
//! What fails is taken back, if this run has done it; what an earlier run has done stays, since a VM may live by it.

mod withdraw;

use crate::encoded::EncodedBinding;
use crate::kernel::{Kernel, Request, set_ipv6};
use crate::link::{Ipv4Settings, Link, LinkTable};
use crate::plan::{
    Desired, DesiredLink, Observed, ObservedLink, ObservedResponder, Serve, Step, plan,
};
use crate::presence::{Presence, Served, is_port_or_loopback, presence};
use crate::reconcile::{facts, host_route};
use crate::responders::{connect, first_state, receive};
use crate::standalone::{Record, Standalone, reason, unescape};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use slash32_binding::{Generation, Ipv4Addr};
use slash32_control::{Client, ClientError};
use slash32_ipc::{Hello, MAX_DOWN, MAX_UP, ToAgent, ToResponder};
use slash32_policy::{Allocations, Config, Ipv6, Network, read_link_sources};
use slash32_sys::fd::AsFd;
use slash32_sys::seqpacket;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixDatagram;

/// How long the responder may take to say its first word, and that it serves.
const PATIENCE: Duration = Duration::from_secs(10);

/// `--once LINK`, `--once LINK --withdraw` or `--withdraw`. Errors: one sentence, with the next thing to do.
pub(crate) async fn run(config: &Path, link: Option<&str>, withdraw: bool) -> Result<()> {
    match link {
        Some(name) if withdraw => withdraw::link(config, name).await,
        Some(name) => serve(config, name).await,
        None => withdraw::everything(config).await,
    }
}

async fn serve(config_file: &Path, name: &str) -> Result<()> {
    let mut kernel =
        Kernel::connect().context("cannot talk to the kernel's routing (rtnetlink)")?;
    let links = kernel.links().context("cannot read the host's links")?;
    let Some(ifindex) = find(&links, name) else {
        bail!(
            "there is no link {}: it is served when it is there and the unit is started",
            unescape(name)
        );
    };
    let mut table = LinkTable::default();
    table.replace(links, &[]);
    let link = table.get(ifindex).context("the link is gone")?.clone();
    let config = load(config_file, &link.name)?;
    let protocol = config.route.protocol;
    let addresses = kernel
        .addresses(protocol)
        .context("cannot read the host's addresses")?;
    let links = table.iter().cloned().collect();
    table.replace(links, &addresses);
    let link = table.get(ifindex).context("the link is gone")?.clone();
    let network = config.networks.first().context("the file has no network")?;

    let routes: BTreeSet<_> = kernel
        .routes(protocol, config.route.table)
        .context("cannot read the host's routes")?
        .into_iter()
        .filter(|route| route.ifindex == ifindex)
        .collect();
    // A VM that runs is not taken off the network for an address that somebody has put on its link since.
    fit(&table, &link, network, !routes.is_empty())?;

    let standalone = Standalone::new(&config.agent.runtime_dir);
    if let Some(other) = standalone.links().get(&ifindex)
        && other != name
    {
        bail!(
            "{} is served by slash32-responder@{other} already: stop one of the two",
            link.name
        );
    }
    let before = standalone.record(name);
    let record = Record {
        ifindex,
        protocol,
        table: config.route.table,
        name: name.to_owned(),
    };
    let mut work = Work {
        kernel,
        link,
        protocol,
        done: Vec::new(),
    };
    let served = async {
        if before.as_ref() != Some(&record) {
            // First: from here on an agent that does not have the link leaves it alone.
            standalone.keep(&record).with_context(|| {
                let folder = config.agent.runtime_dir.join("standalone");
                format!(
                    "{name}: cannot write to {}, which slash32-responder@{name}.socket makes",
                    folder.display()
                )
            })?;
            not_the_agents(&config, name, &work.link).await?;
        }
        let responder = Responder::connect(&standalone, name).await?;
        work.bring(&config, network, &table, routes, &responder)
            .await
    };
    match served.await {
        Ok(address) => {
            let (link, gateway) = (&work.link.name, network.gateway);
            println!("{link}: {address} is served, behind the gateway {gateway}");
            Ok(())
        }
        Err(error) => {
            work.take_back();
            if before.as_ref() != Some(&record) {
                standalone.forget(&record);
            }
            Err(error)
        }
    }
}

/// The link that the unit's instance names: as it is, or as systemd-escape writes it.
fn find(links: &[Link], name: &str) -> Option<u32> {
    let of = |name: &str| links.iter().find(|link| link.name == name);
    of(name)
        .or_else(|| of(&unescape(name)))
        .map(|link| link.ifindex)
}

fn load(config_file: &Path, link: &str) -> Result<Config> {
    let (main, file) = read_link_sources(config_file, link).context(
        "the link's file cannot be read; it needs no more than a line such as address = \"203.0.113.7\"",
    )?;
    Ok(Config::parse_link(&main, link, &file)?)
}

/// The same links are refused as by the agent.
fn fit(table: &LinkTable, link: &Link, network: &Network, runs: bool) -> Result<()> {
    let name = &link.name;
    if is_port_or_loopback(link) {
        bail!(
            "{name} is the loopback device or a port of a bridge: the bridge is the link that can be served"
        );
    }
    let served = Served {
        port: None,
        bound: runs,
    };
    if let Presence::Refused(reason) = presence(table, link, network.gateway, None, served) {
        bail!("{name} is refused: {reason}");
    }
    if !link.up {
        bail!("{name} is down, so that it can have no route: ip link set {name} up");
    }
    Ok(())
}

/// Fails when an agent has the link, or has left a responder on it.
async fn not_the_agents(config: &Config, name: &str, link: &Link) -> Result<()> {
    let path = config.agent.runtime_dir.join("agent.sock");
    let row = match Client::connect(&path).await {
        Ok(mut agent) => {
            // Answered by the task that acts, so what is listed then is how things are.
            agent.pools().await?;
            let rows = agent.list().await?;
            rows.into_iter().find(|row| row.ifindex == link.ifindex)
        }
        Err(ClientError::Absent { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let link = &link.name;
    if let Some(row) = row
        && row.reason.as_deref() != Some(&reason(name))
    {
        bail!(
            "{link} is slash32-agent's, as a link of network {}: exclude it there (links = [..., \"!{link}\"]) and slash32 reload, or do not start slash32-responder@{name}",
            row.network.unwrap_or_default()
        );
    }
    let left = config
        .agent
        .runtime_dir
        .join(format!("responder/{link}.sock"));
    if left
        .to_str()
        .is_some_and(|path| seqpacket::connect(path).is_ok())
    {
        bail!(
            "{}: a responder that slash32-agent has left answers there: start the agent, or end what it has left with slash32-agent --withdraw",
            left.display()
        );
    }
    Ok(())
}

/// The responder of the link, which has spoken.
struct Responder {
    socket: UnixDatagram,
    /// What it has served so far.
    generation: Generation,
}

impl Responder {
    async fn connect(standalone: &Standalone, name: &str) -> Result<Self> {
        let path = standalone.socket(name);
        let shown = path.display();
        let unit = format!("slash32-responder@{name}");
        let Some(socket) = path.to_str().and_then(|path| connect(path).ok()) else {
            bail!("{shown}: no responder answers there: systemctl start {unit}");
        };
        match tokio::time::timeout(PATIENCE, first_state(&socket)).await {
            Ok(Some((_, Ok((state, _))))) => Ok(Self {
                socket,
                generation: state.generation,
            }),
            Ok(Some((_, Err(fault)))) => {
                bail!("{shown}: the responder {fault}: systemctl restart {unit}")
            }
            Ok(None) => bail!("{shown}: the responder has ended: systemctl restart {unit}"),
            Err(_) => bail!("{shown}: the responder says nothing: systemctl restart {unit}"),
        }
    }

    /// Gives it the VM, with the sockets of the link, and waits until it has it.
    async fn greet(&self, hello: Hello, link: &Link) -> Result<()> {
        let name = &link.name;
        let packet = slash32_sys::packet::open(link.ifindex)
            .with_context(|| format!("{name}: cannot open the packet socket"))?;
        // Without it a renewal may be answered by port-unreachable as well; the VM is served all the same.
        let idle = slash32_sys::idle::open(name, hello.binding.gateway)
            .inspect_err(|error| {
                eprintln!("slash32-agent: {name}: no idle socket on port 67: {error}");
            })
            .ok();
        let descriptors: Vec<_> = [Some(packet.as_fd()), idle.as_ref().map(AsFd::as_fd)]
            .into_iter()
            .flatten()
            .collect();
        let generation = hello.generation;
        let mut buffer = [0; MAX_DOWN];
        let length = ToResponder::Hello(hello).encode(&mut buffer);
        seqpacket::send_with(self.socket.as_fd(), &buffer[..length], &descriptors)
            .with_context(|| format!("{name}: the responder does not take its VM"))?;
        tokio::time::timeout(PATIENCE, self.serves(generation))
            .await
            .ok()
            .and_then(Result::ok)
            .with_context(|| {
                format!("{name}: the responder does not say that it serves; its last words are in the journal")
            })
    }

    async fn serves(&self, generation: Generation) -> Result<()> {
        let mut buffer = [0; MAX_UP];
        loop {
            let record = receive(&self.socket, &mut buffer).await?;
            match ToAgent::decode(&buffer[..record.length])? {
                ToAgent::State(state) if state.generation == generation && state.confirmed => {
                    return Ok(());
                }
                _ => {}
            }
        }
    }
}

/// What is done to the host for the link.
struct Work {
    kernel: Kernel,
    link: Link,
    protocol: u8,
    /// In its order.
    done: Vec<Step>,
}

impl Work {
    /// Brings the link to what it should be. Returns the VM's address.
    async fn bring(
        &mut self,
        config: &Config,
        network: &Network,
        table: &LinkTable,
        routes: BTreeSet<crate::route::HostRoute>,
        responder: &Responder,
    ) -> Result<Ipv4Addr> {
        let ifindex = self.link.ifindex;
        let facts = facts(table, &self.link);
        let assignment = Allocations::new(config, "", []).assign(config, network, &facts)?;
        let address = assignment.address;
        let serve = Serve {
            generation: Generation(responder.generation.0 + 1),
            binding: EncodedBinding::new(&config.binding(network, &assignment, &facts)),
        };
        let desired = DesiredLink {
            gateway: network.gateway,
            keep_addresses: false,
            ipv6_disabled: network.ipv6 == Ipv6::Off,
            serve: Some(serve),
            route: Some(host_route(&config.route, address, ifindex)),
        };
        let observed_link = ObservedLink {
            up: self.link.up,
            addresses: self.link.addresses.clone(),
            ipv4: self.link.ipv4,
            ipv6: self.link.ipv6,
        };
        let observed_responder = ObservedResponder {
            generation: responder.generation,
            binding: None,
            confirmed: false,
        };
        let steps = plan(
            &Desired {
                links: [(ifindex, desired)].into(),
            },
            &Observed {
                links: [(ifindex, observed_link)].into(),
                routes,
                responders: [(ifindex, observed_responder)].into(),
            },
        );
        for step in steps {
            self.carry_out(&step, responder).await?;
            self.done.push(step);
        }
        Ok(address)
    }

    async fn carry_out(&mut self, step: &Step, responder: &Responder) -> Result<()> {
        let name = self.link.name.clone();
        match step {
            Step::RemoveRoute(route) => self.kernel.change_one(Request::RemoveRoute(*route))?,
            Step::RemoveAddress { ifindex, address } => {
                self.kernel.change_one(Request::RemoveAddress {
                    ifindex: *ifindex,
                    address: *address,
                })?;
            }
            Step::AddAddress { ifindex, address } => self
                .kernel
                .change_one(Request::AddAddress {
                    ifindex: *ifindex,
                    address: *address,
                    protocol: self.protocol,
                })
                .with_context(|| format!("cannot put {address}/32 on {name}"))?,
            Step::SetIpv4 { ifindex } => {
                // A VM with less than the best settings is better than a VM without an address.
                let set = self.kernel.change_one(Request::SetIpv4 {
                    ifindex: *ifindex,
                    settings: Ipv4Settings::VM_LINK,
                });
                if let Err(error) = set {
                    eprintln!("slash32-agent: {name}: cannot set rp_filter and the like: {error}");
                }
            }
            Step::SetIpv6 { disabled, .. } => {
                if let Err(error) = set_ipv6(&name, *disabled) {
                    eprintln!("slash32-agent: {name}: cannot set its IPv6 settings: {error}");
                }
            }
            Step::AddRoute(route) => {
                let prefix = route.prefix;
                match self.kernel.change_one(Request::AddRoute(*route)) {
                    Err(error) if error.number() == Some(Errno::EEXIST as i32) => bail!(
                        "{name}: another route to {prefix} with metric {} is in the way: find out who put it there (ip route show {prefix})",
                        route.metric
                    ),
                    added => added.with_context(|| {
                        format!("{name}: cannot add the host route to {prefix}")
                    })?,
                }
            }
            Step::Hello {
                serve, confirmed, ..
            } => {
                let hello = Hello {
                    generation: serve.generation,
                    confirmed: *confirmed,
                    binding: serve.binding.decode(),
                };
                responder.greet(hello, &self.link).await?;
            }
            // The responder is there and serves nothing that has to end first, and its route is there before its VM.
            Step::Start { .. } | Step::Stop { .. } | Step::End { .. } | Step::Confirm { .. } => {}
        }
        Ok(())
    }

    /// Takes back what this run has added.
    fn take_back(&mut self) {
        for step in self.done.drain(..).rev() {
            let taken = match step {
                Step::AddRoute(route) => self.kernel.change_one(Request::RemoveRoute(route)),
                Step::AddAddress { ifindex, address } => {
                    let address = crate::link::LinkAddress {
                        address,
                        prefix_length: 32,
                        ours: true,
                    };
                    self.kernel
                        .change_one(Request::RemoveAddress { ifindex, address })
                }
                _ => Ok(()),
            };
            if let Err(error) = taken {
                eprintln!("slash32-agent: {}: cannot undo: {error}", self.link.name);
            }
        }
    }
}
