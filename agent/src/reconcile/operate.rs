//! What operators ask and order.

use super::Reconciler;
use super::decide::attachment;
use crate::moment::Moment;
use crate::occupant::Occupant;
use crate::operator::Request;
use crate::vm::VmLink;
use jiff::Timestamp;
use slash32_control::{Done, Explanation, NextMac, PoolRow, Refused, ShowError, resolve};
use slash32_policy::{LinkFacts, LinkKind, Network};
use slash32_store::{Change as Record, Reservation};
use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError};

impl Reconciler {
    /// Does what was asked and answers. That nobody waits for the answer any more is no fault.
    pub(super) async fn obey(&mut self, request: Request) {
        match request {
            Request::Refresh(ifindex, reply) => {
                let inquire = slash32_ipc::ToResponder::Inquire;
                if self.responders.tell(ifindex, &inquire, &[]).is_ok() {
                    self.waiting.entry(ifindex).or_default().push(reply);
                }
            }
            Request::Explain(key, reply) => drop(reply.send(self.explain(&key))),
            Request::Pools(reply) => drop(reply.send(self.pools())),
            Request::Bind(link, address, reply) => {
                drop(reply.send(self.bind(&link, address).await))
            }
            Request::Unbind(link, reply) => drop(reply.send(self.unbind(&link).await)),
            Request::Release(key, reply) => drop(reply.send(self.release(&key).await)),
            Request::Reload(force, reply) => drop(reply.send(self.reload(force).await)),
            Request::MacNext(network, reply) => drop(reply.send(self.mac_next(network.as_deref()))),
            Request::Export(reply) => drop(reply.send(self.export().await)),
            Request::Import(document, reply) => drop(reply.send(self.import(&document).await)),
        }
    }

    fn explain(&self, key: &str) -> Result<Explanation, ShowError> {
        match resolve(&self.published.rows(), key) {
            Ok(row) => {
                let link = self.table.get(row.ifindex);
                let link = link.ok_or_else(|| ShowError::NotFound {
                    key: key.to_owned(),
                })?;
                let mut explanation = super::explain::link(
                    &self.config,
                    &self.allocations,
                    &self.facts_of(link),
                    row,
                );
                let vm = self.vms.get(&row.ifindex);
                let occupant = vm.and_then(|vm| vm.occupant.as_ref());
                explanation
                    .notes
                    .extend(occupant.and_then(Occupant::counts_next));
                Ok(explanation)
            }
            Err(error) => match key.parse() {
                Ok(address) => Ok(super::explain::address(
                    &self.config,
                    &self.allocations,
                    address,
                )),
                Err(_) => Err(error),
            },
        }
    }

    fn pools(&self) -> Vec<PoolRow> {
        let rows = self
            .allocations
            .pools(&self.config)
            .into_iter()
            .map(|pool| PoolRow {
                network: pool.network,
                subnet: pool.subnet.to_string(),
                pool: format!("{}-{}", pool.first, pool.last),
                total: pool.total,
                used: pool.used,
                free: pool.free,
                reserved: pool.reserved,
                set_aside: pool.set_aside,
                quarantined: pool.quarantined,
            });
        rows.collect()
    }

    async fn bind(&mut self, link: &str, address: Ipv4Addr) -> Result<Done, Refused> {
        let config = Arc::clone(&self.config);
        let known = self.table.iter().find(|known| known.name == link);
        let facts = known.map_or_else(
            || LinkFacts::new(link, LinkKind::Bridge),
            |known| self.facts_of(known),
        );
        let network = config
            .network_of(link, &facts.altnames)
            .map_err(|twice| refused(twice.to_string()))?;
        let network = network.ok_or_else(|| refused(format!("no network's links match {link}")))?;
        let network = config
            .chosen(network, &facts)
            .map_err(|reason| refused(reason.to_string()))?;
        if let Some(refusal) = self.allocations.may_bind(network, &facts, address) {
            return Err(refused(format!("{address} {refusal}")));
        }
        let now = Moment::now();
        let holds = |vm: &&VmLink| {
            vm.name != link && vm.current.is_some_and(|(_, current)| current == address)
        };
        let holder = self
            .vms
            .values()
            .find(holds)
            .map(|vm| (vm.ifindex, vm.name.clone(), vm.is_bound(now)));
        if let Some((_, name, true)) = holder {
            return Err(refused(format!(
                "{address} is the address of the VM that runs on {name}: stop that one first"
            )));
        }
        let before = self.allocations.unbind(link);
        let bound = self.allocations.bind(link, address);
        if let Err(refusal) = bound {
            self.bind_again(link, before);
            return Err(refused(format!("{address} {refusal}")));
        }
        let made_at = Timestamp::now().as_second();
        self.unsaved.push(Record::PutReservation(Reservation {
            link: link.to_owned(),
            address,
            made_at,
        }));
        if !self.save().await {
            self.unsaved.retain(
                |record| !matches!(record, Record::PutReservation(new) if new.link == link),
            );
            self.allocations.unbind(link);
            self.bind_again(link, before);
            return Err(refused(
                "the store cannot be written; the agent's log says why".to_owned(),
            ));
        }
        if let Some((holder, ..)) = holder {
            // It was told the address and has not taken it: it gets another one first.
            self.dirty.insert(holder);
            self.pass().await;
        }
        let mut done = format!("{link} is bound to {address}");
        if network.reservation_of(&facts).is_some() {
            done.push_str("; the config reserves another address for it, which comes first");
        }
        self.done(link, done).await
    }

