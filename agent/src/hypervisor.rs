//! What libvirt tells: hook calls, and libvirt's own files of what runs. Hints, never triggers: the kernel says whether a VM is
//! there, libvirt says which one it is.

use crate::link::{Kind, Link, LinkTable};
use crate::presence::Stay;
use slash32_libvirt::{Knowledge, Nic, Place};

/// All that libvirt has told.
#[derive(Default)]
pub(crate) struct Hypervisor {
    pub(crate) knowledge: Knowledge,
}

impl Hypervisor {
    /// The NIC of the VM that is on `link` for this stay.
    pub(crate) fn nic(&self, table: &LinkTable, link: &Link, stay: Stay) -> Option<&Nic> {
        let port = match link.kind {
            Kind::Bridge => table.get(stay.port)?,
            _ => link,
        };
        self.knowledge.nic(Place {
            link: &link.name,
            port: &port.name,
            port_mac: port.mac,
        })
    }
}
