//! What one link should be: config, presence and allocation together.

use super::Reconciler;
use super::durable::Earlier;
use crate::encoded::EncodedBinding;
use crate::link::{Kind, Link, LinkTable};
use crate::moment::Moment;
use crate::plan::{DesiredLink, Serve};
use crate::presence::{
    Presence, Served, Stay, foreign_address, is_port_or_loopback, libvirts_dhcp, presence,
};
use crate::route::HostRoute;
use crate::vm::{Condition, KeptLease, SEVERAL_PORTS, VmLink};
use jiff::Timestamp;
use slash32_binding::{Binding, Generation, Ipv4Addr, Prefix};
use slash32_control::{EventKind, Port};
use slash32_policy::{
    AddressSource, Allocation, Config, Install, Ipv6, LinkFacts, LinkKind, Network, RouteConfig,
    Unassigned,
};
use slash32_store::{Attachment, Change as Record, Lease};
use std::sync::Arc;

impl Reconciler {
    /// Decides what a link should be, and remembers why; `None` when it is not ours.
    pub(super) fn decide(&mut self, ifindex: u32) -> Option<DesiredLink> {
        let config = Arc::clone(&self.config);
        let link = self.table.get(ifindex).cloned();
        let Some(link) = link.filter(|link| !is_port_or_loopback(link)) else {
            self.forget(ifindex);
            return None;
        };
        match config.network_of(&link.name, &link.altnames) {
            Ok(Some(network)) => self.decide_for(&config, network, &link),
            Ok(None) => {
                self.forget(ifindex);
                None
            }
            Err(twice) => {
                self.allocations.leave(&link.name);
                let vm = self.remember(&link);
                vm.end_generation();
                (vm.network, vm.gateway) = (None, None);
                vm.condition = Condition::Failed(twice.to_string());
                None
            }
        }
    }

    fn decide_for(
        &mut self,
        config: &Config,
        claiming: &Network,
        link: &Link,
    ) -> Option<DesiredLink> {
        let ports = self.ports(link);
        let vm = self.remember(link);
        vm.ports = ports;
        self.look_at_occupant(config, claiming, link);
        let facts = self.facts_of(link);
        let chosen = config.chosen(claiming, &facts);
        let network = *chosen.as_ref().unwrap_or(&claiming);
        let vm = self.vms.get_mut(&link.ifindex)?;
        vm.network = Some(network.name.clone());
        vm.gateway = Some(network.gateway);
        let served = Served {
            port: vm.current.and(vm.stay).map(|stay| stay.port),
            bound: vm.is_bound(Moment::now()),
        };
        let verdict = match self.judge_presence(network, link, served) {
            Ok(there) => self.assign(config, chosen, link, &facts, there),
            Err(condition) => {
                self.allocations.leave(&link.name);
                Verdict::Not(condition)
            }
        };
        let desired = |serve, route| {
            Some(DesiredLink {
                gateway: network.gateway,
                keep_addresses: false,
                ipv6_disabled: network.ipv6 == Ipv6::Off,
                serve,
                route,
            })
        };
        let condition = match verdict {
            Verdict::Serve(service) => {
                let is_dynamic = network.allocation == Allocation::Dynamic;
                let serve = self.serve(link, &service, is_dynamic)?;
                let address = service.binding.address;
                let hold = self.hold(link.ifindex, address);
                let vm = self.vms.get_mut(&link.ifindex)?;
                vm.source = Some(service.source);
                let waits = hold.map(|hold| hold.reason().to_owned());
                vm.condition = Condition::Served(waits.or(service.remark));
                let early = config.route.install == Install::Bind || vm.kept.is_some();
                let keep_addresses = vm.runs_on_older() && vm.is_bound(Moment::now());
                let route = (!service.down && hold.is_none() && (vm.claimed || early))
                    .then(|| host_route(&config.route, address, link.ifindex));
                return desired(Some(serve), route).map(|link| DesiredLink {
                    keep_addresses,
                    ..link
                });
            }
            Verdict::Not(condition) => condition,
        };
        self.keep_lease_now(&link.name);
        let is_refused = matches!(condition, Condition::Failed(_));
        let vm = self.vms.get_mut(&link.ifindex)?;
        vm.end_generation();
        vm.condition = condition;
        if is_refused {
            None
        } else {
            desired(None, None)
        }
    }

