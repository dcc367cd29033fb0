use crate::{Fact, Network, Nic};
use serde::{Deserialize, Serialize};
use slash32_binding::MacAddr;

/// What all facts so far come to. Serialisable: an agent that is restarted goes on with it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Knowledge {
    networks: Vec<Network>,
}

/// Where a VM hangs, as the kernel knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'p> {
    /// The VM link: a bridge, or the bare tap itself.
    pub link: &'p str,
    /// The name of the port with the VM: a port of the bridge, or the bare tap itself.
    pub port: &'p str,
    /// The port's own MAC address: libvirt gives a tap that of the guest with `fe` in front.
    pub port_mac: MacAddr,
}

impl Knowledge {
    /// Takes in one more fact. True when that is news.
    pub fn learn(&mut self, _fact: Fact) -> bool {
        false
    }

    /// The NIC at this place, if libvirt has told of one.
    pub fn nic(&self, _place: Place<'_>) -> Option<&Nic> {
        None
    }

    /// The network whose bridge this is.
    pub fn network_of(&self, bridge: &str) -> Option<&Network> {
        self.networks
            .iter()
            .find(|network| network.bridge.as_deref() == Some(bridge))
    }

    /// The guest has sent its first frame here: its NIC is incoming no more.
    pub fn arrived(&mut self, _uuid: &str, _mac: MacAddr) {}
}
