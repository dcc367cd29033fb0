//! What libvirt tells: hook calls, and libvirt's own files of what runs. Hints, never triggers: the kernel says whether a VM is
//! there, libvirt says which one it is.
//!
//! A hook call is a file in the spool ([`calls`]), and libvirt keeps a file of each domain and network that runs ([`status`]);
//! [`watch`] sees them come. What all of them come to is one [`Knowledge`], which is written to `RUNTIME/libvirt.json`
//! ([`memory`]) before a hook call's file is removed: an agent that is ended at any moment has lost nothing. A fact says
//! how something is, so one that is taken in twice does no harm; one that comes after its successors counts in its place
//! ([`Recent`]).

mod calls;
mod memory;
mod status;
mod watch;

pub(crate) use watch::Woken;

use crate::link::{Kind, Link, LinkTable};
use crate::presence::Stay;
use calls::Calls;
use memory::{Kept, Memory};
use slash32_binding::MacAddr;
use slash32_libvirt::{Fact, Knowledge, Nic, Place, Recent, Stage};
use status::{Of, StatusFiles};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;
use watch::Watch;

/// So many files are read while VMs wait; more are read elsewhere.
const FEW: usize = 4;
/// The file is written at most so often: for a thousand VMs that takes some milliseconds. What it lacks at the agent's end is in
/// the calls, which are there until then.
const PAUSE: Duration = Duration::from_millis(100);
/// When it could not be written it is tried again after this.
const RETRY: Duration = Duration::from_secs(2);

