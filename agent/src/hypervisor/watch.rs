//! Eyes on the folders where libvirt's facts come: inotify(7), or a look once a second where there is none to be had.

use super::status::{Of, name_of};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Where there is no inotify.
const PAUSE: Duration = Duration::from_secs(1);

/// Where something may have changed. The spool is looked at in any case.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Woken {
    /// Any of libvirt's files.
    pub(super) all: bool,
    /// These of them.
    pub(super) files: BTreeSet<(Of, String)>,
}

impl Woken {
    pub(crate) const ALL: Self = Self {
        all: true,
        files: BTreeSet::new(),
    };

    pub(super) fn is_nothing(&self) -> bool {
        !self.all && self.files.is_empty()
    }

    /// How many files are named.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }
}

/// What a folder is watched for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Watched {
    Spool,
    Files(Of),
    /// A folder may be made in it that is to be watched.
    Above,
}

pub(super) struct Watch {
    folders: Vec<(PathBuf, Watched)>,
    eyes: Eyes,
}

enum Eyes {
    Inotify(AsyncFd<Descriptor>, BTreeMap<WatchDescriptor, Watched>),
    Interval(Interval),
}

struct Descriptor(Inotify);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Watch {
    /// Watches the spool and libvirt's folders, also those that are made later.
    pub(super) fn new(spool: &Path, libvirt: &Path) -> Self {
        let mut folders = vec![(spool.to_owned(), Watched::Spool)];
        for of in [Of::Domain, Of::Network] {
            folders.push((libvirt.join(of.folder()), Watched::Files(of)));
        }
        folders.push((libvirt.to_owned(), Watched::Above));
        folders.extend(
            libvirt
                .parent()
                .map(|above| (above.to_owned(), Watched::Above)),
        );
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        let inotify = inotify.map_err(std::io::Error::from);
        #[expect(
            deprecated,
            reason = "what took its place is unsafe, for types that do not own their descriptor; this one does"
        )]
        let registered = inotify.and_then(|inotify| AsyncFd::new(Descriptor(inotify)));
        let eyes = match registered {
            Ok(descriptor) => Eyes::Inotify(descriptor, BTreeMap::new()),
            Err(error) => look_each_second(&error.to_string()),
        };
        let mut watch = Self { folders, eyes };
        watch.renew();
        watch
    }

    /// Watches what has come since; watching a folder twice is watching it once (inotify_add_watch(2)). True when there is
    /// something new to look at.
    pub(super) fn renew(&mut self) -> bool {
        let Eyes::Inotify(descriptor, watched) = &mut self.eyes else {
            return false;
        };
        let before = watched.len();
        let whole = AddWatchFlags::IN_MOVED_TO;
        let gone = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM;
        for (folder, what) in &self.folders {
            let flags = match what {
                Watched::Spool => whole,
                Watched::Files(_) => whole | gone | AddWatchFlags::IN_CLOSE_WRITE,
                Watched::Above => whole | AddWatchFlags::IN_CREATE,
            };
            match descriptor
                .get_ref()
                .0
                .add_watch(folder, flags | AddWatchFlags::IN_ONLYDIR)
            {
                Ok(number) => {
                    watched.insert(number, *what);
                }
                // The limit of fs.inotify.max_user_watches, or of the kernel's memory.
                Err(error @ (Errno::ENOSPC | Errno::ENOMEM)) => {
                    self.eyes = look_each_second(error.desc());
                    return true;
                }
                // It is not there, or not for the agent to read: whoever reads it tells.
                Err(_) => {}
            }
        }
        watched.len() > before
    }

    /// Waits for the next change. What it says is lost when it is not waited for to the end, and then nothing was read.
    pub(super) async fn woken(&mut self) -> Woken {
        match &mut self.eyes {
            Eyes::Interval(interval) => {
                interval.tick().await;
                Woken::ALL
            }
            Eyes::Inotify(descriptor, watched) => {
                let mut woken = Woken::default();
                let Ok(mut ready) = descriptor.readable().await else {
                    return std::future::pending().await;
                };
                let mut renew = false;
                loop {
                    match ready.get_inner().0.read_events() {
                        Ok(events) => {
                            for event in events {
                                renew |= woken.add(watched, &event);
                            }
                        }
                        Err(_) => {
                            ready.clear_ready();
                            break;
                        }
                    }
                }
                drop(ready);
                if renew {
                    woken.all |= self.renew();
                }
                woken
            }
        }
    }
}

impl Woken {
    /// Adds what an event says. True when there may be other folders to watch.
    fn add(
        &mut self,
        watched: &mut BTreeMap<WatchDescriptor, Watched>,
        event: &InotifyEvent,
    ) -> bool {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            self.all = true;
            return true;
        }
        if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            // The folder is gone.
            watched.remove(&event.wd);
            self.all = true;
            return true;
        }
        match watched.get(&event.wd) {
            Some(Watched::Files(of)) => {
                let name = event
                    .name
                    .as_deref()
                    .and_then(|name| name_of(name.to_str()?));
                self.files.extend(name.map(|name| (*of, name)));
                false
            }
            Some(Watched::Above) => true,
            Some(Watched::Spool) | None => false,
        }
    }
}

fn look_each_second(why: &str) -> Eyes {
    tracing::warn!(
        "cannot watch the folder of hook calls (inotify), so it is looked at once a second: {why}"
    );
    let mut interval = interval(PAUSE);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Eyes::Interval(interval)
}
