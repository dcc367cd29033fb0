//! The package on a whole Debian under QEMU, with what a container lacks: udev's device units, and cgroup controllers.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::Result;
use slash32_tests::{Host, debian};
use std::time::Duration;

/// It takes half a minute on two idle cores.
const BOUND: Duration = Duration::from_secs(220);

/// VM 13 is behind virbr13 and served by the agent; VM 14 is behind br-lan.14 and served by the template.
const SCRIPT: &str = include_str!("package_qemu/script");

/// One boot, because a boot costs more than everything that is looked at.
#[test]
fn on_a_host_with_udev_and_cgroup_controllers_units_follow_devices_and_limits_hold() -> Result<()> {
    let host = Host::new()?;
    let found = debian::run(&host, SCRIPT, BOUND)?;
    found.is("installed", "0")?;
    found.is("agent", "active")?;
    found.is("device", "active")?;
    found.has("address", "203.0.113.13/32")?;
    found.is("ping from the host", "0")?;
    found.is("ping from the VM", "0")?;

    found.is("unit follows its device", "active")?;
    found.has("second address", "203.0.113.14/32")?;
    found.is("ping from the host to the second VM", "0")?;
    found.is("memory.max", "33554432")?;
    found.is("pids.max", "2")?;
    found.has("fork in the unit", "annot fork")?;
    found.is("packet from the unit", "1")?;
    found.is("packet from elsewhere", "0")?;
    // 128 and SIGKILL.
    found.is("too much memory in the unit", "137")?;
    found.is("so much memory elsewhere", "0")?;
    found.is("unit after that", "active")?;
    found.is("unit without its device", "inactive")?;
    found.is("unit with its device again", "active")?;
    found.is("end", "0")
}
