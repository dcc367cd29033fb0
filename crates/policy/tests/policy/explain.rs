//! Why a link gets what it gets, with the line that says so.

use crate::common::{asks_for, bridge, config};
use slash32_policy::{
    AddressSource, Allocations, Config, Explanation, LinkFacts, OptionReason, Origin,
};

const TEXT: &str = r#"[options]
lease-time = "2h"
domain = "global"
dns = ["9.9.9.9", "gateway"]
[[class]]
name = "lab"
match = { network = "lab" }
options = { domain = "lab", raw = [{ code = 224, hex = "0a" }] }
[[class]]
name = "ipxe"
match = { user-class = ["iPXE"], architecture = 7 }
options = { boot-file = "menu", domain = "ipxe" }
[[network]]
name = "public"
links = ["vnet*", "virbr*", "!virbr0"]
gateway = "169.254.0.1"
allocation = "automatic"
options = { mtu = "auto" }
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = [
  "203.0.113.10-203.0.113.19",
]
options = { boot-file = "", mtu = 1400 }
[[network.reservation]]
link = "virbr9"
address = "203.0.113.9"
options = { domain = "reserved" }
"#;

fn explain(config: &Config, allocations: &mut Allocations, link: &LinkFacts) -> Explanation {
    let network = config
        .network_of(&link.name, &link.altnames)
        .unwrap()
        .unwrap();
    let assigned = allocations.assign(config, network, link);
    config.explain(link, assigned.as_ref()).unwrap().unwrap()
}

fn explained(link: &LinkFacts) -> Explanation {
    let config = config(TEXT);
    explain(&config, &mut Allocations::new(&config, "boot", []), link)
}

fn line(origin: Option<&Origin>) -> usize {
    origin.map_or(0, Origin::line)
}

/// `key value scope line`, and for each value that is overridden ` < value scope line`.
fn shown(options: &[OptionReason]) -> Vec<String> {
    let shown = options.iter().map(|option| {
        let mut text = format!(
            "{} {:?} {} {}",
            option.key,
            option.value,
            option.scope,
            line(option.origin.as_ref())
        );
        for other in &option.overridden {
            text += &format!(
                " < {:?} {} {}",
                other.value,
                other.scope,
                line(other.origin.as_ref())
            );
        }
        text
    });
    shown.collect()
}

#[test]
fn every_option_is_told_with_its_scope_and_line_and_what_it_overrides() {
    let link = LinkFacts {
        network: Some("lab".into()),
        mtu: 9000,
        ..bridge("virbr9")
    };
    assert_eq!(
        shown(&explained(&link).options),
        [
            "boot-file \"\" subnet 203.0.113.0/24 24 < \"menu\" class ipxe 12",
            "dns \"9.9.9.9, 169.254.0.1\" global 4",
            "domain \"reserved\" reservation 203.0.113.9 28 < \"lab\" class lab 8 < \"global\" global 3 < \"ipxe\" class ipxe 12",
            "lease-time \"2h\" global 2",
            "mtu \"1400\" subnet 203.0.113.0/24 24 < \"9000\" network public 18",
            "netmask \"255.255.255.255\" default 0",
            "raw.224 \"0a\" class lab 8",
            "routers \"always\" default 0",
        ]
    );
}

#[test]
fn what_a_guest_may_claim_is_told_with_what_it_changes() {
    let got = explained(&bridge("virbr1"));
    assert_eq!(got.claims.len(), 1);
    let claim = &got.claims[0];
    assert_eq!((claim.name.as_str(), claim.origin.line()), ("ipxe", 10));
    assert_eq!(
        claim.says,
        [
            ("user-class", vec!["iPXE".to_owned()]),
            ("architecture", vec!["7".to_owned()])
        ]
    );
    assert_eq!(
        shown(&claim.options),
        ["domain \"ipxe\" class ipxe 12 < \"global\" global 3"]
    );
}

#[test]
fn the_network_and_the_classes_are_told_with_the_pattern_that_took_the_link() {
    let link = LinkFacts {
        altnames: vec!["virbr7".into()],
        network: Some("lab".into()),
        ..bridge("br-blue")
    };
    let got = explained(&link);
    let network = &got.network;
    assert_eq!(
        (network.name.as_str(), network.origin.line()),
        ("public", 14)
    );
    assert_eq!(
        (
            network.pattern.as_str(),
            network.pattern_origin.line(),
            network.pattern_origin.column()
        ),
        ("virbr*", 15, 19)
    );
    assert_eq!(network.taken, "virbr7");
    let classes: Vec<&str> = got
        .classes
        .iter()
        .map(|class| class.name.as_str())
        .collect();
    assert_eq!(classes, ["lab"]);
    let config = config(TEXT);
    let stranger = config.explain(
        &bridge("eth0"),
        Err(&slash32_policy::Unassigned::NoIdentity),
    );
    assert!(stranger.unwrap().is_none());
}

#[test]
fn the_address_is_told_with_what_gave_it() {
    let config = config(TEXT);
    let mut allocations = Allocations::new(&config, "boot", []);
    allocations
        .bind("virbr3", "203.0.113.30".parse().unwrap())
        .unwrap();
    for (link, source, identity, within, at) in [
        (
            bridge("virbr9"),
            AddressSource::Reservation,
            None,
            "203.0.113.0/24",
            27,
        ),
        (
            bridge("virbr1"),
            AddressSource::Automatic,
            Some("link:virbr1"),
            "203.0.113.10-203.0.113.19",
            22,
        ),
        (
            bridge("virbr3"),
            AddressSource::Bind,
            None,
            "203.0.113.0/24",
            0,
        ),
        (
            LinkFacts {
                metadata: asks_for("203.0.113.40"),
                ..bridge("virbr4")
            },
            AddressSource::Metadata,
            None,
            "203.0.113.0/24",
            0,
        ),
    ] {
        let got = explain(&config, &mut allocations, &link).address.unwrap();
        assert_eq!(got.source, source);
        assert_eq!(got.identity.as_deref(), identity);
        assert_eq!(
            (got.within.as_str(), line(got.origin.as_ref())),
            (within, at)
        );
    }
}

#[test]
fn a_link_without_an_address_is_told_why_and_what_holds_for_its_network() {
    let config = config(TEXT);
    let mut allocations = Allocations::new(&config, "boot", []);
    allocations
        .bind("virbr3", "192.0.2.1".parse().unwrap())
        .unwrap();
    let got = explain(&config, &mut allocations, &bridge("virbr3"));
    assert_eq!(
        got.address.unwrap_err(),
        "address 192.0.2.1, from slash32 bind, is outside every subnet of network public, which has 203.0.113.0/24"
    );
    let mtu = got
        .options
        .iter()
        .find(|option| option.key == "mtu")
        .unwrap();
    assert_eq!(mtu.scope, "network public");
}

#[test]
fn a_lease_that_never_ends_has_no_times_to_explain() {
    let text = TEXT
        .replace("lease-time = \"2h\"", "t1 = \"1h\"")
        .replace("domain = \"reserved\"", "lease-time = \"infinite\"");
    let config = config(&text);
    let mut allocations = Allocations::new(&config, "boot", []);
    let got = explain(&config, &mut allocations, &bridge("virbr9"));
    let keys: Vec<&str> = got
        .options
        .iter()
        .map(|option| option.key.as_str())
        .collect();
    assert!(
        keys.contains(&"lease-time") && !keys.contains(&"t1"),
        "{keys:?}"
    );
}
