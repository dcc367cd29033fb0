use crate::Network;
use crate::nic::tail;
use crate::vm::Vm;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

/// Where a NIC stands in [`Knowledge`](crate::Knowledge): the VM's UUID, and the NIC's place among its NICs.
pub(crate) type At = (String, usize);

/// Which VMs have this name; which NICs have this tap, this tail of a MAC address, this bridge; which networks have this bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Index {
    names: BTreeMap<String, BTreeSet<String>>,
    taps: BTreeMap<String, BTreeSet<At>>,
    tails: BTreeMap<[u8; 5], BTreeSet<At>>,
    bridges: BTreeMap<String, BTreeSet<At>>,
    networks: BTreeMap<String, BTreeSet<String>>,
}

impl Index {
    /// The UUIDs of the VMs of this name: one, unless the end of another was not told.
    pub(crate) fn name(&self, name: &str) -> impl Iterator<Item = &String> {
        self.names.get(name).into_iter().flatten()
    }

    pub(crate) fn tap(&self, name: &str) -> impl Iterator<Item = &At> {
        self.taps.get(name).into_iter().flatten()
    }

    pub(crate) fn tail(&self, tail: [u8; 5]) -> impl Iterator<Item = &At> {
        self.tails.get(&tail).into_iter().flatten()
    }

    pub(crate) fn bridge(&self, name: &str) -> impl Iterator<Item = &At> {
        self.bridges.get(name).into_iter().flatten()
    }

    /// The names of the networks on this bridge.
    pub(crate) fn networks(&self, bridge: &str) -> impl Iterator<Item = &String> {
        self.networks.get(bridge).into_iter().flatten()
    }

    pub(crate) fn insert_network(&mut self, network: &Network) {
        if let Some(bridge) = network.bridge.clone() {
            let names = self.networks.entry(bridge).or_default();
            names.insert(network.name.clone());
        }
    }

    pub(crate) fn remove_network(&mut self, network: &Network) {
        if let Some(bridge) = &network.bridge {
            take(&mut self.networks, bridge, &network.name);
        }
    }

    pub(crate) fn insert(&mut self, uuid: &str, vm: &Vm) {
        let uuids = self.names.entry(vm.name.clone()).or_default();
        uuids.insert(uuid.to_owned());
        for (place, attached) in vm.nics.iter().enumerate() {
            let at = || (uuid.to_owned(), place);
            if let Some(tap) = attached.tap() {
                self.taps.entry(tap.into()).or_default().insert(at());
            }
            if let Some(bridge) = attached.bridge.clone() {
                self.bridges.entry(bridge).or_default().insert(at());
            }
            let tail = tail(attached.nic.mac);
            self.tails.entry(tail).or_default().insert(at());
        }
    }

    pub(crate) fn remove(&mut self, uuid: &str, vm: &Vm) {
        take(&mut self.names, &vm.name, &uuid.to_owned());
        for (place, attached) in vm.nics.iter().enumerate() {
            let at = (uuid.to_owned(), place);
            if let Some(tap) = attached.tap() {
                take(&mut self.taps, tap, &at);
            }
            if let Some(bridge) = attached.bridge.as_deref() {
                take(&mut self.bridges, bridge, &at);
            }
            take(&mut self.tails, &tail(attached.nic.mac), &at);
        }
    }
}

fn take<K, Q, V>(from: &mut BTreeMap<K, BTreeSet<V>>, key: &Q, value: &V)
where
    K: Ord + Borrow<Q>,
    Q: Ord + ?Sized,
    V: Ord,
{
    if let Some(values) = from.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            from.remove(key);
        }
    }
}
