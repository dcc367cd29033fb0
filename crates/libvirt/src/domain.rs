use crate::{Fault, VmElement, mac, xml};
use roxmltree::Node;
use serde::{Deserialize, Serialize};
use slash32_binding::MacAddr;

/// Interfaces of one domain; what is beyond is left out.
const MAX_INTERFACES: usize = 256;

/// A libvirt domain, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Domain {
    /// Its name; any text that libvirt allows.
    pub name: String,
    /// Its UUID, in lower case.
    pub uuid: String,
    /// Its interfaces that hang on a link of the host: of type `network`, `bridge` or `ethernet`.
    pub interfaces: Vec<Interface>,
    /// What its `urn:slash32:1` metadata asks for.
    pub metadata: VmElement,
}

/// An `<interface>` of a domain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Interface {
    /// The guest's MAC address.
    #[serde(with = "mac")]
    pub mac: MacAddr,
    /// The libvirt network that it is in.
    pub network: Option<String>,
    /// The UUID of its port of that network; none before the VM starts.
    pub port: Option<String>,
    /// The bridge that its tap is put into; of an interface in a network none before the VM starts.
    pub bridge: Option<String>,
    /// The name of its tap: before the VM starts only one that the owner chose.
    pub tap: Option<String>,
}

/// A `<networkport>`: one interface of one VM in one network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Its UUID; none from an older libvirt, which had no ports.
    pub port: Option<String>,
    /// The network's name.
    pub network: String,
    /// Its bridge; that of its network when it is not told.
    pub bridge: Option<String>,
    /// The owner's name.
    pub vm: String,
    /// The owner's UUID, in lower case.
    pub uuid: String,
    /// The guest's MAC address.
    pub mac: MacAddr,
}

impl Domain {
    /// Reads a `<domain>`.
    pub(crate) fn read(domain: Node<'_, '_>) -> Result<Self, Fault> {
        let (name, uuid) = name_and_uuid(domain, "domain")?;
        let devices = xml::children(domain, "devices");
        let interfaces = devices.flat_map(|devices| xml::children(devices, "interface"));
        Ok(Self {
            name,
            uuid,
            interfaces: interfaces
                .filter_map(Interface::read)
                .take(MAX_INTERFACES)
                .collect(),
            metadata: VmElement::read(domain),
        })
    }
}

impl Interface {
    /// None for one that hangs on no link, or has no MAC address.
    pub(crate) fn read(interface: Node<'_, '_>) -> Option<Self> {
        // The state files keep what was asked for apart from what it came to.
        let actual = xml::child(interface, "actual");
        let kind = actual.unwrap_or(interface).attribute("type")?;
        let on_a_link = ["network", "bridge", "ethernet"].contains(&kind);
        let mac = xml::attribute_of(interface, "mac", "address")?;
        let source = |attribute| xml::attribute_of(interface, "source", attribute);
        let in_use = actual.and_then(|actual| xml::attribute_of(actual, "source", "bridge"));
        on_a_link.then_some(Self {
            mac: mac.parse().ok()?,
            network: source("network"),
            port: source("portid"),
            bridge: in_use.or_else(|| source("bridge")),
            tap: xml::attribute_of(interface, "target", "dev"),
        })
    }
}

impl Port {
    /// Reads the `<networkport>` of `network`; of an older libvirt, the `<interface>` and the `<domain>` beside it. None for
    /// one that is plugged into no bridge, but into a device of the host.
    pub(crate) fn read(
        hook_data: Node<'_, '_>,
        network: &crate::Network,
    ) -> Result<Option<Self>, Fault> {
        let named = xml::child(hook_data, "networkport");
        let plug = named.and_then(|port| xml::attribute_of(port, "plug", "type"));
        if plug.is_some_and(|plug| !["network", "bridge"].contains(&plug.as_str())) {
            return Ok(None);
        }
        let (port, owner) = match named {
            Some(port) => (port, xml::child(port, "owner")),
            None => {
                let interface = xml::child(hook_data, "interface");
                let none = || Fault("it has no <networkport>".into());
                (interface.ok_or_else(none)?, xml::child(hook_data, "domain"))
            }
        };
        let (vm, uuid) = name_and_uuid(
            owner.ok_or_else(|| Fault("the port has no <owner>".into()))?,
            "owner of the port",
        )?;
        let mac = xml::attribute_of(port, "mac", "address").and_then(|mac| mac.parse().ok());
        let bridge = match named {
            Some(port) => xml::attribute_of(port, "plug", "bridge"),
            None => network.bridge.clone(),
        };
        Ok(Some(Self {
            port: named.and_then(|port| xml::text_of(port, "uuid")),
            network: network.name.clone(),
            bridge,
            vm,
            uuid,
            mac: mac.ok_or_else(|| Fault("the port has no <mac>".into()))?,
        }))
    }
}

fn name_and_uuid(owner: Node<'_, '_>, what: &str) -> Result<(String, String), Fault> {
    let text = |name| {
        xml::text_of(owner, name).ok_or_else(|| Fault(format!("the {what} has no <{name}>")))
    };
    Ok((text("name")?, text("uuid")?.to_ascii_lowercase()))
}
