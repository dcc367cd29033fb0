use crate::GATEWAY;
use std::{fmt::Write, net::Ipv4Addr};

/// The links that the examples serve: bridges `virbrN`, and bare taps `tapN`.
pub const LINKS: &str = r#"["virbr*", "tap*"]"#;

/// The address of the VM with this number: 203.0.113.1 to 203.0.113.254.
///
/// Panics when the number is not 1 to 254.
pub fn vm_address(number: u16) -> Ipv4Addr {
    assert!(
        (1..=254).contains(&number),
        "203.0.113.0/24 has no VM {number}"
    );
    Ipv4Addr::new(203, 0, 113, number as u8)
}

/// A config (without the table `[agent]`) with one static network, and `link` number N reserved for
/// [VM N](vm_address); `options` are the lines of the table `[options]`.
pub fn static_network(links: &[(&str, u16)], options: &str) -> String {
    let mut text = format!(
        "[options]\n{options}\n\n[[network]]\nname = \"public\"\nlinks = {LINKS}\ngateway = \"{GATEWAY}\"\n\
         allocation = \"static\"\n[[network.subnet]]\nprefix = \"203.0.113.0/24\"\n"
    );
    for (link, number) in links {
        let address = vm_address(*number);
        let _ = write!(
            text,
            "[[network.reservation]]\nlink = \"{link}\"\naddress = \"{address}\"\n"
        );
    }
    text
}

/// A config with an `automatic` network on the bridges `virbr*`: ten addresses from 203.0.113.10 up, and one reserved.
pub const POOL_NETWORK: &str = r#"[options]
dns = ["9.9.9.9"]
[[network]]
name = "public"
links = ["virbr*", "!virbr0"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.19"]
[[network.reservation]]
link = "virbr7"
address = "203.0.113.7"
options = { hostname = "web7", dns = ["198.51.100.53"] }
"#;
