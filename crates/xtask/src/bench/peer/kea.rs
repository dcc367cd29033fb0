//! Kea's DHCPv4 server: one process for all bridges, with a gateway of its own for each. It dies from 512 bridges on, with two
//! descriptors each: it waits with select(2).

use super::{Daemon, PeerLink};
use crate::bench::report::Subject;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn daemon(folder: &Path, links: &[PeerLink]) -> Daemon {
    let file = folder.join("kea.json");
    let bridges: Vec<&str> = links.iter().map(|link| link.bridge.as_str()).collect();
    let subnets: Vec<Value> = links.iter().map(subnet).collect();
    let config = json!({ "Dhcp4": {
        "interfaces-config": { "interfaces": bridges, "dhcp-socket-type": "raw" },
        "option-def": [{ "name": "rfc3442", "code": 121, "type": "binary", "space": "dhcp4" }],
        "lease-database": {
            "type": "memfile", "persist": true, "name": folder.join("kea.leases"), "lfc-interval": 0,
        },
        "valid-lifetime": 3600,
        "authoritative": true,
        "subnet4": subnets,
        "loggers": [{
            "name": "kea-dhcp4", "severity": "WARN", "output_options": [{ "output": "stdout" }],
        }],
    } });
    let command = format!(
        "export KEA_PIDFILE_DIR={folder} KEA_LOCKFILE_DIR={folder}; exec kea-dhcp4 -c {file}",
        folder = folder.display(),
        file = file.display(),
    );
    Daemon {
        file,
        config: config.to_string(),
        command,
    }
}

fn subnet(link: &PeerLink) -> Value {
    let (address, gateway) = (link.address(), link.gateway(Subject::Kea));
    let [a, b, c, d] = gateway.octets();
    // RFC 3442: 32 bits of gateway on the link, then the default route by it.
    let routes = format!("20{a:02X}{b:02X}{c:02X}{d:02X}0000000000{a:02X}{b:02X}{c:02X}{d:02X}");
    json!({
        "id": link.number,
        "subnet": format!("{address}/32"),
        "interface": link.bridge,
        "pools": [{ "pool": format!("{address} - {address}") }],
        "option-data": [
            { "name": "routers", "data": gateway },
            { "name": "domain-name-servers", "data": "9.9.9.10, 8.8.8.8" },
            { "code": 121, "name": "rfc3442", "csv-format": false, "data": routes },
        ],
    })
}
