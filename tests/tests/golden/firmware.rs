//! Recording: firmware under QEMU, as `cargo xtask golden` runs it.

use crate::{
    record::{answered, record},
    served::LINK,
};
use anyhow::{Result, ensure};
use slash32_tests::{Boot, Capture, Qemu, dhcp::message_type};
use std::process::Command;

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn ipxe_bios() -> Result<()> {
    let client = format!("ipxe-bios-{}", version("ipxe-qemu")?);
    first_boot("plain", &client, &Boot::Bios)?;
    first_boot("full", &client, &Boot::Bios)
}

#[test]
#[ignore = "records goldens: cargo xtask golden runs it"]
fn ovmf() -> Result<()> {
    // It takes an offer only with something to boot in it.
    let version = version("ovmf")?;
    first_boot("full", &format!("ovmf-pxe-{version}"), &Boot::UefiPxe)?;
    first_boot("full", &format!("ovmf-http-{version}"), &Boot::UefiHttp)
}

/// From power-on to the address.
fn first_boot(config: &str, client: &str, boot: &Boot) -> Result<()> {
    record(config, client, "first-boot", |host, _| {
        host.bridge(LINK)?;
        host.qemu_tap("vnet1", Some(LINK))?;
        let capture = Capture::open(host.namespace(), LINK)?;
        let mut machine = Qemu::start(host, "vnet1", 1, boot)?;
        answered(&capture, |message| {
            message.message_type() == message_type::REQUEST
        })?;
        machine.hush();
        Ok(capture)
    })
}

/// The upstream version of an installed Debian package: without epoch and revision.
fn version(package: &str) -> Result<String> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Version}", package])
        .output()?;
    ensure!(output.status.success(), "{package} is not installed");
    let version = String::from_utf8(output.stdout)?;
    let upstream = version
        .split_once(':')
        .map_or(&version[..], |(_, rest)| rest);
    let upstream = upstream
        .rsplit_once('-')
        .map_or(upstream, |(start, _)| start);
    Ok(upstream.to_owned())
}
