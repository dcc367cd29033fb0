//! Other DHCP servers, and services that VMs should not reach.

use crate::host::{BOUND, Site, says, site};
use anyhow::{Context, Result, ensure};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};
use slash32_tests::dhcp::{code, message_type};
use slash32_tests::until;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};

/// A UDP socket on the server's port, as dnsmasq and ISC dhcpd have it.
fn server_socket(site: &Site<'_>, device: Option<&str>) -> Result<OwnedFd> {
    site.namespace().inside(|| {
        let udp = socket(
            AddressFamily::Inet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        setsockopt(&udp, sockopt::ReuseAddr, &true)?;
        if let Some(device) = device {
            setsockopt(&udp, sockopt::BindToDevice, &OsString::from(device))?;
        }
        let any = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 67));
        bind(udp.as_raw_fd(), &any).context("cannot bind UDP port 67")?;
        Ok(udp)
    })
}

#[test]
fn a_server_that_is_bound_to_a_vm_link_is_an_error() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let _socket = server_socket(&site, Some("virbr1"))?;
    let report = site.doctor()?;
    let finding = report.has("dhcp-server", "error", "virbr1")?;
    says(finding, "finding", "serves DHCP there too")
}

#[test]
fn a_server_on_every_link_is_a_warning() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let _socket = server_socket(&site, None)?;
    let report = site.doctor()?;
    report.has("dhcp-server", "warning", "udp 0.0.0.0:67")?;
    Ok(())
}

#[test]
fn a_server_on_another_link_is_no_fault() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let _socket = server_socket(&site, Some("uplink"))?;
    site.doctor()?.is_silent()
}

#[test]
fn a_server_that_a_vm_asks_is_a_warning() -> Result<()> {
    let host = site()?;
    let mut site = Site::bound(&host)?;
    let request = site
        .client
        .message(message_type::REQUEST)
        .with(code::SERVER_IDENTIFIER, &[198, 51, 100, 1]);
    site.client.is_ignored(&request.frame())?;
    until("the agent to know of it", BOUND, || {
        let shown = site.agent.json(&["show", "virbr1"])?;
        Ok((shown["other_servers"][0]["identifier"] == "198.51.100.1").then_some(()))
    })?;
    let report = site.doctor()?;
    let finding = report.is_only("dhcp-server", "warning", "virbr1")?;
    says(finding, "mend", "slash32 show virbr1")
}

#[test]
fn a_libvirt_network_with_dhcp_is_an_error() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    // As libvirt 9 writes it for a network with <dhcp>; its dnsmasq need not run yet.
    site.sh(
        "mkdir -p /var/lib/libvirt/dnsmasq
         printf 'strict-order\\nexcept-interface=lo\\nbind-dynamic\\ninterface=virbr1\\ndhcp-range=192.0.2.9,192.0.2.12\\n' \
             >/var/lib/libvirt/dnsmasq/lab.conf",
    )?;
    let report = site.doctor()?;
    let finding = report.is_only("libvirt-dhcp", "error", "virbr1")?;
    says(finding, "finding", "/var/lib/libvirt/dnsmasq/lab.conf")
}

#[test]
fn a_service_that_vms_reach_is_a_warning_until_the_firewall_closes_it() -> Result<()> {
    let host = site()?;
    let site = Site::bound(&host)?;
    let (_open, _local) = site.namespace().inside(|| {
        let open = TcpListener::bind("0.0.0.0:8080")?;
        Ok((open, TcpListener::bind("127.0.0.1:8081")?))
    })?;
    let report = site.doctor()?;
    let finding = report.is_only("host-services", "warning", "services of this host")?;
    says(finding, "finding", "tcp 8080")?;
    ensure!(!finding.to_string().contains("8081"), "{finding}");
    let rules = "table inet vms { chain in { type filter hook input priority 0; iifname \"virbr*\" udp dport != 67 drop; \
                 iifname \"virbr*\" meta l4proto tcp drop; }\n}";
    site.namespace().run("nft", &[rules])?;
    site.doctor()?.is_silent()
}
