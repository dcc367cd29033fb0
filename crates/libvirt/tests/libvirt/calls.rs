//! Operations that say nothing, and XML that says nothing of use.

use crate::common::{call, defined, domain, fault, mac, network, port};
use slash32_libvirt::{Call, Fact, Hook, Stage, domain_status, network_status, read};

#[test]
fn an_operation_of_which_nothing_is_known_says_nothing_whatever_its_xml() {
    for (hook, operation) in [
        (Hook::Network, "any"),
        (Hook::Network, "prepare"),
        (Hook::Qemu, "port-created"),
        (Hook::Qemu, "suspend"),
        (Hook::Qemu, ""),
    ] {
        let said = read(&call(hook, operation, "<broken"));
        assert_eq!(said, Ok(vec![]), "{operation}");
    }
}

#[test]
fn a_call_without_an_operation_says_nothing() {
    for arguments in [vec![], vec!["start".to_owned()]] {
        let hook = Hook::Qemu;
        let xml = String::new();
        let call = Call {
            hook,
            arguments,
            xml,
        };
        assert_eq!(read(&call), Ok(vec![]));
    }
}

#[test]
fn a_domain_about_to_migrate_here_is_told_as_one() {
    let xml = domain("web", "1", "", &defined(mac(1), "blue"));
    let said = read(&call(Hook::Qemu, "migrate", &xml)).unwrap();
    let [Fact::Domain(Stage::Migrate, domain)] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(domain.name, "web");
}

#[test]
fn a_state_file_tells_of_a_migration_to_this_host() {
    let domain = domain("web", "1", "", "");
    for (job, expected) in [
        ("", false),
        (
            "<job type='none' async='migration in' phase='prepare'/>",
            true,
        ),
        (
            "<job type='none' async='migration out' phase='perform3'/>",
            false,
        ),
    ] {
        let xml = format!("<domstatus state='paused'>{job}{domain}</domstatus>");
        let said = domain_status(&xml).unwrap();
        let [Fact::Domain(Stage::Status { incoming }, _)] = said[..] else {
            panic!("{said:?}");
        };
        assert_eq!(incoming, expected, "{job}");
    }
}

#[test]
fn a_uuid_is_told_in_lower_case() {
    let xml = domain("web", "A1", "", "");
    let said = read(&call(Hook::Qemu, "release", &xml)).unwrap();
    let gone = Fact::DomainGone("22222222-0000-4000-8000-0000000000a1".into());
    assert_eq!(said, [gone]);
}

#[test]
fn a_name_is_told_as_it_is_written() {
    for (written, name) in [
        (" web 1 ", " web 1 "),
        ("a*b?[c]", "a*b?[c]"),
        ("&lt;web&gt; &amp; &quot;&apos;", "<web> & \"'"),
        ("ü-漢字-🦀", "ü-漢字-🦀"),
        ("a&#x9;b", "a\tb"),
        ("-", "-"),
    ] {
        let said = domain_status(&domain(written, "1", "", "")).unwrap();
        let [Fact::Domain(_, domain)] = &said[..] else {
            panic!("{said:?}");
        };
        assert_eq!(domain.name, name);
    }
}

#[test]
fn dhcp_of_libvirts_own_is_told_for_ipv4_that_it_answers() {
    for (ip, dhcp) in [
        (
            "<ip><dhcp><range start='10.0.0.2' end='10.0.0.9'/></dhcp></ip>",
            true,
        ),
        (
            "<ip family='ipv4'><dhcp><host mac='52:54:00:00:00:01' ip='10.0.0.2'/></dhcp></ip>",
            true,
        ),
        ("<ip/><ip><dhcp><range/></dhcp></ip>", true),
        ("<ip><dhcp><bootp file='menu.ipxe'/></dhcp></ip>", false),
        ("<ip><dhcp/></ip>", false),
        ("<ip family='ipv6'><dhcp><range/></dhcp></ip>", false),
        ("<ip><tftp root='/srv'/></ip>", false),
        ("", false),
    ] {
        let xml = format!("<network><name>blue</name>{ip}</network>");
        let said = network_status(&xml).unwrap();
        let [Fact::Network(network)] = &said[..] else {
            panic!("{said:?}");
        };
        assert_eq!(network.dhcp, dhcp, "{ip}");
        assert_eq!(network.bridge, None);
    }
}

