//! What a pass has decided is durable before anybody is told of it.

use super::{Reconciler, conflict};
use crate::vm::{Condition, VmLink};
use jiff::Timestamp;
use slash32_policy::{Allocations, Config, Held};
use slash32_store::{Change as Record, Lease, Records, StoreError};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long news of leases may wait for the store: the responders know them all the while.
const LEASE_DELAY: Duration = Duration::from_secs(1);
/// How long after a failed commit the store is tried again.
const STORE_RETRY: Duration = Duration::from_secs(2);

impl Reconciler {
    /// The links in `scope` whose present generation is not durable. Their rows say so.
    pub(super) fn waiting_for_the_store(&mut self, scope: &BTreeSet<u32>) -> BTreeSet<u32> {
        let begun = |record: &Record| match record {
            Record::PutAttachment(attachment) => Some(attachment.ifindex),
            _ => None,
        };
        let begun: BTreeSet<u32> = self.unsaved.iter().filter_map(begun).collect();
        for ifindex in scope.intersection(&begun) {
            if let Some(vm) = self.vms.get_mut(ifindex) {
                let trouble = self
                    .store_trouble
                    .as_deref()
                    .unwrap_or("it is not written yet");
                vm.error = Some(format!("waits for the store: {trouble}"));
            }
        }
        scope.intersection(&begun).copied().collect()
    }

    /// Makes everything durable that was decided, and the leases if they are due. False when that failed: then nobody may be
    /// told.
    pub(super) async fn save(&mut self) -> bool {
        if self.save_leases_at.is_some_and(|at| at <= Instant::now()) {
            self.take_leases_along();
        }
        let saving = self.begin_save();
        self.finish_save(saving).await
    }

    fn take_leases_along(&mut self) {
        self.save_leases_at = None;
        let leases = std::mem::take(&mut self.unsaved_leases);
        self.unsaved
            .extend(leases.into_values().map(Record::PutLease));
    }

    /// Begins to make everything durable that was decided, while what tells nobody an address goes on. No other one may begin
    /// before [`Self::finish_save`] has ended this one.
    pub(super) fn begin_save(&mut self) -> Saving {
        let decided = self
            .allocations
            .take_changes()
            .into_iter()
            .map(|change| match change.held {
                Some(held) => Record::PutAllocation(slash32_store::Allocation {
                    network: held.network,
                    identity: held.identity,
                    address: held.address,
                    boot: held.boot,
                    since: Some(Timestamp::now().as_second()),
                }),
                None => Record::RemoveAllocation {
                    identity: change.identity,
                },
            });
        self.unsaved.extend(decided);
        // A claim must not wait for the disk because of another VM's lease: those come along, or go when they are due.
        if !self.unsaved.is_empty() {
            self.take_leases_along();
        }
        if self.unsaved.is_empty() {
            return Saving(None);
        }
        let frees = self.unsaved.iter().any(frees_an_address);
        let records = std::mem::take(&mut self.unsaved);
        let store = Arc::clone(&self.store);
        let start = Instant::now();
        // A commit waits for the disk: elsewhere, so that the operator API goes on answering.
        let commit = tokio::task::spawn_blocking(move || {
            let result = store
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .commit(&records);
            (result, records)
        });
        Saving(Some(Commit {
            commit,
            frees,
            start,
        }))
    }

    /// Waits until it is durable. False when that failed.
    pub(super) async fn finish_save(&mut self, saving: Saving) -> bool {
        let Some(Commit {
            commit,
            frees,
            start,
        }) = saving.0
        else {
            return true;
        };
        let saved = commit.await;
        self.metrics
            .count_commit(matches!(saved, Ok((Ok(()), _))), start.elapsed());
        match saved {
            Ok((Ok(()), _)) => {
                if self.store_trouble.take().is_some() {
                    self.published.tell_store(None);
                    tracing::info!("the store works again");
                    // Whoever waited for it gets what it was not told.
                    self.retry_save_at = None;
                    self.dirty.extend(self.vms.keys());
                }
                if frees {
                    self.look_again();
                }
                true
            }
            Ok((Err(error), records)) => {
                self.unsaved = records;
                self.retry_save_at = Some(Instant::now() + STORE_RETRY);
                let trouble = error.to_string();
                // Once, however often it is tried.
                if self.store_trouble.as_ref() != Some(&trouble) {
                    tracing::error!("{trouble}; bound VMs stay served, new ones wait");
                    self.published.tell_store(Some(&trouble));
                    self.store_trouble = Some(trouble);
                }
                false
            }
            Err(error) => {
                tracing::error!("the store's task failed: {error}");
                false
            }
        }
    }

    /// A VM has acknowledged its address: known at once, and durable soon.
    pub(super) fn keep_lease(&mut self, lease: Lease) {
        self.save_leases_at
            .get_or_insert(Instant::now() + LEASE_DELAY);
        self.leave_behind(&lease);
        self.leases.put(lease.clone());
        self.unsaved_leases.insert(lease.link.clone(), lease);
    }

