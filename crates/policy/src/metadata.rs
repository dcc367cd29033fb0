use crate::{Config, LinkFacts, Network, Unassigned, value};
use slash32_binding::Ipv4Addr;
use std::collections::BTreeMap;

/// What libvirt's metadata (`urn:slash32:1`) asks for one NIC, as it is written there; nothing of it was judged yet. An empty
/// `address` or `network` asks for none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// `address`: an IPv4 address, if it is a right one; `/32` may stand behind it.
    pub address: Option<String>,
    /// `network`: the name of a `[[network]]`.
    pub network: Option<String>,
    /// `tags`.
    pub tags: Vec<String>,
    /// Options by the names of their config keys, `hostname` among them, and their values as text.
    pub options: BTreeMap<String, String>,
    /// Why the address must not be taken from it, in one sentence.
    pub fault: Option<String>,
}

impl Metadata {
    /// The address that is asked for, if one is.
    ///
    /// Errors: what is written is no address that a VM can have.
    pub(crate) fn address(&self) -> Result<Option<Ipv4Addr>, Unassigned> {
        if let Some(fault) = &self.fault {
            return Err(wrong(fault.clone()));
        }
        let Some(text) = asked(&self.address) else {
            return Ok(None);
        };
        match value::unicast(text.strip_suffix("/32").unwrap_or(text)) {
            Ok(address) => Ok(Some(address)),
            Err(message) => Err(wrong(format!("address = {} {message}", quoted(text)))),
        }
    }
}

impl Config {
    /// The network whose addresses the VM on a link gets: the one that libvirt's metadata names, else the one that claims the
    /// link. To be asked before [`crate::Allocations::assign`], and anew with every change of the facts.
    ///
    /// Errors: there is no network of that name; then the VM has no address.
    pub fn chosen<'c>(
        &'c self,
        claimed: &'c Network,
        link: &LinkFacts,
    ) -> Result<&'c Network, Unassigned> {
        let Some(name) = asked(&link.metadata.network) else {
            return Ok(claimed);
        };
        self.network(name).ok_or_else(|| {
            let networks = self.networks.iter().map(|network| network.name.as_str());
            let networks = networks.collect::<Vec<_>>().join(", ");
            let name = quoted(name);
            wrong(format!(
                "network = {name} is no network of the config, which has {networks}"
            ))
        })
    }
}

/// An attribute that asks for something.
fn asked(attribute: &Option<String>) -> Option<&str> {
    attribute
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn wrong(what: String) -> Unassigned {
    Unassigned::Metadata { what }
}

/// The most characters of an attribute that a sentence shows: whoever may define a VM writes it.
const MOST_SHOWN: usize = 64;

/// Text of an attribute for a sentence: in quotes, with what is no printable character escaped, and not too long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
