//! The config as a whole: defaults, several files, origins, and which network claims a link.

use crate::common::{config, errors, source};
use proptest::prelude::*;
use slash32_policy::{AgentConfig, Allocation, Config, Install, Ipv6, Mtu, RouteConfig};
use std::path::Path;

#[test]
fn an_empty_config_has_the_defaults_of_the_design() {
    let config = config("");
    assert_eq!(config.agent, AgentConfig::default());
    assert_eq!(config.agent.runtime_dir, Path::new("/run/slash32"));
    assert_eq!(config.agent.state_dir, Path::new("/var/lib/slash32"));
    let route = RouteConfig {
        protocol: 132,
        metric: 1,
        table: 254,
        install: Install::Ack,
        source: None,
    };
    assert_eq!(config.route, route);
    assert!(config.networks.is_empty());
}

#[test]
fn every_key_of_the_agent_and_of_the_route_is_read() {
    let config = config(
        r#"
        agent = { runtime-dir = "/a", state-dir = "/b", responder = "/c", libvirt-dir = "/d", metrics = "[::1]:9132", admin-group = "wheel" }
        route = { protocol = 200, metric = 0, table = 1000, install = "bind", source = "198.51.100.1" }
        store = { backend = "embedded" }
        "#,
    );
    let agent = AgentConfig {
        runtime_dir: "/a".into(),
        state_dir: "/b".into(),
        responder: Some("/c".into()),
        libvirt_dir: "/d".into(),
        metrics: Some("[::1]:9132".parse().unwrap()),
        admin_group: Some("wheel".into()),
    };
    let source = Some("198.51.100.1".parse().unwrap());
    assert_eq!(config.agent, agent);
    assert_eq!(
        config.route,
        RouteConfig {
            protocol: 200,
            metric: 0,
            table: 1000,
            install: Install::Bind,
            source
        }
    );
}

#[test]
fn a_network_is_static_and_without_ipv6_until_it_says_otherwise() {
    let text = "[[network]]\nname = \"a\"\nlinks = [\"a\"]\ngateway = \"169.254.0.1\"\nX\n[[network.subnet]]\nprefix = \"203.0.113.0/24\"\nY";
    let plain = config(&text.replace(['X', 'Y'], ""));
    assert_eq!(
        (plain.networks[0].allocation, plain.networks[0].ipv6),
        (Allocation::Static, Ipv6::Off)
    );
    let pools = "pools = [\"203.0.113.10-203.0.113.99\"]";
    let said = config(
        &text
            .replace('X', "allocation = \"automatic\"\nipv6 = \"foreign\"")
            .replace('Y', pools),
    );
    assert_eq!(
        (said.networks[0].allocation, said.networks[0].ipv6),
        (Allocation::Automatic, Ipv6::Foreign)
    );
    assert_eq!(
        said.network("a").map(|network| network.name.as_str()),
        Some("a")
    );
}

#[test]
fn a_later_file_takes_the_place_of_keys_and_adds_networks() {
    let network = |name: &str, links: &str, third: u8| {
        format!(
            "[[network]]\nname = \"{name}\"\nlinks = [\"{links}\"]\ngateway = \"169.254.0.1\"\n[[network.subnet]]\nprefix = \"203.0.{third}.0/24\"\n"
        )
    };
    let first = format!(
        "[options]\nmtu = 1400\ndomain = \"a\"\n[route]\nmetric = 5\n{}",
        network("a", "a*", 1)
    );
    let second = format!(
        "[options]\nmtu = 1300\n[route]\ntable = 10\n{}",
        network("b", "b*", 2)
    );
    let config = Config::parse(&[source(&first), source(&second)]).unwrap();
    assert_eq!(config.options.mtu.unwrap().value, Mtu::Bytes(1300));
    assert_eq!(config.options.domain.unwrap().value.as_str(), "a");
    assert_eq!(
        (
            config.route.metric,
            config.route.table,
            config.route.protocol
        ),
        (5, 10, 132)
    );
    assert_eq!(
        config
            .networks
            .iter()
            .map(|n| n.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn an_option_knows_where_it_stands() {
    let config = config("[options]\nmtu = 1400\n  boot-file = \"x\" # é\n");
    let mtu = config.options.mtu.unwrap().origin;
    assert_eq!((mtu.file(), mtu.line(), mtu.column()), ("test.toml", 2, 7));
    assert_eq!(
        config.options.boot_file.unwrap().origin.to_string(),
        "test.toml:3"
    );
}

#[test]
fn a_link_that_two_networks_claim_by_different_names_is_told() {
    let network = |name: &str, third: u8| {
        format!(
            "[[network]]\nname = \"{name}\"\nlinks = [\"{name}*\"]\ngateway = \"169.254.0.1\"\n[[network.subnet]]\nprefix = \"203.0.{third}.0/24\"\n"
        )
    };
    let config = config(&(network("a", 1) + &network("b", 2)));
    let name = |name: &str, altnames: &[&str]| {
        let altnames: Vec<String> = altnames.iter().map(|name| (*name).to_owned()).collect();
        config
            .network_of(name, &altnames)
            .map(|network| network.map(|network| network.name.clone()))
    };
    assert_eq!(name("a1", &[]), Ok(Some("a".into())));
    assert_eq!(name("eth0", &["b7"]), Ok(Some("b".into())));
    assert_eq!(name("eth0", &[]), Ok(None));
    assert_eq!(name("a1", &["b7"]).unwrap_err().networks, ["a", "b"]);
}

#[test]
fn ten_thousand_reservations_are_read_in_a_moment() {
    let mut text = String::from(
        "[[network]]\nname = \"a\"\nlinks = [\"a*\"]\ngateway = \"169.254.0.1\"\n[[network.subnet]]\nprefix = \"10.0.0.0/8\"\n",
    );
    for index in 0..10_000 {
        let (high, low) = (index / 256, index % 256);
        text += &format!(
            "[[network.reservation]]\nlink = \"a{index}\"\naddress = \"10.0.{high}.{low}\"\n"
        );
    }
    // What looked at every pair of reservations, or at the whole text for each, would take minutes in a debug build.
    assert_eq!(config(&text).networks[0].reservations.len(), 10_000);
}

proptest! {
    #[test]
    fn no_change_to_a_config_makes_the_parser_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}=\"#\\n0-9a-z.*!/-]{0,3}", 0usize..4), 1..6)
    ) {
        let mut text: Vec<char> = include_str!("../../../../examples/one-host.toml").chars().collect();
        for (place, put, gone) in changes {
            let start = place.index(text.len());
            let end = (start + gone).min(text.len());
            text.splice(start..end, put.chars());
        }
        let shown = errors(&[source(&text.into_iter().collect::<String>())]);
        prop_assert!(!shown.is_empty());
    }
}
