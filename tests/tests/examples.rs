//! The shipped examples, each with the VMs that it is for.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Result, ensure};
use slash32_tests::{
    Agent, GATEWAY, Host, RawClient,
    dhcp::{Message, code, message_type},
    expect, guest_mac,
};
use std::{net::Ipv4Addr, time::Duration};

const BOUND: Duration = Duration::from_secs(15);
/// Option 15 (RFC 2132 §3.17).
const DOMAIN_NAME: u8 = 15;
/// Option 60 (RFC 2132 §9.13).
const VENDOR_CLASS: u8 = 60;
/// Option 67 (RFC 2132 §9.5).
const BOOTFILE_NAME: u8 = 67;
/// Option 77 (RFC 3004).
const USER_CLASS: u8 = 77;
/// Option 93 (RFC 4578).
const ARCHITECTURE: u8 = 93;

#[test]
fn a_few_addresses_go_to_as_many_vms_whichever_block_each_is_from() -> Result<()> {
    let host = Host::new()?;
    let agent = Agent::start(&host, include_str!("../../examples/few-addresses.toml"))?;
    let mut clients = Vec::new();
    // 203.0.113.161 is kept for the VM called mail.
    let wanted: [[u8; 4]; 5] = [
        [198, 51, 100, 23],
        [203, 0, 113, 118],
        [203, 0, 113, 160],
        [203, 0, 113, 162],
        [203, 0, 113, 163],
    ];
    for (number, wanted) in (1..).zip(wanted) {
        let mut client = host.raw_vm(number)?;
        let got = client.bind()?.yiaddr;
        ensure!(got == Ipv4Addr::from(wanted), "VM {number} got {got}");
        clients.push(client);
    }
    let _last = host.raw_vm(6)?;
    agent.wait("virbr6", "unassigned", BOUND)?;
    Ok(())
}

#[test]
fn of_a_block_cut_per_host_the_very_first_address_is_one_like_any_other() -> Result<()> {
    let host = Host::new()?;
    let _agent = Agent::start(&host, include_str!("../../examples/cut-per-host.toml"))?;
    let ack = host.raw_vm(1)?.bind()?;
    ensure!(ack.yiaddr == Ipv4Addr::new(203, 0, 113, 0), "{ack:?}");
    let netmask = ack.address(code::SUBNET_MASK);
    ensure!(netmask == Some(Ipv4Addr::BROADCAST), "{ack:?}");
    Ok(())
}

#[test]
fn a_vm_of_the_laboratory_gets_an_address_of_the_block_for_everybody() -> Result<()> {
    let host = Host::new()?;
    let _agent = Agent::start(&host, include_str!("../../examples/nat-lab.toml"))?;
    let mut client = RawClient::new(host.tap("vnet1", None)?, guest_mac(1));
    let discover = asking_for(client.discover(), &[DOMAIN_NAME]);
    let offer = expect(message_type::OFFER, client.insist(&discover, BOUND)?)?;
    ensure!(
        offer.yiaddr == Ipv4Addr::new(10, 77, 128, 0),
        "it is offered {}",
        offer.yiaddr
    );
    ensure!(offer.address(code::DNS) == Some(GATEWAY), "{offer:?}");
    ensure!(offer.number(code::LEASE_TIME) == Some(3600), "{offer:?}");
    ensure!(
        offer.option(DOMAIN_NAME) == Some(b"lab.example"),
        "{offer:?}"
    );
    Ok(())
}

#[test]
fn each_stage_of_a_network_boot_gets_its_own_file_and_all_get_one_address() -> Result<()> {
    let host = Host::new()?;
    let _agent = Agent::start(&host, include_str!("../../examples/network-boot.toml"))?;
    let mut client = host.raw_vm(1)?;
    let (pxe, http) = (
        "PXEClient:Arch:00000:UNDI:002001",
        "HTTPClient:Arch:00016:UNDI:003001",
    );
    let boots = |vendor_class: &str, architecture: u8| {
        vec![
            (VENDOR_CLASS, vendor_class.as_bytes().to_vec()),
            (ARCHITECTURE, vec![0, architecture]),
        ]
    };
    let ipxe = [boots(pxe, 0), vec![(USER_CLASS, b"iPXE".to_vec())]].concat();
    let table = [
        ("BIOS", boots(pxe, 0), Some("undionly.kpxe")),
        ("UEFI", boots(pxe, 7), Some("ipxe.efi")),
        ("UEFI on arm64", boots(pxe, 11), Some("ipxe-arm64.efi")),
        (
            "UEFI by HTTP",
            boots(http, 16),
            Some("http://192.0.2.10/ipxe.efi"),
        ),
        (
            "UEFI by HTTP on arm64",
            boots(http, 19),
            Some("http://192.0.2.10/ipxe-arm64.efi"),
        ),
        ("iPXE", ipxe, Some("http://192.0.2.10/menu.ipxe")),
        ("the installed system", Vec::new(), None),
    ];
    for (stage, says, file) in table {
        let mut discover = asking_for(client.discover(), &[BOOTFILE_NAME]);
        discover.options.extend(says);
        let offer = expect(message_type::OFFER, client.insist(&discover, BOUND)?)?;
        let got = offer.option(BOOTFILE_NAME).map(String::from_utf8_lossy);
        ensure!(got.as_deref() == file, "{stage} is told to boot {got:?}");
        ensure!(
            offer.yiaddr == Ipv4Addr::new(203, 0, 113, 10),
            "{stage} is offered {}",
            offer.yiaddr
        );
    }
    Ok(())
}

/// `message`, which asks for these options and for all that it cannot do without.
fn asking_for(mut message: Message, codes: &[u8]) -> Message {
    message
        .options
        .retain(|(code, _)| *code != code::PARAMETER_REQUEST_LIST);
    let list = [&[1, 3, 6, 121], codes].concat();
    message.with(code::PARAMETER_REQUEST_LIST, &list)
}
