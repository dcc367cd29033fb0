//! Reads the host: one dump a kind, nothing changed.

pub(crate) mod command;
mod files;
mod links;
mod operator;
mod rules;
mod sockets;

pub(crate) use files::processes;

use super::facts::{Facts, Link, VmLink};
use crate::shim::{self, HOOKS_DIR, Libvirt};
use slash32_control::State;
use slash32_policy::{AgentConfig, Config, LinkKind, read_sources};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is known of this host, of the agent at `socket` and of the config in `file`.
///
/// Errors: the host's links cannot be listed.
pub(crate) async fn gather(socket: &Path, file: &Path) -> anyhow::Result<Facts> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mut links = links::links().await?;
    let agent = operator::agent(socket).await;
    let config = read_config(file);
    mark(&mut links, agent.rows.as_deref().ok(), config.as_ref().ok());
    let uplinks = links::uplinks(&links).await?;
    let processes = files::processes();
    let pids = |name: &str| processes.get(name).copied();
    let network_manager = match pids("NetworkManager") {
        Some(_) => Some(links::network_manager().await),
        None => None,
    };
    let state_folder = match &config {
        Ok(config) => files::space(&config.agent.state_dir),
        Err(why) => Err(why.clone()),
    };
    let runtime = match &config {
        Ok(config) => config.agent.runtime_dir.clone(),
        Err(_) => AgentConfig::default().runtime_dir,
    };
    Ok(Facts {
        is_root,
        sysctls: sysctls(&links, &uplinks),
        uplinks,
        forwarding_at_boot: files::forwarding_at_boot(),
        firewall: rules::firewall().await,
        sockets: sockets::listening().await,
        network_manager,
        networkd: links
            .iter()
            .filter_map(|link| Some((link.index, files::networkd(link.index)?)))
            .collect(),
        neighbour_limits: links::neighbour_limits().await,
        protocol_names: files::protocol_names(),
        bird: pids("bird").map(files::bird),
        frr: pids("zebra").map(|_| files::frr()),
        dnsmasq: files::dnsmasq(),
        hooks: match files::has_libvirt(&processes) {
            true => Some(shim::status(Path::new(HOOKS_DIR), &Libvirt::found().await)),
            false => None,
        },
        spool: files::spool(&runtime),
        security_modules: files::security_modules(),
        responder_user: command::run("getent", &["passwd", "slash32-responder"])
            .await
            .is_ok(),
        operator_group: command::run("getent", &["group", "slash32"]).await.is_ok(),
        processes: processes.into_keys().collect(),
        links,
        agent,
        config_file: file.to_owned(),
        config,
        state_folder,
    })
}

fn read_config(file: &Path) -> Result<Config, String> {
    let sources = read_sources(file).map_err(|error| error.to_string())?;
    Config::parse(&sources).map_err(|errors| {
        let first = errors.0.first().map(|error| error.message.clone());
        match errors.0.len() {
            1 => first.unwrap_or_default(),
            count => format!(
                "it has {count} errors, of which the first is: {}",
                first.unwrap_or_default()
            ),
        }
    })
}

/// Marks the VM links: those of the agent, or, when it does not answer, those that the config claims.
fn mark(links: &mut [Link], rows: Option<&[slash32_control::LinkRow]>, config: Option<&Config>) {
    if let Some(rows) = rows {
        let rows: BTreeMap<u32, _> = rows.iter().map(|row| (row.ifindex, row)).collect();
        for link in links {
            link.vm = rows.get(&link.index).map(|row| VmLink {
                gateway: row.gateway,
                address: row
                    .address
                    .filter(|_| matches!(row.state, State::Ready | State::Bound)),
            });
        }
        return;
    }
    let Some(config) = config else { return };
    for link in links {
        if link.link_kind().is_none() || link.master.is_some() {
            continue;
        }
        let network = config.network_of(&link.name, &link.altnames).ok().flatten();
        link.vm = network.map(|network| VmLink {
            gateway: Some(network.gateway),
            address: None::<Ipv4Addr>,
        });
    }
}

impl Link {
    /// What kind of VM link it can be.
    fn link_kind(&self) -> Option<LinkKind> {
        match self.kind.as_str() {
            "bridge" => Some(LinkKind::Bridge),
            _ if self.is_tap => Some(LinkKind::Tap),
            _ => None,
        }
    }
}

/// The numbers below `/proc/sys/net` that the checks ask for, of those that this kernel has.
fn sysctls(links: &[Link], uplinks: &[String]) -> BTreeMap<String, i64> {
    let mut paths = vec![
        "ipv4/ip_forward".to_owned(),
        "bridge/bridge-nf-call-iptables".to_owned(),
    ];
    let vm_links = links
        .iter()
        .filter(|link| link.vm.is_some())
        .map(|link| link.name.as_str());
    let named = uplinks.iter().map(String::as_str);
    for link in vm_links.chain(named).chain(["all"]) {
        for key in ["forwarding", "rp_filter", "arp_ignore", "proxy_arp"] {
            paths.push(format!("ipv4/conf/{link}/{key}"));
        }
        paths.push(format!("ipv6/conf/{link}/disable_ipv6"));
    }
    let read = |path: String| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/{path}")).ok()?;
        Some((path, text.trim().parse().ok()?))
    };
    paths.into_iter().filter_map(read).collect()
}
