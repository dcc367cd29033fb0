//! Where the VM's address is, and whether it answers, over time.

use super::stage::{ADDRESS, ROUTER, Site};
use anyhow::{Context, Result, ensure};
use slash32_tests::{Capture, Change, Namespace, Process, RouteMonitor, guest_mac, until};
use std::{
    fs::File,
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::NamedTempFile;

/// The agents' route protocol.
const OURS: u8 = 132;

/// Our host routes to the VM on both hosts, as the kernels told of them.
pub(crate) struct Routes([RouteMonitor; 2]);

impl Routes {
    pub(crate) fn watch(sites: &[Site<'_>; 2]) -> Result<Self> {
        let [one, two] = [0, 1].map(|at| RouteMonitor::open(sites[at].host.namespace()));
        Ok(Self([one?, two?]))
    }

    /// Every change so far: on which host, which one, and when.
    pub(crate) fn changes(&self) -> Vec<(usize, Change, SystemTime)> {
        let mut changes = Vec::new();
        for (at, monitor) in self.0.iter().enumerate() {
            let ours = monitor.changes().into_iter().filter(|change| {
                change.to == ADDRESS && change.length == 32 && change.protocol == OURS
            });
            changes.extend(ours.map(|change| (at, change.change, change.at)));
        }
        changes.sort_by_key(|(_, _, at)| *at);
        changes
    }

    /// The address was never in both kernels at a time, and was on the hosts in this order.
    pub(crate) fn were_one_at_a_time(&self, order: &[usize]) -> Result<()> {
        let (mut there, mut seen) = ([false; 2], Vec::new());
        let changes = self.changes();
        for (at, change, _) in &changes {
            there[*at] = *change == Change::Added;
            ensure!(there != [true; 2], "in both kernels at a time: {changes:?}");
            if there[*at] {
                seen.push(*at);
            }
        }
        ensure!(seen == order, "on the hosts {seen:?}: {changes:?}");
        Ok(())
    }

    /// How long after `frame` the route came to a host. Errors: it came before.
    pub(crate) fn waited(&self, host: usize, frame: SystemTime) -> Result<Duration> {
        let changes = self.changes();
        let last = changes
            .iter()
            .rfind(|(at, change, _)| *at == host && *change == Change::Added);
        let (_, _, added) =
            last.with_context(|| format!("no route on host {host}: {changes:?}"))?;
        let waited = added.duration_since(frame);
        waited.context("the route came before the guest's first frame")
    }
}

/// When the guest's first frame came in on the captured link, not counting those before `since`.
pub(crate) fn first_frame(capture: &Capture, since: SystemTime) -> Result<SystemTime> {
    let mac = guest_mac(1).0;
    let frames = capture.frames()?;
    let from_guest = frames
        .iter()
        .find(|frame| !frame.outgoing && frame.at >= since && frame.bytes.get(6..12) == Some(&mac));
    Ok(from_guest.context("no frame of the guest")?.at)
}

/// A ping to the VM every 50 ms, from the router.
pub(crate) struct Pings {
    output: NamedTempFile,
    _program: Process,
}

impl Pings {
    pub(crate) fn start(router: &Namespace) -> Result<Self> {
        let output = NamedTempFile::new()?;
        let mut command = Command::new("ping");
        command
            .args(["-D", "-n", "-O", "-i", "0.05", "-I", &ROUTER.to_string()])
            .arg(ADDRESS.to_string())
            .stdin(Stdio::null())
            .stdout(File::options().append(true).open(output.path())?)
            .stderr(Stdio::null());
        let program = router.spawn(&mut command)?;
        Ok(Self {
            output,
            _program: program,
        })
    }

    /// The times of the answers so far.
    fn answers(&self) -> Result<Vec<SystemTime>> {
        let text = std::fs::read_to_string(self.output.path())?;
        let time = |line: &str| {
            let (time, rest) = line.strip_prefix('[')?.split_once(']')?;
            rest.contains("bytes from").then_some(())?;
            Some(UNIX_EPOCH + Duration::try_from_secs_f64(time.parse().ok()?).ok()?)
        };
        Ok(text.lines().filter_map(time).collect())
    }

    /// Waits for an answer after `time`.
    pub(crate) fn wait_answer_after(&self, time: SystemTime, bound: Duration) -> Result<()> {
        until("an answer of the VM", bound, || {
            let answers = self.answers()?;
            Ok(answers
                .last()
                .is_some_and(|last| *last > time)
                .then_some(()))
        })
    }

    /// The longest time between two answers, of which the second came after `since`.
    pub(crate) fn longest_gap(&self, since: SystemTime) -> Result<Duration> {
        let answers = self.answers()?;
        let gaps = answers.windows(2).filter(|pair| pair[1] > since);
        let gaps = gaps.filter_map(|pair| pair[1].duration_since(pair[0]).ok());
        gaps.max().context("no two answers")
    }
}
