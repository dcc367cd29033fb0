//! The stage of the end-to-end cases: hypervisors, VMs and a fabric made of private namespaces, real DHCP clients, and
//! eyes on the wire and on the kernel's routes.
//!
//! ```text
//!   Guest ──veth──┐
//!   Guest ──tap───┤
//!   Qemu  ──tap───┤ virbrN ── Host (slash32-agent and its responders) ──uplink── Fabric
//!   Tap (no kernel behind it) ┘
//! ```
//!
//! Invariants:
//!
//! - Nothing has a name outside the [`Namespace`]s that a case made itself, so that cases run side by side, and the
//!   machine's own links, addresses, routes and processes are neither touched nor seen.
//! - Each [`Namespace`] lives as long as a pipe to the process of the case is open: whether the case returns, panics or
//!   is killed, the kernel ends everything that ran inside, and with it the links.
//! - Nothing here shares code with what it judges: frames are written and read by [`dhcp`] and `etherparse`.
//! - A missing precondition is an error with a sentence, never a skipped case.
//! - With `SLASH32_KEEP=FOLDER` each case leaves a capture of each of its VM links; without it, that costs nothing.
//! - Whoever waits, waits for an event, with a bound ([`until`]).

mod agent;
mod bare_tap;
pub mod bird;
mod boot_files;
mod capture;
mod client;
mod config;
mod console;
mod container;
pub mod debian;
pub mod dhcp;
mod every_link;
mod file_server;
mod fleet;
mod flood;
pub mod guide;
mod held;
mod host;
mod http;
mod installed;
mod journal;
mod keep;
pub mod libvirt;
mod link_monitor;
pub mod linux;
pub mod matrix;
pub mod misbehaving;
mod namespace;
mod netlink_drops;
mod network_boot;
mod packet;
mod pcap;
mod qemu;
mod raw_client;
mod route_monitor;
mod router_advertiser;
pub mod survival;
mod tap;
mod tftp;
mod wait;
mod wire;

pub use agent::{
    Agent, OTHER_VERSION, WITH_STD, binary, binary_of_other_version, check_config, is_bare,
    responders,
};
pub use bare_tap::Relay;
pub use boot_files::{BOOT_FILES_VARIABLE, BootFiles};
pub use capture::Capture;
pub use client::{Client, Software};
pub use config::{LINKS, POOL_NETWORK, static_network, vm_address};
pub use console::Console;
pub use container::{CONTAINER_FILES_VARIABLE, Container, ContainerFiles};
pub use every_link::{Arrived, EveryLink};
pub use file_server::{FileServer, Request};
pub use fleet::{Account, Fleet, RETRANSMIT, Renewals, all_bound};
pub use flood::{Flood, Sent};
pub use held::Held;
pub use host::{Fabric, GATEWAY, Guest, Host, bridge_mac, guest_mac};
pub use installed::Installed;
pub use journal::{Entry, Journal};
pub use namespace::{Namespace, Process};
pub use netlink_drops::netlink_drops;
pub use network_boot::{NetworkBoot, Stage};
pub use packet::PacketSocket;
pub use pcap::{PcapWriter, read_pcap};
pub use qemu::{Boot, Qemu};
pub use raw_client::{RawClient, expect};
pub use route_monitor::{Change, LinkDeletion, RouteChange, RouteMonitor};
pub use router_advertiser::RouterAdvertiser;
pub use slash32_binding::MacAddr;
pub use tap::Tap;
pub use wait::until;
pub use wire::{Frame, Wire};

/// The variable that names the program whose instructions are counted. `cargo xtask test` builds it and sets it.
pub const COUNTED_VARIABLE: &str = "SLASH32_COUNTED";
