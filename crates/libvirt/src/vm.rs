use crate::nic::Attached;
use crate::{Domain, Fact, Interface, Network, Port, Stage, VmElement};
use serde::{Deserialize, Serialize};
use slash32_binding::MacAddr;
use std::collections::BTreeMap;

/// NICs of one VM; what is beyond is left out.
const MAX_NICS: usize = 256;

/// What is known of one VM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Vm {
    pub(crate) name: String,
    /// Its place among the starts of all VMs.
    pub(crate) start: u64,
    /// More than the intent to run: QEMU runs, or did when the last fact came.
    pub(crate) running: bool,
    /// Its migration to this host was announced, and its start has not begun.
    announced: bool,
    /// So was its restoring.
    #[serde(default)]
    restored: bool,
    /// Its domain's XML was seen; else only ports of it.
    defined: bool,
    /// Its state file was seen since its start.
    pub(crate) status: bool,
    metadata: VmElement,
    pub(crate) nics: Vec<Attached>,
}

impl Vm {
    /// One of which nothing but the name is known.
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            start: 0,
            running: false,
            announced: false,
            restored: false,
            defined: false,
            status: false,
            metadata: VmElement::default(),
            nics: Vec::new(),
        }
    }

    /// Takes in a fact of one VM, of which nothing need be known before or after. One of a network says nothing. `start` is the
    /// place of a start that begins with it.
    pub(crate) fn learn(vm: &mut Option<Self>, fact: Fact, start: u64) {
        match fact {
            Fact::Port(port) => vm
                .get_or_insert_with(|| Self::new(port.vm.clone()))
                .port_created(port, start),
            Fact::PortGone(port) => {
                if let Some(known) = vm {
                    known.port_deleted(&port);
                }
                vm.take_if(|known| known.is_gone());
            }
            Fact::Domain(stage, domain) => vm
                .get_or_insert_with(|| Self::new(domain.name.clone()))
                .domain(stage, domain, start),
            Fact::DomainGone(_) | Fact::StatusGone(_) => *vm = None,
            Fact::Network(_) | Fact::NetworkUpdated(_) | Fact::NetworkGone(_) => {}
        }
    }

    /// Takes in the domain's XML. `start` is the place of a start that begins with it.
    pub(crate) fn domain(&mut self, stage: Stage, domain: Domain, start: u64) {
        let is_new = !self.defined && self.nics.is_empty();
        if self.start == 0 || matches!(stage, Stage::Migrate | Stage::Restore | Stage::Prepare) {
            self.start = start;
        }
        self.name = domain.name;
        self.metadata = domain.metadata;
        self.defined = true;
        let uuid = domain.uuid;
        match stage {
            Stage::Migrate | Stage::Restore | Stage::Prepare => {
                self.announced |= stage == Stage::Migrate;
                self.restored |= stage == Stage::Restore;
                self.running = false;
                self.status = false;
                self.list(&uuid, domain.interfaces);
                for attached in &mut self.nics {
                    attached.forget_ports();
                    // Not undone by a start: its end undoes it, or the guest's first frame.
                    attached.nic.incoming |= self.announced;
                    attached.nic.resumed = self.announced || self.restored;
                }
                self.nics.retain(|attached| attached.interface.is_some());
            }
            Stage::Running => {
                self.running = true;
                self.announced = false;
                self.restored = false;
                self.list(&uuid, domain.interfaces);
                self.nics.retain(|attached| attached.interface.is_some());
                self.nics.iter_mut().for_each(Attached::keep_listed_port);
            }
            Stage::Status { incoming } => {
                self.running = true;
                self.status = true;
                self.list(&uuid, domain.interfaces);
                // A hook may have told of a port before libvirt wrote the file.
                self.nics
                    .retain(|attached| attached.interface.is_some() || attached.has_ports());
                if is_new {
                    for attached in &mut self.nics {
                        attached.nic.incoming = incoming;
                    }
                }
            }
        }
    }

    /// Makes these the interfaces that the domain's XML lists.
    fn list(&mut self, uuid: &str, interfaces: Vec<Interface>) {
        for attached in &mut self.nics {
            attached.interface = None;
        }
        for interface in interfaces {
            let unlisted =
                |known: &&mut Attached| known.nic.mac == interface.mac && known.interface.is_none();
            if let Some(known) = self.nics.iter_mut().find(unlisted) {
                known.interface = Some(interface);
            } else if self.nics.len() < MAX_NICS {
                let mut attached = Attached::new(&self.name, uuid, interface.mac);
                attached.interface = Some(interface);
                self.nics.push(attached);
            }
        }
    }

    pub(crate) fn port_created(&mut self, port: Port, start: u64) {
        if self.start == 0 {
            self.start = start;
        }
        self.name.clone_from(&port.vm);
        let mac = port.mac;
        if let Some(known) = self.nics.iter_mut().find(|known| known.nic.mac == mac) {
            known.port_created(port);
        } else if self.nics.len() < MAX_NICS {
            let mut attached = Attached::new(&port.vm, &port.uuid, mac);
            attached.port_created(port);
            self.nics.push(attached);
        }
    }

    pub(crate) fn port_deleted(&mut self, port: &Port) {
        let stays = |known: &mut Attached| known.nic.mac != port.mac || known.port_deleted(port);
        self.nics.retain_mut(|known| stays(known));
    }

    /// Nothing of it is left: no port, and no domain that would be told of again when it ends.
    pub(crate) fn is_gone(&self) -> bool {
        !self.defined && self.nics.is_empty()
    }

    pub(crate) fn conclude(&mut self, networks: &BTreeMap<String, Network>) {
        let nics = self.nics.len();
        for attached in &mut self.nics {
            attached.conclude(&self.name, nics, &self.metadata, networks);
        }
    }

    pub(crate) fn arrived(&mut self, mac: MacAddr) {
        for attached in self.nics.iter_mut().filter(|known| known.nic.mac == mac) {
            attached.nic.incoming = false;
        }
    }

    /// It is about to start, and is not restored.
    pub(crate) fn boots(&mut self) {
        self.restored = false;
    }

    pub(crate) fn is_in(&self, network: &str) -> bool {
        let mut networks = self
            .nics
            .iter()
            .map(|attached| attached.nic.network.as_deref());
        networks.any(|name| name == Some(network))
    }
}
