//! libvirt's hook contract: arguments and XML in, facts out. No sockets, no files, no clock.
//!
//! [`read`] makes facts of one hook call, [`domain_status`] and [`network_status`] of libvirt's own state files; [`Knowledge`] is
//! what all facts so far come to, and answers the one question that the agent has: which NIC of which VM is behind this
//! link? [`spool`] is how a hook call waits for the agent.
//!
//! Facts are hints, never triggers: the kernel says whether a VM is there, libvirt says which one it is.

mod call;
mod domain;
mod fact;
mod index;
mod knowledge;
mod mac;
mod metadata;
mod network;
mod nic;
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
