use core::{fmt, net::Ipv4Addr, str::FromStr};

/// An IPv4 prefix with no host bits set: `203.0.113.0/24`. The length is 0 to 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: Ipv4Addr,
    length: u8,
}

impl Prefix {
    /// `0.0.0.0/0`
    pub const DEFAULT: Self = Self {
        address: Ipv4Addr::UNSPECIFIED,
        length: 0,
    };

    /// The prefix of `length` bits that contains `address`; host bits are cleared. `None` when `length` is over 32.
    pub const fn new(address: Ipv4Addr, length: u8) -> Option<Self> {
        if length > 32 {
            return None;
        }
        let bits = address.to_bits() & mask_bits(length);
        Some(Self {
            address: Ipv4Addr::from_bits(bits),
            length,
        })
    }

    /// `address/32`
    pub const fn host(address: Ipv4Addr) -> Self {
        Self {
            address,
            length: 32,
        }
    }

    /// The first address of the prefix.
    pub const fn address(self) -> Ipv4Addr {
        self.address
    }

    /// The number of leading bits that are fixed, 0 to 32.
    pub const fn length(self) -> u8 {
        self.length
    }

    /// The last address of the prefix.
    pub const fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !mask_bits(self.length))
    }

    /// The same prefix as a mask: 24 is `255.255.255.0`.
    pub const fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask_bits(self.length))
    }

    /// `address` lies inside.
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask_bits(self.length) == self.address.to_bits()
    }

    /// The two prefixes share an address.
    pub const fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

const fn mask_bits(length: u8) -> u32 {
    if length == 0 {
        0
    } else {
        u32::MAX << (32 - length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a [`Prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsePrefixError {
    /// Not `ADDRESS/LENGTH`, or the length is over 32.
    Syntax,
    /// Bits behind the prefix length are set; the prefix that was probably meant is inside.
    HostBits(Prefix),
}

impl fmt::Display for ParsePrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("not an IPv4 prefix such as 203.0.113.0/24"),
            Self::HostBits(meant) => {
                write!(f, "has bits set behind its length; the prefix is {meant}")
            }
        }
    }
}

impl core::error::Error for ParsePrefixError {}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Self, ParsePrefixError> {
        let (address, length) = text.split_once('/').ok_or(ParsePrefixError::Syntax)?;
        let address: Ipv4Addr = address.parse().map_err(|_| ParsePrefixError::Syntax)?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParsePrefixError::Syntax);
        }
        let length = length.parse().map_err(|_| ParsePrefixError::Syntax)?;
        let prefix = Self::new(address, length).ok_or(ParsePrefixError::Syntax)?;
        if prefix.address == address {
            Ok(prefix)
        } else {
            Err(ParsePrefixError::HostBits(prefix))
        }
    }
}

/// One classless static route (RFC 3442): `to` is reached through `via`; `via` 0.0.0.0 means on the link itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Route {
    /// The destination.
    pub to: Prefix,
    /// The next hop, or 0.0.0.0 for an on-link destination.
    pub via: Ipv4Addr,
}
