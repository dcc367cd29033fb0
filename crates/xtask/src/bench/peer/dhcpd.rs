//! ISC dhcpd, with a `host` for the VM. With a `range` it can lease one VM's address to another that asks while it starts.

use super::{Daemon, PeerLink};
use crate::bench::report::Subject;
use std::path::Path;

pub(super) fn daemon(folder: &Path, link: &PeerLink) -> Daemon {
    let (bridge, address, vm) = (&link.bridge, link.address(), link.vm);
    let gateway = link.gateway(Subject::Dhcpd);
    let octets = gateway.octets().map(|octet| octet.to_string()).join(", ");
    let path = |kind: &str| folder.join(format!("{bridge}.{kind}"));
    let (file, leases) = (path("conf"), path("leases"));
    let config = format!(
        "option rfc3442 code 121 = array of unsigned integer 8;
option subnet-mask 255.255.255.255;
option routers {gateway};
option rfc3442 32, {octets}, 0, 0, 0, 0, 0, {octets};
option domain-name-servers 9.9.9.10, 8.8.8.8;
default-lease-time 3600; max-lease-time 3600; authoritative; ping-check false;
shared-network \"{bridge}\" {{
  subnet {gateway} netmask 255.255.255.255 {{ }}
  subnet {address} netmask 255.255.255.255 {{ }}
}}
host vm {{ hardware ethernet {vm}; fixed-address {address}; }}
deny declines; deny duplicates; one-lease-per-client true; ignore-client-uids true; deny unknown-clients;
"
    );
    let command = format!(
        ">{leases}; dhcpd -4 -q -cf {file} -lf {leases} -pf {pid} {bridge}",
        file = file.display(),
        leases = leases.display(),
        pid = path("pid").display(),
    );
    Daemon {
        file,
        config,
        command,
    }
}
