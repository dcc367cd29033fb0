//! What an operator changes, and what the agent says to it.

use crate::{LinkRow, ShowError};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// A change was made, and is durable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Done {
    /// What was done, in a sentence.
    pub done: String,
    /// The link that it was done to, as it is now; `None` for one that is not there.
    pub link: Option<LinkRow>,
}

/// The agent does not do what it was asked, and nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// Why, and what would be right, in a sentence.
    pub reason: String,
}

/// The caller may read, and not change anything.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct NotPermitted {
    /// Who may, and what to do, in a sentence.
    pub reason: String,
}

impl From<ShowError> for Refused {
    fn from(error: ShowError) -> Self {
        Self {
            reason: error.to_string(),
        }
    }
}

/// A new config is in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReloadReport {
    /// What is different, a sentence each; empty when nothing is.
    pub changed: Vec<String>,
    /// The links whose VMs had an address and have it no longer, as they were before; empty unless it was forced.
    pub lost: Vec<LinkRow>,
}

/// Why the running config stays in force.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReloadError {
    /// The config has errors.
    #[error("{text}")]
    Config {
        /// All errors, each with its line of the config: several lines.
        text: String,
    },
    /// VMs that have an address would lose it, and that was not forced.
    #[error(
        "the new config would take the address of: {}: use --force",
        losers(links)
    )]
    WouldLose {
        /// Their links, as they are.
        links: Vec<LinkRow>,
    },
    /// Something else is in the way.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// `virbr13 (203.0.113.7), virbr14 (203.0.113.8)`
fn losers(links: &[LinkRow]) -> String {
    let name = |row: &LinkRow| match row.address {
        Some(address) => format!("{} ({address})", row.link),
        None => row.link.clone(),
    };
    links.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The use of one pool. The numbers count addresses: `used`, `free`, `reserved`, `set_aside` and `quarantined` add up to
/// `total`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PoolRow {
    /// The name of the `[[network]]`.
    pub network: String,
    /// The prefix of the subnet.
    pub subnet: String,
    /// The pool's range, such as `203.0.113.10-203.0.113.99`.
    pub pool: String,
    /// In the range.
    pub total: u64,
    /// Allocated.
    pub used: u64,
    /// To be had.
    pub free: u64,
    /// Kept for a reservation.
    pub reserved: u64,
    /// Not given, because another host has them.
    pub set_aside: u64,
    /// Given back, and not to be had yet.
    pub quarantined: u64,
}

/// A MAC address for a VM that does not exist yet, and the address that is encoded in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NextMac {
    /// The MAC address, such as `52:54:cb:00:71:07`.
    pub mac: String,
    /// The address that a VM with this MAC gets. Nothing keeps it until then.
    pub address: Ipv4Addr,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;

    fn row(link: &str, address: Option<&str>) -> LinkRow {
        LinkRow {
            link: link.into(),
            ifindex: 7,
            vm: None,
            uuid: None,
            mac: None,
            address: address.map(|text| text.parse().unwrap()),
            gateway: None,
            network: None,
            state: State::Bound,
            reason: None,
            route: true,
            generation: None,
            lease: None,
            responder: None,
        }
    }

    #[test]
    fn a_reload_that_would_take_addresses_names_every_vm_that_loses_one() {
        let links = vec![
            row("virbr13", Some("203.0.113.7")),
            row("virbr14", Some("203.0.113.8")),
        ];
        assert_eq!(
            ReloadError::WouldLose { links }.to_string(),
            "the new config would take the address of: virbr13 (203.0.113.7), virbr14 (203.0.113.8): use --force"
        );
    }
}
