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

fn options(options: &[(&str, &str)]) -> Metadata {
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Metadata {
        options: options.iter().map(text).collect(),
        ..Metadata::default()
    }
}

/// What is left out of the options of a VM on `link`.
fn left_out(config: &Config, link: &LinkFacts) -> Vec<String> {
    let network = config.network_of(&link.name, &[]).unwrap().unwrap();
    let mut allocations = Allocations::new(config, "boot", []);
    let assignment = allocations.assign(config, network, link).unwrap();
    config.left_out(network, &assignment, link)
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

#[test]
fn every_option_that_an_attribute_can_hold_is_read_as_the_config_reads_it() {
    let table = [
        ("lease-time", "2h"),
        ("t1", "30m"),
        ("t2", "3600"),
        ("netmask", "255.255.255.252"),
        ("routers", "rfc3442"),
        ("dns", "9.9.9.9, gateway 1.1.1.1"),
        ("ntp", "192.0.2.1"),
        ("tftp-servers", "gateway"),
        ("mtu", "auto"),
        ("hostname", "web1"),
        ("domain", "vm.example"),
        ("search", "a.example,b.example"),
        ("next-server", "192.0.2.9"),
        ("server-name", "boot \"one\""),
        ("boot-file", "http://boot.example/menu.ipxe"),
        ("rapid-commit", "true"),
        ("ipv6-only-preferred", "off"),
    ];
    let link = LinkFacts {
        mtu: 9000,
        ..with(options(&table))
    };
    let inline = r#"options = { lease-time = "2h", t1 = "30m", t2 = 3600, netmask = "255.255.255.252", routers = "rfc3442", dns = ["9.9.9.9", "gateway", "1.1.1.1"], ntp = ["192.0.2.1"], tftp-servers = ["gateway"], mtu = "auto", hostname = "web1", domain = "vm.example", search = ["a.example", "b.example"], next-server = "192.0.2.9", server-name = "boot \"one\"", boot-file = "http://boot.example/menu.ipxe", rapid-commit = true, ipv6-only-preferred = "off" }"#;
    let same = TEXT.replace(
        "links = [\"virbr*\"]",
        &format!("links = [\"virbr*\"]\n{inline}"),
    );
    let plain = LinkFacts {
        metadata: Metadata::default(),
        ..link.clone()
    };
    assert_eq!(left_out(&config(TEXT), &link), [""; 0]);
    assert_eq!(decide(&config(TEXT), &link), decide(&config(&same), &plain));
}

#[test]
fn an_option_of_metadata_goes_before_the_pool_and_behind_the_reservation() {
    let text = TEXT
        .replace(
            "links = [\"virbr*\"]",
            "links = [\"virbr*\"]\noptions = { mtu = 1400, domain = \"net\", dns = [\"9.9.9.9\"] }",
        )
        .replace(
            "\"203.0.113.10-203.0.113.19\"",
            "{ range = \"203.0.113.10-203.0.113.19\", options = { mtu = 1450 } }",
        )
        .replace(
            "address = \"203.0.113.5\"",
            "address = \"203.0.113.5\"\noptions = { hostname = \"reserved\" }",
        );
    let config = config(&text);
    let link = with(options(&[
        ("mtu", "1300"),
        ("hostname", "asked"),
        ("dns", ""),
    ]));
    let binding = decide(&config, &link).unwrap();
    assert_eq!(binding.mtu, 1300);
    assert_eq!(binding.hostname.as_str(), "asked");
    assert_eq!(binding.domain.as_str(), "net");
    assert!(
        binding.dns.is_empty(),
        "an empty text stops the wider scope"
    );
    let reserved = LinkFacts {
        vm: Some("db".into()),
        ..link
    };
    assert_eq!(
        decide(&config, &reserved).unwrap().hostname.as_str(),
        "reserved"
    );
    let network = config.network("public").unwrap();
    let assigned = Allocations::new(&config, "boot", []).assign(&config, network, &reserved);
    let got = config
        .explain(&reserved, assigned.as_ref())
        .unwrap()
        .unwrap();
    let option = |key: &str| got.options.iter().find(|option| option.key == key).unwrap();
    assert_eq!(
        (option("mtu").scope.as_str(), &option("mtu").origin),
        ("libvirt metadata", &None)
    );
    assert_eq!(option("mtu").overridden[0].value, "1400");
    let instead = &option("hostname").overridden[0];
    assert_eq!(
        (instead.value.as_str(), instead.scope.as_str()),
        ("asked", "libvirt metadata")
    );
    assert_eq!(instead.origin, None);
}

#[test]
fn a_wrong_option_is_left_out_and_told_and_the_others_stand() {
    let long = "x".repeat(2000);
    for (key, value, told) in [
        (
            "mtu",
            "9x",
            "mtu left out: \"9x\" is not an MTU; a number from 68 to 65535, or \"auto\", would be right",
        ),
        (
            "mtu",
            "67",
            "mtu left out: 67 is out of range; 68 to 65535 would be right",
        ),
        (
            "mtu",
            "0700",
            "mtu left out: \"0700\" is not an MTU; a number from 68 to 65535, or \"auto\", would be right",
        ),
        (
            "dns",
            "9.9.9.9 nine",
            "dns left out: \"nine\" is not an IPv4 address; four numbers such as 192.0.2.1 would be right",
        ),
        (
            "dns",
            "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
            "dns left out: has 9 entries; at most 8 would be right",
        ),
        (
            "domain",
            "a b",
            "domain left out: \"a b\" is not a host or domain name; letters, digits and hyphens, with dots between, such as \"vm.example\" would be right",
        ),
        (
            "rapid-commit",
            "yes",
            "rapid-commit left out: \"yes\" is neither; true or false would be right",
        ),
        (
            "hostnam",
            "web1",
            "hostnam left out: it is no option; did you mean hostname?",
        ),
        (
            "colour",
            "red",
            "colour left out: it is no option; those here are boot-file, dns, domain, hostname, ipv6-only-preferred, lease-time, mtu, netmask, next-server, ntp, rapid-commit, routers, search, server-name, t1, t2, tftp-servers",
        ),
        (
            "raw",
            "224=0a",
            "raw left out: no attribute can hold it; options of a reservation of the config would be right",
        ),
        (
            "boot-file",
            &long,
            "boot-file left out: it is 2000 bytes long; at most 1024 would be right",
        ),
        (
            "t1",
            "2d",
            "t1 left out: t1: 2d is not shorter than lease-time (1d by default) by 2 seconds; a shorter time would be right",
        ),
    ] {
        let link = with(options(&[("hostname", "web1"), (key, value)]));
        let config = config(TEXT);
        assert_eq!(
            left_out(&config, &link),
            [format!("libvirt's metadata: {told}")]
        );
        let binding = decide(&config, &link).unwrap();
        let alone = with(options(&[("hostname", "web1")]));
        assert_eq!(binding, decide(&config, &alone).unwrap(), "{key}");
    }
}

#[test]
fn times_that_do_not_go_with_those_of_the_config_are_left_out_together() {
    let text = TEXT.replace(
        "address = \"203.0.113.5\"",
        "address = \"203.0.113.5\"\noptions = { t1 = \"2h\" }",
    );
    let config = config(&text);
    let link = LinkFacts {
        vm: Some("db".into()),
        ..with(options(&[("lease-time", "1h"), ("t2", "50m")]))
    };
    assert_eq!(
        left_out(&config, &link),
        [
            "libvirt's metadata: lease-time, t2 left out: t1: 2h is not shorter than t2 (50m, libvirt's metadata); a shorter time would be right"
        ]
    );
    let binding = decide(&config, &link).unwrap();
    assert_eq!(binding.lease_time, 86_400);
    assert_eq!(binding.renewal_time, Some(7_200));
}

#[test]
fn what_a_guest_says_changes_nothing_that_metadata_sets() {
    let text = format!(
        "[[class]]\nname = \"ipxe\"\nmatch = {{ user-class = \"iPXE\" }}\noptions = {{ boot-file = \"menu\" }}\n{TEXT}"
    );
    let config = config(&text);
    let plain = decide(&config, &with(Metadata::default())).unwrap();
    assert!(!plain.overlays.as_bytes().is_empty());
    let binding = decide(&config, &with(options(&[("boot-file", "own")]))).unwrap();
    assert!(binding.overlays.as_bytes().is_empty());
}