#[test]
fn interfaces_on_no_link_of_the_host_or_without_a_mac_address_are_none() {
    let interfaces = "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>\
        <interface type='direct'><mac address='52:54:00:00:00:02'/><source dev='eth0'/></interface>\
        <interface type='hostdev'><mac address='52:54:00:00:00:03'/></interface>\
        <interface><mac address='52:54:00:00:00:04'/></interface>\
        <interface type='network'><mac address='52:54:00:00:00:05'/><actual type='direct'/></interface>\
        <interface type='bridge'><source bridge='br0'/></interface>\
        <interface type='bridge'><mac address='broken'/><source bridge='br0'/></interface>";
    let said = domain_status(&domain("web", "1", "", interfaces)).unwrap();
    let [Fact::Domain(_, domain)] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(domain.interfaces, []);
}

#[test]
fn a_port_of_a_device_of_the_host_is_none() {
    let xml = port(
        &network("blue", "virbr1", ""),
        "p1",
        ("web", "1"),
        mac(1),
        "",
    );
    let xml = xml.replace(
        "<plug type='network' bridge=''/>",
        "<plug type='direct' dev='eth0'/>",
    );
    let created = read(&call(Hook::Network, "port-created", &xml)).unwrap();
    assert!(matches!(created[..], [Fact::Network(_)]), "{created:?}");
    assert_eq!(read(&call(Hook::Network, "port-deleted", &xml)), Ok(vec![]));
}

#[test]
fn what_is_wrong_with_a_call_is_one_sentence_that_names_hook_and_operation() {
    let blue = network("blue", "virbr1", "");
    let port = |text: &str, with: &str| {
        port(&blue, "p1", ("web", "1"), mac(1), "virbr1").replace(text, with)
    };
    for (hook, operation, xml, expected) in [
        (
            Hook::Qemu,
            "start",
            String::new(),
            "qemu hook, start: the XML cannot be read: the document does not have a root node",
        ),
        (
            Hook::Qemu,
            "prepare",
            "<domain><name>web</domain>".into(),
            "qemu hook, prepare: the XML cannot be read: expected 'name' tag, not 'domain' at 1:18",
        ),
        (
            Hook::Qemu,
            "started",
            "<domain><uuid>1</uuid></domain>".into(),
            "qemu hook, started: the domain has no <name>",
        ),
        (
            Hook::Qemu,
            "release",
            "<domain><name>web</name><uuid/></domain>".into(),
            "qemu hook, release: the domain has no <uuid>",
        ),
        (
            Hook::Qemu,
            "stopped",
            "<network><name>web</name></network>".into(),
            "qemu hook, stopped: it has no <domain>",
        ),
        (
            Hook::Network,
            "started",
            "<hookData/>".into(),
            "network hook, started: it has no <network>",
        ),
        (
            Hook::Network,
            "stopped",
            "<hookData><network/></hookData>".into(),
            "network hook, stopped: the network has no <name>",
        ),
        (
            Hook::Network,
            "port-created",
            format!("<hookData>{blue}</hookData>"),
            "network hook, port-created: it has no <networkport>",
        ),
        (
            Hook::Network,
            "port-deleted",
            port("owner", "other"),
            "network hook, port-deleted: the port has no <owner>",
        ),
        (
            Hook::Network,
            "port-created",
            port("<name>web</name>", ""),
            "network hook, port-created: the owner of the port has no <name>",
        ),
        (
            Hook::Network,
            "port-created",
            port("52:54", "52-"),
            "network hook, port-created: the port has no <mac>",
        ),
    ] {
        assert_eq!(fault(hook, operation, &xml), expected);
    }
}
