//! What `urn:slash32:1` metadata comes to for one NIC.

use crate::common::{Host, defined, domain, mac, network, port, tap_mac};
use slash32_libvirt::{Metadata, Place};

/// What is asked for the first of `nics` NICs of a VM in the network `blue`.
fn asked(domain_metadata: &str, network_metadata: &str, nics: u8) -> Metadata {
    let mut host = Host::default();
    let interfaces: String = (1..=nics).map(|nic| defined(mac(nic), "blue")).collect();
    let blue = network("blue", "virbr1", network_metadata);
    host.network("started", &blue);
    host.qemu("prepare", &domain("web", "1", domain_metadata, &interfaces));
    let nic = host.0.nic(Place {
        link: "virbr1",
        port: "vnet0",
        port_mac: tap_mac(mac(1)),
    });
    nic.unwrap().metadata.clone()
}

/// A `<slash32:vm>` with these attributes and children.
fn vm(attributes: &str, children: &str) -> String {
    format!("<slash32:vm xmlns:slash32='urn:slash32:1' {attributes}>{children}</slash32:vm>")
}

fn interface(mac: &str, attributes: &str) -> String {
    format!("<slash32:interface mac='{mac}' {attributes}/>")
}

const FIRST: &str = "52:54:00:00:00:01";

fn address(metadata: &Metadata) -> Option<&str> {
    metadata.address.as_deref()
}

#[test]
fn without_metadata_nothing_is_asked_for() {
    for metadata in ["", "<other:vm xmlns:other='urn:other' address='10.0.0.1'/>"] {
        assert_eq!(asked(metadata, "", 1), Metadata::default());
    }
}

