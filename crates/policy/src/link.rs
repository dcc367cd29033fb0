use crate::network::Selector;
use slash32_binding::MacAddr;
use std::collections::HashSet;

/// What a VM hangs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// A bridge with the VM's tap or veth as its port. Its name is the operator's, so it can stand for the VM.
    Bridge,
    /// The VM's tap itself. The kernel numbered it: tomorrow the name may be another VM's.
    Tap,
}

/// What the host knows about a link and the VM behind it.
#[derive(Clone, Debug)]
pub struct LinkFacts {
    /// The link's name (`IFLA_IFNAME`).
    pub name: String,
    /// Its alternative names (`IFLA_ALT_IFNAME`).
    pub altnames: Vec<String>,
    /// What kind it is.
    pub kind: LinkKind,
    /// The link's MTU, in bytes.
    pub mtu: u32,
    /// The link's own address, from which replies are sent.
    pub server_mac: MacAddr,
    /// The VM's name in libvirt.
    pub vm: Option<String>,
    /// The VM's UUID in libvirt, in any case.
    pub uuid: Option<String>,
    /// The MAC address of the VM's NIC; known from libvirt only.
    pub mac: Option<MacAddr>,
}

impl LinkFacts {
    /// Under what an `automatic` network remembers the VM's address: its UUID and MAC address, `vm:UUID/MAC`, when both
    /// are known; else, for bridges only, the link's name, `link:NAME`.
    pub fn identity(&self) -> Option<String> {
        match (&self.uuid, self.mac, self.kind) {
            (Some(uuid), Some(mac), _) => Some(format!("vm:{}/{mac}", uuid.to_ascii_lowercase())),
            (_, _, LinkKind::Bridge) => Some(link_identity(&self.name)),
            (_, _, LinkKind::Tap) => None,
        }
    }

    /// The link's name, then its alternative names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        std::iter::once(&self.name)
            .chain(&self.altnames)
            .map(String::as_str)
    }

    /// Every selector that this link fits.
    pub(crate) fn selectors(&self) -> HashSet<Selector> {
        let links = self.names().map(|name| Selector::Link(name.to_owned()));
        let vm = self.vm.clone().map(Selector::Vm);
        let uuid = self
            .uuid
            .as_ref()
            .map(|uuid| Selector::Uuid(uuid.to_ascii_lowercase()));
        links
            .chain(vm)
            .chain(uuid)
            .chain(self.mac.map(Selector::Mac))
            .collect()
    }
}

/// The identity of a VM of which nothing is known but its link.
pub(crate) fn link_identity(name: &str) -> String {
    format!("link:{name}")
}
