//! The table `[route]` of the config.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, ensure};
use slash32_tests::{Agent, Host, RawClient, guest_mac, static_network, vm_address};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(15);

#[test]
fn protocol_metric_table_and_source_are_those_of_the_config() -> Result<()> {
    let host = Host::new()?;
    host.namespace().ip("addr add 198.51.100.1/32 dev lo")?;
    let route = "[route]\nprotocol = 177\nmetric = 42\ntable = 500\nsource = \"198.51.100.1\"\n";
    let agent = Agent::start(
        &host,
        &format!("{route}{}", static_network(&[("tap1", 1)], "")),
    )?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    client.bind()?;
    agent.wait("tap1", "bound", BOUND)?;
    ensure!(
        host.route_to(vm_address(1))?.is_none(),
        "there is a route in the main table"
    );
    let routes = host.namespace().ip_json("-details route show table 500")?;
    let route = routes.first().context("no route in table 500")?;
    let right =
        route["protocol"] == "177" && route["metric"] == 42 && route["prefsrc"] == "198.51.100.1";
    ensure!(right && routes.len() == 1, "{routes:?}");
    Ok(())
}

#[test]
fn a_route_installed_at_bind_is_there_before_the_vm_asks() -> Result<()> {
    let host = Host::new()?;
    let config = format!(
        "[route]\ninstall = \"bind\"\n{}",
        static_network(&[("tap1", 1)], "")
    );
    let agent = Agent::start(&host, &config)?;
    let mut client = RawClient::new(host.tap("tap1", None)?, guest_mac(1));
    let row = agent.wait_row("tap1", "ready, with its route", BOUND, |row| {
        row["state"] == "ready" && row["route"] == true
    })?;
    ensure!(
        host.route_to(vm_address(1))?.is_some(),
        "the list shows a route that is not there: {row}"
    );
    client.bind()?;
    Ok(())
}
