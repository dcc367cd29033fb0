//! Kea's requirements of shared networks (S.1 to S.10), each as a test: what an operator writes, and what comes of it.

use crate::common::{bridge, config, errors, source, tags};
use slash32_binding::Binding;
use slash32_policy::{Allocations, Config, LinkFacts};

/// What a host does for its links, in one pass.
struct Host {
    config: Config,
    allocations: Allocations,
}

impl Host {
    fn new(text: &str) -> Self {
        let config = config(text);
        let allocations = Allocations::new(&config, "boot", []);
        Self {
            config,
            allocations,
        }
    }

    fn decide(&mut self, link: &LinkFacts) -> Result<Binding, String> {
        let network = self
            .config
            .network_of(&link.name, &link.altnames)
            .unwrap()
            .ok_or("no network")?;
        let assignment = self.allocations.assign(&self.config, network, link);
        let assignment = assignment.map_err(|reason| reason.to_string())?;
        Ok(self.config.binding(network, &assignment, link))
    }

    /// The addresses of links with these names, or why they have none.
    fn addresses(&mut self, names: &[&str]) -> Vec<String> {
        let address = |name: &&str| match self.decide(&bridge(name)) {
            Ok(binding) => binding.address.to_string(),
            Err(reason) => reason,
        };
        names.iter().map(address).collect()
    }
}

fn tagged(name: &str, tag: &str) -> LinkFacts {
    LinkFacts {
        metadata: tags(&[tag]),
        ..bridge(name)
    }
}

const NETWORK: &str = r#"
[[network]]
name = "public"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
"#;

const FIRST: &str = r#"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.11"]
"#;

const SECOND: &str = r#"
[[network.subnet]]
prefix = "198.51.100.0/24"
pools = ["198.51.100.10-198.51.100.11"]
"#;

const GOLD: &str = r#"
[[class]]
name = "gold"
match = { tag = "gold" }
"#;

#[test]
fn s01_simple_to_understand() {
    let text = NETWORK.to_owned() + FIRST;
    assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), 8);
    assert_eq!(
        Host::new(&text).addresses(&["virbr1", "virbr2", "virbr3"]),
        [
            "203.0.113.10",
            "203.0.113.11",
            "no free address in network public"
        ]
    );
}

#[test]
fn s02_a_subnet_grows_into_several_by_adding_a_table() {
    let mut host = Host::new(&(NETWORK.to_owned() + FIRST));
    host.addresses(&["virbr1", "virbr2"]);
    host.config = config(&(NETWORK.to_owned() + FIRST + SECOND));
    host.allocations.reload(&host.config);
    assert_eq!(
        host.addresses(&["virbr1", "virbr2", "virbr3"]),
        ["203.0.113.10", "203.0.113.11", "198.51.100.10"]
    );
}

#[test]
fn s03_one_that_is_left_behaves_like_a_single_one() {
    let mut host = Host::new(&(NETWORK.to_owned() + FIRST + SECOND));
    host.addresses(&["virbr1", "virbr2", "virbr3"]);
    host.config = config(&(NETWORK.to_owned() + SECOND));
    host.allocations.reload(&host.config);
    let left = host.addresses(&["virbr3", "virbr1", "virbr2"]);
    let single =
        Host::new(&(NETWORK.to_owned() + SECOND)).addresses(&["virbr3", "virbr1", "virbr2"]);
    assert_eq!(left, single);
}

#[test]
fn s04_direct_traffic_and_a_seam_for_relayed() {
    let host = Host::new(&(NETWORK.to_owned() + FIRST + SECOND));
    let direct = host.config.network_of("virbr1", &[]).unwrap().unwrap();
    for relay in ["203.0.113.1", "198.51.100.1"] {
        let relayed = host.config.network_at(relay.parse().unwrap()).unwrap();
        assert_eq!(relayed.name, direct.name);
    }
    assert!(
        host.config
            .network_at("192.0.2.1".parse().unwrap())
            .is_none()
    );
}

