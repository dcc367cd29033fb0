//! The scheme that carries a VM's address in its MAC address. `encode` and `decode` read the config and need no agent;
//! `next` asks the agent, which knows what is free.

use crate::output::{self, clean};
use anyhow::{Context, bail};
use serde_json::json;
use slash32_control::Client;
use slash32_policy::{Config, Network, read_sources};
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::path::Path;

/// Prints the MAC.
pub(crate) fn encode(
    address: Ipv4Addr,
    network: Option<&str>,
    config: &Path,
    as_json: bool,
) -> anyhow::Result<()> {
    let config = read(config)?;
    let (network, mac) = the_one(&config, network, &address, |network| {
        network.mac_of(address)
    })?;
    if as_json {
        tell(mac, address, network)
    } else {
        Ok(output::print(&format!("{mac}\n"))?)
    }
}

/// Prints the address.
pub(crate) fn decode(
    mac: slash32_binding::MacAddr,
    network: Option<&str>,
    config: &Path,
    as_json: bool,
) -> anyhow::Result<()> {
    let config = read(config)?;
    let (network, address) = the_one(&config, network, &mac, |network| network.address_of(mac))?;
    if as_json {
        tell(mac, address, network)
    } else {
        Ok(output::print(&format!("{address}\n"))?)
    }
}

/// Prints `MAC  ADDRESS`.
pub(crate) async fn next(
    socket: &Path,
    network: Option<&str>,
    as_json: bool,
) -> anyhow::Result<()> {
    let next = Client::connect(socket).await?.mac_next(network).await?;
    if as_json {
        output::print_json(&next)?;
    } else {
        output::print(&format!("{}  {}\n", clean(&next.mac), next.address))?;
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Config> {
    let sources = read_sources(file)?;
    Config::parse(&sources).ok().with_context(|| {
        let file = file.display();
        format!("{file} has errors: `slash32 check {file}` shows them")
    })
}

/// The one network, among those called `name`, that `translate`s `what`, and what it is then.
fn the_one<'a, T: Display>(
    config: &'a Config,
    name: Option<&str>,
    what: &impl Display,
    translate: impl Fn(&Network) -> Option<T>,
) -> anyhow::Result<(&'a Network, T)> {
    if let Some(name) = name
        && !config.networks.iter().any(|network| network.name == name)
    {
        bail!("there is no network {name} in the config");
    }
    let mut found: Vec<(&Network, T)> = config
        .networks
        .iter()
        .filter(|network| name.is_none_or(|name| network.name == name))
        .filter_map(|network| Some((network, translate(network)?)))
        .collect();
    match found.pop() {
        None => bail!(
            "no network {}gives {what} by the scheme: it takes `allocation = \"mac\"`, \
             an address in its pools and a MAC that begins with its mac-prefix",
            name.map(|name| format!("called {name} "))
                .unwrap_or_default()
        ),
        Some(one) if found.is_empty() => Ok(one),
        Some(last) => {
            found.push(last);
            let may: Vec<String> = found
                .iter()
                .map(|(network, value)| format!("{value} in {}", network.name))
                .collect();
            bail!("{what} may be {}: say --network", may.join(" or "))
        }
    }
}

fn tell(mac: impl Display, address: Ipv4Addr, network: &Network) -> anyhow::Result<()> {
    let mac = mac.to_string();
    Ok(output::print_json(
        &json!({ "mac": mac, "address": address, "network": network.name }),
    )?)
}
