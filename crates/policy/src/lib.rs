//! What each VM gets: the operator's config, which network a link belongs to, which address, and which options.
//!
//! Pure: no clock (times are arguments), no socket, no task. The one exception is [`read_sources`], which reads the config's files and stands in a
//! file of its own. Nothing here parses what a guest sent.
//!
//! ```text
//! read_sources ─▶ Config::parse ─▶ Config ─ network_of(link), chosen(network) ─▶ Network
//!                      │              │                            │
//!                 ConfigErrors        └── Allocations::assign ─────┴─▶ Assignment ─ Config::binding ─▶ Binding
//! ```
//!
//! # Invariants
//!
//! - A [`Config`] has no error. Everything that it names is in force: a key that means nothing here was refused, with the
//!   reason, and so was a value that a [`slash32_binding::Binding`] cannot hold. Hence [`Config::binding`] cannot fail.
//! - All errors are told at once, each with its file, line, column and key, what is wrong and what would be right; one wrong
//!   thing is told once.
//! - Subnets share no address, nor do pools; a reservation lies in a subnet of its network, and no address is reserved twice;
//!   no gateway is an address of a VM; no link name is claimed by two networks (decided exactly, over all names).
//! - No two links are assigned one address, an `automatic` address stays with its identity, and what is reserved, bound or set
//!   aside is given to nobody else: [`Allocations`].
//! - What a guest says of itself chooses options, never an address or a time: [`Class::is_claimed`].
//!
//! # Precedence
//!
//! Each option is that of the narrowest scope that sets it: reservation, libvirt's metadata, pool, subnet, network, class, global. An empty list
//! or text counts as set, and stops the wider scopes. `raw` options are merged code by code. Of several classes the first
//! in the config that sets a key has it; what a class sets that only the guest can say it is in, becomes one of the
//! [`slash32_binding::Overlays`] of its binding, unless something stronger sets it.
//!
//! An address is that of the config's reservation, else the one that libvirt's metadata fixes, else the one that an operator
//! bound to the link, else what the network's `allocation` gives. Metadata that is wrong spoils nothing but what it asks for:
//! without its address the VM has none, and what is wrong of its options is left out and told. Classes of a network are asked of every VM; those of a
//! subnet or a pool only of VMs that are allocated an address in it: who has one fixed, has it.
//!
//! # A pass
//!
//! What the agent does, and in which order: [`Allocations::retain_links`] and [`Allocations::leave`] for what is gone;
//! [`Allocations::assign`] for each link that changed; [`Allocations::sweep`] with the time; [`Allocations::take_changes`]
//! into the store; and only then is anybody told.
//!
//! A reservation fits a link when all of its selectors do. When several fit, the one with the most selectors has it, then the
//! first in the config.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod allocation;
mod allocation_check;
mod assignment;
mod check;
mod claim;
mod class;
mod class_check;
mod class_read;
mod config;
mod decide;
mod ending;
mod ends;
mod error;
mod explain;
mod former;
mod free;
mod glob;
mod link;
mod link_file;
mod mac_prefix;
mod merge;
mod metadata;
mod metadata_options;
mod network;
mod network_read;
mod options;
mod options_check;
mod options_owned;
mod origin;
mod overlay;
mod pool_use;
mod reader;
mod scope;
mod settings;
mod similar;
mod source;
mod stock;
mod value;

pub use allocation::{Allocations, Change, Held, SetAside};
pub use assignment::{AddressSource, Assignment, Refusal, Unassigned};
pub use claim::LinkGlobs;
pub use class::{Class, ClassNames, GuestMatch, HostFact, HostMatch};
pub use class_read::architecture_name;
pub use config::{AgentConfig, ClaimedTwice, Config, Install, RouteConfig};
pub use error::{ConfigError, ConfigErrors};
pub use explain::{
    AddressReason, ClaimReason, ClassReason, Explanation, NetworkReason, OptionReason, Overridden,
};
pub use glob::Glob;
pub use link::{LinkFacts, LinkKind};
pub use mac_prefix::MacPrefix;
pub use metadata::Metadata;
pub use network::{Allocation, Ipv6, Network, Pool, Reservation, Selector, Subnet};
pub use options::{
    Host, MOST_RAW_BYTES, MOST_ROUTES, MOST_SERVERS, MOST_TFTP_SERVERS, Mtu, Options, RawOption,
    RouteOption,
};
pub use origin::{Located, Origin};
pub use pool_use::PoolUse;
pub use source::{Source, link_of, read_link_sources, read_sources};
