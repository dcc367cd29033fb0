use crate::Call;
use serde::{Deserialize, Serialize};
use slash32_binding::MacAddr;
use std::collections::BTreeMap;

/// What one hook call or one state file says.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// The network is there, or is about to be.
    Network(Network),
}

/// A libvirt network, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The bridge that it makes or uses.
    pub bridge: Option<String>,
    /// libvirt's dnsmasq answers DHCP on it: an `<ip>` has `<dhcp>`.
    pub dhcp: bool,
    /// What its `urn:slash32:1` metadata asks for.
    pub metadata: Metadata,
}

/// One NIC of one VM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Nic {
    /// The VM's name; any text that libvirt allows.
    pub vm: String,
    /// The VM's UUID, in lower case.
    pub uuid: String,
    /// The guest's MAC address.
    #[serde(with = "mac")]
    pub mac: MacAddr,
    /// The libvirt network that it is in.
    pub network: Option<String>,
    /// The VM migrates to this host and has not run here yet, as far as libvirt's hooks tell.
    pub incoming: bool,
    /// What metadata asks for this NIC: its own `<slash32:interface>` before `<slash32:vm>` of the domain before that of the
    /// network.
    pub metadata: Metadata,
}

/// What `urn:slash32:1` metadata asks for one NIC, as it is written there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// `address`: an IPv4 address, if it is a right one.
    pub address: Option<String>,
    /// `network`: the name of a `[[network]]`.
    pub network: Option<String>,
    /// `tags`: separated by commas or white space.
    pub tags: Vec<String>,
    /// Every other attribute: an option by the name of its config key, `hostname` among them.
    pub options: BTreeMap<String, String>,
    /// Why the address must not be taken from it, in one sentence.
    pub fault: Option<String>,
}

/// Why a call or a file says nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// The facts of one hook call. None for an operation that says nothing.
pub fn read(_call: &Call) -> Result<Vec<Fact>, Fault> {
    Ok(Vec::new())
}

/// The facts of `/run/libvirt/qemu/NAME.xml`.
pub fn domain_status(_xml: &str) -> Result<Vec<Fact>, Fault> {
    Ok(Vec::new())
}

/// The facts of `/run/libvirt/network/NAME.xml`.
pub fn network_status(_xml: &str) -> Result<Vec<Fact>, Fault> {
    Ok(Vec::new())
}

/// A MAC address in its usual text form.
mod mac {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use slash32_binding::MacAddr;

    pub(super) fn serialize<S: Serializer>(mac: &MacAddr, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(mac)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MacAddr, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
