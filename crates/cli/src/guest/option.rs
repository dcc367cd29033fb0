//! The DHCP options by number: those that are decoded, and the names of all that clients ask for.

/// Host Name (RFC 2132 §3.14).
pub(super) const HOST_NAME: u8 = 12;
/// Requested IP Address (RFC 2132 §9.1).
pub(super) const REQUESTED_ADDRESS: u8 = 50;
/// DHCP Message Type (RFC 2132 §9.6).
pub(super) const MESSAGE_TYPE: u8 = 53;
/// Server Identifier (RFC 2132 §9.7).
pub(super) const SERVER_IDENTIFIER: u8 = 54;
/// Parameter Request List (RFC 2132 §9.8).
pub(super) const PARAMETER_REQUEST_LIST: u8 = 55;
/// Maximum DHCP Message Size (RFC 2132 §9.10).
pub(super) const MAXIMUM_SIZE: u8 = 57;
/// Vendor class identifier (RFC 2132 §9.13).
pub(super) const VENDOR_CLASS: u8 = 60;
/// Client-identifier (RFC 2132 §9.14).
pub(super) const CLIENT_IDENTIFIER: u8 = 61;
/// User Class (RFC 3004).
pub(super) const USER_CLASS: u8 = 77;
/// Client FQDN (RFC 4702).
pub(super) const FQDN: u8 = 81;
/// Client System Architecture Type (RFC 4578).
pub(super) const ARCHITECTURE: u8 = 93;

/// The name of an option in IANA's registry, in lower case; `None` for one that is not listed here.
pub(super) fn name(code: u8) -> Option<&'static str> {
    let place = NAMES.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    Some(NAMES[place].1)
}

/// The name of a value of option 53.
pub(super) fn message_type(value: u8) -> Option<&'static str> {
    const TYPES: [&str; 8] = [
        "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM",
    ];
    TYPES.get(usize::from(value).checked_sub(1)?).copied()
}

/// By number.
const NAMES: [(u8, &str); 90] = [
    (1, "subnet mask"),
    (2, "time offset"),
    (3, "router"),
    (4, "time server"),
    (5, "name server"),
    (6, "domain name server"),
    (7, "log server"),
    (8, "quotes server"),
    (9, "LPR server"),
    (12, "hostname"),
    (13, "boot file size"),
    (15, "domain name"),
    (16, "swap server"),
    (17, "root path"),
    (18, "extension file"),
    (19, "forwarding"),
    (20, "source routing"),
    (21, "policy filter"),
    (22, "max datagram reassembly"),
    (23, "default IP TTL"),
    (24, "MTU timeout"),
    (25, "MTU plateau"),
    (26, "MTU"),
    (27, "MTU subnet"),
    (28, "broadcast address"),
    (29, "mask discovery"),
    (30, "mask supplier"),
    (31, "router discovery"),
    (32, "router request"),
    (33, "static route"),
    (35, "ARP timeout"),
    (37, "default TCP TTL"),
    (40, "NIS domain"),
    (41, "NIS servers"),
    (42, "NTP servers"),
    (43, "vendor specific"),
    (44, "NETBIOS name server"),
    (45, "NETBIOS distribution server"),
    (46, "NETBIOS node type"),
    (47, "NETBIOS scope"),
    (48, "X window font"),
    (49, "X window manager"),
    (50, "requested address"),
    (51, "lease time"),
    (52, "overload"),
    (53, "message type"),
    (54, "server identifier"),
    (55, "parameter list"),
    (56, "message"),
    (57, "max message size"),
    (58, "renewal time"),
    (59, "rebinding time"),
    (60, "vendor class"),
    (61, "client identifier"),
    (64, "NIS+ domain"),
    (65, "NIS+ servers"),
    (66, "TFTP server name"),
    (67, "boot file name"),
    (69, "SMTP server"),
    (77, "user class"),
    (78, "SLP directory agent"),
    (79, "SLP service scope"),
    (80, "rapid commit"),
    (81, "client FQDN"),
    (82, "relay agent information"),
    (83, "iSNS"),
    (93, "client architecture"),
    (94, "client network interface"),
    (95, "LDAP"),
    (97, "client machine identifier"),
    (100, "POSIX timezone"),
    (101, "TZ database timezone"),
    (108, "IPv6-only preferred"),
    (114, "captive portal"),
    (116, "auto-configure"),
    (117, "name service search"),
    (118, "subnet selection"),
    (119, "domain search"),
    (120, "SIP servers"),
    (121, "classless static route"),
    (124, "vendor-identifying class"),
    (125, "vendor-identifying information"),
    (145, "forcerenew nonce"),
    (150, "TFTP server address"),
    (162, "DNR"),
    (175, "iPXE"),
    (209, "configuration file"),
    (210, "path prefix"),
    (249, "Microsoft classless static route"),
    (252, "web proxy auto-discovery"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_found_by_their_numbers() {
        assert!(NAMES.is_sorted_by(|(a, _), (b, _)| a < b));
        assert_eq!(name(1), Some("subnet mask"));
        assert_eq!(name(252), Some("web proxy auto-discovery"));
        assert_eq!(name(0), None);
        assert_eq!(name(224), None);
    }

    #[test]
    fn the_message_types_are_those_of_rfc_2132() {
        assert_eq!(message_type(1), Some("DISCOVER"));
        assert_eq!(message_type(8), Some("INFORM"));
        assert_eq!(message_type(0), None);
        assert_eq!(message_type(9), None);
    }
}
