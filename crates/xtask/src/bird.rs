//! The demo's routing daemons: BIRD on the hypervisor and on the fabric's router, one iBGP session between them.
//!
//! The hypervisor exports nothing but the host routes of the agent: /32s that the kernel says came from route protocol 132.

use anyhow::{Context, Result};
use slash32_tests::{Namespace, Process, until};
use std::fs;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The private AS number of both ends.
const AUTONOMOUS_SYSTEM: u32 = 65_000;

/// Within a namespace, whose /run is its own.
const FOLDER: &str = "/run/bird";

/// Which routes a daemon takes from its kernel, and so tells its neighbour.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// Takes the agent's host routes.
    Hypervisor,
    /// Takes none; puts what it learns into its kernel.
    Router,
}

/// A running BIRD. Dropping it ends it.
pub(crate) struct Bird {
    _daemon: Process,
}

impl Bird {
    /// Starts BIRD in `namespace`, speaking iBGP from `local` to `neighbor`.
    ///
    /// # Errors
    /// When it is not installed, or does not take its configuration.
    pub(crate) fn start(
        namespace: &Namespace,
        role: Role,
        local: Ipv4Addr,
        neighbor: Ipv4Addr,
    ) -> Result<Self> {
        let folder = namespace.path(FOLDER);
        fs::create_dir_all(&folder).context("cannot make BIRD's folder")?;
        fs::write(
            folder.join("bird.conf"),
            configuration(role, local, neighbor),
        )?;
        let paths = [("-c", "bird.conf"), ("-s", "bird.ctl"), ("-P", "bird.pid")];
        let mut command = Command::new("bird");
        command.arg("-f").args(
            paths
                .iter()
                .flat_map(|(flag, file)| [(*flag).to_owned(), format!("{FOLDER}/{file}")]),
        );
        let log = fs::File::create(folder.join("bird.log"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Self {
            _daemon: namespace.spawn(&mut command)?,
        })
    }
}

/// Waits until the BGP session of the BIRD in `namespace` is up.
///
/// # Errors
/// When it is not within `bound`.
pub(crate) fn established(namespace: &Namespace, bound: Duration) -> Result<()> {
    until("the iBGP session", bound, || {
        let answer = birdc(namespace, "show protocols");
        Ok(answer
            .is_ok_and(|text| text.contains("Established"))
            .then_some(()))
    })
}

/// What `birdc COMMAND` prints in `namespace`.
///
/// # Errors
/// When BIRD does not answer.
pub(crate) fn birdc(namespace: &Namespace, command: &str) -> Result<String> {
    let socket = format!("{FOLDER}/bird.ctl");
    let mut arguments = vec!["-r", "-s", socket.as_str()];
    arguments.extend(command.split_whitespace());
    namespace.run("birdc", &arguments)
}

/// Takes the agent's host routes, and nothing else. Stands in README.md too.
pub(crate) const FILTER: &str = "\
filter vms {
  if krt_source = 132 && net.type = NET_IP4 && net.len = 32 then accept;
  reject;
}
";

/// BIRD's configuration.
fn configuration(role: Role, local: Ipv4Addr, neighbor: Ipv4Addr) -> String {
    let (kernel, exported) = match role {
        // The buffer: with the default one, thousands of routes at once are only complete after the next scan.
        Role::Hypervisor => (
            "learn; netlink rx buffer 16777216; ipv4 { import filter vms; export none; };",
            "RTS_INHERIT",
        ),
        Role::Router => (
            "ipv4 { import none; export where source = RTS_BGP; };",
            "RTS_BGP",
        ),
    };
    format!(
        "log stderr all;
router id {local};
protocol device {{ }}
protocol direct {{ ipv4; }}  # BGP's next hops resolve over connected routes
{FILTER}protocol kernel {{ scan time 20; {kernel} }}
protocol bgp fabric {{
  local {local} as {AUTONOMOUS_SYSTEM};
  neighbor {neighbor} as {AUTONOMOUS_SYSTEM};
  hold time 9;
  connect delay time 1;
  ipv4 {{ import all; export where source = {exported}; next hop self; }};
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hypervisor_takes_routes_from_its_kernel() {
        let (local, neighbor) = (Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 1));
        assert!(configuration(Role::Hypervisor, local, neighbor).contains("import filter vms"));
        assert!(configuration(Role::Router, local, neighbor).contains("ipv4 { import none;"));
    }
}
