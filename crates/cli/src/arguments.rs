//! The command line.

use crate::filter::Filter;
use crate::hook::Runtime;
use crate::shim::HOOKS_DIR;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use slash32_binding::MacAddr;
use slash32_control::{DEFAULT_SOCKET, State};
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// The agent's config, unless it is named.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/slash32/slash32.toml";

/// Shows what the slash32 agent of this host does for its VMs, and tells it what to do
///
/// The agent gives every virtual machine its own /32 address, by DHCP, on a link of its own. This program asks it, over a
/// unix socket.
#[derive(Parser)]
#[command(name = "slash32", version, max_term_width = 100)]
#[command(after_long_help = "Exit codes: 0 done, 1 failed, 2 not called as described here.")]
pub(crate) struct Arguments {
    /// Where the agent listens; SLASH32_SOCKET in the environment can say so too
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "SLASH32_SOCKET",
        hide_env = true,
        default_value = DEFAULT_SOCKET
    )]
    pub(crate) socket: PathBuf,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show every VM link, one a row
    ///
    /// States: idle (link without a VM), unassigned (no address for it), ready (served, not acknowledged yet), bound (the VM
    /// has its address), failed. LEASE is the time that is left.
    List {
        #[command(flatten)]
        filter: Filter,
    },

    /// Show everything about one VM link: its lease, its last request and the answer, its recent history
    ///
    /// The last request is shown decoded, with what was answered and why; so is what tells of another DHCP server on the
    /// link. Texts of the guest are shown with their control characters escaped. With --json the whole frame is there, too.
    Show {
        /// A link, an address, a VM's name or its UUID
        #[arg(value_name = "LINK|VM|ADDRESS")]
        key: String,
    },

    /// Tell why a VM gets what it gets, or who could have an address
    ///
    /// Names the network, the address and every option, and for each the scope and the line of the config that decided, and
    /// what was overridden. For an address that no VM has, tells which pool it is in, who could have it, or why it is set
    /// aside.
    Explain {
        /// A link, an address, a VM's name or its UUID
        #[arg(value_name = "LINK|VM|ADDRESS")]
        key: String,
    },

    /// Show the use of every pool of addresses
    ///
    /// RESERVED addresses are kept for a reservation, those SET ASIDE are another host's, and those in QUARANTINE were given
    /// back and are not to be had yet.
    Pools,

    /// Wait until a VM has its address
    ///
    /// The link need not exist yet. Prints the row of the link; of a VM with several NICs a row each when all of them have got
    /// there, with --json the last of them. Exits with 1 when the time is over.
    Wait {
        /// A link, an address, a VM's name or its UUID
        #[arg(value_name = "LINK|VM")]
        key: String,

        /// The state to wait for; a VM that is bound has been ready
        #[arg(long, default_value = "bound", value_parser = state_parser())]
        state: State,

        /// How long to wait, such as 500ms, 60s or 2m
        #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = duration)]
        timeout: Duration,
    },

    /// Show every VM link, live, until q or Esc is pressed
    ///
    /// The arrows, PageUp, PageDown, Home and End scroll; s sorts by the next column. Columns that do not fit are left out.
    /// With --json, prints the array of `list` on a line of its own after each change, and needs no terminal.
    Watch {
        #[command(flatten)]
        filter: Filter,
    },

    /// Print a line for everything that happens, until interrupted
    Events,

    /// Reserve an address for a link
    ///
    /// The reservation is kept in the agent's store, until `unbind`; a reservation in the config outdoes it. The link need
    /// not exist yet. A VM that runs with another address is off the network until it asks again: its host
    /// route goes at once, and it gets the new address at its next renewal.
    Bind {
        /// The link
        link: String,

        /// The address, in a subnet of the link's network
        address: Ipv4Addr,
    },

    /// End the reservation that `bind` made for a link
    Unbind {
        /// The link
        link: String,
    },

    /// Give an allocated address back, so that another VM can have it
    ///
    /// For the address of a VM that will not come back. A VM that is there is given an address again, maybe another one.
    Release {
        /// A link, an address, a VM's name or its UUID
        #[arg(value_name = "LINK|VM|ADDRESS")]
        key: String,
    },

    /// Check a config without applying it
    ///
    /// Reads FILE and the files in conf.d beside it, as the agent does. FILE may also be links/LINK.toml beside the agent's
    /// config: that of a link that is served without an agent. Needs no agent.
    Check {
        /// The config
        #[arg(default_value = DEFAULT_CONFIG)]
        file: PathBuf,
    },

    /// Apply the config as it is in its files now
    ///
    /// A config with errors is not applied, and the running one stays in force; so it does when a VM would lose its address,
    /// which has to be forced. Prints what is different.
    Reload {
        /// Apply it even when VMs lose their address
        #[arg(long)]
        force: bool,
    },

    /// Find what on this host keeps VMs from their address, and tell how to mend it
    ///
    /// Looks at settings, firewalls, bridges, other DHCP servers and routing daemons, and changes nothing. Needs no agent:
    /// without one, the config tells which links are VM links. As another user than root some checks cannot be made, which
    /// is said. Exits with 0 when there is no error, with 1 when there is one, and with 2 when there is none and a check was
    /// not made.
    Doctor {
        /// The config
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,

        /// Only print the names of the checks
        #[arg(long)]
        list: bool,
    },

    /// libvirt's hooks, by which the agent knows which VM is behind which link
    ///
    /// `slash32 hook install`, once, has libvirt tell of each VM and network that it starts: its name, its UUID, its MAC
    /// addresses, and what their metadata asks for. Without it VMs are served as well, by the names of their links.
    Hook(HookArguments),

    /// Save or restore the agent's store: who holds which address
    #[command(subcommand)]
    Store(StoreCommand),

    /// The scheme that carries a VM's address in its MAC address
    #[command(subcommand)]
    Mac(MacCommand),

    /// Print the version of this program and of the agent
    Version,

    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },

    /// Print the man page, or write one for each command
    Man {
        /// Write slash32.1, slash32-list.1, ... into this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct HookArguments {
    /// The agent's config, whose runtime-dir has the folder of the calls
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The agent's runtime folder, whatever a config says
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,

    /// The folder of libvirt's hooks
    #[arg(long, global = true, value_name = "DIR", default_value = HOOKS_DIR)]
    pub(crate) hooks_dir: PathBuf,

    #[command(subcommand)]
    pub(crate) command: HookCommand,
}

