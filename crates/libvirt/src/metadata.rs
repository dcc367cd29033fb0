//! What an operator wrote into the `<metadata>` of a domain or a network, in the namespace `urn:slash32:1`.

use crate::xml;
use roxmltree::Node;
use serde::{Deserialize, Serialize};
use slash32_binding::MacAddr;
use std::collections::BTreeMap;

/// The namespace; the prefix is the operator's choice.
const NAMESPACE: &str = "urn:slash32:1";

/// What is beyond these numbers is left out.
const MAX_INTERFACES: usize = 256;
const MAX_TAGS: usize = 64;
const MAX_OPTIONS: usize = 64;
/// The longest name and the longest value, in characters; a longer one ends in `…`, which no reader takes for right.
const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 1024;

/// What `urn:slash32:1` metadata asks for one NIC, as it is written there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// `address`: an IPv4 address, if it is a right one. A `/32` behind it is kept.
    pub address: Option<String>,
    /// `network`: the name of a `[[network]]`.
    pub network: Option<String>,
    /// `tags`: separated by commas or white space.
    pub tags: Vec<String>,
    /// Every other attribute: an option by the name of its config key, `hostname` among them. An `<interface>` that cannot
    /// be read stands here as `interface`, so that it is told as an option that there is not.
    pub options: BTreeMap<String, String>,
    /// Why the address must not be taken from it, in one sentence.
    pub fault: Option<String>,
}

/// The `<slash32:vm>` of one domain or one network.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VmElement {
    /// What is on it, for every NIC.
    pub all: Metadata,
    /// Each `<slash32:interface>` in it, for one NIC.
    pub interfaces: Vec<InterfaceElement>,
}

/// One `<slash32:interface>`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InterfaceElement {
    /// `mac`, as it is written; empty when it is missing.
    pub mac: String,
    /// What is on it.
    pub metadata: Metadata,
}

impl VmElement {
    /// Reads the `<metadata>` of a `<domain>` or a `<network>`: nothing when there is none of ours.
    pub(crate) fn read(owner: Node<'_, '_>) -> Self {
        let Some(vm) = xml::child(owner, "metadata").and_then(|metadata| {
            let mut elements = metadata.children();
            elements.find(|element| element.has_tag_name((NAMESPACE, "vm")))
        }) else {
            return Self::default();
        };
        let interfaces = vm
            .children()
            .filter(|child| child.has_tag_name((NAMESPACE, "interface")));
        let mut read = Self {
            all: Metadata::read(vm),
            interfaces: Vec::new(),
        };
        for interface in interfaces.take(MAX_INTERFACES) {
            let element = InterfaceElement::read(interface);
            if element.mac().is_none() {
                let written = if element.mac.is_empty() {
                    "no mac"
                } else {
                    &element.mac
                };
                read.all.set("interface", written);
            }
            read.interfaces.push(element);
        }
        read
    }

    /// What it says of this one NIC.
    fn interface(&self, mac: MacAddr) -> Option<&Metadata> {
        let mut of_nic = self.interfaces.iter();
        let element = of_nic.find(|interface| interface.mac() == Some(mac))?;
        Some(&element.metadata)
    }

    /// Why no address of this element may be given to the NIC `mac` of a VM with so many NICs.
    fn fault(&self, mac: MacAddr, nics: usize) -> Option<String> {
        let own = self.interface(mac);
        if own.is_some_and(|own| own.address.is_some()) {
            return None;
        }
        let unreadable = |element: &&InterfaceElement| {
            element.mac().is_none() && element.metadata.address.is_some()
        };
        let mut interfaces = self.interfaces.iter();
        if let Some(element) = interfaces.find(unreadable).filter(|_| own.is_none()) {
            let address = element.metadata.address.as_deref().unwrap_or_default();
            return Some(format!(
                "in the VM's metadata, address=\"{address}\" is for an interface with mac=\"{}\", which is no MAC address: \
                 write mac=\"{mac}\" if it is this one",
                element.mac
            ));
        }
        let address = self.all.address.as_deref().filter(|_| nics > 1)?;
        Some(format!(
            "the VM has {nics} NICs, and its metadata does not say which of them has address=\"{address}\": write \
             <slash32:interface mac=\"{mac}\" address=\"{address}\"/> inside <slash32:vm> if it is this one"
        ))
    }
}

impl InterfaceElement {
    fn read(element: Node<'_, '_>) -> Self {
        let mut metadata = Metadata::read(element);
        let mac = metadata.options.remove("mac").unwrap_or_default();
        Self { mac, metadata }
    }

    fn mac(&self) -> Option<MacAddr> {
        self.mac.parse().ok()
    }
}

impl Metadata {
    /// What is asked for the NIC `mac` of a VM with so many NICs. The nearest wins, value by value; tags add up.
    pub(crate) fn of_nic(
        mac: MacAddr,
        nics: usize,
        domain: &VmElement,
        network: Option<&VmElement>,
    ) -> Self {
        let levels = [Some(domain), network].into_iter().flatten();
        let mut metadata = Self::default();
        for element in levels {
            for farther in element.interface(mac).into_iter().chain([&element.all]) {
                metadata.inherit(farther);
            }
        }
        metadata.fault = domain.fault(mac, nics);
        metadata
    }

    /// The attributes of an element, and its child elements but `interface`, which are taken like attributes.
    fn read(element: Node<'_, '_>) -> Self {
        let mut metadata = Self::default();
        for attribute in element.attributes() {
            if attribute.namespace().is_none_or(|name| name == NAMESPACE) {
                metadata.set(attribute.name(), attribute.value());
            }
        }
        for child in element.children() {
            let name = child.tag_name();
            if name.namespace() == Some(NAMESPACE) && name.name() != "interface" {
                metadata.set(name.name(), child.text().unwrap_or_default());
            }
        }
        metadata
    }

    /// The first that sets a value wins.
    fn set(&mut self, name: &str, value: &str) {
        let value = value.trim();
        match name {
            "address" => {
                self.address.get_or_insert_with(|| cut(value, MAX_VALUE));
            }
            "network" => {
                self.network.get_or_insert_with(|| cut(value, MAX_VALUE));
            }
            "tags" => {
                let words = value.split(|c: char| c == ',' || c.is_whitespace());
                for word in words.filter(|word| !word.is_empty()) {
                    self.tag(cut(word, MAX_VALUE));
                }
            }
            _ => self.option(cut(name, MAX_NAME), || cut(value, MAX_VALUE)),
        }
    }

    fn tag(&mut self, tag: String) {
        if self.tags.len() < MAX_TAGS && !self.tags.contains(&tag) {
            self.tags.push(tag);
        }
    }

    fn option(&mut self, name: String, value: impl FnOnce() -> String) {
        if self.options.len() < MAX_OPTIONS || self.options.contains_key(&name) {
            self.options.entry(name).or_insert_with(value);
        }
    }

    fn inherit(&mut self, farther: &Self) {
        self.address = self.address.take().or_else(|| farther.address.clone());
        self.network = self.network.take().or_else(|| farther.network.clone());
        for tag in &farther.tags {
            self.tag(tag.clone());
        }
        for (name, value) in &farther.options {
            self.option(name.clone(), || value.clone());
        }
    }
}

/// The text, or as much of it as may be kept.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
