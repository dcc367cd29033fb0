//! The agent comes back: responders go on where they are.

use super::{Reconciler, host_route};
use crate::conversation::Fault;
use crate::moment::Moment;
use crate::plan::ObservedResponder;
use crate::presence::Stay;
use crate::responders::Found;
use crate::vm::{Condition, VmLink};
use slash32_binding::Generation;
use slash32_ipc::State;
use slash32_store::{Attachment, Change as Record};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Reconciler {
    /// Takes over the responders whose links are still the same ones, and dismisses the others. `records` say which stay
    /// of a VM each generation belonged to: when the port or its carrier is another one now, the first pass begins a new
    /// generation.
    pub(super) async fn adopt(&mut self, records: Vec<Attachment>) -> std::io::Result<()> {
        let mut records: BTreeMap<String, Attachment> = records
            .into_iter()
            .map(|record| (record.link.clone(), record))
            .collect();
        for found in self.responders.find().await? {
            if let Some(reason) = self.blind.clone() {
                self.leave_alone(found, &reason);
                continue;
            }
            let record = records
                .get(&found.link)
                .filter(|record| self.is_same_link(record));
            match record {
                Some(record) => match found.state.clone() {
                    // The store knows every generation before it is given.
                    Some(state) if state.generation > Generation(record.generation) => {
                        let (link, fault) = (&*found.link, Fault::Generation);
                        tracing::warn!(link, "{link}: responder not adopted: it {fault}");
                        self.responders.refuse(found, fault);
                    }
                    Some(state) => self.adopt_one(found, state, &record.clone()),
                    None => self.succeed(found, record.ifindex),
                },
                None => {
                    let link = &*found.link;
                    tracing::info!(link, "{link}: a responder of another link is dismissed");
                    found.dismiss();
                }
            }
        }
        for record in records.values() {
            self.remember_name(record);
        }
        records.retain(|_, record| !self.is_same_link(record));
        self.unsaved.extend(
            records
                .into_keys()
                .map(|link| Record::RemoveAttachment { link }),
        );
        Ok(())
    }

    /// The store cannot be read, so nobody knows what this responder was given. It goes on as it is, and so do the routes
    /// of its link.
    fn leave_alone(&mut self, found: Found, reason: &str) {
        let Some(link) = self.table.iter().find(|link| link.name == found.link) else {
            return;
        };
        let mut vm = VmLink::new(link);
        vm.condition = Condition::Failed(format!("served as before, unseen: {reason}"));
        self.left_alone.insert(link.ifindex);
        let ifindex = link.ifindex;
        self.vms.insert(ifindex, vm);
        self.publish(&[ifindex].into());
    }

    /// Also without its responder a link is known by the name that it had, so that the first pass sees the new one.
    fn remember_name(&mut self, record: &Attachment) {
        let link = self
            .table
            .get(record.ifindex)
            .filter(|_| self.is_same_link(record));
        if let (Some(link), false) = (link, self.vms.contains_key(&record.ifindex)) {
            let mut vm = VmLink::new(link);
            vm.name.clone_from(&record.link);
            vm.last_generation = Generation(record.generation);
            vm.stay = Some(Stay {
                port: record.port,
                carrier_ups: record.carrier_ups,
            });
            self.vms.insert(record.ifindex, vm);
        }
    }

    /// Within one boot the kernel gives no ifindex twice, so a link is the same one whatever its name.
    fn is_same_link(&self, record: &Attachment) -> bool {
        record.boot == self.boot && self.table.get(record.ifindex).is_some()
    }

    /// The link's responder speaks another version of the control protocol: it gets a successor.
    fn succeed(&mut self, found: Found, ifindex: u32) {
        tracing::info!(
            "{}: the responder is of another version and serves until its successor does",
            found.link
        );
        self.responders.succeed(ifindex, found);
    }

    fn adopt_one(&mut self, found: Found, state: State, record: &Attachment) {
        let Some(link) = self.table.get(record.ifindex) else {
            return;
        };
        let ifindex = link.ifindex;
        let mut vm = VmLink::new(link);
        // The first pass sees that the link has another name now.
        vm.name.clone_from(&record.link);
        vm.last_generation = Generation(record.generation).max(state.generation);
        vm.counters = Arc::new(state.counters);
        vm.baseline = Arc::clone(&vm.counters);
        if state.generation == Generation(record.generation) {
            vm.current = Some((state.generation, record.address));
            vm.stay = Some(Stay {
                port: record.port,
                carrier_ups: record.carrier_ups,
            });
            // An agent that ended between the two has installed the route, and did not say so.
            vm.claimed = state.confirmed
                || self
                    .routes
                    .contains(&host_route(&self.config.route, record.address, ifindex));
            vm.released = state.released;
            let now = Moment::now();
            vm.acked_at = state.last_ack_age.map(|age| now.ago(age));
            vm.lease_time = state.lease_time;
            vm.acked_digest = state.told;
            // Until libvirt's facts are known again.
            let lease = self.leases.get(&record.link);
            let lease = lease.filter(|lease| lease.address == record.address);
            vm.identity = lease.and_then(|lease| lease.holder.clone());
            if let Some(lease) = vm.lease(now) {
                self.keep_lease(lease);
            }
        }
        let given = ObservedResponder {
            generation: state.generation,
            binding: None,
            confirmed: state.confirmed,
        };
        self.given.insert(ifindex, given);
        self.vms.insert(ifindex, vm);
        self.responders.adopt(ifindex, found);
        self.metrics.responder_adoptions.inc();
        let (link, generation) = (&*record.link, state.generation);
        tracing::info!(
            link,
            ifindex,
            address = display(record.address),
            "{link}: responder adopted, generation {generation}"
        );
    }
}
