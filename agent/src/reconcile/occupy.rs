//! Which VM is behind a link: what libvirt tells, held against the VM's stay.

use super::Reconciler;
use super::decide::facts;
use crate::link::Link;
use crate::occupant::{Occupant, with_nic};
use crate::presence::stay;
use slash32_policy::LinkFacts;

impl Reconciler {
    /// Looks at who is on the link now.
    pub(super) fn look_at_occupant(&mut self, link: &Link) {
        let Some(vm) = self.vms.get_mut(&link.ifindex) else {
            return;
        };
        let served = vm.current.and(vm.stay).map(|stay| stay.port);
        let Some(stay) = stay(&self.table, link, served) else {
            vm.occupant = None;
            return;
        };
        let told = self.hypervisor.nic(&self.table, link, stay);
        let settled = vm.is_settled(stay);
        let before = vm.occupant.take().filter(|occupant| occupant.stay == stay);
        let mut occupant = before.unwrap_or_else(|| Occupant::new(stay, None));
        occupant.take(told, settled);
        vm.occupant = Some(occupant);
    }

    /// What is known of a link and of the VM that is there, as far as it counts for the VM's stay.
    pub(super) fn facts_of(&self, link: &Link) -> LinkFacts {
        let vm = self.vms.get(&link.ifindex);
        let occupant = vm.and_then(|vm| vm.occupant.as_ref());
        with_nic(
            facts(&self.table, link),
            occupant.and_then(|occupant| occupant.in_force()),
        )
    }
}
