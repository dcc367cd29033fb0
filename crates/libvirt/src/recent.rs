use crate::vm::Vm;
use crate::{Fact, Knowledge, Stage};
use slash32_binding::MacAddr;
use std::collections::BTreeMap;

/// So long what was told is remembered, in nanoseconds of the calls' clock: twice as long as a call waits for its XML.
const KEPT: u64 = 60_000_000_000;
/// Between the call that announces that a VM is restored, and that which prepares its start: a restoring that libvirt refuses
/// after its announcement has no end of its own.
const RESTORING: u64 = 10_000_000_000;
/// Between two looks at what is older than that.
const PAUSE: u64 = 1_000_000_000;
/// Facts of one VM that are remembered; its life from start to end takes a dozen.
const MAX_STEPS: usize = 64;

/// The order in which calls were made, for those that come out of it: what the last minute told, by VM and network.
///
/// Each call has its time. One that comes after later calls of the same VM counts as if it had come in its place: what is
/// known of the VM is concluded again from what it was a minute ago. Of a network only the last call counts. A fact that has no time (of
/// a state file) is of the moment when it comes.
///
/// It is not kept: a call that was made before the agent was restarted, and comes after, is taken for a new one.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// By UUID.
    vms: BTreeMap<String, History>,
    /// By name: the time of the last call.
    networks: BTreeMap<String, u64>,
    /// The time of the last call of all.
    newest: u64,
    /// When it was looked for what is too old.
    swept: u64,
}

/// What was told of one VM.
#[derive(Clone, Debug)]
struct History {
    /// What was known before.
    before: Option<Vm>,
    /// All calls to this time are in that.
    since: u64,
    /// What came after it, by time.
    steps: Vec<(u64, Step)>,
}

#[derive(Clone, Debug)]
enum Step {
    Fact(Box<Fact>),
    /// The first frame of the guest with this MAC address.
    Arrived(MacAddr),
}

/// Whom a fact is about.
enum Subject<'f> {
    /// The network of this name.
    Network(&'f str),
    /// The VM with this UUID.
    Vm(&'f str),
    /// The VMs of this name that a state file told of.
    File(&'f str),
}

impl Subject<'_> {
    fn of(fact: &Fact) -> Subject<'_> {
        match fact {
            Fact::Network(network) | Fact::NetworkUpdated(network) => {
                Subject::Network(&network.name)
            }
            Fact::NetworkGone(name) => Subject::Network(name),
            Fact::Port(port) | Fact::PortGone(port) => Subject::Vm(&port.uuid),
            Fact::Domain(_, domain) => Subject::Vm(&domain.uuid),
            Fact::DomainGone(uuid) => Subject::Vm(uuid),
            Fact::StatusGone(name) => Subject::File(name),
        }
    }
}

impl Recent {
    /// Whether a fact of a call that was `made` then, in nanoseconds since boot, comes after one of a later call that is about
    /// the same.
    pub fn is_late(&self, made: Option<u64>, fact: &Fact) -> bool {
        let last = match Subject::of(fact) {
            Subject::Network(name) => self.networks.get(name).copied(),
            Subject::Vm(uuid) => self.vms.get(uuid).map(History::last),
            Subject::File(_) => None,
        };
        matches!((made, last), (Some(made), Some(last)) if made < last)
    }

    /// Takes in one more fact, of a call that was `made` then. True when that is news.
    pub fn learn(&mut self, knowledge: &mut Knowledge, made: Option<u64>, fact: Fact) -> bool {
        self.sweep(made);
        let is_late = self.is_late(made, &fact);
        match Subject::of(&fact) {
            Subject::Network(_) if is_late => false,
            Subject::Network(name) => {
                let last = self.networks.entry(name.to_owned()).or_default();
                *last = made.unwrap_or(*last);
                knowledge.learn(fact)
            }
            Subject::Vm(uuid) if is_late => {
                let uuid = uuid.to_owned();
                self.insert(knowledge, &uuid, made.unwrap_or_default(), fact)
            }
            Subject::Vm(uuid) => {
                let uuid = uuid.to_owned();
                let mut news = false;
                if let Fact::Domain(_, domain) = &fact {
                    for other in knowledge.others_of_name(&domain.name, &uuid) {
                        news |= self.learn(knowledge, made, Fact::DomainGone(other));
                    }
                }
                if matches!(&fact, Fact::Domain(Stage::Prepare, _)) && !self.restores(&uuid, made) {
                    news |= knowledge.boots(&uuid);
                }
                self.note(knowledge, &uuid, made, Step::Fact(fact.clone().into()));
                knowledge.learn(fact) | news
            }
            Subject::File(name) => {
                let ended = knowledge.of_status_file(name).into_iter();
                ended.fold(false, |news, uuid| {
                    self.learn(knowledge, None, Fact::DomainGone(uuid)) | news
                })
            }
        }
    }

