//! Calls and XML in few words.

use slash32_binding::MacAddr;
use slash32_libvirt::{Call, Fact, Fault, Hook, Interface, Knowledge, Place, read};
use std::path::{Path, PathBuf};

pub(crate) fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

pub(crate) fn sample(name: &str) -> String {
    std::fs::read_to_string(samples().join(name)).unwrap()
}

pub(crate) fn call(hook: Hook, operation: &str, xml: &str) -> Call {
    Call {
        hook,
        arguments: vec!["any".into(), operation.into(), "begin".into(), "-".into()],
        xml: xml.into(),
    }
}

/// The facts of a call that is right.
pub(crate) fn facts(hook: Hook, operation: &str, xml: &str) -> Vec<Fact> {
    read(&call(hook, operation, xml)).unwrap()
}

/// What is wrong with a call.
pub(crate) fn fault(hook: Hook, operation: &str, xml: &str) -> String {
    let Fault(text) = read(&call(hook, operation, xml)).unwrap_err();
    text
}

pub(crate) fn mac(last: u8) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 0, 0, last])
}

/// What libvirt gives to the tap of a guest with this MAC address.
pub(crate) fn tap_mac(guest: MacAddr) -> MacAddr {
    let [_, tail @ ..] = guest.0;
    let [a, b, c, d, e] = tail;
    MacAddr([0xfe, a, b, c, d, e])
}

/// A domain `name`, whose UUID ends in `uuid`, with this `<metadata>` and these interfaces.
pub(crate) fn domain(name: &str, uuid: &str, metadata: &str, interfaces: &str) -> String {
    format!(
        "<domain type='kvm'><name>{name}</name><uuid>22222222-0000-4000-8000-{uuid:0>12}</uuid>\
         <metadata>{metadata}</metadata><devices>{interfaces}</devices></domain>"
    )
}

/// An interface before its VM starts.
pub(crate) fn defined(mac: MacAddr, network: &str) -> String {
    format!(
        "<interface type='network'><mac address='{mac}'/><source network='{network}'/></interface>"
    )
}

/// An interface in a network, while its VM runs.
pub(crate) fn plugged(mac: MacAddr, network: &str, port: &str, bridge: &str, tap: &str) -> String {
    format!(
        "<interface type='network'><mac address='{mac}'/><source network='{network}' portid='{port}' \
         bridge='{bridge}'/><target dev='{tap}'/></interface>"
    )
}

/// An interface on a bridge of the host, while its VM runs.
pub(crate) fn bridged(mac: MacAddr, bridge: &str, tap: &str) -> String {
    format!(
        "<interface type='bridge'><mac address='{mac}'/><source bridge='{bridge}'/><target dev='{tap}'/>\
         </interface>"
    )
}

/// An interface with a tap and no more.
pub(crate) fn ethernet(mac: MacAddr, tap: &str) -> String {
    format!(
        "<interface type='ethernet'><mac address='{mac}'/><target dev='{tap}' managed='no'/></interface>"
    )
}

pub(crate) fn network(name: &str, bridge: &str, metadata: &str) -> String {
    format!(
        "<network><name>{name}</name><metadata>{metadata}</metadata><forward mode='open'/>\
         <bridge name='{bridge}'/><ip address='169.254.0.1' prefix='32'/></network>"
    )
}

/// The standard input of `port-created` and `port-deleted`.
pub(crate) fn port(
    network: &str,
    port: &str,
    vm: (&str, &str),
    mac: MacAddr,
    bridge: &str,
) -> String {
    let (name, uuid) = vm;
    format!(
        "<hookData>{network}<networkport><uuid>{port}</uuid><owner><name>{name}</name>\
         <uuid>22222222-0000-4000-8000-{uuid:0>12}</uuid></owner><mac address='{mac}'/>\
         <plug type='network' bridge='{bridge}'/></networkport></hookData>"
    )
}

pub(crate) fn interface(
    mac: MacAddr,
    network: Option<&str>,
    port: Option<&str>,
    bridge: Option<&str>,
    tap: Option<&str>,
) -> Interface {
    Interface {
        mac,
        network: network.map(Into::into),
        port: port.map(Into::into),
        bridge: bridge.map(Into::into),
        tap: tap.map(Into::into),
    }
}

/// A host as its agent knows it.
#[derive(Default)]
pub(crate) struct Host(pub(crate) Knowledge);

impl Host {
    pub(crate) fn network(&mut self, operation: &str, xml: &str) -> &mut Self {
        self.learn(facts(Hook::Network, operation, xml))
    }

    pub(crate) fn qemu(&mut self, operation: &str, xml: &str) -> &mut Self {
        self.learn(facts(Hook::Qemu, operation, xml))
    }

    pub(crate) fn learn(&mut self, facts: Vec<Fact>) -> &mut Self {
        for fact in facts {
            self.0.learn(fact);
        }
        // What an agent that is restarted goes on with is the same.
        let kept = serde_json::to_string(&self.0).unwrap();
        assert_eq!(serde_json::from_str::<Knowledge>(&kept).unwrap(), self.0);
        self
    }

    /// The VM behind the tap `port` of `link`, which libvirt made for a guest with `guest`.
    pub(crate) fn vm(&self, link: &str, port: &str, guest: MacAddr) -> Option<&str> {
        self.at(link, port, tap_mac(guest))
    }

    /// The VM behind a port with any MAC address.
    pub(crate) fn at(&self, link: &str, port: &str, port_mac: MacAddr) -> Option<&str> {
        let place = Place {
            link,
            port,
            port_mac,
        };
        self.0.nic(place).map(|nic| nic.vm.as_str())
    }
}
