//! What the agent sets on a VM's link, and on nothing else.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use slash32_tests::{Agent, GATEWAY, Host, static_network, until};
use std::{collections::BTreeMap, fs, time::Duration};

const BOUND: Duration = Duration::from_secs(15);

#[test]
fn a_vm_link_gets_the_gateway_and_the_settings_of_a_vm_link() -> Result<()> {
    let host = Host::new()?;
    host.namespace().set("ipv6/conf/all/disable_ipv6", "0")?;
    host.namespace()
        .set("ipv6/conf/default/disable_ipv6", "0")?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let _guest = host.guest("virbr1", 1)?;
    agent.wait("virbr1", "ready", BOUND)?;
    let expected = [
        ("ipv4/conf/virbr1/rp_filter", "1"),
        ("ipv4/conf/virbr1/arp_ignore", "1"),
        ("ipv4/conf/virbr1/arp_announce", "2"),
        ("ipv4/conf/virbr1/send_redirects", "0"),
        ("ipv4/conf/virbr1/accept_redirects", "0"),
        ("ipv4/conf/virbr1/proxy_arp", "0"),
        ("ipv4/conf/virbr1/forwarding", "1"),
        ("ipv6/conf/virbr1/disable_ipv6", "1"),
    ];
    for (key, value) in expected {
        let is = host.namespace().get(key)?;
        ensure!(is == value, "{key} is {is}");
    }
    let links = host.namespace().ip_json("-4 addr show dev virbr1")?;
    let addresses = links[0]["addr_info"].as_array().unwrap();
    ensure!(addresses.len() == 1, "{addresses:?}");
    ensure!(
        addresses[0]["local"] == GATEWAY.to_string() && addresses[0]["prefixlen"] == 32,
        "{addresses:?}"
    );
    Ok(())
}

#[test]
fn settings_that_somebody_changed_come_back() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let _guest = host.guest("virbr1", 1)?;
    agent.wait("virbr1", "ready", BOUND)?;
    host.namespace().set("ipv4/conf/virbr1/proxy_arp", "1")?;
    // The kernel tells nobody of this one; the next look at the link finds it.
    host.namespace().ip("link set virbr1 mtu 1400")?;
    until("proxy_arp to be off again", BOUND, || {
        Ok((host.namespace().get("ipv4/conf/virbr1/proxy_arp")? == "0").then_some(()))
    })
}

#[test]
fn an_uplink_keeps_its_settings() -> Result<()> {
    let host = Host::new()?;
    let _fabric = host.fabric()?;
    let shown = || settings(&host, "uplink");
    let before = shown()?;
    ensure!(before.len() > 20, "only {before:?} were read");
    let agent = Agent::start(&host, &static_network(&[("virbr1", 1)], ""))?;
    host.bridge("virbr1")?;
    let guest = host.guest("virbr1", 1)?;
    guest.raw_client()?.bind()?;
    agent.wait("virbr1", "bound", BOUND)?;
    let after = shown()?;
    ensure!(before == after, "they were {before:?} and are {after:?}");
    Ok(())
}

/// Everything in `net.ipv4.conf` of one link.
fn settings(host: &Host, link: &str) -> Result<BTreeMap<String, String>> {
    let folder = format!("/proc/sys/net/ipv4/conf/{link}");
    host.namespace().inside(|| {
        let read = |entry: std::io::Result<fs::DirEntry>| -> Result<(String, String)> {
            let path = entry?.path();
            Ok((path.display().to_string(), fs::read_to_string(&path)?))
        };
        fs::read_dir(&folder)?.map(read).collect()
    })
}
