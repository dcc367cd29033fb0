use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// An identity holds an address of a network's pools.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Allocation {
    /// The `name` of the `[[network]]`.
    pub network: String,
    /// Who holds it: a link's name, or a VM's uuid and MAC (DESIGN.md §3).
    pub identity: String,
    /// What is held.
    pub address: Ipv4Addr,
}

/// An address was acknowledged to the VM of a link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// The link's name.
    pub link: String,
    /// The address.
    pub address: Ipv4Addr,
    /// When it was last acknowledged, in seconds since 1970 (UTC).
    pub acked_at: i64,
    /// When it ends, in seconds since 1970 (UTC); `None` is never.
    pub expires_at: Option<i64>,
}

/// One VM's time on a link: while all of it holds, the VM behind the link is still the same one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attachment {
    /// The link's name, which also names its control socket.
    pub link: String,
    /// The link.
    pub ifindex: u32,
    /// The port with the VM: a port of the bridge, or the bare tap itself.
    pub port: u32,
    /// How often that port's carrier has come up (`IFLA_CARRIER_UP_COUNT`).
    pub carrier_ups: u32,
    /// The generation that was given to the responder.
    pub generation: u64,
    /// The address of that generation.
    pub address: Ipv4Addr,
    /// The kernel's boot (`/proc/sys/kernel/random/boot_id`): interface indexes mean nothing in another one.
    pub boot: String,
}

/// All records.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Records {
    /// By identity.
    pub allocations: Vec<Allocation>,
    /// By link.
    pub leases: Vec<Lease>,
    /// By link.
    pub attachments: Vec<Attachment>,
}

/// One record put in or taken out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// In, or in place of the one with the same identity.
    PutAllocation(Allocation),
    /// Out, if it is there.
    RemoveAllocation {
        /// Who held it.
        identity: String,
    },
    /// In, or in place of the one of the same link.
    PutLease(Lease),
    /// Out, if it is there.
    RemoveLease {
        /// The link's name.
        link: String,
    },
    /// In, or in place of the one of the same link.
    PutAttachment(Attachment),
    /// Out, if it is there.
    RemoveAttachment {
        /// The link's name.
        link: String,
    },
}
