use crate::seconds;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::Ipv4Addr;

/// An identity holds an address of a network's pools.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// The `name` of the `[[network]]`.
    pub network: String,
    /// Who holds it: a link's name, or a VM's uuid and MAC (DESIGN.md §3).
    pub identity: String,
    /// What is held.
    pub address: Ipv4Addr,
    /// For `dynamic` allocations the kernel's boot (`/proc/sys/kernel/random/boot_id`): in another one it is void, and whoever
    /// loads the records drops it. `None` is for good.
    pub boot: Option<String>,
    /// Since when, in seconds since 1970 (UTC); `None` for a record of before that was noted.
    #[serde(default, with = "seconds::optional")]
    pub since: Option<i64>,
}

/// An operator fixed the address of a link, with `slash32 bind`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The link's name.
    pub link: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// When that was said, in seconds since 1970 (UTC).
    #[serde(with = "seconds")]
    pub made_at: i64,
}

/// An address that is in use elsewhere: it is given to nobody here, not even after a restart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAside {
    /// The address.
    pub address: Ipv4Addr,
    /// What was seen, for people.
    pub reason: String,
    /// Since when, in seconds since 1970 (UTC).
    #[serde(with = "seconds")]
    pub since: i64,
}

/// An address was acknowledged to the VM of a link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The link's name.
    pub link: String,
    /// The address.
    pub address: Ipv4Addr,
    /// When it was last acknowledged, in seconds since 1970 (UTC).
    #[serde(with = "seconds")]
    pub acked_at: i64,
    /// When it ends, in seconds since 1970 (UTC); `None` is never.
    #[serde(with = "seconds::optional")]
    pub expires_at: Option<i64>,
    /// The VM, as libvirt knows it: its uuid and MAC, as in [`Allocation::identity`]. `None` where libvirt did not tell, and for a
    /// record of before that was noted.
    #[serde(default)]
    pub holder: Option<String>,
}

/// One VM's time on a link: while all of it holds, the VM behind the link is still the same one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    pub reservations: Vec<Reservation>,
    /// By address.
    pub set_asides: Vec<SetAside>,
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
    PutReservation(Reservation),
    /// Out, if it is there.
    RemoveReservation {
        /// The link's name.
        link: String,
    },
    /// In, or in place of the one of the same address.
    PutSetAside(SetAside),
    /// Out, if it is there.
    RemoveSetAside {
        /// The address.
        address: Ipv4Addr,
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

/// What the kinds of record have in common.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// The name of the kind, for people.
    const KIND: &'static str;
    /// The newest version of the kind; it changes with every field.
    const VERSION: u64;
    /// The name of the kind's place: a table of the embedded store, a list of an export.
    const TABLE: &'static str;
    /// The name of the table of the owner of each address, for kinds of which no two may have one address.
    const OWNERS: Option<&'static str> = None;

    /// What the record is found by.
    fn key(&self) -> String;
    /// The address that it is about.
    fn address(&self) -> Ipv4Addr;
}

impl Record for Allocation {
    const KIND: &'static str = "allocation";
    const VERSION: u64 = 2;
    const TABLE: &'static str = "allocations";
    const OWNERS: Option<&'static str> = Some("holders");

    fn key(&self) -> String {
        self.identity.clone()
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Record for Reservation {
    const KIND: &'static str = "reservation";
    const VERSION: u64 = 1;
    const TABLE: &'static str = "reservations";
    const OWNERS: Option<&'static str> = Some("reserved");

    fn key(&self) -> String {
        self.link.clone()
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Record for SetAside {
    const KIND: &'static str = "set-aside address";
    const VERSION: u64 = 1;
    const TABLE: &'static str = "set_asides";

    fn key(&self) -> String {
        self.address.to_string()
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Record for Lease {
    const KIND: &'static str = "lease";
    const VERSION: u64 = 3;
    const TABLE: &'static str = "leases";

    fn key(&self) -> String {
        self.link.clone()
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Record for Attachment {
    const KIND: &'static str = "attachment";
    const VERSION: u64 = 1;
    const TABLE: &'static str = "attachments";

    fn key(&self) -> String {
        self.link.clone()
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Records {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.allocations.len()
            + self.reservations.len()
            + self.set_asides.len()
            + self.leases.len()
            + self.attachments.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Brings each kind into the order of its key.
    pub(crate) fn sort(&mut self) {
        self.allocations
            .sort_unstable_by(|a, b| a.identity.cmp(&b.identity));
        self.reservations
            .sort_unstable_by(|a, b| a.link.cmp(&b.link));
        self.set_asides
            .sort_unstable_by_key(|record| record.address);
        self.leases.sort_unstable_by(|a, b| a.link.cmp(&b.link));
        self.attachments
            .sort_unstable_by(|a, b| a.link.cmp(&b.link));
    }

    /// The changes that put every record in.
    pub(crate) fn into_puts(self) -> Vec<Change> {
        let mut puts = Vec::with_capacity(self.len());
        puts.extend(self.allocations.into_iter().map(Change::PutAllocation));
        puts.extend(self.reservations.into_iter().map(Change::PutReservation));
        puts.extend(self.set_asides.into_iter().map(Change::PutSetAside));
        puts.extend(self.leases.into_iter().map(Change::PutLease));
        puts.extend(self.attachments.into_iter().map(Change::PutAttachment));
        puts
    }

    /// The changes that take every record out.
    pub(crate) fn into_removals(self) -> Vec<Change> {
        let mut removals = Vec::with_capacity(self.len());
        removals.extend(self.allocations.into_iter().map(|record| {
            let identity = record.identity;
            Change::RemoveAllocation { identity }
        }));
        removals.extend(self.reservations.into_iter().map(|record| {
            let link = record.link;
            Change::RemoveReservation { link }
        }));
        removals.extend(self.set_asides.into_iter().map(|record| {
            let address = record.address;
            Change::RemoveSetAside { address }
        }));
        removals.extend(self.leases.into_iter().map(|record| {
            let link = record.link;
            Change::RemoveLease { link }
        }));
        removals.extend(self.attachments.into_iter().map(|record| {
            let link = record.link;
            Change::RemoveAttachment { link }
        }));
        removals
    }
}
