//! Option codes (RFC 2132 unless another RFC is named): each number stands here and nowhere else.

/// One byte without a length, between options.
pub(crate) const PAD: u8 = 0;
/// Subnet Mask.
pub(crate) const SUBNET_MASK: u8 = 1;
/// Router.
pub(crate) const ROUTER: u8 = 3;
/// Domain Name Server.
pub(crate) const DOMAIN_NAME_SERVER: u8 = 6;
/// Host Name.
pub(crate) const HOST_NAME: u8 = 12;
/// Domain Name.
pub(crate) const DOMAIN_NAME: u8 = 15;
/// Interface MTU.
pub(crate) const INTERFACE_MTU: u8 = 26;
/// Network Time Protocol Servers.
pub(crate) const NTP_SERVERS: u8 = 42;
/// Requested IP Address.
pub(crate) const REQUESTED_ADDRESS: u8 = 50;
/// IP Address Lease Time.
pub(crate) const LEASE_TIME: u8 = 51;
/// Option Overload.
pub(crate) const OVERLOAD: u8 = 52;
/// DHCP Message Type.
pub(crate) const MESSAGE_TYPE: u8 = 53;
/// Server Identifier.
pub(crate) const SERVER_IDENTIFIER: u8 = 54;
/// Parameter Request List.
pub(crate) const PARAMETER_REQUEST_LIST: u8 = 55;
/// Message.
pub(crate) const MESSAGE: u8 = 56;
/// Maximum DHCP Message Size.
pub(crate) const MAXIMUM_SIZE: u8 = 57;
/// Renewal (T1) Time Value.
pub(crate) const RENEWAL_TIME: u8 = 58;
/// Rebinding (T2) Time Value.
pub(crate) const REBINDING_TIME: u8 = 59;
/// Vendor class identifier.
pub(crate) const VENDOR_CLASS: u8 = 60;
/// Client-identifier.
pub(crate) const CLIENT_IDENTIFIER: u8 = 61;
/// TFTP server name.
pub(crate) const TFTP_SERVER_NAME: u8 = 66;
/// Bootfile name.
pub(crate) const BOOTFILE_NAME: u8 = 67;
/// User Class (RFC 3004).
pub(crate) const USER_CLASS: u8 = 77;
/// Rapid Commit (RFC 4039).
pub(crate) const RAPID_COMMIT: u8 = 80;
/// Client FQDN (RFC 4702).
pub(crate) const CLIENT_FQDN: u8 = 81;
/// Relay Agent Information (RFC 3046).
pub(crate) const RELAY_AGENT_INFORMATION: u8 = 82;
/// Client System Architecture Type (RFC 4578).
pub(crate) const ARCHITECTURE: u8 = 93;
/// IPv6-Only Preferred (RFC 8925).
pub(crate) const IPV6_ONLY_PREFERRED: u8 = 108;
/// Domain Search (RFC 3397).
pub(crate) const DOMAIN_SEARCH: u8 = 119;
/// Classless Static Route (RFC 3442).
pub(crate) const CLASSLESS_ROUTE: u8 = 121;
/// TFTP Server Address (RFC 5859).
pub(crate) const TFTP_SERVER_ADDRESS: u8 = 150;
/// iPXE's own encapsulated options (formerly Etherboot's).
pub(crate) const IPXE: u8 = 175;
/// Microsoft Classless Static Route (MS-DHCPE): the bytes of option 121.
pub(crate) const MICROSOFT_ROUTE: u8 = 249;
/// The end of the options.
pub(crate) const END: u8 = 255;

/// A set of option codes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes([u64; 4]);

impl Codes {
    /// The set of `codes`.
    pub(crate) const fn of(codes: &[u8]) -> Self {
        let mut words = [0; 4];
        let mut at = 0;
        while at < codes.len() {
            words[(codes[at] / 64) as usize] |= 1 << (codes[at] % 64);
            at += 1;
        }
        Self(words)
    }

    /// Adds `code`.
    pub(crate) fn insert(&mut self, code: u8) {
        self.0[usize::from(code / 64)] |= 1 << (code % 64);
    }

    /// Takes `code` out; false when it was not there.
    pub(crate) fn remove(&mut self, code: u8) -> bool {
        let word = &mut self.0[usize::from(code / 64)];
        let bit = 1 << (code % 64);
        let is_there = *word & bit != 0;
        if is_there {
            *word &= !bit;
        }
        is_there
    }

    /// Takes out what is in `other`.
    pub(crate) fn without(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a & !e, b & !f, c & !g, d & !h])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_taken_out_once() {
        for code in 0..=255 {
            let mut set = Codes::of(&[0, 255]);
            set.insert(code);
            assert!(set.remove(code), "first {code}");
            assert!(!set.remove(code), "second {code}");
            assert_eq!(set.remove(0), code != 0, "beside {code}");
            set.insert(code);
            assert!(!set.without(Codes::of(&[code])).remove(code), "{code}");
        }
    }
}
