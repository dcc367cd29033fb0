use crate::index::{At, Index};
use crate::nic::{Attached, tail_of_tap};
use crate::vm::Vm;
use crate::{Fact, Network, Nic, Port};
use serde::{Deserialize, Serialize};
use slash32_binding::MacAddr;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What all facts so far come to. Serialisable: an agent that is restarted goes on with it.
///
/// What has ended is forgotten: a VM when it stops or is released, a network when it has stopped and no VM is in it. So it
/// grows with what runs, not with what ran.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct Knowledge {
    known: Saved,
    index: Index,
}

/// What is kept; the index follows from it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Saved {
    /// By name. Those that have stopped are kept for the metadata of the VMs in them.
    networks: BTreeMap<String, Network>,
    /// The names of networks that have stopped.
    stopped: BTreeSet<String>,
    /// By UUID.
    vms: BTreeMap<String, Vm>,
    /// How many starts of VMs were seen; 0 again when none is left.
    starts: u64,
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
    pub fn learn(&mut self, fact: Fact) -> bool {
        match fact {
            Fact::Network(network) => {
                self.known.stopped.remove(&network.name) | self.network(network)
            }
            Fact::NetworkUpdated(network) => {
                self.known.networks.contains_key(&network.name) && self.network(network)
            }
            Fact::NetworkGone(name) => self.network_gone(name),
            Fact::Port(Port { ref uuid, .. }) | Fact::PortGone(Port { ref uuid, .. }) => {
                self.change(&uuid.clone(), |vm, start| Vm::learn(vm, fact, start))
            }
            Fact::Domain(_, ref domain) => {
                // A name belongs to one domain at a time: the end of whoever else had it was not told.
                let others = self.others_of_name(&domain.name, &domain.uuid);
                let forgotten = others
                    .iter()
                    .fold(false, |news, uuid| self.gone(uuid) | news);
                let uuid = domain.uuid.clone();
                forgotten | self.change(&uuid, |vm, start| Vm::learn(vm, fact, start))
            }
            Fact::DomainGone(uuid) => self.gone(&uuid),
            Fact::StatusGone(name) => {
                let ended = self.of_status_file(&name).into_iter();
                ended.fold(false, |news, uuid| self.gone(&uuid) | news)
            }
        }
    }

    /// The NIC at this place, if libvirt has told of one: that with a tap of the port's name; else that with the bridge and
    /// the port's MAC address; else the only one that is known for the bridge, if the port is no tap of libvirt's making.
    pub fn nic(&self, place: Place<'_>) -> Option<&Nic> {
        let by_tap = self.index.tap(place.port).filter_map(|at| self.at(at));
        let by_tap = by_tap.filter(|(_, nic)| nic.is_tap(place.port, place.port_mac));
        // The VM that runs before the one that is to run, the later start before the earlier.
        let latest = |(vm, _): &(&Vm, &Attached)| (vm.running, vm.start);
        let found = by_tap
            .max_by_key(latest)
            .or_else(|| match tail_of_tap(place.port_mac) {
                Some(tail) => {
                    let same = self.index.tail(tail).filter_map(|at| self.at(at));
                    // A tap whose bridge has gone is a link of its own.
                    let alone = place.link == place.port;
                    let here = same.filter(|(_, nic)| match &nic.bridge {
                        Some(bridge) => bridge == place.link || alone,
                        None => true,
                    });
                    here.max_by_key(|found| (found.1.tap().is_none(), latest(found)))
                }
                None => {
                    let here = self.index.bridge(place.link).filter_map(|at| self.at(at));
                    let mut unnamed = here.filter(|(_, nic)| nic.tap().is_none());
                    let only = unnamed.next();
                    only.filter(|_| unnamed.next().is_none())
                }
            });
        found.map(|(_, attached)| &attached.nic)
    }

    /// The network that runs on this bridge; of several the one with DHCP.
    pub fn network_of(&self, bridge: &str) -> Option<&Network> {
        let known = &self.known;
        let names = self.index.networks(bridge);
        let running = names.filter(|name| !known.stopped.contains(*name));
        running
            .filter_map(|name| known.networks.get(name))
            .min_by_key(|network| Reverse(network.dhcp))
    }

    /// The guest has sent its first frame here: its NIC is incoming no more. True when it was.
    pub fn arrived(&mut self, uuid: &str, mac: MacAddr) -> bool {
        self.change(uuid, |vm, _| {
            if let Some(vm) = vm {
                vm.arrived(mac);
            }
        })
    }

    /// The VM's next start restores nothing.
    pub(crate) fn boots(&mut self, uuid: &str) -> bool {
        self.change(uuid, |vm, _| {
            if let Some(vm) = vm {
                vm.boots();
            }
        })
    }

    fn at(&self, (uuid, place): &At) -> Option<(&Vm, &Attached)> {
        let vm = self.known.vms.get(uuid)?;
        Some((vm, vm.nics.get(*place)?))
    }

    /// What is known of the VM with this UUID.
    pub(crate) fn vm(&self, uuid: &str) -> Option<&Vm> {
        self.known.vms.get(uuid)
    }

    /// The UUIDs of the VMs of this name but one.
    pub(crate) fn others_of_name(&self, name: &str, one: &str) -> Vec<String> {
        self.of_name(name, |uuid, _| uuid != one)
    }

    /// The UUIDs of the VMs that a state file of this name told of.
    pub(crate) fn of_status_file(&self, name: &str) -> Vec<String> {
        self.of_name(name, |_, vm| vm.status)
    }

    fn of_name(&self, name: &str, such: impl Fn(&str, &Vm) -> bool) -> Vec<String> {
        let is_such = |uuid: &&String| {
            let vm = self.known.vms.get(*uuid);
            vm.is_some_and(|vm| such(uuid, vm))
        };
        self.index.name(name).filter(is_such).cloned().collect()
    }

    /// Puts what all facts of a VM come to in the place of what is known of it. `conclude` gets the place of its start: the one
    /// that it has. True when something is different.
    pub(crate) fn conclude_again(
        &mut self,
        uuid: &str,
        conclude: impl FnOnce(u64) -> Option<Vm>,
    ) -> bool {
        self.change(uuid, |vm, start| {
            *vm = conclude(vm.as_ref().map_or(start, |vm| vm.start));
        })
    }

    /// Changes one VM, which there need not be before or after. The change gets the place of a start that begins with it. True when
    /// something is different.
    fn change(&mut self, uuid: &str, change: impl FnOnce(&mut Option<Vm>, u64)) -> bool {
        let known = &mut self.known;
        let before = known.vms.remove(uuid);
        let mut after = before.clone();
        change(&mut after, known.starts + 1);
        if let Some(vm) = &mut after {
            vm.conclude(&known.networks);
            known.starts = known.starts.max(vm.start);
        }
        let news = before != after;
        if news {
            if let Some(vm) = &before {
                self.index.remove(uuid, vm);
            }
            if let Some(vm) = &after {
                self.index.insert(uuid, vm);
            }
        }
        if let Some(vm) = after {
            known.vms.insert(uuid.into(), vm);
        }
        if news {
            self.tidy();
        }
        news
    }

    fn gone(&mut self, uuid: &str) -> bool {
        self.change(uuid, |vm, _| *vm = None)
    }

    fn network(&mut self, network: Network) -> bool {
        let name = network.name.clone();
        let before = self.known.networks.get(&name);
        if before == Some(&network) {
            return false;
        }
        if let Some(before) = before {
            self.index.remove_network(before);
        }
        self.index.insert_network(&network);
        self.known.networks.insert(name.clone(), network);
        self.conclude_in(&name);
        true
    }

    fn network_gone(&mut self, name: String) -> bool {
        let known = &mut self.known;
        let news = known.networks.contains_key(&name) && known.stopped.insert(name);
        self.tidy();
        news
    }

    /// Draws the conclusions for the VMs in a network anew.
    fn conclude_in(&mut self, network: &str) {
        let inside = self.known.vms.iter().filter(|(_, vm)| vm.is_in(network));
        let inside: Vec<String> = inside.map(|(uuid, _)| uuid.clone()).collect();
        for uuid in inside {
            self.change(&uuid, |_, _| {});
        }
    }

    /// Forgets networks that have stopped and that no VM is in.
    fn tidy(&mut self) {
        let known = &mut self.known;
        let vms = &known.vms;
        known.stopped.retain(|name| {
            let needed = vms.values().any(|vm| vm.is_in(name));
            let forgotten = if needed {
                None
            } else {
                known.networks.remove(name)
            };
            if let Some(network) = forgotten {
                self.index.remove_network(&network);
            }
            needed
        });
        if known.vms.is_empty() {
            known.starts = 0;
        }
    }
}

impl From<Saved> for Knowledge {
    fn from(known: Saved) -> Self {
        let mut index = Index::default();
        for (uuid, vm) in &known.vms {
            index.insert(uuid, vm);
        }
        for network in known.networks.values() {
            index.insert_network(network);
        }
        Self { known, index }
    }
}

impl From<Knowledge> for Saved {
    fn from(knowledge: Knowledge) -> Self {
        knowledge.known
    }
}