    /// Whether a link has a VM to serve.
    fn judge_presence(
        &self,
        network: &Network,
        link: &Link,
        served: Served,
    ) -> Result<There, Condition> {
        let dhcp = self.hypervisor.dhcp_on(&link.name);
        match presence(&self.table, link, network.gateway, dhcp, served) {
            Presence::Refused(reason) => Err(Condition::Failed(reason)),
            Presence::Idle(reason) => Err(Condition::Idle(reason)),
            Presence::Present {
                stay,
                several,
                down,
            } => {
                let remark = match (several, down) {
                    (true, _) => Some(SEVERAL_PORTS.to_owned()),
                    (_, true) => Some("the bridge is down".to_owned()),
                    _ => dhcp
                        .map(libvirts_dhcp)
                        .or_else(|| foreign_address(link, network.gateway)),
                };
                Ok(There { stay, down, remark })
            }
        }
    }

    /// What the VM is served with.
    fn assign(
        &mut self,
        config: &Config,
        network: Result<&Network, Unassigned>,
        link: &Link,
        facts: &LinkFacts,
        there: There,
    ) -> Verdict {
        let assigned = network.and_then(|network| {
            let assigned = self.give_address(config, network, facts, link.ifindex)?;
            Ok((network, assigned))
        });
        let (network, assignment) = match assigned {
            Ok(assigned) => assigned,
            Err(reason) => {
                if matches!(reason, Unassigned::Metadata { .. }) {
                    self.allocations.leave(&link.name);
                }
                return Verdict::Not(Condition::Unassigned(reason.to_string()));
            }
        };
        let left_out = || {
            let mut left_out = config.left_out(network, &assignment, facts).into_iter();
            let first = left_out.next()?;
            Some(match left_out.len() {
                0 => first,
                more => format!("{first} (and {more} more: slash32 explain {})", link.name),
            })
        };
        let There { stay, down, remark } = there;
        let remark = remark
            .or_else(|| self.conflict(assignment.address))
            .or_else(left_out);
        let mut binding = config.binding(network, &assignment, facts);
        // The agent put an earlier gateway there, and takes it away when the VM has renewed.
        let mut ours = link
            .addresses
            .iter()
            .filter(|a| a.ours && a.address != network.gateway);
        binding.former_gateway = ours.next().map(|former| former.address);
        Verdict::Serve(Box::new(Service {
            stay,
            source: assignment.source,
            binding,
            identity: facts.vm_identity(),
            remark,
            down,
        }))
    }

    /// The VM with this binding: the same generation while it stays and keeps its address, else a new one.
    fn serve(&mut self, link: &Link, service: &Service, is_dynamic: bool) -> Option<Serve> {
        let Service { stay, binding, .. } = service;
        let stay = *stay;
        let earlier = self.earlier_lease(Earlier {
            link: &link.name,
            address: binding.address,
            identity: service.identity.as_deref(),
            is_dynamic,
        });
        let earlier = earlier.cloned();
        let route = host_route(&self.config.route, binding.address, link.ifindex);
        let vm = self.vms.get_mut(&link.ifindex)?;
        // Nothing is known of the link, because the store is a new one; but the kernel's route says that it was claimed.
        let was_claimed = vm.last_generation == Generation::NONE && self.routes.contains(&route);
        // The same when an earlier agent has served this stay, and its responder is gone as well.
        let was_served = vm.current.is_none() && vm.stay == Some(stay);
        let is_claimed = was_served && self.routes.contains(&route);
        let generation = match vm.current {
            Some((generation, address)) if address == binding.address && vm.stay == Some(stay) => {
                generation
            }
            _ => {
                let generation = vm.begin_generation(stay, binding.address);
                vm.claimed = is_claimed;
                let now = Timestamp::now().as_second();
                let running = earlier.filter(|lease| lease.expires_at.is_none_or(|end| end > now));
                let kept = |until| KeptLease {
                    until,
                    elsewhere: false,
                };
                vm.kept = match running {
                    Some(lease) => Some(kept(
                        lease
                            .expires_at
                            .and_then(|end| Timestamp::from_second(end).ok()),
                    )),
                    None => (was_claimed && !is_dynamic).then(|| kept(None)),
                };
                self.unsaved.push(Record::PutAttachment(attachment(
                    &self.boot,
                    vm,
                    stay,
                    binding.address,
                )));
                generation
            }
        };
        vm.identity.clone_from(&service.identity);
        let serve = Serve {
            generation,
            binding: EncodedBinding::new(binding),
        };
        vm.serve = Some(serve.clone());
        Some(serve)
    }

