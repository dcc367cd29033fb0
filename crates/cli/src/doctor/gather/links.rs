//! What `ip` and `nmcli` show of links.

use super::super::facts::{Known, Link};
use super::command::run;
use anyhow::{Context, anyhow};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;

/// `NET_ADDR_SET` of linux/netdevice.h, as `addr_assign_type` shows it.
const ADDRESS_IS_SET: &str = "3";

/// An element of `ip -json -details address`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Shown {
    ifindex: u32,
    ifname: String,
    altnames: Vec<String>,
    flags: Vec<String>,
    mtu: u32,
    master: Option<String>,
    linkinfo: Info,
    addr_info: Vec<Address>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Info {
    info_kind: String,
    info_data: Data,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Data {
    /// Of a tun device: `tun` or `tap`.
    r#type: Option<String>,
    forward_delay: u32,
    stp_state: u32,
    nf_call_iptables: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Address {
    family: String,
    local: Option<String>,
    prefixlen: u8,
}

/// Every link of the host.
pub(super) async fn links() -> anyhow::Result<Vec<Link>> {
    let text = run("ip", &["-json", "-details", "address", "show"])
        .await
        .map_err(|why| anyhow!("cannot list the host's links: {why}"))?;
    let shown: Vec<Shown> = parse(&text).context("cannot list the host's links")?;
    Ok(shown
        .into_iter()
        .filter(|link| !link.ifname.is_empty())
        .map(link)
        .collect())
}

fn link(shown: Shown) -> Link {
    let has = |flag: &str| shown.flags.iter().any(|own| own == flag);
    let data = &shown.linkinfo.info_data;
    let assigned = fs::read_to_string(format!("/sys/class/net/{}/addr_assign_type", shown.ifname));
    Link {
        index: shown.ifindex,
        is_tap: shown.linkinfo.info_kind == "tun" && data.r#type.as_deref() == Some("tap"),
        is_loopback: has("LOOPBACK"),
        mtu: shown.mtu,
        is_up: has("UP"),
        has_carrier: has("LOWER_UP"),
        master: shown.master.clone(),
        // Where it cannot be read, nothing is said of it.
        mac_is_set: assigned.map_or(true, |kind| kind.trim() == ADDRESS_IS_SET),
        stp: data.stp_state != 0,
        forward_delay: data.forward_delay,
        calls_iptables: data.nf_call_iptables != 0,
        addresses: shown
            .addr_info
            .iter()
            .filter(|address| address.family == "inet")
            .filter_map(|address| {
                let own: Ipv4Addr = address.local.as_ref()?.parse().ok()?;
                Some((own, address.prefixlen))
            })
            .collect(),
        kind: shown.linkinfo.info_kind,
        name: shown.ifname,
        altnames: shown.altnames,
        vm: None,
    }
}

/// The links that lead to the fabric: those of the default routes, or, without one, those with a subnet of their own.
pub(super) async fn uplinks(links: &[Link]) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Route {
        dev: Option<String>,
        nexthops: Vec<Hop>,
    }
    #[derive(Deserialize)]
    struct Hop {
        dev: Option<String>,
    }
    let text = run("ip", &["-json", "-4", "route", "show", "default"])
        .await
        .map_err(|why| anyhow!("cannot list the default routes: {why}"))?;
    let routes: Vec<Route> = parse(&text).context("cannot list the default routes")?;
    let devices = routes.into_iter().flat_map(|route| {
        let hops = route.nexthops.into_iter().filter_map(|hop| hop.dev);
        route.dev.into_iter().chain(hops)
    });
    let is_vms = |name: &String| {
        links
            .iter()
            .any(|link| link.name == *name && link.vm.is_some())
    };
    let found: BTreeSet<String> = devices.filter(|name| !is_vms(name)).collect();
    if !found.is_empty() {
        return Ok(found.into_iter().collect());
    }
    Ok(links
        .iter()
        .filter(|link| {
            let has_subnet = link.addresses.iter().any(|(_, length)| *length < 32);
            has_subnet && link.vm.is_none() && link.is_up && !link.is_loopback
        })
        .map(|link| link.name.clone())
        .collect())
}

/// `gc_thresh1` to `3`, which a network namespace does not have below `/proc/sys`.
pub(super) async fn neighbour_limits() -> Known<[u64; 3]> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Table {
        thresh1: Option<u64>,
        thresh2: Option<u64>,
        thresh3: Option<u64>,
    }
    let text = run(
        "ip",
        &["-json", "-4", "ntable", "show", "name", "arp_cache"],
    )
    .await?;
    let tables: Vec<Table> = parse(&text).map_err(|error| error.to_string())?;
    tables
        .iter()
        .find_map(|table| Some([table.thresh1?, table.thresh2?, table.thresh3?]))
        .ok_or_else(|| "ip ntable shows no limits".to_owned())
}

/// The STATE of each device of NetworkManager.
pub(super) async fn network_manager() -> Known<BTreeMap<String, String>> {
    let text = run("nmcli", &["--terse", "--fields", "DEVICE,STATE", "device"]).await?;
    Ok(text
        .lines()
        .filter_map(|line| line.rsplit_once(':'))
        .map(|(name, state)| (name.replace("\\:", ":"), state.to_owned()))
        .collect())
}

/// `ip -json` prints nothing for an empty list, and an empty object for what it left out.
fn parse<T: for<'t> Deserialize<'t>>(text: &str) -> serde_json::Result<Vec<T>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(text)
}
