//! Which VM is behind a link: what libvirt tells, held against the VM's stay.

use super::Reconciler;
use super::decide::facts;
use crate::hypervisor::{Learnt, Woken};
use crate::link::Link;
use crate::occupant::{Occupant, with_nic};
use crate::presence::stay;
use crate::vm::VmLink;
use slash32_binding::Ipv4Addr;
use slash32_libvirt::Nic;
use slash32_policy::{Config, LinkFacts, Network};

impl Reconciler {
    /// Takes in every hook call that waits; of very many, claims of VMs are answered in between.
    pub(super) async fn drain(&mut self) {
        loop {
            let learnt = self.hypervisor.drain();
            self.mark_concerned(learnt);
            if !learnt.more {
                return;
            }
            self.pulse.beat();
            tokio::task::yield_now().await;
            self.hear_all(None).await;
        }
    }

    /// Something has changed where libvirt's facts come.
    pub(super) async fn heed(&mut self, woken: Woken) {
        let learnt = self.hypervisor.look(woken).await;
        self.mark_concerned(learnt);
    }

    /// Looks at all that libvirt has told and that was not looked at.
    pub(super) async fn look_at_libvirt(&mut self) {
        self.drain().await;
        let learnt = self.hypervisor.look_at_all().await;
        self.mark_concerned(learnt);
    }

    /// Marks the links that something new concerns.
    fn mark_concerned(&mut self, learnt: Learnt) {
        if !learnt.news {
            return;
        }
        let is_concerned = |vm: &VmLink| {
            let Some(link) = self.table.get(vm.ifindex) else {
                return false;
            };
            let is_news = |occupant: &Occupant| {
                let told = self.hypervisor.nic(&self.table, link, occupant.stay);
                occupant.is_news(told)
            };
            vm.occupant.as_ref().is_some_and(is_news)
                || vm.dhcp.as_deref() != self.hypervisor.dhcp_on(&link.name)
        };
        let concerned = self.vms.values().filter(|vm| is_concerned(vm));
        self.dirty.extend(concerned.map(|vm| vm.ifindex));
    }

    /// Looks at who is on the link now. `claiming` is the network that claims it.
    pub(super) fn look_at_occupant(&mut self, config: &Config, claiming: &Network, link: &Link) {
        let ifindex = link.ifindex;
        let Some(vm) = self.vms.get(&ifindex) else {
            return;
        };
        let dhcp = self.hypervisor.dhcp_on(&link.name).map(str::to_owned);
        let served = vm.current.and(vm.stay).map(|stay| stay.port);
        let Some(stay) = stay(&self.table, link, served) else {
            let port = self.hypervisor.kept_port(ifindex);
            if port.is_some_and(|port| self.table.get(port).is_none()) {
                self.hypervisor.forget(ifindex);
            }
            if let Some(vm) = self.vms.get_mut(&ifindex) {
                (vm.occupant, vm.dhcp) = (None, dhcp);
            }
            return;
        };
        let told = self.hypervisor.nic(&self.table, link, stay).cloned();
        let told = told.as_ref();
        let settled = vm.is_settled(stay);
        // One that came back uses its address without asking for it.
        let came_back = vm.stay == Some(stay) && vm.kept.is_some();
        let before = vm.occupant.clone().filter(|occupant| occupant.stay == stay);
        let mut occupant = before.unwrap_or_else(|| {
            match self.hypervisor.kept(ifindex, stay, told) {
                Some(kept) => Occupant::new(stay, Some(kept.nic.clone()), kept.settled),
                // Whatever counted, nothing is told that could count now.
                None if told.is_none() => Occupant::new(stay, None, settled),
                None => {
                    // It runs, and what counted for it is lost, or nothing ever did.
                    let address = vm.current.map(|(_, address)| address).filter(|_| settled);
                    let gives =
                        |nic: Option<&Nic>| self.would_get(config, claiming, link, nic) == address;
                    // libvirt tells something else by now: of that, all but the address.
                    let stays = told
                        .zip(address)
                        .map(|(told, address)| told.staying_at(address));
                    let mut counted = told.into_iter().chain(&stays);
                    let counted = match address {
                        Some(_) if !gives(None) => counted.find(|nic| gives(Some(nic))),
                        _ => None,
                    };
                    Occupant::new(stay, counted.cloned(), settled)
                }
            }
        });
        occupant.take(
            told,
            settled || (came_back && occupant.in_force().is_some()),
        );
        self.published.tell_vm(ifindex, occupant.nic());
        match occupant.in_force() {
            Some(nic) => self
                .hypervisor
                .keep(ifindex, stay, nic, occupant.is_settled()),
            None => self.hypervisor.forget(ifindex),
        }
        if let Some(vm) = self.vms.get_mut(&ifindex) {
            (vm.occupant, vm.dhcp) = (Some(occupant), dhcp);
        }
    }

    /// The address that policy would give a VM with this NIC.
    fn would_get(
        &self,
        config: &Config,
        claiming: &Network,
        link: &Link,
        nic: Option<&Nic>,
    ) -> Option<Ipv4Addr> {
        let facts = with_nic(facts(&self.table, link), nic);
        let network = config.chosen(claiming, &facts).ok()?;
        let assigned = self.allocations.clone().assign(config, network, &facts);
        assigned.ok().map(|assignment| assignment.address)
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
