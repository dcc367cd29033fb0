use crate::{Class, Network, Options, Pool, Reservation, Subnet};
use std::fmt;

/// What a value of the config is said for, and all that is said for it.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'c> {
    kind: Kind<'c>,
    pub(crate) options: &'c Options,
}

#[derive(Clone, Copy)]
enum Kind<'c> {
    Reservation(&'c Reservation),
    Metadata,
    Pool(&'c Pool),
    Subnet(&'c Subnet),
    Network(&'c Network),
    Class(&'c Class),
    Global,
}

impl<'c> Scope<'c> {
    pub(crate) fn reservation(of: &'c Reservation) -> Self {
        Self {
            kind: Kind::Reservation(of),
            options: &of.options,
        }
    }

    pub(crate) fn metadata(options: &'c Options) -> Self {
        Self {
            kind: Kind::Metadata,
            options,
        }
    }

    pub(crate) fn pool(of: &'c Pool) -> Self {
        Self {
            kind: Kind::Pool(of),
            options: &of.options,
        }
    }

    pub(crate) fn subnet(of: &'c Subnet) -> Self {
        Self {
            kind: Kind::Subnet(of),
            options: &of.options,
        }
    }

    pub(crate) fn network(of: &'c Network) -> Self {
        Self {
            kind: Kind::Network(of),
            options: &of.options,
        }
    }

    pub(crate) fn class(of: &'c Class) -> Self {
        Self {
            kind: Kind::Class(of),
            options: &of.options,
        }
    }

    pub(crate) fn global(options: &'c Options) -> Self {
        Self {
            kind: Kind::Global,
            options,
        }
    }

    /// It stands in no file.
    pub(crate) fn is_metadata(&self) -> bool {
        matches!(self.kind, Kind::Metadata)
    }

    /// Narrower than a class.
    pub(crate) fn is_narrow(&self) -> bool {
        !matches!(self.kind, Kind::Class(_) | Kind::Global)
    }
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Reservation(of) => write!(f, "reservation {}", of.address),
            Kind::Metadata => f.write_str("libvirt metadata"),
            Kind::Pool(of) => write!(f, "pool {}-{}", of.first, of.last),
            Kind::Subnet(of) => write!(f, "subnet {}", of.prefix),
            Kind::Network(of) => write!(f, "network {}", of.name),
            Kind::Class(of) => write!(f, "class {}", of.name),
            Kind::Global => f.write_str("global"),
        }
    }
}