impl HookArguments {
    /// How the agent's runtime folder is known, where it was said.
    pub(crate) fn runtime(&self) -> Option<Runtime> {
        let folder = self.runtime_dir.clone().map(Runtime::Folder);
        folder.or_else(|| self.config.clone().map(Runtime::Config))
    }
}

#[derive(Subcommand)]
pub(crate) enum HookCommand {
    /// Have libvirt tell the agent of its VMs and networks
    ///
    /// Puts a small script into network.d and qemu.d of libvirt's hook folder, beside what is there; a script that slash32
    /// did not write is never touched. libvirt before 6.5 reads no such folder: there it becomes the one script of the hook,
    /// or, where there is one, the line to add to it is printed. Says whether libvirt has to be restarted, which leaves VMs
    /// running. --config and --runtime-dir are for an agent that is not where it is by default, and are written into the
    /// scripts. Exits with 1 when libvirt will not call them.
    Install,

    /// Take the scripts away again
    Uninstall,

    /// Tell whether libvirt calls the scripts
    ///
    /// Exits with 0 when they are installed, and with 1 when one is not.
    Status,

    /// What libvirt calls when it starts or stops a network, or a VM joins or leaves one
    ///
    /// Leaves its arguments and the XML on its standard input for the agent, whether that runs or not. Prints nothing, ends
    /// within 50 ms and exits with 0, whatever happens: libvirt takes a failure for a veto. What went wrong is in the
    /// system's log. Options stand before the word network: what follows it is libvirt's, whatever it looks like.
    Network {
        /// What libvirt says
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },

    /// What libvirt calls when it starts, stops, restores or migrates a VM
    ///
    /// As `slash32 hook network` does.
    Qemu {
        /// What libvirt says
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

#[derive(Subcommand)]
pub(crate) enum StoreCommand {
    /// Write the whole store as a JSON document
    ///
    /// FILE appears whole or not at all, and only its owner can read it.
    Export {
        /// The file to write, which is replaced; - is the standard output
        #[arg(default_value = "-")]
        file: PathBuf,
    },

    /// Replace the whole store by a document that `export` wrote
    ///
    /// A document with an error changes nothing. Only root, and the user that the agent runs as, may send a large one.
    Import {
        /// The file to read; - is the standard input
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum MacCommand {
    /// Print the MAC address to give to a VM, so that the VM gets an address
    ///
    /// Reads the config, and needs no agent: whether another VM has the address already, it does not say.
    Encode {
        /// The address, in a pool of a network with allocation = "mac"
        address: Ipv4Addr,

        #[command(flatten)]
        scheme: Scheme,
    },

    /// Print the address that a VM with a MAC address gets
    ///
    /// Reads the config, and needs no agent.
    Decode {
        /// The MAC address, such as 52:54:cb:00:71:07
        mac: MacAddr,

        #[command(flatten)]
        scheme: Scheme,
    },

    /// Print a free address and the MAC address to give to a VM, so that the VM gets that address
    ///
    /// Nothing keeps the address until the VM is there.
    Next {
        /// The network; needed when several carry addresses in MACs
        #[arg(long, value_name = "NAME")]
        network: Option<String>,
    },
}

/// Where the scheme of the MAC addresses is read.
#[derive(Args)]
pub(crate) struct Scheme {
    /// The network; needed when several could be meant
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,

    /// The config
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(crate) config: PathBuf,
}

/// The names of the states, which completions and `--help` list.
pub(crate) fn state_parser() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::name)).try_map(|name| name.parse::<State>())
}

/// `500ms`, `60s`, `2m`, `1h30m`: hours and less, not negative.
fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = text.parse::<jiff::SignedDuration>().ok();
    duration
        .and_then(|duration| duration.try_into().ok())
        .ok_or("not a duration such as 500ms, 60s or 2m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        let table = [
            ("500ms", Some(Duration::from_millis(500))),
            ("60s", Some(Duration::from_secs(60))),
            ("2m", Some(Duration::from_secs(120))),
            ("1h30m", Some(Duration::from_secs(5400))),
            ("0s", Some(Duration::ZERO)),
            ("60", None),
            ("-1s", None),
            ("1 fortnight", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(duration(text).ok(), expected, "{text:?}");
        }
    }
}
