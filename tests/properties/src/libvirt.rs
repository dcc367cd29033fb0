//! What libvirt's hooks and state files say, and what an agent makes of any number of them in any order.

use slash32_binding::MacAddr;
use slash32_libvirt::{
    Call, Fact, Fault, Hook, Knowledge, Place, domain_status, network_status, read,
};
use std::collections::BTreeSet;

/// What the first byte of a call chooses, from 1 on.
const KINDS: [Kind; 17] = [
    Kind::Call(Hook::Network, "start"),
    Kind::Call(Hook::Network, "started"),
    Kind::Call(Hook::Network, "stopped"),
    Kind::Call(Hook::Network, "updated"),
    Kind::Call(Hook::Network, "port-created"),
    Kind::Call(Hook::Network, "port-deleted"),
    Kind::Call(Hook::Network, "plugged"),
    Kind::Call(Hook::Network, "unplugged"),
    Kind::Call(Hook::Qemu, "prepare"),
    Kind::Call(Hook::Qemu, "started"),
    Kind::Call(Hook::Qemu, "stopped"),
    Kind::Call(Hook::Qemu, "migrate"),
    Kind::Call(Hook::Qemu, "restore"),
    Kind::DomainStatus,
    Kind::NetworkStatus,
    Kind::StatusGone,
    Kind::AnyCall,
];

#[derive(Clone, Copy)]
enum Kind {
    Call(Hook, &'static str),
    /// The arguments stand before the XML, each with a line feed behind it.
    AnyCall,
    DomainStatus,
    NetworkStatus,
    /// The file of the domain with this name is gone.
    StatusGone,
}

/// See the table of the crate.
pub fn libvirt(input: &[u8]) {
    let mut knowledge = Knowledge::default();
    let mut seen = Seen::default();
    for call in input.split(|byte| *byte == 0) {
        let Some((kind, text)) = call.split_first() else {
            continue;
        };
        let text = String::from_utf8_lossy(text);
        let said = say(*kind, &text);
        assert_eq!(said, say(*kind, &text));
        match said {
            Ok(facts) => facts
                .into_iter()
                .for_each(|fact| learn(&mut knowledge, fact, &mut seen)),
            Err(Fault(reason)) => {
                assert!(!reason.is_empty() && !reason.ends_with('.'), "{reason}");
                assert!(reason.chars().count() < 300, "{reason}");
            }
        }
    }
    end(knowledge, seen);
}

fn say(kind: u8, text: &str) -> Result<Vec<Fact>, Fault> {
    match KINDS[usize::from(kind) % KINDS.len()] {
        Kind::Call(hook, operation) => read(&Call {
            hook,
            arguments: vec!["any".into(), operation.into(), "begin".into(), "-".into()],
            xml: text.into(),
        }),
        Kind::AnyCall => {
            let mut lines = text.split('\n');
            let arguments = lines.by_ref().take(4).map(String::from).collect();
            let xml: Vec<&str> = lines.collect();
            read(&Call {
                hook: Hook::Qemu,
                arguments,
                xml: xml.join("\n"),
            })
        }
        Kind::DomainStatus => domain_status(text),
        Kind::NetworkStatus => network_status(text),
        Kind::StatusGone => Ok(vec![Fact::StatusGone(text.into())]),
    }
}

/// Who was ever told of.
#[derive(Default)]
struct Seen {
    vms: BTreeSet<String>,
    networks: BTreeSet<String>,
    macs: BTreeSet<MacAddr>,
}

/// Takes a fact in, and looks for what it is about.
fn learn(knowledge: &mut Knowledge, fact: Fact, seen: &mut Seen) {
    knowledge.learn(fact.clone());
    let kept = serde_json::to_string(knowledge).expect("a map of strings");
    let again: Knowledge = serde_json::from_str(&kept).expect("what was written");
    assert_eq!(again, *knowledge);
    match fact {
        Fact::Network(network) => {
            if let Some(bridge) = &network.bridge {
                assert!(knowledge.network_of(bridge).is_some());
            }
            seen.networks.insert(network.name);
        }
        Fact::Port(port) => {
            let link = port.bridge.as_deref().unwrap_or("br0");
            is_found(knowledge, link, port.mac);
            seen.networks.insert(port.network);
            seen.vms.insert(port.uuid);
            seen.macs.insert(port.mac);
        }
        Fact::Domain(_, domain) => {
            for interface in &domain.interfaces {
                if let Some(bridge) = &interface.bridge {
                    is_found(knowledge, bridge, interface.mac);
                }
                is_found(knowledge, "vnet-alone", interface.mac);
                seen.macs.insert(interface.mac);
                knowledge.arrived(&domain.uuid, interface.mac);
            }
            seen.vms.insert(domain.uuid);
        }
        Fact::DomainGone(uuid) => is_not_found(knowledge, seen, |nic| *nic == uuid),
        Fact::NetworkGone(name) => {
            // Another of its name would be on another bridge.
            seen.networks.insert(name);
        }
        Fact::NetworkUpdated(_) | Fact::PortGone(_) | Fact::StatusGone(_) => {}
    }
}

fn tap(mac: MacAddr) -> MacAddr {
    let [_, a, b, c, d, e] = mac.0;
    MacAddr([0xfe, a, b, c, d, e])
}

/// A NIC with this MAC address, or one that differs in the byte that a tap has not, is found: here, or in no bridge.
fn is_found(knowledge: &Knowledge, link: &str, mac: MacAddr) {
    let here = |link, port| {
        let port_mac = tap(mac);
        let found = knowledge.nic(Place {
            link,
            port,
            port_mac,
        });
        found.is_some_and(|nic| tap(nic.mac) == port_mac)
    };
    assert!(here(link, "vnet-new") || here("vnet-new", "vnet-new"));
}

/// None of these VMs is found, wherever one looks.
fn is_not_found(knowledge: &Knowledge, seen: &Seen, is: impl Fn(&String) -> bool) {
    for mac in &seen.macs {
        let port_mac = tap(*mac);
        let place = Place {
            link: "vnet-new",
            port: "vnet-new",
            port_mac,
        };
        assert!(!knowledge.nic(place).is_some_and(|nic| is(&nic.uuid)));
    }
}

/// When everything has ended nothing is left.
fn end(mut knowledge: Knowledge, seen: Seen) {
    for uuid in &seen.vms {
        knowledge.learn(Fact::DomainGone(uuid.clone()));
    }
    is_not_found(&knowledge, &seen, |_| true);
    for network in seen.networks {
        knowledge.learn(Fact::NetworkGone(network));
    }
    assert_eq!(knowledge, Knowledge::default());
}