    /// What is remembered of a link, under the name that it has now.
    pub(super) fn remember(&mut self, link: &Link) -> &mut VmLink {
        let is_new = !self.vms.contains_key(&link.ifindex);
        let vm = self
            .vms
            .entry(link.ifindex)
            .or_insert_with(|| VmLink::new(link));
        if vm.name != link.name {
            let old = std::mem::replace(&mut vm.name, link.name.clone());
            if let (Some(stay), Some((_, address))) = (vm.stay, vm.current) {
                let record = attachment(&self.boot, vm, stay, address);
                self.unsaved.push(Record::PutAttachment(record));
            }
            if let Some(lease) = self.leases.remove(&old) {
                let link = link.name.clone();
                let lease = Lease { link, ..lease };
                self.leases.put(lease.clone());
                self.unsaved.push(Record::PutLease(lease));
                self.unsaved.push(Record::RemoveLease { link: old.clone() });
            }
            let link_gone = Record::RemoveAttachment { link: old.clone() };
            self.unsaved.push(link_gone);
            self.responders.rename(link.ifindex, &link.name);
            self.rename_link(&old, &link.name);
        }
        if is_new {
            let text = format!("a VM link, number {}", link.ifindex);
            self.published.event(
                Timestamp::now(),
                Some((&link.name, link.ifindex)),
                EventKind::LinkAppeared,
                None,
                text,
            );
        }
        self.vms
            .entry(link.ifindex)
            .or_insert_with(|| VmLink::new(link))
    }

    /// The link is gone, or not ours any more.
    pub(super) fn forget(&mut self, ifindex: u32) {
        let Some(vm) = self.vms.remove(&ifindex) else {
            return;
        };
        self.allocations.leave(&vm.name);
        self.keep_lease_now(&vm.name);
        self.hypervisor.forget(ifindex);
        self.unsaved.push(Record::RemoveAttachment {
            link: vm.name.clone(),
        });
        let text = "no VM link any more".to_owned();
        self.published.event(
            Timestamp::now(),
            Some((&vm.name, ifindex)),
            EventKind::LinkRemoved,
            None,
            text,
        );
    }

    fn ports(&self, link: &Link) -> Vec<Port> {
        let port = |port: &Link| Port {
            name: port.name.clone(),
            carrier: port.up && port.carrier,
        };
        match link.kind {
            Kind::Bridge => self.table.ports(link.ifindex).map(port).collect(),
            _ => vec![port(link)],
        }
    }
}

/// What is to become of a link that a network claims.
enum Verdict {
    Serve(Box<Service>),
    Not(Condition),
}

/// A VM that is there.
struct There {
    stay: Stay,
    /// The link itself is down.
    down: bool,
    /// What an operator should know all the same.
    remark: Option<String>,
}

/// A VM that is to be served.
struct Service {
    stay: Stay,
    /// Where its address is from.
    source: AddressSource,
    binding: Binding,
    /// [`LinkFacts::vm_identity`]
    identity: Option<String>,
    /// What an operator should know all the same.
    remark: Option<String>,
    down: bool,
}

/// What the kernel says of a link and its VM.
pub(crate) fn facts(table: &LinkTable, link: &Link) -> LinkFacts {
    let mut taps = table
        .ports(link.ifindex)
        .filter(|port| port.kind == Kind::Tap && port.carrier);
    let (kind, tap) = match link.kind {
        Kind::Bridge => (LinkKind::Bridge, taps.next()),
        _ => (LinkKind::Tap, Some(link)),
    };
    LinkFacts {
        altnames: link.altnames.clone(),
        mtu: link.mtu,
        server_mac: link.mac,
        tap_mac: tap.map(|tap| tap.mac),
        ..LinkFacts::new(&*link.name, kind)
    }
}

pub(crate) fn host_route(config: &RouteConfig, address: Ipv4Addr, ifindex: u32) -> HostRoute {
    HostRoute {
        prefix: Prefix::host(address),
        ifindex,
        table: config.table,
        protocol: config.protocol,
        metric: config.metric,
        source: config.source,
    }
}

pub(super) fn attachment(boot: &str, vm: &VmLink, stay: Stay, address: Ipv4Addr) -> Attachment {
    Attachment {
        link: vm.name.clone(),
        ifindex: vm.ifindex,
        port: stay.port,
        carrier_ups: stay.carrier_ups,
        generation: vm.last_generation.0,
        address,
        boot: boot.to_owned(),
    }
}
