//! A VM that arrives by live migration: its host route waits until it runs here and nowhere else (see [`crate::arrival`]).
//!
//! A bridge tells of the guest's first frame, as it learns its MAC address; that is only listened to while it matters. A bare
//! tap, and a bridge that does not learn, tell nothing: there the tap's counter of received frames is looked at.

use super::Reconciler;
use crate::arrival::{Arrival, Hold, PATIENCE};
use crate::kernel::{Learned, LearnedMacs};
use crate::link::Kind;
use crate::vm::{KeptLease, VmLink};
use jiff::{SignedDuration, Timestamp};
use slash32_binding::Ipv4Addr;
use slash32_store::Lease;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// How often the counter of a bare tap is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The same where a bridge tells by itself.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How arrivals are followed.
#[derive(Default)]
pub(super) struct Arrivals {
    /// The links of the VMs that arrive; some may have done so.
    links: BTreeSet<u32>,
    /// Open while a guest behind a bridge has not sent its first frame.
    learned: Option<LearnedMacs>,
    /// When somebody's first frame is to be looked for.
    look_at: Option<Instant>,
    /// That it cannot be opened was told.
    complained: bool,
    /// When a route has waited for another host long enough.
    over_at: Option<Instant>,
}

impl Arrivals {
    /// What a bridge has learned; never comes while nobody waits for it.
    pub(super) async fn next(&mut self) -> Learned {
        let Some(learned) = &mut self.learned else {
            return std::future::pending().await;
        };
        match learned.next().await {
            Some(told) => told,
            None => {
                // Opened anew by the next pass.
                self.learned = None;
                Learned::Overrun
            }
        }
    }

    /// When [`Reconciler::look_for_arrivals`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.look_at, self.over_at].into_iter().flatten().min()
    }
}

impl Reconciler {
    /// What holds the host route of the VM that is served on a link; `None` when nothing does. A VM that has arrived is one
    /// from then on that was claimed: its route stays for its stay, as after an ACK.
    pub(super) fn hold(&mut self, ifindex: u32, address: Ipv4Addr) -> Option<Hold> {
        let vm = self.vms.get_mut(&ifindex)?;
        if !vm.is_incoming() {
            vm.arrival = None;
            return None;
        }
        let asked = vm.claimed || vm.acked_at.is_some();
        let (mut arrival, now) = match vm.arrival {
            Some(arrival) => (arrival, Instant::now()),
            // An earlier agent saw it arrive.
            None if asked => {
                self.arrive(ifindex, address, None);
                return None;
            }
            None => {
                self.arrivals.look_at = Some(Instant::now());
                (Arrival::default(), Instant::now())
            }
        };
        if asked {
            arrival.first_frame.get_or_insert(now);
        }
        vm.arrival = Some(arrival);
        self.arrivals.links.insert(ifindex);
        let announced = self.foreign.contains_key(&address);
        let hold = arrival.hold(announced, now);
        if hold.is_none() {
            self.arrive(ifindex, address, arrival.first_frame.filter(|_| announced));
        }
        hold
    }

    /// The VM runs here. `waited`: since its first frame another host has announced its address, and still does.
    fn arrive(&mut self, ifindex: u32, address: Ipv4Addr, waited: Option<Instant>) {
        let Some(vm) = self.vms.get_mut(&ifindex) else {
            return;
        };
        let name = vm.name.clone();
        if waited.is_some() {
            tracing::warn!(
                link = name,
                ifindex,
                address = display(address),
                "{name}: another host still announces {address} {} s after the VM's first frame here: its host route does not wait any longer",
                PATIENCE.as_secs()
            );
        }
        vm.arrival = None;
        vm.claimed = true;
        if let Some(nic) = vm.nic() {
            self.hypervisor.arrived(&nic.uuid, nic.mac);
        }
        if let Some(occupant) = &mut vm.occupant {
            occupant.arrived();
        }
        if vm.acked_at.is_none() {
            self.keep_lease_of_arrival(ifindex, address);
        }
    }

    /// The lease was acknowledged by the host that the VM comes from, before now, and that host's config is as good as this
    /// one's: it ends no later than one that begins now.
    fn keep_lease_of_arrival(&mut self, ifindex: u32, address: Ipv4Addr) {
        let Some(vm) = self.vms.get_mut(&ifindex) else {
            return;
        };
        let Some(lease_time) = vm
            .serve
            .as_ref()
            .map(|serve| serve.binding.decode().lease_time)
        else {
            return;
        };
        let now = Timestamp::now();
        let lasts = SignedDuration::from_secs(i64::from(lease_time));
        let until = (lease_time != u32::MAX).then(|| now + lasts);
        vm.kept = Some(KeptLease {
            until,
            elsewhere: true,
        });
        let lease = Lease {
            link: vm.name.clone(),
            address,
            holder: vm.identity.clone(),
            acked_at: now.as_second(),
            expires_at: until.map(Timestamp::as_second),
        };
        self.keep_lease(lease);
    }

