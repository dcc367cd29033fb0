//! What the config says, and what a client makes of it.

use crate::stages::BOUND;
use anyhow::{Context, Result};
use slash32_tests::{
    Guest, Software,
    matrix::{self, Cell, Column},
    static_network, until, vm_address,
};
use std::net::Ipv4Addr;

const NAME_SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(149, 112, 112, 112)];
const MTU: u64 = 1400;
const HOST_NAME: &str = "web1";
const DOMAIN: &str = "vm.example";
/// A host without a name of its own; clients do not change one.
pub(crate) const NO_HOST_NAME: &str = "localhost";

/// A static network: `virbr1` has `address`, and everything is set that a client can take over.
pub(crate) fn config(lease: &str, address: Ipv4Addr) -> String {
    let servers = NAME_SERVERS
        .map(|server| format!("\"{server}\""))
        .join(", ");
    let options = format!("{lease}\ndns = [{servers}]\nmtu = {MTU}\ndomain = \"{DOMAIN}\"");
    let number = u16::from(address.octets()[3]);
    let network = static_network(&[("virbr1", number)], &options);
    // It ends with the reservation.
    format!("{network}options = {{ hostname = \"{HOST_NAME}\" }}\n")
}

/// What the guest has is what the ACK said, as far as the client sets it. Records it.
pub(crate) fn takes_all_options(software: Software, guest: &Guest) -> Result<()> {
    let version = software.version()?;
    let keep = |column, cell| matrix::record(software.name(), &version, column, &cell);
    keep(
        Column::Address,
        Cell::passed(format!("{}/32", vm_address(1))),
    )?;
    // Who set a route and which source it names is the client's business.
    let source = format!(" src {}", vm_address(1));
    let routes = guest.routes()?.join("; ");
    let routes = routes.replace(" proto dhcp", "").replace(&source, "");
    keep(Column::Routes, Cell::passed(routes))?;
    keep(Column::Ping, Cell::passed("both ways"))?;

    let servers = NAME_SERVERS.to_vec();
    option(software, Column::Dns, servers, Vec::new(), || {
        guest.name_servers(software)
    })?;
    let default = 1500;
    option(software, Column::Mtu, MTU, default, || guest.mtu())?;
    // dhcpcd joins options 12 and 15.
    let name = match software {
        Software::Dhcpcd => format!("{HOST_NAME}.{DOMAIN}"),
        _ => HOST_NAME.to_owned(),
    };
    let none = NO_HOST_NAME.to_owned();
    option(software, Column::HostName, name, none, || guest.host_name())
}

/// Waits until `read` finds what was `sent`; of a client that leaves this option alone, it is `as_before`. Records it.
fn option<T: PartialEq + std::fmt::Debug>(
    software: Software,
    column: Column,
    sent: T,
    as_before: T,
    read: impl Fn() -> Result<T>,
) -> Result<()> {
    let untouched = leaves(software, column);
    let expected = if untouched.is_some() { as_before } else { sent };
    let what = column.heading();
    until(what, BOUND, || Ok((read()? == expected).then_some(())))
        .with_context(|| format!("its {what} is {:?}", read()))?;
    let text = format!("{expected:?}").replace(['"', '[', ']'], "");
    let cell = untouched.map_or(Cell::passed(text), Cell::absent);
    matrix::record(software.name(), &software.version()?, column, &cell)
}

/// Why this client leaves an option alone, when it does.
fn leaves(software: Software, column: Column) -> Option<&'static str> {
    match (software, column) {
        (Software::Networkd, Column::Mtu) => Some("only with UseMTU=yes"),
        (Software::Udhcpc, Column::HostName)
        | (Software::UdhcpcClassless, Column::HostName | Column::Mtu | Column::Dns) => {
            Some("not in the script")
        }
        _ => None,
    }
}
