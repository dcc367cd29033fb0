//! What the agent shows of a link, as JSON: every key is always there, `null` where the agent does not know.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// How far a link has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A link without a VM.
    Idle,
    /// A VM, and no address for it.
    Unassigned,
    /// A VM that is served and that has not acknowledged its address yet.
    Ready,
    /// A VM that has its address.
    Bound,
    /// The link is refused, or could not be served.
    Failed,
}

impl State {
    /// Every state, in the order of a VM's way to its address.
    pub const ALL: [Self; 5] = [
        Self::Idle,
        Self::Unassigned,
        Self::Ready,
        Self::Bound,
        Self::Failed,
    ];

    /// The name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Unassigned => "unassigned",
            Self::Ready => "ready",
            Self::Bound => "bound",
            Self::Failed => "failed",
        }
    }

    /// Somebody who waits for `wanted` has waited long enough: the states are the same, or `ready` is over because the VM
    /// is already `bound` (which can take less than a millisecond).
    pub fn satisfies(self, wanted: Self) -> bool {
        self == wanted || (wanted == Self::Ready && self == Self::Bound)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is not the name of a [`State`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a state: it is one of idle, unassigned, ready, bound, failed")]
pub struct ParseStateError;

impl FromStr for State {
    type Err = ParseStateError;

    fn from_str(text: &str) -> Result<Self, ParseStateError> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or(ParseStateError)
    }
}

/// One VM link, as in a row of `slash32 list`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkRow {
    /// The kernel's name of the link.
    pub link: String,
    /// The kernel's number of the link, which stays when the link is renamed.
    pub ifindex: u32,
    /// libvirt's name of the VM.
    pub vm: Option<String>,
    /// libvirt's UUID of the VM, in lower case with hyphens.
    pub uuid: Option<String>,
    /// The VM's MAC address, such as `52:54:00:12:34:56`.
    pub mac: Option<String>,
    /// The VM's address.
    pub address: Option<Ipv4Addr>,
    /// The gateway that the VM uses, which is the server identifier too.
    pub gateway: Option<Ipv4Addr>,
    /// The name of the `[[network]]` that the link belongs to.
    pub network: Option<String>,
    /// How far the link has come.
    pub state: State,
    /// Why it is in that state, where there is a reason to give.
    pub reason: Option<String>,
    /// The host route to the VM is in the kernel.
    pub route: bool,
    /// The generation of the binding, from 1 up.
    pub generation: Option<u64>,
    /// The acknowledged lease.
    pub lease: Option<Lease>,
    /// The process that answers on the link.
    pub responder: Option<Responder>,
}

/// A lease that was acknowledged. Times are RFC 3339, in UTC: `2026-11-22T10:41:00Z`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// When the last ACK left.
    pub acked_at: String,
    /// When the lease runs out; `None` for an infinite one.
    pub expires_at: Option<String>,
}

/// The process that answers on a link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Responder {
    /// Its process id.
    pub pid: u32,
    /// What the agent knows of it, in a word or two.
    pub state: String,
}

/// Everything about one link, as `slash32 show` prints it: the keys of [`LinkRow`] and these.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkDetail {
    /// The keys of the row.
    #[serde(flatten)]
    pub row: LinkRow,
    /// What is plugged into the link.
    pub ports: Vec<Port>,
    /// How often each outcome and each reason occurred, by its name.
    pub counters: BTreeMap<String, u64>,
    /// What the VM is told, by the name of the config key.
    pub options: BTreeMap<String, String>,
    /// What happened on the link, the oldest first.
    pub history: Vec<HistoryEntry>,
    /// The last DHCP message of the guest.
    pub last_request: Option<SeenFrame>,
    /// The last frame that tells of another DHCP server on the link: a reply of that server, or, as long as none was seen,
    /// a request to it.
    pub other_server: Option<SeenFrame>,
}

/// A frame that came in on the link, which the agent has not read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeenFrame {
    /// When it came: RFC 3339, in UTC.
    pub at: String,
    /// How it was answered, by the name of the counter; `None` when it was not.
    pub outcome: Option<String>,
    /// Why it was not answered, by the name of the counter; `None` when it was.
    pub reason: Option<String>,
    /// Its first 1500 bytes at most, from the Ethernet destination on, in lower-case hexadecimal. A stranger wrote them:
    /// whoever reads them must expect anything.
    pub frame: String,
}

/// A port of a bridge, or the bare tap itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Port {
    /// The kernel's name of the port.
    pub name: String,
    /// Its other end is there.
    pub carrier: bool,
}

/// One line of a link's history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// RFC 3339, in UTC.
    pub time: String,
    /// What happened, in a sentence.
    pub event: String,
}

/// Something that happened, as in a line of `slash32 events`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// RFC 3339, in UTC.
    pub time: String,
    /// The link it happened on; `None` for the whole agent.
    pub link: Option<String>,
    /// The kernel's number of that link.
    pub ifindex: Option<u32>,
    /// libvirt's name of the VM that is there, or was until now.
    pub vm: Option<String>,
    /// libvirt's UUID of that VM.
    pub uuid: Option<String>,
    /// What happened.
    pub kind: EventKind,
    /// The address it is about.
    pub address: Option<Ipv4Addr>,
    /// The same for people, in a sentence.
    pub text: String,
}

/// The kinds of [`Event`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A VM link is there.
    LinkAppeared,
    /// A VM link is gone.
    LinkRemoved,
    /// The link became [`State::Ready`].
    Ready,
    /// The link became [`State::Bound`].
    Bound,
    /// A lease was acknowledged again.
    Renewed,
    /// The VM gave its lease back.
    Released,
    /// The link became [`State::Unassigned`].
    Unassigned,
    /// The link became [`State::Failed`].
    Failed,
    /// The link became [`State::Idle`].
    Idle,
    /// A responder was started, or adopted.
    ResponderStarted,
    /// A responder went away.
    ResponderLost,
    /// The host route was put into the kernel.
    RouteAdded,
    /// The host route is gone.
    RouteRemoved,
    /// An address is in use elsewhere, or is so no longer.
    Conflict,
    /// A new config is in force.
    ConfigReloaded,
}

impl EventKind {
    /// The name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinkAppeared => "link_appeared",
            Self::LinkRemoved => "link_removed",
            Self::Ready => "ready",
            Self::Bound => "bound",
            Self::Renewed => "renewed",
            Self::Released => "released",
            Self::Unassigned => "unassigned",
            Self::Failed => "failed",
            Self::Idle => "idle",
            Self::ResponderStarted => "responder_started",
            Self::ResponderLost => "responder_lost",
            Self::RouteAdded => "route_added",
            Self::RouteRemoved => "route_removed",
            Self::Conflict => "conflict",
            Self::ConfigReloaded => "config_reloaded",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What program this is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Version {
    /// The version of the program.
    pub version: String,
    /// The version of the interface that it speaks: [`crate::PROTOCOL`].
    pub protocol: u32,
}
