use crate::{Interface, Metadata, Network, Port, VmElement, mac};
use serde::{Deserialize, Serialize};
use slash32_binding::{Ipv4Addr, MacAddr};
use std::collections::BTreeMap;

/// Ports of one NIC; the oldest is forgotten.
const MAX_PORTS: usize = 8;
/// The first byte of the MAC address of a tap that libvirt made; the others are the guest's.
const TAP_MAC: u8 = 0xfe;
/// How the names begin that libvirt gives to taps. They are used again.
const GENERATED: &str = "vnet";

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
    /// The guest did not boot for this start of the VM: it was restored, or migrates here, and goes on with what it had.
    #[serde(default)]
    pub resumed: bool,
    /// What metadata asks for this NIC: its own `<slash32:interface>` before `<slash32:vm>` of the domain before that of the
    /// network.
    pub metadata: Metadata,
}

impl Nic {
    /// The same, where metadata fixes this address.
    pub fn staying_at(&self, address: Ipv4Addr) -> Self {
        let metadata = Metadata {
            address: Some(address.to_string()),
            fault: None,
            ..self.metadata.clone()
        };
        Self {
            metadata,
            ..self.clone()
        }
    }
}

/// A NIC, and what is known of where it hangs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Attached {
    pub(crate) nic: Nic,
    /// The domain's XML lists it.
    pub(crate) interface: Option<Interface>,
    /// The ports that networks have told of and not taken back, the newest last. A second one is no second NIC: libvirt
    /// makes one for a moment when an interface is changed.
    ports: Vec<AttachedPort>,
    /// The bridge that all this comes to.
    pub(crate) bridge: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct AttachedPort {
    port: Option<String>,
    network: String,
    bridge: Option<String>,
}

impl Attached {
    pub(crate) fn new(vm: &str, uuid: &str, mac: MacAddr) -> Self {
        let nic = Nic {
            vm: vm.into(),
            uuid: uuid.into(),
            mac,
            network: None,
            incoming: false,
            resumed: false,
            metadata: Metadata::default(),
        };
        Self {
            nic,
            interface: None,
            ports: Vec::new(),
            bridge: None,
        }
    }

    pub(crate) fn port_created(&mut self, port: Port) {
        self.ports.retain(|known| known.port != port.port);
        if self.ports.len() == MAX_PORTS {
            self.ports.remove(0);
        }
        self.ports.push(AttachedPort {
            port: port.port,
            network: port.network,
            bridge: port.bridge,
        });
    }

    /// Whether the NIC is still there. It goes with its last port; when the domain's XML lists it, only with the port that
    /// stands there, or that took the place of that one.
    pub(crate) fn port_deleted(&mut self, port: &Port) -> bool {
        self.ports.retain(|known| known.port != port.port);
        let newest = self.ports.last();
        let Some(listed) = &mut self.interface else {
            return newest.is_some();
        };
        let its_own = listed.port.is_some() && listed.port == port.port;
        match newest {
            Some(newest) if its_own => listed.port.clone_from(&newest.port),
            _ => {}
        }
        !its_own || newest.is_some()
    }

    /// The domain's XML is whole and of now: what it does not list is not there.
    pub(crate) fn keep_listed_port(&mut self) {
        let listed = self
            .interface
            .as_ref()
            .and_then(|interface| interface.port.as_ref());
        self.ports.retain(|known| known.port.as_ref() == listed);
    }

    pub(crate) fn forget_ports(&mut self) {
        self.ports.clear();
    }

    pub(crate) fn has_ports(&self) -> bool {
        !self.ports.is_empty()
    }

    /// Draws the conclusions: network, bridge, metadata. The newest port knows better than the domain's XML, and that better
    /// than the network's.
    pub(crate) fn conclude(
        &mut self,
        vm: &str,
        nics: usize,
        domain: &VmElement,
        networks: &BTreeMap<String, Network>,
    ) {
        let (port, listed) = (self.ports.last(), self.interface.as_ref());
        let name = port
            .map(|port| &port.network)
            .or_else(|| listed?.network.as_ref());
        let network = name.and_then(|name| networks.get(name));
        let bridge = match (port, listed) {
            (Some(port), _) => port.bridge.as_ref(),
            (None, Some(listed)) => listed.bridge.as_ref(),
            (None, None) => None,
        };
        let bridge = bridge.or_else(|| network?.bridge.as_ref());
        self.bridge = bridge.cloned();
        self.nic.vm = vm.into();
        self.nic.network = name.cloned();
        let network = network.map(|network| &network.metadata);
        self.nic.metadata = Metadata::of_nic(self.nic.mac, nics, domain, network);
    }

    /// The name of its tap, as far as libvirt told it.
    pub(crate) fn tap(&self) -> Option<&str> {
        self.interface.as_ref()?.tap.as_deref()
    }

    /// Whether a port of this name, which is that of our tap, is our tap. The kernel gives a name of libvirt's making to
    /// another tap later; a name of the owner's choice stays, with whatever MAC address the owner gave to the tap.
    pub(crate) fn is_tap(&self, name: &str, mac: MacAddr) -> bool {
        !name.starts_with(GENERATED) || tail_of_tap(mac) == Some(tail(self.nic.mac))
    }
}

/// The part of a guest's MAC address that its tap has, too.
pub(crate) fn tail(guest: MacAddr) -> [u8; 5] {
    let [_, tail @ ..] = guest.0;
    tail
}

/// The part of the guest's MAC address in that of a tap of libvirt's making; none for any other port.
pub(crate) fn tail_of_tap(tap: MacAddr) -> Option<[u8; 5]> {
    let [TAP_MAC, tail @ ..] = tap.0 else {
        return None;
    };
    Some(tail)
}
