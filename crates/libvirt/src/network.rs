use crate::{Fault, VmElement, xml};
use roxmltree::Node;
use serde::{Deserialize, Serialize};

/// A libvirt network, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The bridge that it makes or uses.
    pub bridge: Option<String>,
    /// libvirt's dnsmasq answers DHCP on it: an `<ip>` of IPv4 has `<dhcp>` with a range or a host.
    pub dhcp: bool,
    /// What its `urn:slash32:1` metadata asks for.
    pub metadata: VmElement,
}

impl Network {
    /// Reads a `<network>`.
    pub(crate) fn read(network: Node<'_, '_>) -> Result<Self, Fault> {
        let name = xml::text_of(network, "name");
        Ok(Self {
            name: name.ok_or_else(|| Fault("the network has no <name>".into()))?,
            bridge: xml::attribute_of(network, "bridge", "name"),
            dhcp: xml::children(network, "ip").any(answers_dhcp),
            metadata: VmElement::read(network),
        })
    }
}

/// libvirt starts a DHCPv4 server for this `<ip>`.
fn answers_dhcp(ip: Node<'_, '_>) -> bool {
    let ipv4 = ip.attribute("family").is_none_or(|family| family == "ipv4");
    ipv4 && xml::children(ip, "dhcp").any(|dhcp| {
        ["range", "host"]
            .iter()
            .any(|kind| xml::child(dhcp, kind).is_some())
    })
}
