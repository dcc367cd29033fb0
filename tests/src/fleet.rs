use crate::{
    Agent, Host, RawClient,
    dhcp::{Message, message_type},
    until,
};
use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long a client waits for an answer before it sends its message again (RFC 2131 §4.1).
pub const RETRANSMIT: Duration = Duration::from_secs(4);
/// The retransmit after that one doubles the pause: a renewal without an answer by then has failed.
const GIVEN_UP: Duration = Duration::from_secs(12);
/// From one renewal of a VM to its next.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a fleet may take to be bound on a machine that is busy with other cases.
const BOUND: Duration = Duration::from_secs(60);

/// VMs with their addresses: number N is behind `virbrN`.
pub struct Fleet {
    vms: Vec<Vm>,
}

/// A [`Fleet`] whose VMs renew every second, by unicast, until they are told to stop.
pub struct Renewals {
    accounts: Arc<Mutex<BTreeMap<u16, Account>>>,
    over: Arc<AtomicBool>,
    driver: Option<JoinHandle<Result<Fleet>>>,
    /// The VMs, once they renew no more.
    ended: Option<Fleet>,
}

/// What came of the renewals of one VM.
#[derive(Clone, Default, Debug)]
pub struct Account {
    /// So many were acknowledged.
    pub acknowledged: usize,
    /// So many were acknowledged only after they were sent again.
    pub retransmitted: usize,
    /// So many were answered with a NAK, or with an ACK of another address.
    pub refused: usize,
    /// So many had no answer when they would have been sent for the third time.
    pub unanswered: usize,
    /// The longest time from the first try of a renewal to its ACK.
    pub longest: Duration,
}

struct Vm {
    number: u16,
    client: RawClient,
    ack: Message,
}

/// A renewal on its way.
struct Asked {
    request: Message,
    first: Instant,
    sent_again: bool,
}

impl Fleet {
    /// Makes VMs with these numbers and has each get its address. Returns when [all are bound](all_bound).
    pub fn bind(host: &Host, agent: &Agent<'_>, numbers: &[u16]) -> Result<Self> {
        let clients = host.raw_vms(numbers)?;
        let mut vms = Vec::new();
        for (number, mut client) in numbers.iter().copied().zip(clients) {
            let ack = client.bind()?;
            vms.push(Vm {
                number,
                client,
                ack,
            });
        }
        let fleet = Self { vms };
        all_bound(agent, &fleet.addresses())?;
        Ok(fleet)
    }

    /// The address of each VM.
    pub fn addresses(&self) -> BTreeMap<u16, Ipv4Addr> {
        let address = |vm: &Vm| (vm.number, vm.ack.yiaddr);
        self.vms.iter().map(address).collect()
    }

    /// Has every VM renew every second from now on.
    pub fn renew(self) -> Renewals {
        let accounts = self.vms.iter().map(|vm| (vm.number, Account::default()));
        let accounts = Arc::new(Mutex::new(accounts.collect()));
        let over = Arc::<AtomicBool>::default();
        let driver = std::thread::spawn({
            let (accounts, over) = (accounts.clone(), over.clone());
            move || self.drive(&accounts, &over)
        });
        Renewals {
            accounts,
            over,
            driver: Some(driver),
            ended: None,
        }
    }

    fn drive(
        mut self,
        accounts: &Mutex<BTreeMap<u16, Account>>,
        over: &AtomicBool,
    ) -> Result<Self> {
        let start = Instant::now();
        let spread = PERIOD / u32::try_from(self.vms.len().max(1))?;
        let mut next: Vec<Instant> = (0..self.vms.len())
            .map(|place| start + spread * place as u32)
            .collect();
        let mut asked: Vec<Option<Asked>> = self.vms.iter().map(|_| None).collect();
        loop {
            let ends = over.load(Ordering::Relaxed);
            if ends && asked.iter().all(Option::is_none) {
                return Ok(self);
            }
            let now = Instant::now();
            for ((vm, asked), next) in self.vms.iter_mut().zip(&mut asked).zip(&mut next) {
                let mut book = lock(accounts);
                vm.turn(now, asked, next, ends, book.entry(vm.number).or_default());
            }
            for place in self.readable()? {
                let vm = &self.vms[place];
                let mut book = lock(accounts);
                vm.hear(&mut asked[place], book.entry(vm.number).or_default())?;
            }
        }
    }

