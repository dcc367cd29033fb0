//! Why a VM gets what it gets, as `slash32 explain` prints it.

use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Each value that a VM gets, with the scope and the line of the config that it comes from.
///
/// An `origin` is `FILE:LINE`; `None` where no line of the config says so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The kernel's name of the link; `None` for an address that no VM has.
    pub link: Option<String>,
    /// The network that the link, or the address, belongs to.
    pub network: ExplainedNetwork,
    /// The address, and what decided it.
    pub address: ExplainedAddress,
    /// Every option that is set for the VM, in the order in which it is to be shown.
    pub options: Vec<ExplainedOption>,
    /// Why the VM gets nothing, in a sentence; `None` when nothing stands in its way.
    pub refused: Option<String>,
    /// What else is to be known, a sentence each: of an address that no VM has, the pool that it is in, who could have it,
    /// why it is set aside.
    pub notes: Vec<String>,
}

/// Which `[[network]]` was chosen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExplainedNetwork {
    /// The name of the network; `None` when there is none for the link.
    pub name: Option<String>,
    /// Why this one, or why none.
    pub why: String,
    /// The line that decided.
    pub origin: Option<String>,
}

/// Which address was chosen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExplainedAddress {
    /// The address; `None` when there is none for the VM.
    pub value: Option<Ipv4Addr>,
    /// Why this one, or why none.
    pub why: String,
    /// The line that decided.
    pub origin: Option<String>,
}

/// One option.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExplainedOption {
    /// The key in the config, such as `dns`.
    pub key: String,
    /// The value, as the config writes it.
    pub value: String,
    /// The scope that set it: reservation, pool, subnet, network, class, global, or default where none did.
    pub scope: String,
    /// The line that set it.
    pub origin: Option<String>,
    /// What wider scopes say, the narrowest first.
    pub overrides: Vec<OverriddenOption>,
}

/// A value that a narrower scope has replaced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OverriddenOption {
    /// The value, as the config writes it.
    pub value: String,
    /// The scope that sets it.
    pub scope: String,
    /// The line that sets it.
    pub origin: Option<String>,
}
