//! The file of a link that is served without an agent.

use crate::common::{bridge, source};
use slash32_binding::Ipv4Addr;
use slash32_policy::{Allocations, Config, Source, link_of, read_link_sources};
use std::path::{Path, PathBuf};

const MAIN: &str = r#"
[route]
metric = 7
table = 500
[options]
dns = ["192.0.2.53"]
mtu = 1400
[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.9"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr13"
address = "203.0.113.13"
"#;

fn file(text: &str) -> Source {
    Source {
        name: "links/virbr13.toml".into(),
        text: text.into(),
    }
}

fn errors(main: &str, link: &str, text: &str) -> String {
    let main = [source(main)];
    match Config::parse_link(&main, link, &file(text)) {
        Ok(_) => "nothing is wrong".into(),
        Err(errors) => errors.to_string(),
    }
}

/// Address, gateway, the first name server, MTU, and the route's metric, table and protocol.
type Got = (Ipv4Addr, Ipv4Addr, Option<Ipv4Addr>, u16, (u32, u32, u8));

fn got(main: &[Source], text: &str) -> Got {
    let config = Config::parse_link(main, "virbr13", &file(text)).unwrap();
    let link = bridge("virbr13");
    let network = config.network_of("virbr13", &[]).unwrap().unwrap();
    let mut allocations = Allocations::new(&config, "", []);
    let assignment = allocations.assign(&config, network, &link).unwrap();
    let binding = config.binding(network, &assignment, &link);
    let route = &config.route;
    (
        binding.address,
        binding.gateway,
        binding.dns.first().copied(),
        binding.mtu,
        (route.metric, route.table, route.protocol),
    )
}

#[test]
fn an_address_is_all_that_a_link_needs() {
    let address = [203, 0, 113, 7].into();
    let gateway = [169, 254, 0, 1].into();
    assert_eq!(
        got(&[], "address = \"203.0.113.7\""),
        (address, gateway, None, 1500, (1, 254, 132))
    );
}

#[test]
fn a_link_has_the_options_and_the_route_of_the_agents_config_but_for_its_own() {
    let text = r#"
address = "203.0.113.7"
gateway = "192.0.2.1"
[options]
mtu = 9000
[route]
metric = 3
"#;
    let dns = [192, 0, 2, 53].into();
    assert_eq!(
        got(&[source(MAIN)], text),
        (
            [203, 0, 113, 7].into(),
            [192, 0, 2, 1].into(),
            Some(dns),
            9000,
            (3, 500, 132)
        )
    );
}

#[test]
fn what_is_wrong_in_a_links_file_is_told_with_its_place_and_what_would_be_right() {
    for (text, expected) in [
        (
            "gateway = \"169.254.0.1\"",
            "links/virbr13.toml:1:1: address: is missing; address = \"203.0.113.7\" would be right",
        ),
        (
            "adress = \"203.0.113.7\"",
            "links/virbr13.toml:1:1: adress: is no key; did you mean address?",
        ),
        (
            "address = \"203.0.113.0/24\"",
            "links/virbr13.toml:1:11: address: \"203.0.113.0/24\" is not an IPv4 address; four numbers such as 192.0.2.1 would be right",
        ),
        (
            "address = \"169.254.0.1\"",
            "links/virbr13.toml:1:11: network.reservation.address: 169.254.0.1 is the gateway of network virbr13",
        ),
        (
            "address = \"203.0.113.7\"\n[route]\ninstall = \"ack\"",
            "links/virbr13.toml:3:1: route.install: is the agent's; a link that is served alone has its route as soon as it is served",
        ),
        (
            "address = \"203.0.113.7\"\n[[network]]\nname = \"public\"",
            "links/virbr13.toml:2:3: network: is no key; the keys here are address, gateway, ipv6, options, route",
        ),
        (
            "address = \"203.0.113.7\"\n[options]\ndns = \"9.9.9.9\"",
            "links/virbr13.toml:3:7: options.dns: is a text;",
        ),
        ("address = ", "links/virbr13.toml:1:11: TOML: "),
    ] {
        let shown = errors(MAIN, "virbr13", text);
        assert!(shown.starts_with(expected), "{text}\n{shown}");
        assert_eq!(shown.lines().count(), 3, "{text} has one error:\n{shown}");
    }
}

#[test]
fn a_link_whose_name_is_a_pattern_is_refused() {
    let shown = errors(MAIN, "virbr*", "address = \"203.0.113.7\"");
    let expected =
        "links/virbr13.toml:1:1: link: \"virbr*\" is not the name of one link; a name such as";
    assert!(shown.starts_with(expected), "{shown}");
}

#[test]
fn what_is_wrong_in_the_agents_config_is_told_for_a_link_too() {
    let shown = errors("[options]\nmtu = 1", "virbr13", "address = \"203.0.113.7\"");
    assert!(
        shown.starts_with("test.toml:2:7: options.mtu: 1 is out of range"),
        "{shown}"
    );
}

#[test]
fn a_links_file_is_known_by_the_folder_it_is_in() {
    let of = |file: &str| link_of(Path::new(file));
    let main = PathBuf::from("/etc/slash32/slash32.toml");
    assert_eq!(
        of("/etc/slash32/links/br-lan.100@x.toml"),
        Some(("br-lan.100@x".to_owned(), main))
    );
    assert_eq!(of("/etc/slash32/slash32.toml"), None);
    assert_eq!(of("/etc/slash32/links/virbr13.conf"), None);
}

#[test]
fn the_links_file_that_is_shipped_is_right_with_and_without_its_comment_signs() {
    let main = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/slash32.toml");
    let (main, mut link) = read_link_sources(Path::new(main), "virbr13").unwrap();
    assert_eq!(main.len(), 1);
    let parsed = |link: &Source| {
        Config::parse_link(&main, "virbr13", link).unwrap_or_else(|errors| panic!("{errors}"))
    };
    parsed(&link);
    let is_code = |line: &&str| {
        line.starts_with('[')
            || line
                .split_once(" = ")
                .is_some_and(|(key, _)| !key.contains(' '))
    };
    link.text = link
        .text
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter(is_code)
        .fold(String::new(), |text, line| text + line + "\n");
    let config = parsed(&link);
    let hostname = config.networks[0].reservations[0].options.hostname.as_ref();
    assert_eq!(hostname.unwrap().value.as_str(), "web1");
}

#[test]
fn what_the_page_gives_for_a_dhcpds_config_is_right() {
    let page = include_str!("../../../../docs/systemd.md");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| ISC dhcpd"))
        .take_while(|line| line.starts_with('|'));
    let code = |row: &'static str| row.split('|').rev().nth(1)?.split('`').nth(1);
    let options: Vec<_> = rows
        .filter_map(code)
        .filter(|code| code.starts_with("options = "))
        .collect();
    assert!(options.len() >= 5, "{options:?}");
    for options in options {
        let text = format!("address = \"203.0.113.7\"\n{options}");
        let parsed = Config::parse_link(&[], "virbr13", &file(&text));
        assert!(parsed.is_ok(), "{options}: {:?}", parsed.err());
    }
}
