//! Links that are served without the agent are left alone, with their routes and addresses.

use super::Reconciler;
use crate::presence::is_port_or_loopback;
use crate::standalone;
use crate::vm::Condition;
use std::collections::BTreeSet;

impl Reconciler {
    /// Takes those links out of `scope` and shows them, where a network of the config claims them. Who has a link first
    /// keeps it: one that is the agent's stays so.
    pub(super) fn leave_standalone(&mut self, scope: &mut BTreeSet<u32>) {
        let links = self.standalone.links();
        let (had, vms) = (&self.served_alone, &self.vms);
        let is_left = |ifindex: &u32| had.contains(ifindex) || !vms.contains_key(ifindex);
        self.served_alone = links.keys().copied().filter(is_left).collect();
        let mut shown = BTreeSet::new();
        for (ifindex, name) in &links {
            if !self.served_alone.contains(ifindex) || !scope.remove(ifindex) {
                continue;
            }
            shown.insert(*ifindex);
            let link = self.table.get(*ifindex).cloned();
            let config = self.config.clone();
            let claimed = link
                .filter(|link| !is_port_or_loopback(link))
                .map(|link| (config.network_of(&link.name, &link.altnames), link));
            match claimed {
                Some((Ok(Some(network)), link)) => {
                    let vm = self.remember(&link);
                    vm.end_generation();
                    vm.network = Some(network.name.clone());
                    vm.gateway = Some(network.gateway);
                    vm.condition = Condition::Failed(standalone::reason(name));
                }
                _ => self.forget(*ifindex),
            }
        }
        if !shown.is_empty() {
            self.publish(&shown);
        }
    }
}