    /// The guest has sent its first frame here: its NIC is incoming no more. True when it was.
    pub fn arrived(&mut self, knowledge: &mut Knowledge, uuid: &str, mac: MacAddr) -> bool {
        self.note(knowledge, uuid, None, Step::Arrived(mac));
        knowledge.arrived(uuid, mac)
    }

    /// The VM was about to be restored just now.
    fn restores(&self, uuid: &str, made: Option<u64>) -> bool {
        let steps = self.vms.get(uuid).map_or(&[][..], |history| &history.steps);
        steps.iter().any(|(at, step)| {
            let is_restore = |fact: &Fact| matches!(fact, Fact::Domain(Stage::Restore, _));
            let is_recent = made.is_none_or(|made| made.saturating_sub(*at) <= RESTORING);
            is_recent && matches!(step, Step::Fact(fact) if is_restore(fact))
        })
    }

    /// Remembers what is about to be learnt of a VM.
    fn note(&mut self, knowledge: &Knowledge, uuid: &str, made: Option<u64>, step: Step) {
        let known = || knowledge.vm(uuid).cloned();
        let history = self
            .vms
            .entry(uuid.to_owned())
            .or_insert_with(|| History::new(known(), 0));
        let last = history.last();
        if history.steps.len() >= MAX_STEPS {
            *history = History::new(known(), last);
        }
        history.steps.push((made.unwrap_or(last), step));
    }

    /// Takes in a fact that others of the same VM came before, though they are later.
    fn insert(&mut self, knowledge: &mut Knowledge, uuid: &str, made: u64, fact: Fact) -> bool {
        let Some(history) = self.vms.get_mut(uuid) else {
            return false;
        };
        let is_taken = |name: &str| !knowledge.others_of_name(name, uuid).is_empty();
        let is_over = matches!(&fact, Fact::Domain(_, domain) if is_taken(&domain.name));
        if made < history.since || is_over || history.steps.len() >= MAX_STEPS {
            return false;
        }
        let place = history.steps.partition_point(|(at, _)| *at <= made);
        history.steps.insert(place, (made, Step::Fact(fact.into())));
        knowledge.conclude_again(uuid, |start| history.conclude(start))
    }

    /// Forgets what is too old.
    fn sweep(&mut self, made: Option<u64>) {
        self.newest = self.newest.max(made.unwrap_or_default());
        if self.newest - self.swept >= PAUSE {
            self.swept = self.newest;
            let oldest = self.newest.saturating_sub(KEPT);
            self.vms.retain(|_, history| history.last() >= oldest);
            self.networks.retain(|_, last| *last >= oldest);
        }
    }
}

impl History {
    fn new(before: Option<Vm>, since: u64) -> Self {
        Self {
            before,
            since,
            steps: Vec::new(),
        }
    }

    /// The time of the last call.
    fn last(&self) -> u64 {
        self.steps.last().map_or(self.since, |(at, _)| *at)
    }

    /// What all of it comes to. `start` is the place of its start among others.
    fn conclude(&self, start: u64) -> Option<Vm> {
        let mut vm = self.before.clone();
        for (_, step) in &self.steps {
            match step {
                Step::Fact(fact) => Vm::learn(&mut vm, (**fact).clone(), start),
                Step::Arrived(mac) => vm.iter_mut().for_each(|vm| vm.arrived(*mac)),
            }
        }
        vm
    }
}