/// All that libvirt has told.
pub(crate) struct Hypervisor {
    knowledge: Knowledge,
    /// For calls that come late.
    recent: Recent,
    /// What counts for the VMs that are there, or whose port is down, by the ifindex of their links.
    kept: BTreeMap<u32, Kept>,
    calls: Calls,
    files: StatusFiles,
    watch: Watch,
    /// `RUNTIME/libvirt.json`, and the boot that it is of.
    path: PathBuf,
    boot: String,
    /// When it was written last, and when it is to be written next.
    saved_at: Option<Instant>,
    save_at: Option<Instant>,
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
        Self {
            watch: Watch::new(calls.folder(), &libvirt),
            calls,
            files: StatusFiles::new(libvirt, domains.chain(networks)),
            knowledge: memory.knowledge,
            recent: Recent::default(),
            kept: memory.kept,
            path,
            boot: boot.to_owned(),
            saved_at: None,
            save_at: None,
            complained: false,
        }
    }

    /// Waits for the next word of libvirt's. Not to wait to the end loses nothing.
    pub(crate) async fn woken(&mut self) -> Woken {
        self.watch.woken().await
    }

    /// Takes in the hook calls that wait, or the first of very many: then `more` is true.
    pub(crate) fn drain(&mut self) -> Learnt {
        let taken = self.calls.take();
        let news = self.learn(taken.facts);
        self.save();
        Learnt {
            news,
            more: taken.more,
        }
    }

    /// Takes in what libvirt's own files say.
    pub(crate) async fn look(&mut self, woken: Woken) -> Learnt {
        if woken.is_nothing() {
            return Learnt::default();
        }
        let facts = if woken.all || woken.len() > FEW {
            let mut files = self.files.clone();
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
        let news = self.learn(facts.into_iter().map(|fact| (None, fact)));
        self.save();
        Learnt { news, more: false }
    }

    /// Looks for folders that were made since, and at everything.
    pub(crate) async fn look_at_all(&mut self) -> Learnt {
        self.watch.renew();
        self.calls.clear_abandoned();
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
    pub(crate) fn dhcp_on(&self, bridge: &str) -> Option<&str> {
        let network = self.knowledge.network_of(bridge)?;
        network.dhcp.then_some(&*network.name)
    }

    /// The guest has sent its first frame here: its NIC is incoming no more.
    pub(crate) fn arrived(&mut self, uuid: &str, mac: MacAddr) {
        // Its route need not wait for this: whoever does not know looks whether it has sent a frame.
        let news = self.recent.arrived(&mut self.knowledge, uuid, mac);
        self.note(news);
    }

    /// What counts for the VM that is on this link for this stay, if that is kept; `told` is what libvirt says now. It holds also
    /// for a later stay of the same VM at the same port, when it was no start of the VM that began it (the port was down).
    pub(crate) fn kept(&self, ifindex: u32, stay: Stay, told: Option<&Nic>) -> Option<&Kept> {
        let kept = self.kept.get(&ifindex)?;
        let is_same_vm = |told: &Nic| is_same(told, &kept.nic);
        let is_same_start = kept.settled
            && !kept.over
            && kept.stay.port == stay.port
            && told.is_some_and(is_same_vm);
        (kept.stay == stay || is_same_start).then_some(kept)
    }

    /// From now on this counts for the VM on a link.
    pub(crate) fn keep(&mut self, ifindex: u32, stay: Stay, nic: &Nic, settled: bool) {
        let before = self.kept.get(&ifindex).filter(|kept| kept.stay == stay);
        if before.is_some_and(|kept| kept.nic == *nic && kept.settled == settled) {
            return;
        }
        let kept = Kept {
            stay,
            nic: nic.clone(),
            settled,
            over: before.is_some_and(|kept| kept.over),
        };
        let is_kept = before.is_some_and(|kept| kept.nic == *nic);
        self.kept.insert(ifindex, kept);
        self.note(true);
        if !is_kept {
            // Before the VM is told what follows from it.
            self.save_at = Some(Instant::now());
        }
    }

    /// The port of the VM of which something is kept.
    pub(crate) fn kept_port(&self, ifindex: u32) -> Option<u32> {
        self.kept.get(&ifindex).map(|kept| kept.stay.port)
    }

    /// Nothing counts for a VM on this link any more.
    pub(crate) fn forget(&mut self, ifindex: u32) {
        let news = self.kept.remove(&ifindex).is_some();
        self.note(news);
    }

    /// Only these links are there.
    pub(crate) fn retain_links(&mut self, is_there: impl Fn(u32) -> bool) {
        let before = self.kept.len();
        self.kept.retain(|ifindex, _| is_there(*ifindex));
        self.note(self.kept.len() != before);
    }

    /// Takes in facts with the times of their calls.
    fn learn(&mut self, facts: impl IntoIterator<Item = (Option<u64>, Fact)>) -> bool {
        let mut news = false;
        for (made, fact) in facts {
            // What a late one ends, a later one has ended, or it began after.
            if !self.recent.is_late(made, &fact) {
                self.see_ends(&fact);
            }
            news |= self.recent.learn(&mut self.knowledge, made, fact);
        }
        self.note(news);
        news
    }

    /// A VM that ends, or starts, is at the end of what counted so far.
    fn see_ends(&mut self, fact: &Fact) {
        let ends = |nic: &Nic| match fact {
            Fact::DomainGone(uuid) => nic.uuid == *uuid,
            Fact::StatusGone(name) => nic.vm == *name,
            Fact::Domain(Stage::Migrate | Stage::Restore | Stage::Prepare, domain) => {
                nic.uuid == domain.uuid
            }
            _ => false,
        };
        let mut news = false;
        for kept in self.kept.values_mut().filter(|kept| ends(&kept.nic)) {
            news |= !std::mem::replace(&mut kept.over, true);
        }
        self.note(news);
    }

    /// What is to be kept has changed, if that is `news`.
    fn note(&mut self, news: bool) {
        if news {
            let now = Instant::now();
            let next = self.saved_at.map_or(now, |saved| now.max(saved + PAUSE));
            self.save_at.get_or_insert(next);
        }
    }

    /// When what is kept is to be saved.
    pub(crate) fn save_at(&self) -> Option<Instant> {
        self.save_at
    }

    /// Writes the file when that is due, and removes the calls whose facts are in it. That it cannot be written is told once: then the
    /// calls go all the same, as they may have the room that it needs.
    pub(crate) fn save(&mut self) {
        let now = Instant::now();
        match self.save_at {
            Some(at) if at > now => {}
            Some(_) => {
                (self.save_at, self.saved_at) = (None, Some(now));
                let mut saved = self.write();
                self.calls.remove_taken();
                if saved.is_err() {
                    saved = self.write();
                }
                self.complain(saved);
            }
            None if self.calls.has_taken() => self.calls.remove_taken(),
            None => {}
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let memory = Memory::new(
            &self.boot,
            self.knowledge.clone(),
            self.files.seen(),
            self.kept.clone(),
        );
        memory.save(&self.path)
    }

    fn complain(&mut self, saved: std::io::Result<()>) {
        let Err(error) = saved else {
            self.complained = false;
            return;
        };
        self.save_at.get_or_insert(Instant::now() + RETRY);
        if !std::mem::replace(&mut self.complained, true) {
            tracing::error!(
                "{}: cannot be written, so the next agent will not know what libvirt told: {error}",
                self.path.display()
            );
        }
    }
}

/// The NIC of the same VM.
pub(crate) fn is_same(a: &Nic, b: &Nic) -> bool {
    (&a.uuid, a.mac) == (&b.uuid, b.mac)
}

/// What came of looking.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Learnt {
    /// Something was not known before.
    pub(crate) news: bool,
    /// There is more to take in.
    pub(crate) more: bool,
}

#[cfg(test)]
mod tests;
