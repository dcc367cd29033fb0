use crate::{Namespace, packet::readable};
use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv,
        setsockopt, socket, sockopt,
    },
};
use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

/// `RTMGRP_LINK` and `RTMGRP_IPV4_ROUTE` of linux/rtnetlink.h.
const GROUPS: u32 = 1 | 0x40;
/// The real-time priority of the thread that reads, 1 to 99: it is to run as soon as there is something to read.
const PRIORITY: libc::c_int = 10;
/// Room for the changes that come while the thread does not run, in bytes.
const RECEIVE_BUFFER: usize = 32 << 20;

/// What happened to a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// `RTM_NEWROUTE`
    Added,
    /// `RTM_DELROUTE`
    Deleted,
}

/// A change of one IPv4 route, as rtnetlink told it.
#[derive(Clone, Debug)]
pub struct RouteChange {
    /// When the message was read: never before the change was made. On `CLOCK_REALTIME`.
    pub at: SystemTime,
    /// Added or deleted.
    pub change: Change,
    /// The first address of the destination.
    pub to: Ipv4Addr,
    /// The destination's prefix length, 0 to 32.
    pub length: u8,
    /// `rtm_protocol`: who made the route.
    pub protocol: u8,
    /// `RTA_OIF`: the index of the link that it leads to, or 0.
    pub ifindex: u32,
}

/// The end of a link, as rtnetlink told it.
#[derive(Clone, Debug)]
pub struct LinkDeletion {
    /// When the message was read: never before the link was gone. On `CLOCK_REALTIME`.
    pub at: SystemTime,
    /// The index that it had.
    pub ifindex: u32,
}

/// Notes every change of the IPv4 routes of a namespace, and the end of its links, with the time at which it was told. One
/// socket hears both, so that their order is the kernel's.
///
/// The kernel does not tell of routes that it flushes with a link or an address; those are looked for with `ip route`.
pub struct RouteMonitor {
    heard: Arc<Mutex<Heard>>,
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<Result<()>>>,
}

/// What was told so far, oldest first.
#[derive(Default)]
struct Heard {
    changes: Vec<RouteChange>,
    deletions: Vec<LinkDeletion>,
}

impl RouteMonitor {
    /// Starts with the next change.
    pub fn open(namespace: &Namespace) -> Result<Self> {
        let socket = namespace.inside(|| {
            let socket = socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::NetlinkRoute,
            )?;
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
            bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
            Ok(socket)
        })?;
        let (heard, over) = (Arc::<Mutex<Heard>>::default(), Arc::<AtomicBool>::default());
        let reader = std::thread::spawn({
            let (heard, over) = (heard.clone(), over.clone());
            move || read(&socket, &heard, &over)
        });
        Ok(Self {
            heard,
            over,
            reader: Some(reader),
        })
    }

    /// The changes up to now, oldest first.
    pub fn changes(&self) -> Vec<RouteChange> {
        self.heard().changes.clone()
    }

    /// The end of the link with this index, when it was told already.
    pub fn deletion(&self, ifindex: u32) -> Option<LinkDeletion> {
        let heard = self.heard();
        let mut deletions = heard.deletions.iter();
        deletions.find(|one| one.ifindex == ifindex).cloned()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the change of `address`/32, at most for `bound`; changes seen before count too.
    pub fn wait_for(
        &self,
        change: Change,
        address: Ipv4Addr,
        bound: Duration,
    ) -> Result<RouteChange> {
        crate::until(
            &format!("the route to {address} to be {change:?}"),
            bound,
            || {
                let wanted = |one: &RouteChange| {
                    one.change == change && one.to == address && one.length == 32
                };
                Ok(self.changes().into_iter().find(wanted))
            },
        )
    }
}

impl Drop for RouteMonitor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.reader.take().map(JoinHandle::join) {
            eprintln!("the route monitor ended early: {error:#}");
        }
    }
}

/// Makes this thread a real-time one (sched(7), SCHED_FIFO), so that a change is read when it is told, however busy the
/// machine is. Where that is not allowed the times are later and as true as before.
#[allow(unsafe_code)]
fn hurry() {
    let parameters = libc::sched_param {
        sched_priority: PRIORITY,
    };
    // SAFETY: pid 0 is the calling thread, and `parameters` is a whole sched_param that outlives the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) };
}

fn read(socket: &OwnedFd, heard: &Mutex<Heard>, over: &AtomicBool) -> Result<()> {
    hurry();
    let mut bytes = vec![0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        if !readable(socket, Duration::from_millis(50))? {
            continue;
        }
        let length = match recv(socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => length,
            Err(Errno::EAGAIN) => continue,
            Err(error) => return Err(error).context("cannot read route changes"),
        };
        let at = SystemTime::now();
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = &bytes[..length];
        while let Some((message, behind)) = split_message(rest) {
            heard.changes.extend(parse(at, message));
            heard.deletions.extend(parse_deletion(at, message));
            rest = behind;
        }
    }
    Ok(())
}

/// The first netlink message (linux/netlink.h `nlmsghdr` and what follows it), and what is behind it.
pub(crate) fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    if length < 16 {
        return None;
    }
    let message = bytes.get(..length)?;
    Some((
        message,
        bytes.get(length.next_multiple_of(4)..).unwrap_or_default(),
    ))
}

/// An `nlmsghdr` (16 bytes), an `rtmsg` (12 bytes), attributes.
fn parse(at: SystemTime, message: &[u8]) -> Option<RouteChange> {
    let change = match u16::from_ne_bytes([message[4], message[5]]) {
        libc::RTM_NEWROUTE => Change::Added,
        libc::RTM_DELROUTE => Change::Deleted,
        _ => return None,
    };
    let (length, protocol) = (*message.get(17)?, *message.get(21)?);
    let mut route = RouteChange {
        at,
        change,
        to: Ipv4Addr::UNSPECIFIED,
        length,
        protocol,
        ifindex: 0,
    };
    let mut rest = message.get(28..)?;
    while let Some(&[a, b, c, d]) = rest.get(..4) {
        let size = usize::from(u16::from_ne_bytes([a, b]));
        let Some(&value) = rest.get(4..size).and_then(|value| value.first_chunk::<4>()) else {
            rest = rest
                .get(size.max(4).next_multiple_of(4)..)
                .unwrap_or_default();
            continue;
        };
        match u16::from_ne_bytes([c, d]) {
            libc::RTA_DST => route.to = Ipv4Addr::from(value),
            libc::RTA_OIF => route.ifindex = u32::from_ne_bytes(value),
            _ => {}
        }
        rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(route)
}

/// An `nlmsghdr` (16 bytes), an `ifinfomsg` (16 bytes), attributes. A bridge tells in its own family that a port has left.
fn parse_deletion(at: SystemTime, message: &[u8]) -> Option<LinkDeletion> {
    let kind = u16::from_ne_bytes([message[4], message[5]]);
    let family = i32::from(*message.get(16)?);
    (kind == libc::RTM_DELLINK && family == libc::AF_UNSPEC).then_some(LinkDeletion {
        at,
        ifindex: u32::from_ne_bytes(*message.get(20..)?.first_chunk()?),
    })
}
