use crate::Metadata;
use slash32_binding::MacAddr;

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
    /// The MAC address of the tap that the VM hangs on: libvirt and QEMU's own scripts give it that of the VM's NIC with `fe`
    /// in front. Never what the guest sent.
    pub tap_mac: Option<MacAddr>,
    /// The name of the libvirt network that the NIC is in.
    pub network: Option<String>,
    /// What libvirt's metadata asks for the NIC.
    pub metadata: Metadata,
}

impl LinkFacts {
    /// A link with an MTU of 1500 of which nothing but its name and kind is known.
    pub fn new(name: impl Into<String>, kind: LinkKind) -> Self {
        Self {
            name: name.into(),
            altnames: Vec::new(),
            kind,
            mtu: 1500,
            server_mac: MacAddr::ZERO,
            vm: None,
            uuid: None,
            mac: None,
            tap_mac: None,
            network: None,
            metadata: Metadata::default(),
        }
    }

    /// Under what an `automatic` network remembers the VM's address: its UUID and MAC address, `vm:UUID/MAC`, when both
    /// are known; else, for bridges only, the link's name, `link:NAME`.
    pub fn identity(&self) -> Option<String> {
        self.vm_identity().or_else(|| match self.kind {
            LinkKind::Bridge => Some(link_identity(&self.name)),
            LinkKind::Tap => None,
        })
    }

    /// The identity of a VM that libvirt knows: `vm:UUID/MAC`.
    pub fn vm_identity(&self) -> Option<String> {
        let (uuid, mac) = (self.uuid.as_ref()?, self.mac?);
        Some(format!("{VM}{}/{mac}", uuid.to_ascii_lowercase()))
    }

    /// The identity that the VM would have if nothing were known but its link.
    pub(crate) fn name_identity(&self) -> String {
        match self.kind {
            LinkKind::Bridge => link_identity(&self.name),
            LinkKind::Tap => tap_identity(&self.name),
        }
    }

    /// Under what a `dynamic` network remembers the VM's address while the VM is there: its identity, or that of the tap, which
    /// need not be known again, `tap:NAME`.
    pub fn passing_identity(&self) -> String {
        self.identity().unwrap_or_else(|| tap_identity(&self.name))
    }

    /// The link's name, then its alternative names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        std::iter::once(&self.name)
            .chain(&self.altnames)
            .map(String::as_str)
    }
}

const VM: &str = "vm:";

/// It is a [`LinkFacts::vm_identity`].
pub(crate) fn is_vm(identity: &str) -> bool {
    identity.starts_with(VM)
}

/// The identity of a VM of which nothing is known but its link.
pub(crate) fn link_identity(name: &str) -> String {
    format!("link:{name}")
}

/// The identity of a VM behind a bare tap of which nothing else is known, while it is there.
pub(crate) fn tap_identity(name: &str) -> String {
    format!("tap:{name}")
}
