//! The kernel's side of the agent: rtnetlink.
//!
//! Two sockets. One only listens to multicast groups ([`mod@watch`]), with a large receive buffer and a task of its own that
//! does nothing but drain it; the other one asks and changes ([`Kernel`]), and many changes go out at once. What arrives is
//! read where it lies ([`message`]) and turned into [`Change`]s at once.
//! A third one listens to what bridges learn, while a VM arrives by migration ([`LearnedMacs`]).
//! Events are hints: after a lost one (`ENOBUFS`, told as [`Change::Overrun`]) and on a timer everything is dumped again.

mod decode;
mod ipv6;
mod learned;
mod listen;
mod message;
mod request;
mod socket;
mod watch;

pub(crate) use ipv6::set_ipv6;
pub(crate) use learned::{Learned, LearnedMacs};
pub(crate) use request::{Kernel, Request, RequestError};
pub(crate) use watch::watch;

use crate::link::{Link, LinkAddress};
use crate::route::{ForeignRoute, HostRoute};

/// Something that the kernel told.
#[derive(Debug)]
pub(crate) enum Change {
    /// A link is there, in this state (addresses are told apart).
    Link(Link),
    /// A link is gone.
    LinkGone(u32),
    /// An address is, or is no longer, on a link.
    Address {
        ifindex: u32,
        address: LinkAddress,
        present: bool,
    },
    /// A route of our protocol is, or is no longer, in the kernel.
    Route { route: HostRoute, present: bool },
    /// Somebody else's route to a single address is, or is no longer, in the kernel.
    Foreign { route: ForeignRoute, present: bool },
    /// The kernel could not tell everything: dump.
    Overrun,
}
