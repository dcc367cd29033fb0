//! What libvirt's metadata asks for a VM, and what becomes of what it must not ask.

use crate::common::{asks_for, bridge, config};
use slash32_binding::Binding;
use slash32_policy::{Allocations, Config, LinkFacts, Metadata};

const TEXT: &str = r#"
[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.19"]
[[network.reservation]]
vm = "db"
address = "203.0.113.5"
[[network]]
name = "lab"
links = ["lab*"]
gateway = "169.254.0.2"
allocation = "automatic"
[[network.subnet]]
prefix = "198.51.100.0/24"
pools = ["198.51.100.10-198.51.100.19"]
"#;

/// What the only VM of a host is told, or why it has no address.
fn decide(config: &Config, link: &LinkFacts) -> Result<Binding, String> {
    let claimed = config.network_of(&link.name, &link.altnames).unwrap();
    let network = config.chosen(claimed.unwrap(), link);
    let network = network.map_err(|reason| reason.to_string())?;
    let assignment = Allocations::new(config, "boot", []).assign(config, network, link);
    let assignment = assignment.map_err(|reason| reason.to_string())?;
    Ok(config.binding(network, &assignment, link))
}

fn with(metadata: Metadata) -> LinkFacts {
    LinkFacts {
        metadata,
        ..bridge("virbr7")
    }
}

fn address_of(metadata: Metadata) -> Result<String, String> {
    decide(&config(TEXT), &with(metadata)).map(|binding| binding.address.to_string())
}

fn in_network(name: &str) -> Metadata {
    Metadata {
        network: Some(name.into()),
        ..Metadata::default()
    }
}

#[test]
fn an_address_is_read_as_it_is_written() {
    for (written, address) in [
        ("203.0.113.40", "203.0.113.40"),
        ("203.0.113.40/32", "203.0.113.40"),
        (" 203.0.113.40\n", "203.0.113.40"),
        ("", "203.0.113.10"),
    ] {
        assert_eq!(address_of(asks_for(written)).as_deref(), Ok(address));
    }
}

#[test]
fn what_is_no_address_leaves_the_vm_without_one_and_is_named() {
    let long = "x".repeat(1000);
    let shown = format!("{:?}...", "x".repeat(64));
    for (written, named, fault) in [
        ("web1", "\"web1\"", "is not an IPv4 address"),
        (
            "203.0.113.300",
            "\"203.0.113.300\"",
            "is not an IPv4 address",
        ),
        (
            "203.0.113.0/24",
            "\"203.0.113.0/24\"",
            "is not an IPv4 address",
        ),
        ("2001:db8::7", "\"2001:db8::7\"", "is not an IPv4 address"),
        ("127.0.0.1", "\"127.0.0.1\"", "is a loopback address"),
        ("1\u{1b}[2J", r#""1\u{1b}[2J""#, "is not an IPv4 address"),
        (&long, &shown, "is not an IPv4 address"),
    ] {
        let reason = address_of(asks_for(written)).unwrap_err();
        let expected = format!("libvirt's metadata: address = {named} {fault}; ");
        assert!(reason.starts_with(&expected), "{reason}\n{expected}");
    }
    assert_eq!(
        address_of(asks_for("192.0.2.1")).unwrap_err(),
        "address 192.0.2.1, from libvirt's metadata, is outside every subnet of network public, which has 203.0.113.0/24"
    );
}

#[test]
fn a_fault_that_was_found_in_the_xml_is_told_as_it_is() {
    let metadata = Metadata {
        fault: Some("the VM has two NICs, so it must say which one".into()),
        ..asks_for("203.0.113.40")
    };
    assert_eq!(
        address_of(metadata).unwrap_err(),
        "libvirt's metadata: the VM has two NICs, so it must say which one"
    );
}

#[test]
fn a_reservation_of_the_config_stands_whatever_metadata_says() {
    for metadata in [asks_for("203.0.113.40"), asks_for("nonsense")] {
        let link = LinkFacts {
            vm: Some("db".into()),
            ..with(metadata)
        };
        let binding = decide(&config(TEXT), &link).unwrap();
        assert_eq!(binding.address.to_string(), "203.0.113.5");
    }
}

#[test]
fn metadata_names_the_network_of_a_vm() {
    let binding = decide(&config(TEXT), &with(in_network("lab"))).unwrap();
    assert_eq!(binding.address.to_string(), "198.51.100.10");
    assert_eq!(binding.gateway.to_string(), "169.254.0.2");
    let fixed = Metadata {
        network: Some("lab".into()),
        ..asks_for("198.51.100.7")
    };
    assert_eq!(address_of(fixed).as_deref(), Ok("198.51.100.7"));
    assert_eq!(address_of(in_network("")).as_deref(), Ok("203.0.113.10"));
}

#[test]
fn a_network_that_there_is_not_leaves_the_vm_without_an_address_and_names_those_there_are() {
    assert_eq!(
        address_of(in_network("publik")).unwrap_err(),
        "libvirt's metadata: network = \"publik\" is no network of the config, which has public, lab"
    );
}

#[test]
fn the_network_that_metadata_names_is_explained_with_the_one_that_claims_the_link() {
    let config = config(TEXT);
    let link = with(in_network("lab"));
    let claimed = config.network("public").unwrap();
    let network = config.chosen(claimed, &link).unwrap();
    let assigned = Allocations::new(&config, "boot", []).assign(&config, network, &link);
    let got = config.explain(&link, assigned.as_ref()).unwrap().unwrap();
    assert_eq!(got.network.name, "lab");
    assert_eq!(got.network.claimed_by, "public");
    assert_eq!(got.network.pattern, "virbr*");
    assert_eq!(got.address.unwrap().within, "198.51.100.10-198.51.100.19");
}
