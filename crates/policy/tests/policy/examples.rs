//! What we ship, the parser takes.

use crate::common::{asks_for, bridge, tags, tap};
use slash32_binding::{Claim, Ipv4Addr, MacAddr, Setting};
use slash32_policy::{Allocations, Config, LinkFacts, Network, Selector, Source, read_sources};
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
    assert!(examples.len() >= 7, "{examples:?}");
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
    assert_eq!((config.networks.len(), config.classes.len()), (1, 2));
    assert!(config.options.raw.is_some(), "the options were uncommented");
}

fn example(name: &str) -> Config {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let sources = read_sources(&PathBuf::from(folder).join(name)).unwrap();
    Config::parse(&sources).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The addresses that links get one after the other, or why they do not.
fn addresses(config: &Config, links: &[LinkFacts]) -> Vec<String> {
    let mut allocations = Allocations::new(config, "boot", []);
    let address = |link: &LinkFacts| {
        let network = config
            .network_of(&link.name, &link.altnames)
            .unwrap()
            .unwrap();
        match allocations.assign(config, network, link) {
            Ok(assignment) => assignment.address.to_string(),
            Err(reason) => reason.to_string(),
        }
    };
    links.iter().map(address).collect()
}

fn vm(link: LinkFacts, name: &str) -> LinkFacts {
    LinkFacts {
        vm: Some(name.into()),
        ..link
    }
}

#[test]
fn a_few_addresses_are_given_wherever_they_come_from() {
    let links: Vec<LinkFacts> = (1..=6)
        .map(|n| bridge(&format!("virbr{n}")))
        .chain([vm(bridge("virbr7"), "mail")])
        .collect();
    assert_eq!(
        addresses(&example("few-addresses.toml"), &links),
        [
            "198.51.100.23",
            "203.0.113.118",
            "203.0.113.160",
            "203.0.113.162",
            "203.0.113.163",
            "no free address in network extra",
            "203.0.113.161"
        ]
    );
}

#[test]
fn a_cut_of_a_block_gives_its_own_and_what_is_fixed_for_all() {
    let gold = LinkFacts {
        metadata: tags(&["gold"]),
        ..bridge("virbr2")
    };
    let moved = LinkFacts {
        metadata: asks_for("203.0.113.200"),
        ..bridge("virbr3")
    };
    assert_eq!(
        addresses(
            &example("cut-per-host.toml"),
            &[bridge("virbr1"), gold, moved, vm(bridge("virbr4"), "www1")]
        ),
        [
            "203.0.113.0",
            "203.0.113.1",
            "203.0.113.200",
            "203.0.113.80"
        ]
    );
}

#[test]
fn a_lab_has_a_subnet_for_those_it_trusts() {
    assert_eq!(
        addresses(
            &example("nat-lab.toml"),
            &[
                vm(tap("vnet1"), "try"),
                vm(tap("vnet2"), "build-7"),
                vm(tap("vnet3"), "printer-test")
            ]
        ),
        ["10.77.128.0", "10.77.0.0", "10.77.0.1"]
    );
}

#[test]
fn a_farm_reads_addresses_from_macs() {
    let nic = |name, a, b, c| LinkFacts {
        mac: Some(MacAddr([0x52, 0x54, 0, a, b, c])),
        ..tap(name)
    };
    assert_eq!(
        addresses(
            &example("ci-farm.toml"),
            &[
                nic("vnet1", 20, 7, 9),
                nic("vnet2", 21, 0, 16),
                nic("vnet3", 21, 0, 1),
                tap("vnet4")
            ]
        ),
        [
            "10.20.7.9",
            "10.21.0.16",
            "MAC 52:54:00:15:00:01 says no address of network ci",
            "no MAC address known"
        ]
    );
}

#[test]
fn each_boot_program_is_told_what_to_load_next() {
    let config = example("network-boot.toml");
    let network = &config.networks[0];
    let mut allocations = Allocations::new(&config, "boot", []);
    let mut binding = |link: &LinkFacts| {
        let assignment = allocations.assign(&config, network, link).unwrap();
        config.binding(network, &assignment, link)
    };
    // The last has it, so iPXE, which is the firmware too, is the last.
    let any = binding(&bridge("virbr1"));
    let last = any.overlays.iter().last().unwrap();
    assert!(last.claims().eq([Claim::UserClass("iPXE")]));
    assert_eq!(
        (any.overlays.iter().count(), any.boot_file.as_str()),
        (6, "")
    );
    let installed = binding(&vm(bridge("virbr2"), "installed"));
    let mut settings = installed
        .overlays
        .iter()
        .flat_map(|overlay| overlay.settings());
    assert!(!settings.any(|setting| matches!(setting, Setting::BootFile(_))));
}

/// A link that each network of a config claims, with its VM unknown, and one for each reservation.
fn links_of(network: &Network) -> Vec<LinkFacts> {
    let name = ["virbr7", "vnet7", "br-7"]
        .into_iter()
        .find(|name| network.links.claim([*name]))
        .unwrap();
    let known = LinkFacts {
        uuid: Some("4dea22b3-1d52-d8f3-2516-782e98ab3fa0".into()),
        mac: Some(MacAddr([0x52, 0x54, 0, 20, 0, 7])),
        metadata: tags(&["gold"]),
        ..bridge(name)
    };
    let reserved = network.reservations.iter().map(|reservation| {
        let mut link = known.clone();
        for selector in &reservation.selectors {
            match selector {
                Selector::Link(name) => link.name.clone_from(name),
                Selector::Vm(name) => link.vm = Some(name.clone()),
                Selector::Uuid(uuid) => link.uuid = Some(uuid.clone()),
                Selector::Mac(mac) => link.mac = Some(*mac),
            }
        }
        link
    });
    reserved.chain([known.clone()]).collect()
}

#[test]
fn every_value_of_every_example_is_explained_by_a_line_that_says_it() {
    for path in examples() {
        let config = example(path.file_name().unwrap().to_str().unwrap());
        let mut allocations = Allocations::new(&config, "boot", []);
        for network in &config.networks {
            for link in links_of(network) {
                let assigned = allocations.assign(&config, network, &link);
                let explanation = config.explain(&link, assigned.as_ref()).unwrap().unwrap();
                assert_eq!(explanation.network.name, network.name);
                let said = explanation.network.pattern_origin.line_text();
                assert!(said.contains(&format!("{:?}", explanation.network.pattern)));
                assert_eq!(explanation.address.is_ok(), assigned.is_ok());
                let claimed = explanation.claims.iter().flat_map(|claim| &claim.options);
                for option in explanation.options.iter().chain(claimed) {
                    let key = option.key.split('.').next().unwrap();
                    let said = option.origin.as_ref().map(|origin| origin.line_text());
                    assert_eq!(said.is_none(), option.scope == "default");
                    assert!(
                        said.is_none_or(|line| line.contains(key)),
                        "{path:?} {option:?}"
                    );
                    assert!(
                        option
                            .overridden
                            .iter()
                            .filter_map(|other| other.origin.as_ref())
                            .filter(|origin| origin.line_text().contains(key))
                            .count()
                            == option.overridden.len()
                    );
                }
                let Ok(assignment) = assigned else { continue };
                let binding = config.binding(network, &assignment, &link);
                let value = |key: &str| {
                    explanation
                        .options
                        .iter()
                        .find(|option| option.key == key)
                        .map_or(String::new(), |option| option.value.clone())
                };
                let joined = |addresses: &[Ipv4Addr]| {
                    addresses
                        .iter()
                        .map(Ipv4Addr::to_string)
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                assert_eq!(value("dns"), joined(&binding.dns));
                assert_eq!(value("ntp"), joined(&binding.ntp));
                assert_eq!(value("mtu"), binding.mtu.to_string());
                assert_eq!(value("hostname"), binding.hostname.as_str());
                assert_eq!(value("boot-file"), binding.boot_file.as_str());
                assert_eq!(
                    value("lease-time") == "infinite",
                    binding.lease_time == u32::MAX
                );
            }
        }
    }
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
        raw = [{ code = 224, hex = "0a0b", always = true }, { code = 252, text = "\n" }]
        [[class]]
        name = "ipxe"
        match = { user-class = "iPXE" }
        options = { boot-file = "http://boot.example/menu.ipxe" }
        [[class]]
        name = "gold"
        match = { tag = "gold" }
        [[network]]
        name = "public"
        links = ["virbr*", "!virbr0"]
        gateway = "169.254.0.1"
        allocation = "automatic"
        class = ["gold"]
        [[network.subnet]]
        prefix = "203.0.113.0/24"
        pools = ["203.0.113.10-203.0.113.99",
                 { range = "203.0.113.200-203.0.113.220", class = ["gold"], options = { dns = ["203.0.113.1"] } }]
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