#[test]
fn s05_classes_choose_subnets_and_without_classes_all_are_used() {
    let without = NETWORK.to_owned() + FIRST + SECOND;
    let mut host = Host::new(&without);
    let got = host.addresses(&["virbr1", "virbr2", "virbr3", "virbr4"]);
    assert_eq!(got[1..3], ["203.0.113.11", "198.51.100.10"]);
    let mut host = Host::new(&(GOLD.to_owned() + NETWORK + FIRST + "class = [\"gold\"]" + SECOND));
    let mut address = |link: &LinkFacts| host.decide(link).unwrap().address.to_string();
    assert_eq!(address(&bridge("virbr1")), "198.51.100.10");
    assert_eq!(address(&tagged("virbr2", "gold")), "203.0.113.10");
    assert_eq!(address(&tagged("virbr3", "silver")), "198.51.100.11");
}

#[test]
fn s06_classes_admit_or_refuse_a_network() {
    let mut host = Host::new(&(GOLD.to_owned() + NETWORK + "class = [\"gold\"]" + FIRST));
    assert_eq!(
        host.decide(&bridge("virbr1")),
        Err("not of class gold".into())
    );
    assert!(host.decide(&tagged("virbr1", "gold")).is_ok());
    // The VM behind the link is another one now.
    assert!(host.decide(&bridge("virbr1")).is_err());
}

#[test]
fn s07_classes_admit_or_refuse_a_subnet_or_a_pool() {
    let pools = "\n[[network.subnet]]\nprefix = \"203.0.113.0/24\"\npools = [{ range = \"203.0.113.10-203.0.113.11\", class = [\"gold\"] }, \"203.0.113.20-203.0.113.20\"]";
    let mut host = Host::new(&(GOLD.to_owned() + NETWORK + pools));
    let mut address =
        |link: &LinkFacts| host.decide(link).map(|binding| binding.address.to_string());
    assert_eq!(address(&bridge("virbr1")).as_deref(), Ok("203.0.113.20"));
    assert_eq!(
        address(&bridge("virbr2")),
        Err("no free address in network public".into())
    );
    assert_eq!(
        address(&tagged("virbr3", "gold")).as_deref(),
        Ok("203.0.113.10")
    );
    let only = GOLD.to_owned() + NETWORK + FIRST + "class = [\"gold\"]";
    assert_eq!(
        Host::new(&only).addresses(&["virbr1"]),
        ["not of class gold"]
    );
}

#[test]
fn s08_options_of_a_subnet() {
    let text = NETWORK.to_owned()
        + FIRST
        + "options = { domain = \"first\" }"
        + SECOND
        + "options = { domain = \"second\" }";
    let mut host = Host::new(&text);
    let mut domain = |name| {
        host.decide(&bridge(name))
            .unwrap()
            .domain
            .as_str()
            .to_owned()
    };
    assert_eq!(
        ["virbr1", "virbr2", "virbr3"].map(&mut domain),
        ["first", "first", "second"]
    );
}

#[test]
fn s09_options_of_a_network_which_a_subnet_overrides() {
    let text = NETWORK.to_owned()
        + "options = { domain = \"network\", mtu = 1400 }"
        + FIRST
        + SECOND
        + "options = { domain = \"second\" }";
    let mut host = Host::new(&text);
    let mut got = |name| {
        let binding = host.decide(&bridge(name)).unwrap();
        (binding.domain.as_str().to_owned(), binding.mtu)
    };
    assert_eq!(got("virbr1"), ("network".into(), 1400));
    got("virbr2");
    assert_eq!(got("virbr3"), ("second".into(), 1400));
}

#[test]
fn s10_a_subnet_in_two_networks_is_an_error() {
    let other = NETWORK.replace("public", "other").replace("virbr", "vnet");
    let shown = errors(&[source(&(NETWORK.to_owned() + FIRST + &other + FIRST))]);
    assert!(
        shown.starts_with("test.toml:19:10: network.subnet.prefix: overlaps 203.0.113.0/24 of network public (test.toml:9); prefixes that share no address would be right"),
        "{shown}"
    );
}
