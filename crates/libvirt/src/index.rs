use crate::nic::tail;
use crate::vm::Vm;
use std::collections::{BTreeMap, BTreeSet};

/// Where a NIC stands in [`Knowledge`](crate::Knowledge): the VM's UUID, and the NIC's place among its NICs.
pub(crate) type At = (String, usize);

/// Which NICs have this tap, this tail of a MAC address, this bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Index {
    taps: BTreeMap<String, BTreeSet<At>>,
    tails: BTreeMap<[u8; 5], BTreeSet<At>>,
    bridges: BTreeMap<String, BTreeSet<At>>,
}

impl Index {
    pub(crate) fn tap(&self, name: &str) -> impl Iterator<Item = &At> {
        self.taps.get(name).into_iter().flatten()
    }

    pub(crate) fn tail(&self, tail: [u8; 5]) -> impl Iterator<Item = &At> {
        self.tails.get(&tail).into_iter().flatten()
    }

    pub(crate) fn bridge(&self, name: &str) -> impl Iterator<Item = &At> {
        self.bridges.get(name).into_iter().flatten()
    }

    pub(crate) fn insert(&mut self, uuid: &str, vm: &Vm) {
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

fn take<K, Q>(from: &mut BTreeMap<K, BTreeSet<At>>, key: &Q, at: &At)
where
    K: Ord + std::borrow::Borrow<Q>,
    Q: Ord + ?Sized,
{
    if let Some(places) = from.get_mut(key) {
        places.remove(at);
        if places.is_empty() {
            from.remove(key);
        }
    }
}
