//! What libvirt tells: hook calls, and libvirt's own files of what runs. Hints, never triggers: the kernel says whether a VM is
//! there, libvirt says which one it is.
//!
//! A hook call is a file in the spool ([`calls`]), and libvirt keeps a file of each domain and network that runs ([`status`]);
//! [`watch`] sees them come. What all of them come to is one [`Knowledge`], which is written to `RUNTIME/libvirt.json`
//! ([`memory`]) before a hook call's file is removed: an agent that is ended at any moment has lost nothing. A fact says
//! how something is, so one that is taken in twice does no harm.

mod calls;
mod memory;
mod status;
mod watch;

pub(crate) use watch::Woken;

use crate::link::{Kind, Link, LinkTable};
use crate::presence::Stay;
use calls::Calls;
use memory::{KeptStay, Memory};
use slash32_binding::MacAddr;
use slash32_libvirt::{Knowledge, Network, Nic, Place};
use status::{Of, StatusFiles};
use std::collections::BTreeMap;
use std::path::PathBuf;
use watch::Watch;

/// So many files are read while VMs wait; more are read elsewhere.
const FEW: usize = 4;

/// All that libvirt has told.
pub(crate) struct Hypervisor {
    knowledge: Knowledge,
    /// What counts for the VMs that are there, by their links.
    stays: BTreeMap<u32, (Stay, Nic)>,
    calls: Calls,
    files: StatusFiles,
    watch: Watch,
    /// `RUNTIME/libvirt.json`, and the boot that it is of.
    path: PathBuf,
    boot: String,
    unsaved: bool,
    /// That it cannot be written was told.
    complained: bool,
}

impl Hypervisor {
    /// Goes on where the agent before has ended. `runtime` is the agent's folder, `libvirt` that of libvirt, which need not be
    /// there.
    pub(crate) fn new(runtime: PathBuf, libvirt: PathBuf, boot: &str) -> Self {
        let path = runtime.join("libvirt.json");
        let memory = Memory::load(&path, boot);
        let domains = memory.domains.into_iter().map(|name| (Of::Domain, name));
        let networks = memory.networks.into_iter().map(|name| (Of::Network, name));
        let calls = Calls::new(runtime.join(slash32_libvirt::spool::FOLDER));
        calls.clear_abandoned();
        Self {
            watch: Watch::new(calls.folder(), &libvirt),
            calls,
            files: StatusFiles::new(libvirt, domains.chain(networks)),
            knowledge: memory.knowledge,
            stays: memory
                .stays
                .into_iter()
                .map(|kept| (kept.ifindex, (kept.stay(), kept.nic)))
                .collect(),
            path,
            boot: boot.to_owned(),
            unsaved: false,
            complained: false,
        }
    }

    /// Waits for the next word of libvirt's. Not to wait to the end loses nothing.
    pub(crate) async fn woken(&mut self) -> Woken {
        self.watch.woken().await
    }

    /// Takes in the hook calls that wait, or the first of very many: then `more` is true.
    pub(crate) fn drain(&mut self) -> Learnt {
        let mut taken = self.calls.take();
        if taken.is_empty() {
            return Learnt::default();
        }
        let mut news = false;
        for fact in taken.facts.drain(..) {
            news |= self.knowledge.learn(fact);
        }
        self.unsaved |= news;
        self.save();
        let more = taken.more;
        self.calls.remove(taken);
        // The calls may have taken the room that it needs.
        self.save();
        Learnt { news, more }
    }

    /// Takes in what libvirt's own files say.
    pub(crate) async fn look(&mut self, woken: Woken) -> Learnt {
        if woken.is_nothing() {
            return Learnt::default();
        }
        let before = self.files.clone();
        let facts = if woken.all || woken.len() > FEW {
            let mut files = before;
            let look = move || {
                let facts = files.look(&woken);
                (files, facts)
            };
            match tokio::task::spawn_blocking(look).await {
                Ok((files, facts)) => {
                    self.files = files;
                    facts
                }
                Err(error) => {
                    tracing::error!("the task that reads libvirt's files failed: {error}");
                    return Learnt::default();
                }
            }
        } else {
            self.files.look(&woken)
        };
        let mut news = false;
        for fact in facts {
            news |= self.knowledge.learn(fact);
        }
        self.unsaved |= news;
        self.save();
        Learnt { news, more: false }
    }

    /// Looks for folders that were made since, and at everything.
    pub(crate) async fn look_at_all(&mut self) -> Learnt {
        self.watch.renew();
        self.look(Woken::ALL).await
    }

    /// The NIC of the VM that is on `link` for this stay.
    pub(crate) fn nic(&self, table: &LinkTable, link: &Link, stay: Stay) -> Option<&Nic> {
        let port = match link.kind {
            Kind::Bridge => table.get(stay.port)?,
            _ => link,
        };
        self.knowledge.nic(Place {
            link: &link.name,
            port: &port.name,
            port_mac: port.mac,
        })
    }

    /// The network on whose bridge libvirt's own dnsmasq answers DHCP.
    pub(crate) fn dhcp_on(&self, bridge: &str) -> Option<&Network> {
        self.knowledge
            .network_of(bridge)
            .filter(|network| network.dhcp)
    }

    /// The guest has sent its first frame here: its NIC is incoming no more.
    pub(crate) fn arrived(&mut self, uuid: &str, mac: MacAddr) {
        self.knowledge.arrived(uuid, mac);
        self.unsaved = true;
    }

    /// What counts for the VM that is on this link for this stay, as an agent before has kept it.
    pub(crate) fn kept(&self, ifindex: u32, stay: Stay) -> Option<&Nic> {
        let (of, nic) = self.stays.get(&ifindex)?;
        (*of == stay).then_some(nic)
    }

    /// From now on this counts for the VM on a link; `None`: nothing does, or there is none.
    pub(crate) fn keep(&mut self, ifindex: u32, counts: Option<(Stay, &Nic)>) {
        let now = counts.map(|(stay, nic)| (stay, nic.clone()));
        let before = match now.clone() {
            Some(now) => self.stays.insert(ifindex, now),
            None => self.stays.remove(&ifindex),
        };
        self.unsaved |= before != now;
    }

    /// Writes what has changed to the file.
    pub(crate) fn save(&mut self) {
        if !self.unsaved {
            return;
        }
        let stays = self.stays.iter();
        let stays = stays.map(|(link, (stay, nic))| KeptStay::new(*link, *stay, nic.clone()));
        let memory = Memory::new(
            &self.boot,
            self.knowledge.clone(),
            self.files.seen(),
            stays.collect(),
        );
        match memory.save(&self.path) {
            Ok(()) => {
                self.unsaved = false;
                self.complained = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::error!(
                        "{}: cannot be written, so the next agent will not know what libvirt told: {error}",
                        self.path.display()
                    );
                }
            }
        }
    }
}

/// What came of looking.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Learnt {
    /// Something was not known before.
    pub(crate) news: bool,
    /// There is more to take in.
    pub(crate) more: bool,
}