    /// Listens to bridges while a guest behind one has not sent its first frame, and knows when to look.
    pub(super) fn follow_arrivals(&mut self) {
        let now = Instant::now();
        let (mut awaited, mut over_at) = (Vec::new(), None::<Instant>);
        let vms = &self.vms;
        let arrival = |ifindex: &u32| vms.get(ifindex)?.arrival;
        self.arrivals
            .links
            .retain(|ifindex| arrival(ifindex).is_some());
        for ifindex in &self.arrivals.links {
            match arrival(ifindex) {
                Some(Arrival {
                    first_frame: Some(seen),
                    ..
                }) => {
                    let until = seen + PATIENCE;
                    over_at = Some(over_at.map_or(until, |at| at.min(until)));
                }
                Some(_) => awaited.push(*ifindex),
                None => {}
            }
        }
        self.arrivals.over_at = over_at;
        if awaited.is_empty() {
            self.arrivals.learned = None;
            self.arrivals.complained = false;
            self.arrivals.look_at = None;
            return;
        }
        let is_bridge = |ifindex: &u32| {
            let link = self.table.get(*ifindex);
            link.is_some_and(|link| link.kind == Kind::Bridge)
        };
        if awaited.iter().any(is_bridge) && self.arrivals.learned.is_none() {
            match LearnedMacs::watch() {
                Ok(learned) => self.arrivals.learned = Some(learned),
                // The looks go on.
                Err(error) if !self.arrivals.complained => {
                    self.arrivals.complained = true;
                    tracing::warn!(
                        "cannot listen to what bridges learn, so the routes of VMs that arrive by migration come up to a second late: {error}"
                    );
                }
                Err(_) => {}
            }
        }
        let pause = if awaited.iter().all(is_bridge) {
            LOOK_AGAIN
        } else {
            LOOK
        };
        self.arrivals.look_at.get_or_insert(now + pause);
    }

    /// A bridge has learned a MAC address.
    pub(super) fn take_learned(&mut self, learned: Learned) {
        match learned {
            Learned::Overrun => {
                self.metrics.netlink_overruns.inc();
                self.arrivals.look_at = Some(Instant::now());
            }
            Learned::Mac { port, mac } => {
                let arrives = |vm: &&mut VmLink| {
                    vm.stay.is_some_and(|stay| stay.port == port)
                        && vm.nic().is_some_and(|nic| nic.mac == mac)
                };
                if let Some(vm) = self.vms.values_mut().find(arrives) {
                    let ifindex = vm.ifindex;
                    self.see_first_frame(ifindex);
                }
            }
        }
    }

    fn see_first_frame(&mut self, ifindex: u32) {
        if let Some(vm) = self.vms.get_mut(&ifindex)
            && let Some(arrival) = &mut vm.arrival
            && arrival.first_frame.is_none()
        {
            arrival.first_frame = Some(Instant::now());
            self.dirty.insert(ifindex);
        }
    }

    /// Looks for the first frames that are awaited, and for routes that have waited long enough.
    pub(super) fn look_for_arrivals(&mut self) {
        let now = Instant::now();
        if self.arrivals.over_at.take_if(|at| *at <= now).is_some() {
            let waits = |vm: &&VmLink| vm.arrival.is_some_and(|a| a.first_frame.is_some());
            self.dirty
                .extend(self.vms.values().filter(waits).map(|vm| vm.ifindex));
        }
        if self.arrivals.look_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let awaited = |vm: &&VmLink| vm.arrival.is_some_and(|a| a.first_frame.is_none());
        let awaited: Vec<_> = self
            .vms
            .values()
            .filter(awaited)
            .map(|vm| vm.ifindex)
            .collect();
        for ifindex in awaited {
            if self.has_sent_a_frame(ifindex) {
                self.see_first_frame(ifindex);
            }
        }
        self.follow_arrivals();
    }

    /// The VM has been heard of on its port. Whatever cannot be asked is looked at again.
    fn has_sent_a_frame(&mut self, ifindex: u32) -> bool {
        let vm = self.vms.get(&ifindex);
        let Some((stay, mac)) = vm.and_then(|vm| Some((vm.stay?, vm.nic()?.mac))) else {
            return false;
        };
        let learned = self.kernel.learned_macs(Some(stay.port));
        if learned.is_ok_and(|learned| learned.values().flatten().any(|seen| *seen == mac)) {
            return true;
        }
        let is_tap = |port: u32| {
            let port = self.table.get(port);
            port.is_some_and(|port| port.kind == Kind::Tap)
        };
        if !is_tap(stay.port) {
            return false;
        }
        let Ok(frames) = self.kernel.received(stay.port) else {
            return false;
        };
        let arrival = self.vms.get_mut(&ifindex);
        arrival
            .and_then(|vm| vm.arrival.as_mut())
            .is_some_and(|arrival| arrival.has_received(stay, frames))
    }
}
