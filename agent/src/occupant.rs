//! The VM behind a link, as libvirt tells it, and what of that counts for the VM's stay.
//!
//! Until the VM was told its address, or came back to one, everything that libvirt says is taken in. From then on nothing that it says moves the
//! VM: the facts of its stay hold until its next start, and also when libvirt says nothing any more (hook calls get lost, and
//! libvirt tells of ports that are deleted and stay). Only what `slash32 list` shows follows at once.

use crate::hypervisor::is_same;
use crate::presence::Stay;
use slash32_binding::Ipv4Addr;
use slash32_libvirt::{Metadata, Nic};
use slash32_policy::LinkFacts;
use std::sync::Arc;

/// One VM during its stay on a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Occupant {
    pub(crate) stay: Stay,
    /// What libvirt said last.
    told: Option<Arc<Nic>>,
    /// What counts: mostly the same.
    in_force: Option<Arc<Nic>>,
    /// The VM was told its address: `in_force` changes no more.
    settled: bool,
}

impl Occupant {
    /// A VM of which `in_force` counts: until its next start if it is `settled`, else until libvirt tells something else.
    pub(crate) fn new(stay: Stay, in_force: Option<Nic>, settled: bool) -> Self {
        Self {
            stay,
            told: None,
            in_force: in_force.map(Arc::new),
            settled,
        }
    }

    /// Takes in what libvirt says now; `settled`: the VM was told its address.
    pub(crate) fn take(&mut self, told: Option<&Nic>, settled: bool) {
        self.settled |= settled;
        if self.is_news(told) {
            self.told = told.cloned().map(Arc::new);
        }
        if told.is_some() && !self.settled {
            self.in_force.clone_from(&self.told);
        }
    }

    /// The VM came by migration, and runs here now.
    pub(crate) fn arrived(&mut self) {
        for nic in [&mut self.told, &mut self.in_force].into_iter().flatten() {
            Arc::make_mut(nic).incoming = false;
        }
    }

    /// The NIC, for those who look: of the VM that counts with its names of today, else what libvirt says.
    pub(crate) fn nic(&self) -> Option<&Nic> {
        match (self.in_force(), self.told.as_deref()) {
            (Some(in_force), Some(told)) if !is_same(in_force, told) => Some(in_force),
            (in_force, told) => told.or(in_force),
        }
    }

    /// The VM was told its address.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// libvirt says something else now than it did.
    pub(crate) fn is_news(&self, told: Option<&Nic>) -> bool {
        told.is_some() && told != self.told.as_deref()
    }

    /// libvirt's metadata fixes this address for the VM.
    pub(crate) fn is_to_have(&self, address: Ipv4Addr) -> bool {
        let asked = self.in_force.as_ref();
        let asked = asked.and_then(|nic| nic.metadata.address.as_deref());
        asked.is_some_and(|text| {
            let text = text.trim();
            text.strip_suffix("/32").unwrap_or(text).parse() == Ok(address)
        })
    }

    /// What policy is to go by.
    pub(crate) fn in_force(&self) -> Option<&Nic> {
        self.in_force.as_deref()
    }

    /// What will count from the VM's next start, when that is something else than what does: in a sentence, with what differs.
    pub(crate) fn counts_next(&self) -> Option<String> {
        let told = self.told.as_deref()?;
        let counts = self.in_force().map(says).unwrap_or_default();
        let mut differs: Vec<String> = says(told)
            .into_iter()
            .filter(|value| !counts.contains(value))
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let now: Vec<_> = says(told).into_iter().map(|(key, _)| key).collect();
        let no_more = counts.into_iter().filter(|(key, _)| !now.contains(key));
        differs.extend(no_more.map(|(key, _)| format!("no {key}")));
        (!differs.is_empty()).then(|| {
            format!(
                "libvirt now says {}: from the VM's next start",
                differs.join(", ")
            )
        })
    }
}

/// All that libvirt says of a NIC and that counts, by the words of the config and of the metadata.
fn says(nic: &Nic) -> Vec<(String, String)> {
    let metadata = &nic.metadata;
    let tags = (!metadata.tags.is_empty()).then(|| metadata.tags.join(", "));
    let all = [
        ("vm", Some(nic.vm.clone())),
        ("uuid", Some(nic.uuid.clone())),
        ("mac", Some(nic.mac.to_string())),
        ("libvirt network", nic.network.clone()),
        ("address", metadata.address.clone()),
        ("network", metadata.network.clone()),
        ("tags", tags),
        ("fault", metadata.fault.clone()),
    ];
    let facts = all
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    let options = metadata.options.iter();
    facts
        .chain(options.map(|(key, value)| (key.clone(), value.clone())))
        .collect()
}

/// Adds what libvirt says of the VM's NIC to what the kernel says of its link.
pub(crate) fn with_nic(facts: LinkFacts, nic: Option<&Nic>) -> LinkFacts {
    let Some(nic) = nic else {
        return facts;
    };
    LinkFacts {
        vm: Some(nic.vm.clone()),
        uuid: Some(nic.uuid.clone()),
        mac: Some(nic.mac),
        network: nic.network.clone(),
        metadata: asked(&nic.metadata),
        ..facts
    }
}

/// The same in policy's words.
fn asked(metadata: &Metadata) -> slash32_policy::Metadata {
    slash32_policy::Metadata {
        address: metadata.address.clone(),
        network: metadata.network.clone(),
        tags: metadata.tags.clone(),
        options: metadata.options.clone(),
        fault: metadata.fault.clone(),
    }
}

#[cfg(test)]
mod tests;
