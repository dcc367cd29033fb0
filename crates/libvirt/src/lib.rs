//! libvirt's hook contract: arguments and XML in, facts out. No sockets, no files, no clock.
//!
//! [`read`] makes facts of one hook call, [`domain_status`] and [`network_status`] of libvirt's own state files; [`Knowledge`] is
//! what all facts so far come to, and answers the one question that the agent has: which NIC of which VM is behind this
//! link? [`spool`] is how a hook call waits for the agent, and [`Recent`] puts one that comes late into its place.
//!
//! Facts are hints, never triggers: the kernel says whether a VM is there, libvirt says which one it is.
//!
//! # Which fact counts for how long
//!
//! A fact says how something is, so one that is read twice does no harm. As libvirt 9.0 was seen to tell them:
//!
//! | when | tells | and is worth |
//! |---|---|---|
//! | `network port-created` | network, bridge, owner, MAC address, the UUID of the port | the NIC is there, or soon; no tap yet |
//! | `network port-deleted` | the same | the NIC has gone, if it was the port's: an interface that is only changed gets a second port for a moment |
//! | `qemu migrate`, `restore`, `prepare` | the domain's XML, no bridges, no taps | what was known of an earlier start is over |
//! | `qemu start`, `started`, `reconnect`, `attach` | the domain's XML with bridges and taps | these NICs are there, and no others |
//! | `qemu stopped`, `release` | the domain's XML, no bridges, no taps | the VM has gone, by its UUID |
//! | `network start`, `started`, `updated`, `stopped` | the network's XML | of a network only: its VMs run on when it stops, and `updated` comes for one that does not run |
//! | a domain's state file | as `started` | as it was when the file was written, so a port that came since stays |
//!
//! Nothing is told when an `<interface type='bridge'>` is put into a VM that runs, until libvirtd is restarted or the state file
//! is read.
//!
//! # Bounds
//!
//! A document may be of any length. It is read in time and memory in proportion to that, without recursion; one with a DTD,
//! or of a shape that libvirt does not write, is refused. NICs of a VM, ports of a NIC, options and tags of a NIC are
//! bounded; what is beyond is left out.

mod call;
mod domain;
mod fact;
mod index;
mod knowledge;
mod mac;
mod metadata;
mod network;
mod nic;
mod recent;
pub mod spool;
mod vm;
mod xml;

pub use call::{Call, Hook};
pub use domain::{Domain, Interface, Port};
pub use fact::{Fact, Fault, Stage, domain_status, network_status, read};
pub use knowledge::{Knowledge, Place};
pub use metadata::{InterfaceElement, Metadata, VmElement};
pub use network::Network;
pub use nic::Nic;
pub use recent::Recent;
