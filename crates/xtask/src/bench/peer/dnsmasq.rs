//! dnsmasq without DNS and without its ping. `shared-network` is what makes it give a /32 from a bridge with another address.

use super::{Daemon, PeerLink};
use crate::bench::report::Subject;
use std::path::Path;

pub(super) fn daemon(folder: &Path, link: &PeerLink) -> Daemon {
    let (bridge, address) = (&link.bridge, link.address());
    let gateway = link.gateway(Subject::Dnsmasq);
    let path = |kind: &str| folder.join(format!("{bridge}.{kind}"));
    let file = path("conf");
    let config = format!(
        "port=0
interface={bridge}
except-interface=lo
bind-interfaces
no-ping
no-resolv
no-hosts
dhcp-authoritative
user=dnsmasq
pid-file={pid}
dhcp-leasefile={leases}
dhcp-range={address},{address},255.255.255.255,1h
shared-network={bridge},{address}
dhcp-option=option:netmask,255.255.255.255
dhcp-option=option:router,{gateway}
dhcp-option=121,{gateway}/32,0.0.0.0,0.0.0.0/0,{gateway}
dhcp-option=option:dns-server,9.9.9.10,8.8.8.8
",
        pid = path("pid").display(),
        leases = path("leases").display(),
    );
    let command = format!("dnsmasq --conf-file={}", file.display());
    Daemon {
        file,
        config,
        command,
    }
}
