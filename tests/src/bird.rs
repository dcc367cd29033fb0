//! BIRD, the routing daemon, on hypervisors and on the fabric's router: iBGP between them, the router reflects.
//!
//! A hypervisor exports nothing but the host routes of its agent, /32s that the kernel says came from route protocol 132, and
//! puts what it learns of the others' VMs into its kernel.

use crate::{Namespace, Process, namespace::require, until};
use anyhow::{Context, Result};
use std::{
    fs,
    net::Ipv4Addr,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

/// The private AS number of all.
const AUTONOMOUS_SYSTEM: u32 = 65_000;

/// Within a namespace, whose /run is its own.
const FOLDER: &str = "/run/bird";

/// Which routes a daemon takes from its kernel, and so tells its neighbours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Takes the agent's host routes.
    Hypervisor,
    /// Takes none; tells every neighbour what the others have told (a route reflector, RFC 4456).
    Router,
}

/// One session: the own address and the neighbour's, on a link between them.
pub type Session = (Ipv4Addr, Ipv4Addr);

/// A running BIRD. Dropping it ends it.
pub struct Bird {
    log: PathBuf,
    _daemon: Process,
}

impl Bird {
    /// Starts BIRD in `namespace`, with an iBGP session to each neighbour, at least one.
    ///
    /// Errors: it is not installed, or does not take its configuration.
    pub fn start(namespace: &Namespace, role: Role, sessions: &[Session]) -> Result<Self> {
        require(&["bird", "birdc"])?;
        let folder = namespace.path(FOLDER);
        fs::create_dir_all(&folder).context("cannot make BIRD's folder")?;
        let text = configuration(role, sessions).context("a BIRD without neighbours")?;
        fs::write(folder.join("bird.conf"), text)?;
        let paths = [("-c", "bird.conf"), ("-s", "bird.ctl"), ("-P", "bird.pid")];
        let mut command = Command::new("bird");
        command.arg("-f").args(
            paths
                .iter()
                .flat_map(|(flag, file)| [(*flag).to_owned(), format!("{FOLDER}/{file}")]),
        );
        let path = folder.join("bird.log");
        let log = fs::File::create(&path)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Self {
            log: path,
            _daemon: namespace.spawn(&mut command)?,
        })
    }

    /// What it logged so far: every route that comes to it, and goes, is a line.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }
}

/// Waits until the BGP sessions of the BIRD in `namespace` are up.
///
/// Errors: they are not within `bound`.
pub fn established(namespace: &Namespace, bound: Duration) -> Result<()> {
    until("the iBGP sessions", bound, || {
        let Ok(answer) = birdc(namespace, "show protocols") else {
            return Ok(None);
        };
        let mut sessions = answer
            .lines()
            .filter(|line| line.contains(" BGP "))
            .peekable();
        let some = sessions.peek().is_some();
        let all = sessions.all(|line| line.contains("Established"));
        Ok((some && all).then_some(()))
    })
}

/// What `birdc COMMAND` prints in `namespace`.
///
/// Errors: BIRD does not answer.
pub fn birdc(namespace: &Namespace, command: &str) -> Result<String> {
    let socket = format!("{FOLDER}/bird.ctl");
    let mut arguments = vec!["-r", "-s", socket.as_str()];
    arguments.extend(command.split_whitespace());
    namespace.run("birdc", &arguments)
}

/// Takes the agent's host routes, and nothing else. Stands in README.md too.
pub const FILTER: &str = "\
filter vms {
  if krt_source = 132 && net.type = NET_IP4 && net.len = 32 then accept;
  reject;
}
";

/// BIRD's configuration; `None` without a session.
fn configuration(role: Role, sessions: &[Session]) -> Option<String> {
    let (id, _) = sessions.first()?;
    let (kernel, exported, client) = match role {
        // The buffer: with the default one, thousands of routes at once are only complete after the next scan.
        Role::Hypervisor => (
            "learn; netlink rx buffer 16777216; ipv4 { import filter vms; export where source = RTS_BGP; };",
            "RTS_INHERIT",
            "",
        ),
        Role::Router => (
            "ipv4 { import none; export where source = RTS_BGP; };",
            "RTS_BGP",
            "rr client; ",
        ),
    };
    let session = |(number, (local, neighbor)): (usize, &Session)| {
        format!(
            "protocol bgp peer{} {{
  debug {{ routes }};
  local {local} as {AUTONOMOUS_SYSTEM};
  neighbor {neighbor} as {AUTONOMOUS_SYSTEM};
  {client}hold time 9;
  connect delay time 1;
  ipv4 {{ import all; export where source = {exported}; next hop self; }};
}}
",
            number + 1
        )
    };
    let sessions: String = sessions.iter().enumerate().map(session).collect();
    Some(format!(
        "log stderr all;
router id {id};
protocol device {{ }}
protocol direct {{ ipv4; }}  # BGP's next hops resolve over connected routes
{FILTER}protocol kernel {{ scan time 20; {kernel} }}
{sessions}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hypervisor_takes_routes_from_its_kernel() {
        let session = (Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 1));
        let text = |role| configuration(role, &[session]).unwrap_or_default();
        assert!(text(Role::Hypervisor).contains("import filter vms"));
        assert!(text(Role::Router).contains("ipv4 { import none;"));
    }
}