    /// A VM that hangs on another link now is on its former one no more.
    fn leave_behind(&mut self, lease: &Lease) {
        let Some(holder) = &lease.holder else { return };
        let elsewhere = |other: &&Lease| other.link != lease.link;
        let former = self.leases.of_holder(holder).filter(elsewhere);
        for link in former.map(|other| other.link.clone()).collect::<Vec<_>>() {
            self.leases.remove(&link);
            self.unsaved_leases.remove(&link);
            self.unsaved.push(Record::RemoveLease { link });
        }
    }

    /// The lease of an earlier generation that the VM on a link may go on with. Where addresses are `dynamic`, one of the same
    /// link and address says nothing of this VM, unless libvirt tells that it is the same one; and if it does, its lease counts
    /// whatever link it was on.
    pub(super) fn earlier_lease(&self, vm: Earlier<'_>) -> Option<&Lease> {
        let is_same = |lease: &&Lease| lease.address == vm.address;
        let on_link = self.leases.get(vm.link);
        let on_link = on_link.filter(|lease| lease.address == vm.address && !vm.is_dynamic);
        on_link.or_else(|| self.leases.of_holder(vm.identity?).find(is_same))
    }

    /// The VM is gone and its responder is about to forget it: then only the store knows of its lease, for when it comes back
    /// without asking.
    pub(super) fn keep_lease_now(&mut self, link: &str) {
        if let Some(lease) = self.unsaved_leases.remove(link) {
            self.unsaved.push(Record::PutLease(lease));
        }
    }

    /// An address may have come free: VMs without one may have it.
    pub(super) fn look_again(&mut self) {
        let lacking = |vm: &&VmLink| matches!(vm.condition, Condition::Unassigned(_));
        let lacking = self.vms.values().filter(lacking);
        self.dirty.extend(lacking.map(|vm| vm.ifindex));
    }

    /// Ends what time ends.
    pub(super) fn sweep(&mut self) {
        let boottime = slash32_sys::clock::boottime();
        let next = self.allocations.sweep(slash32_binding::Instant(boottime));
        let pause = |at: slash32_binding::Instant| at.0.saturating_sub(boottime);
        self.sweep_at = next.map(|at| Instant::now() + Duration::from_nanos(pause(at)));
        let is_over = |address: &&Ipv4Addr| self.allocations.aside(**address).is_none();
        let over: Vec<_> = self.saved_asides.iter().filter(is_over).copied().collect();
        if !over.is_empty() {
            self.look_again();
        }
        for address in over {
            self.saved_asides.remove(&address);
            self.unsaved.push(Record::RemoveSetAside { address });
        }
    }
}

/// What is on its way to the disk, if anything is.
pub(super) struct Saving(Option<Commit>);

struct Commit {
    /// Its result, and the records that it was to save.
    commit: tokio::task::JoinHandle<(Result<(), StoreError>, Vec<Record>)>,
    /// An address comes free by it.
    frees: bool,
    start: Instant,
}

impl Saving {
    /// It need not be waited for.
    pub(super) fn is_over(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|commit| commit.commit.is_finished())
    }
}

/// A VM that may have been here before.
#[derive(Clone, Copy)]
pub(super) struct Earlier<'v> {
    pub(super) link: &'v str,
    pub(super) address: Ipv4Addr,
    /// [`slash32_policy::LinkFacts::vm_identity`]
    pub(super) identity: Option<&'v str>,
    pub(super) is_dynamic: bool,
}

/// What the store says of who holds which address.
pub(super) fn allocations(config: &Config, boot: &str, records: &Records) -> Allocations {
    let held = records.allocations.iter().map(|a| Held {
        network: a.network.clone(),
        identity: a.identity.clone(),
        address: a.address,
        boot: a.boot.clone(),
    });
    let mut allocations = Allocations::new(config, boot, held);
    for reservation in &records.reservations {
        if let Err(refusal) = allocations.bind(&reservation.link, reservation.address) {
            let (link, address) = (&reservation.link, reservation.address);
            tracing::warn!(
                link,
                address = display(address),
                "{link} is bound to {address} in the store, which {refusal}"
            );
        }
    }
    let mut leases: Vec<&Lease> = records.leases.iter().collect();
    leases.sort_by_key(|lease| lease.acked_at);
    for lease in leases {
        if let Some(holder) = &lease.holder {
            allocations.remember(holder, lease.address);
        }
    }
    for aside in &records.set_asides {
        conflict::set_aside_again(&mut allocations, aside);
    }
    allocations
}

/// Another VM may have the address now.
fn frees_an_address(record: &Record) -> bool {
    matches!(
        record,
        Record::RemoveAllocation { .. } | Record::RemoveAttachment { .. }
    )
}
