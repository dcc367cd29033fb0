use crate::{class::ClassNames, origin::Origin};
use slash32_binding::{Ipv4Addr, MacAddr};
use std::fmt;

/// The address of one link, and the scopes that give its options; good for the config and network it was made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// The VM's address.
    pub address: Ipv4Addr,
    /// Why it is this one.
    pub source: AddressSource,
    /// The place in [`crate::Network::reservations`] of the reservation that gave the address.
    pub reservation: Option<usize>,
    /// The place in [`crate::Network::subnets`] of the subnet that the address lies in.
    pub subnet: Option<usize>,
    /// The place in [`crate::Subnet::pools`] of the pool that the address lies in.
    pub pool: Option<usize>,
}

/// Why a link has the address that it has; each before the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressSource {
    /// A `[[network.reservation]]` fits the VM.
    Reservation,
    /// libvirt's metadata fixes it: `address` of [`crate::Metadata`].
    Metadata,
    /// An operator bound it to the link: [`crate::Allocations::bind`].
    Bind,
    /// The end of its MAC address says it.
    Mac,
    /// It was the next free one of the pools, and stays with the VM.
    Automatic,
    /// It was the next free one of the pools, until the VM goes.
    Dynamic,
}

impl AddressSource {
    /// The name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reservation => "reservation",
            Self::Metadata => "metadata",
            Self::Bind => "bind",
            Self::Mac => "mac",
            Self::Automatic => "automatic",
            Self::Dynamic => "dynamic",
        }
    }

    /// Of an address that may not be given: where it comes from.
    fn of_it(self) -> &'static str {
        match self {
            Self::Reservation => "its reservation",
            Self::Metadata => "libvirt's metadata",
            Self::Bind => "slash32 bind",
            Self::Mac => "its MAC address",
            Self::Automatic | Self::Dynamic => "the pools",
        }
    }
}

/// Why a link has no address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unassigned {
    /// The network is `static`, and no reservation fits the link.
    #[error("no reservation")]
    NoReservation,
    /// The network is `automatic`, and nothing says which VM is behind the tap.
    #[error("no identity")]
    NoIdentity,
    /// The VM is in none of the classes that the network, or every pool of it, is for.
    #[error("not of class {classes}")]
    NotOfClass {
        /// Those of which one would do.
        classes: ClassNames,
    },
    /// Every address of the pools that the VM may have one of is taken.
    #[error("no free address in network {network}")]
    NoFreeAddress {
        /// The network.
        network: String,
    },
    /// A reservation, or one identity, fits two links; the first has the address.
    #[error("address {address} already given to {link}")]
    AlreadyGiven {
        /// The address.
        address: Ipv4Addr,
        /// The link that has it.
        link: String,
    },
    /// The address that is fixed for the link may not be given to it.
    #[error("address {address}, from {}, {reason}", by.of_it())]
    Refused {
        /// The address.
        address: Ipv4Addr,
        /// What fixes it.
        by: AddressSource,
        /// Why not.
        reason: Refusal,
    },
    /// libvirt's metadata asks for an address that is none, or for a network that there is not.
    #[error("libvirt's metadata: {what}")]
    Metadata {
        /// What is wrong, in a sentence.
        what: String,
    },
    /// The network is `mac`, and nobody but the guest knows the MAC address of its NIC.
    #[error("no MAC address known")]
    NoMac,
    /// The network is `mac`, and the MAC address of the NIC says no address of it.
    #[error("MAC {mac} says no address of network {network}")]
    MacOutside {
        /// The VM's, or that of its tap.
        mac: MacAddr,
        /// The network.
        network: String,
    },
}

/// Why an address that is fixed for a VM may not be given to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It lies in no subnet of the network.
    Outside {
        /// The network.
        network: String,
        /// Its subnets, for people.
        prefixes: String,
    },
    /// It is the gateway of a network.
    Gateway,
    /// The config reserves it for another VM.
    Reserved {
        /// `FILE:LINE` of the reservation's address.
        place: String,
    },
    /// An operator bound it to another link.
    Bound {
        /// The link.
        link: String,
    },
    /// Another VM holds it, whether it is there or not.
    Held {
        /// Its identity.
        identity: String,
    },
    /// It was seen in use elsewhere.
    SetAside {
        /// How that was seen.
        why: String,
    },
}

impl Refusal {
    pub(crate) fn reserved(origin: &Origin) -> Self {
        Self::Reserved {
            place: origin.to_string(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside { network, prefixes } => write!(
                f,
                "is outside every subnet of network {network}, which has {prefixes}"
            ),
            Self::Gateway => f.write_str("is a gateway"),
            Self::Reserved { place } => write!(f, "is reserved for another VM ({place})"),
            Self::Bound { link } => write!(f, "is bound to {link}"),
            Self::Held { identity } => write!(f, "is held by {identity}"),
            Self::SetAside { why } => write!(f, "is set aside: {why}"),
        }
    }
}