    /// The places of the VMs for which there is something to read, after at most 20 ms.
    fn readable(&self) -> Result<Vec<usize>> {
        let wires = self.vms.iter().map(|vm| vm.client.wire().as_fd());
        let mut wires: Vec<_> = wires
            .map(|wire| PollFd::new(wire, PollFlags::POLLIN))
            .collect();
        poll(&mut wires, PollTimeout::from(20u8))?;
        let ready = |(place, wire): (usize, &PollFd<'_>)| {
            let events = wire.revents().unwrap_or(PollFlags::empty());
            events.contains(PollFlags::POLLIN).then_some(place)
        };
        Ok(wires.iter().enumerate().filter_map(ready).collect())
    }
}

impl Vm {
    /// Sends what is due at `now`.
    fn turn(
        &mut self,
        now: Instant,
        asked: &mut Option<Asked>,
        next: &mut Instant,
        ends: bool,
        account: &mut Account,
    ) {
        match asked {
            None if !ends && *next <= now => {
                let request = self.client.renewing(&self.ack);
                // A link that is down takes nothing: the frame is lost, as on any wire.
                let _ = self.client.send(&request);
                *next = (*next + PERIOD).max(now);
                *asked = Some(Asked {
                    request,
                    first: now,
                    sent_again: false,
                });
            }
            Some(one) if now - one.first > GIVEN_UP => {
                account.unanswered += 1;
                *asked = None;
            }
            Some(one) if !one.sent_again && now - one.first > RETRANSMIT => {
                one.sent_again = true;
                let _ = self.client.send(&one.request);
            }
            _ => {}
        }
    }

    /// Reads what has come.
    fn hear(&self, asked: &mut Option<Asked>, account: &mut Account) -> Result<()> {
        while let Some(frame) = self.client.wire().receive(Duration::ZERO)? {
            let Some(one) = asked.as_ref() else { continue };
            let answer = Message::read(&frame.bytes)
                .filter(|answer| answer.op == 2 && answer.xid == one.request.xid);
            let Some(answer) = answer else { continue };
            let is_ack = answer.message_type() == message_type::ACK;
            if is_ack && answer.yiaddr == self.ack.yiaddr {
                account.acknowledged += 1;
                account.retransmitted += usize::from(one.sent_again);
                account.longest = account.longest.max(one.first.elapsed());
            } else {
                account.refused += 1;
            }
            *asked = None;
        }
        Ok(())
    }
}

impl Renewals {
    /// Waits until every VM but `without` has been acknowledged once more, for a renewal that it sends from now on.
    pub fn once_more(&self, without: &[u16]) -> Result<()> {
        // The next ACK may be of a renewal that is on its way already.
        let wanted: BTreeMap<u16, usize> = self
            .accounts()
            .into_iter()
            .filter(|(number, _)| !without.contains(number))
            .map(|(number, account)| (number, account.acknowledged + 2))
            .collect();
        until("every VM to renew", 2 * GIVEN_UP, || {
            let now = self.accounts();
            let done = |(number, count): (&u16, &usize)| now[number].acknowledged >= *count;
            Ok(wanted.iter().all(done).then_some(()))
        })
    }

    /// What came of the renewals until now, by VM.
    pub fn accounts(&self) -> BTreeMap<u16, Account> {
        lock(&self.accounts).clone()
    }

    /// Lets those renewals that are on their way come to their end, and returns what came of all of them. The VMs stay where
    /// they are until this is dropped.
    pub fn stop(&mut self) -> Result<BTreeMap<u16, Account>> {
        self.over.store(true, Ordering::Relaxed);
        let driver = self.driver.take().context("it was stopped already")?;
        match driver.join() {
            Ok(fleet) => {
                self.ended = Some(fleet?);
                Ok(self.accounts())
            }
            Err(_) => bail!("the thread that renews panicked"),
        }
    }
}

impl Drop for Renewals {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until every VM is `bound` in `list`, with its address, its host route and a responder. Returns the responders' pids,
/// by VM, as `addresses` are.
pub fn all_bound(
    agent: &Agent<'_>,
    addresses: &BTreeMap<u16, Ipv4Addr>,
) -> Result<BTreeMap<u16, u64>> {
    let mut lacking = BTreeSet::new();
    until("every VM to be bound", BOUND, || {
        let rows = agent.list()?;
        let mut pids = BTreeMap::new();
        for (number, address) in addresses {
            let row = rows
                .iter()
                .find(|row| row["address"] == address.to_string());
            let bound = row.filter(|row| row["state"] == "bound" && row["route"] == true);
            if let Some(pid) = bound.and_then(|row| row["responder"]["pid"].as_u64()) {
                pids.insert(*number, pid);
            }
        }
        let is_lacking = |number: &&u16| !pids.contains_key(number);
        lacking = addresses.keys().filter(is_lacking).copied().collect();
        Ok(lacking.is_empty().then_some(pids))
    })
    .with_context(|| format!("these VMs are not bound: {lacking:?}"))
}