#[test]
fn every_attribute_is_told_as_it_is_written() {
    let metadata = vm(
        "address=' 10.0.0.1/32 ' network='public' hostname='web' mtu='9x' tags='gold,eu  fast'",
        "",
    );
    let expected = Metadata {
        address: Some("10.0.0.1/32".into()),
        network: Some("public".into()),
        tags: vec!["gold".into(), "eu".into(), "fast".into()],
        options: [("hostname", "web"), ("mtu", "9x")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        fault: None,
    };
    assert_eq!(asked(&metadata, "", 1), expected);
}

#[test]
fn a_child_element_is_taken_like_an_attribute_which_goes_before_it() {
    let children = "\n <slash32:address>\n 10.0.0.1/32 </slash32:address><slash32:mtu>1400</slash32:mtu>\
                    <other xmlns='urn:other'>1</other>";
    let asked_for = asked(&vm("mtu='1300'", children), "", 1);
    assert_eq!(address(&asked_for), Some("10.0.0.1/32"));
    assert_eq!(asked_for.options, [("mtu".into(), "1300".into())].into());
}

#[test]
fn the_prefix_is_free_and_the_namespace_is_not() {
    let default = "<vm xmlns='urn:slash32:1' address='10.0.0.1'/>";
    assert_eq!(address(&asked(default, "", 1)), Some("10.0.0.1"));
    let other = "<slash32:vm xmlns:slash32='urn:slash32:2' address='10.0.0.1'/>";
    assert_eq!(address(&asked(other, "", 1)), None);
    let nested = format!(
        "<a:b xmlns:a='urn:a'>{}</a:b>",
        vm("address='10.0.0.1'", "")
    );
    assert_eq!(address(&asked(&nested, "", 1)), None);
}

#[test]
fn the_nearest_wins_value_by_value_and_tags_add_up() {
    let own = interface(FIRST, "address='10.0.0.1' tags='a'");
    let domain = vm("address='10.0.0.2' hostname='web' tags='b a'", &own);
    let of_network = interface(FIRST, "network='gold' hostname='no'");
    let network = vm(
        "address='10.0.0.3' network='no' mtu='1400' tags='c'",
        &of_network,
    );
    let expected = Metadata {
        address: Some("10.0.0.1".into()),
        network: Some("gold".into()),
        tags: vec!["a".into(), "b".into(), "c".into()],
        options: [("hostname", "web"), ("mtu", "1400")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        fault: None,
    };
    assert_eq!(asked(&domain, &network, 1), expected);
}

#[test]
fn the_network_gives_what_the_domain_does_not() {
    let asked_for = asked("", &vm("address='10.0.0.3'", ""), 2);
    assert_eq!(address(&asked_for), Some("10.0.0.3"));
    assert_eq!(asked_for.fault, None);
}

#[test]
fn one_address_for_a_vm_with_several_nics_is_a_fault_that_says_what_to_write() {
    let metadata = vm("address='10.0.0.1'", "");
    let fault = asked(&metadata, "", 2).fault.unwrap();
    let expected = "the VM has 2 NICs, and its metadata does not say which of them has address=\"10.0.0.1\": write \
                    <slash32:interface mac=\"52:54:00:00:00:01\" address=\"10.0.0.1\"/> inside <slash32:vm> if it is this one";
    assert_eq!(fault, expected);
    let of_another = vm(
        "address='10.0.0.1'",
        &interface("52:54:00:00:00:02", "address='10.0.0.2'"),
    );
    assert_eq!(asked(&of_another, "", 2).fault.unwrap(), expected);
    let own = vm(
        "address='10.0.0.1'",
        &interface(FIRST, "address='10.0.0.2'"),
    );
    assert_eq!(asked(&own, "", 2).fault, None);
}

#[test]
fn an_interface_that_is_not_there_is_nobodys() {
    let metadata = vm("", &interface("52:54:00:00:00:99", "address='10.0.0.1'"));
    assert_eq!(asked(&metadata, "", 1), Metadata::default());
}

#[test]
fn an_address_for_a_mac_address_that_cannot_be_read_is_a_fault_of_who_has_no_element() {
    let broken = interface("52:54:zz", "address='10.0.0.1'");
    let asked_for = asked(&vm("", &broken), "", 1);
    assert_eq!(
        asked_for.fault.unwrap(),
        "in the VM's metadata, address=\"10.0.0.1\" is for an interface with mac=\"52:54:zz\", which is no MAC address: \
         write mac=\"52:54:00:00:00:01\" if it is this one"
    );
    let own = broken + &interface(FIRST, "hostname='web'");
    assert_eq!(asked(&vm("", &own), "", 1).fault, None);
}

#[test]
fn an_interface_that_cannot_be_read_is_told_as_an_option_that_there_is_not() {
    for (mac, told) in [("mac='52:54:zz'", "52:54:zz"), ("", "no mac")] {
        let metadata = vm("", &format!("<slash32:interface {mac} hostname='web'/>"));
        let asked_for = asked(&metadata, "", 1);
        assert_eq!(
            asked_for.options,
            [("interface".into(), told.into())].into()
        );
        assert_eq!(asked_for.fault, None);
    }
}

#[test]
fn a_mac_address_may_be_written_with_dashes_and_in_capitals() {
    let metadata = vm(
        "",
        &interface(
            "52-54-00-00-00-01".to_uppercase().as_str(),
            "hostname='web'",
        ),
    );
    assert_eq!(
        asked(&metadata, "", 2).options,
        [("hostname".into(), "web".into())].into()
    );
}

#[test]
fn metadata_without_end_is_cut() {
    let long = "x".repeat(5000);
    let tags: String = (0..1000).map(|n| format!("t{n},")).collect();
    let options: String = (0..60).map(|n| format!("o{n:02}='1' ")).collect();
    let more: String = (0..200).map(|n| format!("<slash32:p{n:03}/>")).collect();
    let attributes = format!("address='{long}' tags='{tags}' {long}='1' {options}");
    let asked_for = asked(&vm(&attributes, &more), "", 1);
    assert_eq!(asked_for.address.unwrap(), format!("{}…", "x".repeat(1024)));
    assert_eq!(asked_for.tags.len(), 64);
    assert_eq!(asked_for.options.len(), 64);
    assert!(
        asked_for
            .options
            .contains_key(&format!("{}…", "x".repeat(64)))
    );
}

#[test]
fn a_nic_that_is_put_in_while_the_vm_runs_has_the_metadata_of_its_domain() {
    let mut host = Host::default();
    let metadata = vm(
        "tags='gold'",
        &interface("52:54:00:00:00:02", "address='10.0.0.2'"),
    );
    let blue = network("blue", "virbr1", &vm("hostname='blue'", ""));
    host.qemu("started", &domain("web", "1", &metadata, ""));
    host.network(
        "port-created",
        &port(&blue, "p1", ("web", "1"), mac(2), "virbr1"),
    );
    let nic = host.0.nic(Place {
        link: "virbr1",
        port: "vnet1",
        port_mac: tap_mac(mac(2)),
    });
    let expected = Metadata {
        address: Some("10.0.0.2".into()),
        tags: vec!["gold".into()],
        options: [("hostname".into(), "blue".into())].into(),
        ..Metadata::default()
    };
    assert_eq!(nic.unwrap().metadata, expected);
}
