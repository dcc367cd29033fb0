//! A process that is killed while it commits.
//!
//! The writer's batches follow from their number and what was there before, so whoever knows the number of the last batch
//! that is in the file knows every record that must be.

use crate::sample::{address, allocation, lease, reservation};
use slash32_store::{Allocation, Change, Embedded, Lease, Records, Reservation, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const KILLS: u64 = 200;
/// Writers at work at the same time, each on a file of its own: they are each other's load.
const WRITERS: u64 = 4;
/// Tells the writer its file.
const FILE: &str = "SLASH32_CRASH_TEST_FILE";
/// The lease that carries the number of the batch.
const MARKER: &str = "marker";

/// SplitMix64: enough of a dice.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// What is in the file after `batch` batches.
#[derive(Clone, Default)]
struct Model {
    batch: u64,
    allocations: BTreeMap<String, Allocation>,
    reservations: BTreeMap<String, Reservation>,
    leases: BTreeMap<String, Lease>,
}

impl Model {
    /// The changes of the next batch; afterwards the model is what they leave.
    fn next(&mut self) -> Vec<Change> {
        self.batch += 1;
        let mut dice = Dice(self.batch);
        let mut changes = Vec::new();
        for _ in 0..=dice.below(12) {
            let identity = format!("virbr{}", dice.below(40));
            let number = dice.below(64) as u32;
            let holder = self
                .allocations
                .values()
                .find(|held| held.address == address(number))
                .map(|held| held.identity.clone());
            match holder {
                // Two swap, or one moves, or one goes.
                Some(holder) if holder != identity => {
                    let old = self.allocations.get(&identity).map(|held| held.address);
                    match old {
                        Some(old) => self.hold(&holder, u32::from(old.octets()[3]), &mut changes),
                        None => self.release(&holder, &mut changes),
                    }
                    self.hold(&identity, number, &mut changes);
                }
                Some(_) => self.release(&identity, &mut changes),
                None => self.hold(&identity, number, &mut changes),
            }
        }
        let marker = Lease {
            acked_at: self.batch as i64,
            ..lease(MARKER, 0)
        };
        self.leases.insert(MARKER.into(), marker.clone());
        changes.push(Change::PutLease(marker));
        changes
    }

    fn hold(&mut self, identity: &str, number: u32, changes: &mut Vec<Change>) {
        let held = allocation(identity, number);
        let reserved = reservation(identity, number);
        let acked = lease(identity, number);
        self.allocations.insert(identity.into(), held.clone());
        self.reservations.insert(identity.into(), reserved.clone());
        self.leases.insert(identity.into(), acked.clone());
        changes.extend([
            Change::PutAllocation(held),
            Change::PutReservation(reserved),
            Change::PutLease(acked),
        ]);
    }

    fn release(&mut self, identity: &str, changes: &mut Vec<Change>) {
        self.allocations.remove(identity);
        self.reservations.remove(identity);
        self.leases.remove(identity);
        let name = || identity.to_owned();
        changes.extend([
            Change::RemoveAllocation { identity: name() },
            Change::RemoveReservation { link: name() },
            Change::RemoveLease { link: name() },
        ]);
    }

    fn go_on_to(&mut self, batch: u64) {
        while self.batch < batch {
            self.next();
        }
    }

    fn records(&self) -> Records {
        Records {
            allocations: self.allocations.values().cloned().collect(),
            reservations: self.reservations.values().cloned().collect(),
            leases: self.leases.values().cloned().collect(),
            ..Records::default()
        }
    }
}

/// The number of the last batch that is in the file.
fn batch_of(records: &Records) -> u64 {
    let marker = records.leases.iter().find(|lease| lease.link == MARKER);
    marker.map_or(0, |marker| marker.acked_at as u64)
}

#[test]
#[ignore = "the process that is killed by the test below"]
fn writer() {
    let path = PathBuf::from(std::env::var_os(FILE).expect("no test of its own"));
    let mut store = Embedded::open(&path).unwrap();
    let mut model = Model::default();
    model.go_on_to(batch_of(&store.load().unwrap()));
    let mut out = std::io::stdout();
    loop {
        store.commit(&model.next()).unwrap();
        // Behind what the test harness has written on the line.
        out.write_all(format!(" {}\n", model.batch).as_bytes())
            .unwrap();
        out.flush().unwrap();
    }
}

fn start_writer(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::writer", "--exact", "--ignored", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts a writer, kills it at a point that the dice choose, and returns the last batch that it has acknowledged.
fn kill_a_writer(path: &Path, dice: &mut Dice) -> Option<u64> {
    let mut writer = start_writer(path);
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut last = None;
    let mut note = |line: std::io::Result<String>| {
        let number = line.ok()?.rsplit(' ').next()?.parse().ok()?;
        last = Some(number);
        Some(())
    };
    if dice.below(3) == 0 {
        // Anywhere, while it starts too.
        std::thread::sleep(Duration::from_micros(dice.below(60_000)));
    } else {
        // In the middle of its work.
        let mut acknowledged = 0;
        let enough = dice.below(12);
        while acknowledged <= enough {
            let line = lines.next().expect("the writer has ended by itself");
            acknowledged += u64::from(note(line).is_some());
        }
        std::thread::sleep(Duration::from_micros(dice.below(4_000)));
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    for line in lines {
        note(line);
    }
    last
}

fn kill_often(seed: u64) -> u64 {
    // On a real disk most kills meet a wait for it, in memory they meet the work between the waits.
    let memory = Path::new("/dev/shm");
    let folder = if seed.is_multiple_of(2) && memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    };
    let path = folder.path().join("store.redb");
    let mut dice = Dice(seed);
    let mut model = Model::default();
    let mut committed = 0;
    for kill in 0..KILLS / WRITERS {
        if kill % 10 == 9 {
            // Again from the making of the file.
            std::fs::remove_file(&path).unwrap();
            committed += model.batch;
            model = Model::default();
        }
        let acknowledged = kill_a_writer(&path, &mut dice);
        let acknowledged = acknowledged.unwrap_or(model.batch);
        let records = Embedded::open(&path).unwrap().load().unwrap();
        let batch = batch_of(&records);
        assert!(
            batch == acknowledged || batch == acknowledged + 1,
            "batch {acknowledged} was acknowledged and {batch} is there"
        );
        model.go_on_to(batch);
        assert_eq!(records, model.records(), "after batch {batch}");
        let owners: BTreeSet<_> = records
            .allocations
            .iter()
            .map(|held| held.address)
            .collect();
        assert_eq!(owners.len(), records.allocations.len());
    }
    committed + model.batch
}

#[test]
fn two_hundred_kills_lose_nothing_acknowledged_and_leave_no_half_batch() {
    let committed: u64 = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|seed| scope.spawn(move || kill_often(seed)))
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum()
    });
    // Else the kills have met nobody at work.
    assert!(committed > KILLS, "{committed} batches");
}
