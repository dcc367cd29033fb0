//! Cases c, d, g and h: many links at once.
//!
//! One set of links grows from the smallest number to the largest; at each number every subject has the same links, one after
//! the other. What one has left is taken away before the next. For each subject the same VMs are served (c); while all are
//! served its memory is read (d), then it is left alone (g), and slash32's agent is killed and started again (h).
//!
//! For slash32 a VM is served when it has its ACK and its host route is in the kernel, for the others when it has its ACK:
//! they make no routes.

mod idle;
mod memory;
mod restart;
mod serve;

use super::cgroup::Cgroup;
use super::crowd::Crowd;
use super::extent::Extent;
use super::lab::Lab;
use super::peer::Peer;
use super::report::{Key, Report, Subject};
use super::slash32::Slash32;
use crate::step::step;
use anyhow::Result;
use memory::Kernel;

/// What the kernel calls a responder: the first 15 bytes of its name.
const RESPONDER: &str = "slash32-respond";

/// Where readings of one subject at one number of links go.
struct Page<'r> {
    report: &'r mut Report,
    run: usize,
    links: u32,
    subject: Subject,
}

impl Page<'_> {
    fn take(&mut self, figure: super::report::Figure, value: f64) {
        let key = Key {
            figure,
            links: self.links,
            subject: self.subject,
        };
        self.report.take(self.run, key, value);
    }
}

/// This process belongs to slash32 and is no responder.
fn is_agent(pid: u32) -> Result<bool> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
    Ok(name.starts_with("slash32-") && !name.starts_with(RESPONDER))
}

/// Measures every subject once at each number of links. Errors: that of the first subject that was not measured to its end; the
/// others were.
pub(super) fn measure(extent: Extent, run: usize, report: &mut Report) -> Result<()> {
    let mut lab = Lab::new()?;
    let empty = Kernel::now()?;
    let mut failed = None;
    for &links in extent.links() {
        let count = u16::try_from(links)?;
        step(&format!("{links} links are made"), || {
            if lab.count() > 0 {
                lab.down()?;
            }
            lab.grow(count)
        })?;
        let mut crowd = Crowd::new(&lab)?;
        for subject in subjects(extent, links) {
            let mut page = Page {
                report: &mut *report,
                run,
                links,
                subject,
            };
            let name = format!("{links} links: {}", subject.name());
            let measured = step(&name, || match subject {
                Subject::Slash32Running => running(&lab, &mut crowd, &mut page),
                Subject::Kernel => memory::links(&lab, &empty, &mut page),
                Subject::Slash32 => slash32(extent, &lab, &mut crowd, &mut page),
                _ => peer(extent, &lab, &mut crowd, &mut page),
            });
            if let Err(error) = measured {
                eprintln!("error: {error:#}");
                failed.get_or_insert(error.context(name));
            }
            lab.clean()?;
            lab.settle();
        }
    }
    step("the links are removed", || {
        drop(lab);
        Ok(())
    })?;
    failed.map_or(Ok(()), Err)
}

/// Who serves so many links, in this order: the kernel, and slash32 that runs before, find the links down, the others up.
fn subjects(extent: Extent, links: u32) -> Vec<Subject> {
    let mut subjects = vec![
        Subject::Kernel,
        Subject::Slash32Running,
        Subject::Slash32,
        Subject::Udhcpd,
        Subject::Dnsmasq,
    ];
    let most = if extent == Extent::Full { 500 } else { 100 };
    if links <= most {
        subjects.extend([Subject::Dhcpd, Subject::Kea]);
    }
    subjects
}

/// The agent runs; all links come up at once.
fn running(lab: &Lab, crowd: &mut Crowd, page: &mut Page<'_>) -> Result<()> {
    let cgroup = Cgroup::new()?;
    let mut slash32 = Slash32::prepare(lab, &cgroup)?;
    slash32.start()?;
    slash32.wait_all("idle")?;
    let ip = lab.raise()?;
    let mut running = None;
    serve::with_routes(lab, crowd, &cgroup, page, || {
        running = Some(ip.run()?);
        Ok(())
    })?;
    if let Some(ip) = running {
        ip.end()?;
    }
    slash32.stop()
}

/// All links are up; the agent starts, as when a host boots.
fn slash32(extent: Extent, lab: &Lab, crowd: &mut Crowd, page: &mut Page<'_>) -> Result<()> {
    lab.up()?;
    let before = Kernel::now()?;
    let cgroup = Cgroup::new()?;
    let mut slash32 = Slash32::prepare(lab, &cgroup)?;
    let sign = slash32.arm()?;
    serve::with_routes(lab, crowd, &cgroup, page, || sign.give())?;
    slash32.wait_all("bound")?;
    lab.settle();
    memory::subject(&before, &cgroup, page)?;
    idle::measure(extent, &cgroup, page)?;
    restart::measure(lab, &mut slash32, page)?;
    slash32.stop()
}

/// All links are up, with addresses and routes; the daemons start.
fn peer(extent: Extent, lab: &Lab, crowd: &mut Crowd, page: &mut Page<'_>) -> Result<()> {
    let cgroup = Cgroup::new()?;
    let host = lab.host().namespace();
    let mut peer = Peer::prepare(page.subject, host, &lab.links(), &cgroup)?;
    lab.settle();
    let before = Kernel::now()?;
    serve::without_routes(crowd, &cgroup, page, || peer.start())?;
    peer.wait_started()?;
    lab.settle();
    memory::subject(&before, &cgroup, page)?;
    idle::measure(extent, &cgroup, page)?;
    peer.stop()
}
