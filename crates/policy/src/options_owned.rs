/// Why a `raw` option may not have this code: slash32 makes that option itself. `None`: it may.
pub(crate) fn owned(code: u8) -> Option<String> {
    let key = match code {
        1 => "netmask",
        3 => "routers",
        6 => "dns",
        12 => "hostname",
        15 => "domain",
        26 => "mtu",
        // Static Route (RFC 2132 §5.8) is replaced by option 121; option 249 is a copy of it.
        33 | 121 | 249 => "routes",
        42 => "ntp",
        51 => "lease-time",
        58 => "t1",
        59 => "t2",
        66 => "server-name",
        80 => "rapid-commit",
        // Client FQDN is made of both, for a client that sends one.
        81 => "hostname",
        108 => "ipv6-only-preferred",
        67 => "boot-file",
        119 => "search",
        150 => "tftp-servers",
        _ => {
            return protocol(code).map(|name| {
                format!("it is {name}, a part of the protocol, made anew for each reply")
            });
        }
    };
    Some(format!("the key {key} would be right"))
}

/// The options that a server makes for each reply, or that only a client or a relay sends.
fn protocol(code: u8) -> Option<&'static str> {
    Some(match code {
        50 => "Requested IP Address",
        52 => "Option Overload",
        53 => "DHCP Message Type",
        54 => "Server Identifier",
        55 => "Parameter Request List",
        56 => "Message",
        57 => "Maximum DHCP Message Size",
        61 => "Client Identifier",
        82 => "Relay Agent Information",
        90 => "Authentication",
        118 => "Subnet Selection",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slash32_makes_itself_cannot_be_raw() {
        let ours = [
            1, 3, 6, 12, 15, 26, 33, 42, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 66, 67, 80,
            81, 82, 90, 108, 118, 119, 121, 150, 249,
        ];
        for code in 1..=254 {
            assert_eq!(owned(code).is_some(), ours.contains(&code), "{code}");
        }
    }
}
