//! The agent comes back: responders go on where they are.

use super::Reconciler;
use crate::conversation::Fault;
use crate::plan::ObservedResponder;
use crate::presence::Stay;
use crate::responders::Found;
use crate::vm::{Condition, VmLink};
use jiff::{SignedDuration, Timestamp};
use slash32_binding::Generation;
use slash32_store::{Attachment, Change as Record};
use std::collections::BTreeMap;

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
                // The store knows every generation before it is given.
                Some(record) if found.state.generation > Generation(record.generation) => {
                    tracing::warn!(
                        "{}: responder not adopted: it {}",
                        found.link,
                        Fault::Generation
                    );
                    self.responders.refuse(found, Fault::Generation);
                }
                Some(record) => self.adopt_one(found, &record.clone()),
                None => {
                    tracing::info!("{}: a responder of another link is dismissed", found.link);
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
            self.vms.insert(record.ifindex, vm);
        }
    }

    /// Within one boot the kernel gives no ifindex twice, so a link is the same one whatever its name.
    fn is_same_link(&self, record: &Attachment) -> bool {
        record.boot == self.boot && self.table.get(record.ifindex).is_some()
    }

    fn adopt_one(&mut self, found: Found, record: &Attachment) {
        let Some(link) = self.table.get(record.ifindex) else {
            return;
        };
        let ifindex = link.ifindex;
        let state = found.state.clone();
        let mut vm = VmLink::new(link);
        // The first pass sees that the link has another name now.
        vm.name.clone_from(&record.link);
        vm.last_generation = Generation(record.generation).max(state.generation);
        vm.counters = state.counters;
        vm.baseline = state.counters;
        if state.generation == Generation(record.generation) {
            vm.current = Some((state.generation, record.address));
            vm.stay = Some(Stay {
                port: record.port,
                carrier_ups: record.carrier_ups,
            });
            vm.claimed = state.confirmed;
            vm.released = state.released;
            let age = state
                .last_ack_age
                .map(|age| SignedDuration::from_nanos(age as i64));
            vm.acked_at = age.and_then(|age| Timestamp::now().checked_sub(age).ok());
            vm.lease_time = state.lease_time;
            vm.acked_digest = state.told;
            if let Some(lease) = vm.lease() {
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
        tracing::info!(
            "{}: responder adopted, generation {}",
            record.link,
            state.generation
        );
    }
}
