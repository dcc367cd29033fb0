//! What we ship, the parser takes.

use slash32_policy::{Config, Source, read_sources};
use std::{fs, path::PathBuf};

fn examples() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect()
}

#[test]
fn every_example_is_a_config() {
    let examples = examples();
    assert!(examples.len() >= 2, "{examples:?}");
    for path in examples {
        let sources = read_sources(&path).unwrap();
        if let Err(errors) = Config::parse(&sources) {
            panic!("{errors}");
        }
    }
}

/// A commented key is a promise that it may be uncommented.
#[test]
fn the_default_config_is_a_config_without_its_comment_signs_too() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/slash32.toml");
    let uncomment = |line: &str| {
        let code = line.strip_prefix("# ").unwrap_or(line);
        let is_code = code.starts_with('[')
            || code
                .split_once(" = ")
                .is_some_and(|(key, _)| !key.contains(' '));
        if is_code {
            format!("{code}\n")
        } else {
            String::new()
        }
    };
    let text: String = fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(uncomment)
        .collect();
    let config = Config::parse(&[Source {
        name: "slash32.toml".into(),
        text,
    }]);
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.networks.len(), 1);
    assert!(config.options.raw.is_some(), "the options were uncommented");
}

#[test]
fn the_block_of_the_design_is_a_config() {
    let text = r#"
        [agent]
        runtime-dir = "/run/slash32"
        state-dir   = "/var/lib/slash32"
        metrics     = "127.0.0.1:9132"
        [store]
        backend = "embedded"
        [route]
        protocol = 132
        metric   = 1
        table    = "main"
        install  = "ack"
        source = "198.51.100.1"
        [options]
        lease-time = "24h"
        dns = ["9.9.9.9", "149.112.112.112"]
        mtu = 1500
        routes = [{ to = "10.0.0.0/8", via = "169.254.0.1" }]
        raw = [{ code = 224, hex = "0a0b", always = true }]
        [[network]]
        name = "public"
        links = ["virbr*", "!virbr0"]
        gateway = "169.254.0.1"
        allocation = "automatic"
        [[network.subnet]]
        prefix = "203.0.113.0/24"
        pools = ["203.0.113.10-203.0.113.99",
                 { range = "203.0.113.200-203.0.113.220", options = { dns = ["203.0.113.1"] } }]
        [[network.reservation]]
        link = "virbr13"
        address = "203.0.113.7"
        options = { hostname = "web1" }
    "#;
    let config = Config::parse(&[Source {
        name: "design.toml".into(),
        text: text.into(),
    }])
    .unwrap();
    assert_eq!(config.route.table, 254);
    assert_eq!(config.networks[0].pools().count(), 2);
}