    fn bind_again(&mut self, link: &str, before: Option<Ipv4Addr>) {
        if let Some(before) = before {
            // It was bound a moment ago, and nothing else was.
            let _ = self.allocations.bind(link, before);
        }
    }

    async fn unbind(&mut self, link: &str) -> Result<Done, Refused> {
        let Some(address) = self.allocations.unbind(link) else {
            return Err(refused(format!("nothing is bound to {link}")));
        };
        self.unsaved.push(Record::RemoveReservation {
            link: link.to_owned(),
        });
        self.done(link, format!("{link} is no longer bound to {address}"))
            .await
    }

    async fn release(&mut self, key: &str) -> Result<Done, Refused> {
        let rows = self.published.rows();
        let link = resolve(&rows, key).map(|row| row.link.clone());
        let holder = match (&link, key.parse::<Ipv4Addr>()) {
            (Ok(link), _) => link.clone(),
            (Err(_), Ok(address)) => {
                let held = self.allocations.held().find(|held| held.address == address);
                held.map(|held| held.identity.clone()).unwrap_or_default()
            }
            // A link that is gone is still known by what it holds.
            (Err(_), Err(_)) => key.to_owned(),
        };
        let Some(held) = self.allocations.release(&holder) else {
            return Err(match link {
                Ok(link) => refused(format!(
                    "nothing is allocated to {link}: what is reserved or bound is not released"
                )),
                Err(error) if key.parse::<Ipv4Addr>().is_err() => error.into(),
                Err(_) => refused(format!("nobody holds {key}")),
            });
        };
        let done = format!("{} holds {} no longer", held.identity, held.address);
        self.done(link.as_deref().unwrap_or_default(), done).await
    }

    /// Puts the change into force, makes it durable, and shows the link as it is then.
    async fn done(&mut self, link: &str, done: String) -> Result<Done, Refused> {
        let ifindex = self
            .table
            .iter()
            .find(|known| known.name == link)
            .map(|known| known.ifindex);
        self.dirty.extend(ifindex);
        self.pass().await;
        if !self.save().await {
            return Err(refused(format!(
                "{done}, but the store cannot be written: the next agent will not know"
            )));
        }
        let row = self
            .published
            .rows()
            .into_iter()
            .find(|row| Some(row.ifindex) == ifindex);
        Ok(Done { done, link: row })
    }

    fn mac_next(&self, network: Option<&str>) -> Result<NextMac, Refused> {
        let encoding: Vec<&Network> = self
            .config
            .networks
            .iter()
            .filter(|n| n.mac_prefix.is_some())
            .collect();
        let named = |name: &str| encoding.iter().find(|n| n.name == name).copied();
        let network = match (network, encoding.as_slice()) {
            (Some(name), _) => named(name)
                .ok_or_else(|| refused(format!("no network {name} with allocation = \"mac\"")))?,
            (None, [one]) => one,
            (None, []) => return Err(refused("no network has allocation = \"mac\"".to_owned())),
            (None, _) => {
                return Err(refused(
                    "several networks have allocation = \"mac\": name one".to_owned(),
                ));
            }
        };
        let next = self.allocations.next_mac(network);
        let (mac, address) =
            next.ok_or_else(|| refused(format!("no free address in network {}", network.name)))?;
        Ok(NextMac {
            mac: mac.to_string(),
            address,
        })
    }

    async fn export(&mut self) -> Result<String, Refused> {
        self.save().await;
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let records = store.load().map_err(|error| refused(error.to_string()))?;
        Ok(slash32_store::export(&records))
    }

    /// Replaces the store. What runs keeps running: an import that would take a bound VM's address is refused.
    async fn import(&mut self, document: &str) -> Result<String, Refused> {
        let records =
            slash32_store::parse_export(document).map_err(|error| refused(error.to_string()))?;
        let mut allocations = super::durable::allocations(&self.config, &self.boot, &records);
        let losers = self.losers(&Arc::clone(&self.config), &mut allocations);
        if !losers.is_empty() {
            let links: Vec<_> = losers.iter().map(|row| row.link.as_str()).collect();
            return Err(refused(format!(
                "it would take the address of VMs that run: {}",
                links.join(", ")
            )));
        }
        let imported = {
            let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
            slash32_store::import(&mut **store, document)
                .map_err(|error| refused(error.to_string()))?
        };
        self.allocations = super::durable::allocations(&self.config, &self.boot, &records);
        self.leases = records.leases.into_iter().collect();
        // What this host runs is this agent's to say, not the document's.
        for vm in self.vms.values() {
            if let (Some(stay), Some((_, address))) = (vm.stay, vm.current) {
                self.unsaved.push(Record::PutAttachment(attachment(
                    &self.boot, vm, stay, address,
                )));
            }
            if let Some(lease) = vm.lease(Moment::now()) {
                self.unsaved_leases.insert(lease.link.clone(), lease);
            }
        }
        self.dirty
            .extend(self.table.iter().map(|link| link.ifindex));
        self.done("", format!("{imported} records imported"))
            .await
            .map(|done| done.done)
    }

    /// A link has another name: what was its own stays so.
    pub(super) fn rename_link(&mut self, old: &str, new: &str) {
        let bound = self
            .allocations
            .bound()
            .find(|(link, _)| *link == old)
            .map(|(_, address)| address);
        self.allocations.rename_link(old, new);
        if let Some(address) = bound {
            let made_at = Timestamp::now().as_second();
            self.unsaved.push(Record::RemoveReservation {
                link: old.to_owned(),
            });
            self.unsaved.push(Record::PutReservation(Reservation {
                link: new.to_owned(),
                address,
                made_at,
            }));
        }
    }
}

fn refused(reason: String) -> Refused {
    Refused { reason }
}
