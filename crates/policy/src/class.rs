use crate::{Glob, LinkFacts, Located, Options, Origin};
use std::fmt;

/// A `[[class]]`: VMs that have something in common, and what they get.
///
/// What the host knows of a VM chooses its networks, subnets, pools and options; what a guest says of itself chooses options
/// only, or it could talk itself into the addresses of another.
#[derive(Clone, Debug)]
pub struct Class {
    /// Unique in the config.
    pub name: String,
    /// What the host must know; all of them hold. Empty: nothing.
    pub host: Vec<HostMatch>,
    /// What the guest must say; all of them hold. Empty: nothing.
    pub guest: Vec<GuestMatch>,
    /// What this scope sets.
    pub options: Options,
    /// Where `name` stands.
    pub origin: Origin,
}

/// A fact that the host knows, and the patterns one of which takes it.
#[derive(Clone, Debug)]
pub struct HostMatch {
    /// The fact.
    pub fact: HostFact,
    /// At least one.
    pub globs: Vec<Glob>,
}

/// What the host knows of a link and of the VM behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostFact {
    /// `link`: one of the link's names.
    Link,
    /// `vm`: the VM's name in libvirt.
    Vm,
    /// `uuid`: the VM's UUID in libvirt, in lower case.
    Uuid,
    /// `mac`: the MAC address of the VM's NIC as libvirt knows it, in lower case with colons.
    Mac,
    /// `network`: the name of the libvirt network that the NIC is in.
    Network,
    /// `tag`: one of the VM's tags in libvirt's metadata.
    Tag,
}

/// Something that a guest says, and the values one of which it must be.
#[derive(Clone, Debug)]
pub enum GuestMatch {
    /// `vendor-class`: option 60.
    VendorClass(Vec<Glob>),
    /// `user-class`: option 77, as a whole or one of the classes in it.
    UserClass(Vec<Glob>),
    /// `architecture`: option 93 (RFC 4578).
    Architecture(Vec<u16>),
}

impl HostFact {
    /// Every fact, in the order in which errors list them.
    pub const ALL: [Self; 6] = [
        Self::Link,
        Self::Vm,
        Self::Uuid,
        Self::Mac,
        Self::Network,
        Self::Tag,
    ];

    /// Its key in `match`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Vm => "vm",
            Self::Uuid => "uuid",
            Self::Mac => "mac",
            Self::Network => "network",
            Self::Tag => "tag",
        }
    }
}

impl HostMatch {
    fn holds(&self, link: &LinkFacts) -> bool {
        let takes = |text: &str| self.globs.iter().any(|glob| glob.matches(text));
        match self.fact {
            HostFact::Link => link.names().any(takes),
            HostFact::Vm => link.vm.as_deref().is_some_and(takes),
            HostFact::Uuid => link
                .uuid
                .as_ref()
                .is_some_and(|uuid| takes(&uuid.to_ascii_lowercase())),
            HostFact::Mac => link.mac.is_some_and(|mac| takes(&mac.to_string())),
            HostFact::Network => link.network.as_deref().is_some_and(takes),
            HostFact::Tag => link.metadata.tags.iter().any(|tag| takes(tag)),
        }
    }
}

impl Class {
    /// What the host knows of `link` is what the class asks for.
    pub fn holds(&self, link: &LinkFacts) -> bool {
        self.host.iter().all(|fact| fact.holds(link))
    }

    /// Only the guest itself can say whether it is of this class.
    pub fn is_claimed(&self) -> bool {
        !self.guest.is_empty()
    }
}

/// The classes that a link is in, in the order of the config: those that the host knows it to be in, and those that its
/// guest may claim.
#[derive(Clone, Debug)]
pub(crate) struct Membership<'c>(pub(crate) Vec<&'c Class>);

impl<'c> Membership<'c> {
    pub(crate) fn of(classes: &'c [Class], link: &LinkFacts) -> Self {
        Self(classes.iter().filter(|class| class.holds(link)).collect())
    }

    /// Those that the host knows the link to be in.
    pub(crate) fn known(&self) -> impl Iterator<Item = &'c Class> {
        self.0.iter().copied().filter(|class| !class.is_claimed())
    }

    pub(crate) fn into_known(self) -> impl Iterator<Item = &'c Class> {
        self.0.into_iter().filter(|class| !class.is_claimed())
    }

    /// One of the classes in `wanted`, the value of a key `class`, is among these; or it asks for none.
    pub(crate) fn admitted(&self, wanted: &[Located<String>]) -> bool {
        wanted.is_empty()
            || wanted
                .iter()
                .any(|name| self.known().any(|class| class.name == name.value))
    }
}

/// The names in keys `class` that a link is in none of, for people: `gold or silver`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClassNames(pub Vec<String>);

impl ClassNames {
    pub(crate) fn add(&mut self, names: &[Located<String>]) {
        for name in names {
            if !self.0.contains(&name.value) {
                self.0.push(name.value.clone());
            }
        }
    }
}

impl fmt::Display for ClassNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}
