//! Classes: who is in them, and what follows.

use crate::common::{bridge, config, tags};
use slash32_binding::{Binding, Claim, Ipv4Addr, MacAddr, Setting, Text};
use slash32_policy::{Allocations, Config, LinkFacts};

fn with_classes(classes: &str, network: &str) -> Config {
    config(&format!(
        r#"
        {classes}
        [[network]]
        name = "public"
        links = ["*"]
        gateway = "169.254.0.1"
        allocation = "automatic"
        {network}
        [[network.subnet]]
        prefix = "203.0.113.0/24"
        pools = ["203.0.113.10-203.0.113.99"]
        [[network.reservation]]
        link = "reserved"
        address = "203.0.113.7"
        options = {{ boot-file = "reserved" }}
        "#
    ))
}

fn binding_of(config: &Config, link: &LinkFacts) -> Binding {
    let network = &config.networks[0];
    let assignment = Allocations::new(config, "boot", [])
        .assign(config, network, link)
        .unwrap();
    config.binding(network, &assignment, link)
}

fn known() -> LinkFacts {
    LinkFacts {
        altnames: vec!["uplink".into()],
        vm: Some("ci-runner 7".into()),
        uuid: Some("4DEA22B3-1D52-D8F3-2516-782E98AB3FA0".into()),
        mac: Some(MacAddr([0x52, 0x54, 0, 0xab, 0xcd, 0xef])),
        network: Some("lab".into()),
        metadata: tags(&["gold", "team:web"]),
        ..bridge("virbr7")
    }
}

#[test]
fn a_class_holds_as_its_facts_say() {
    for (matching, holds) in [
        ("link = \"virbr*\"", true),
        ("link = \"uplink\"", true),
        ("link = \"vnet*\"", false),
        ("vm = \"ci-* [0-9]\"", true),
        ("vm = \"ci\"", false),
        ("uuid = \"4dea22b3-*\"", true),
        ("uuid = \"4DEA22B3-*\"", true),
        ("mac = \"52:54:00:AB:*\"", true),
        ("mac = \"52:54:01:*\"", false),
        ("network = \"lab\"", true),
        ("network = \"default\"", false),
        ("tag = \"gold\"", true),
        ("tag = \"team:*\"", true),
        ("tag = [\"silver\", \"gold\"]", true),
        ("tag = [\"silver\", \"bronze\"]", false),
        ("tag = \"gold\", network = \"lab\"", true),
        ("tag = \"gold\", network = \"default\"", false),
    ] {
        let classes = format!("[[class]]\nname = \"x\"\nmatch = {{ {matching} }}");
        let config = with_classes(&classes, "");
        assert_eq!(
            config.classes_of(&known()).count() == 1,
            holds,
            "{matching}"
        );
        assert_eq!(
            config
                .classes_of(&LinkFacts {
                    altnames: Vec::new(),
                    ..bridge("other")
                })
                .count(),
            0,
            "{matching}"
        );
    }
}

/// Two classes that `gold` is in, and global options.
const TWO: &str = r#"
    options = { domain = "global", server-name = "global", mtu = 1300 }
    [[class]]
    name = "first"
    match = { tag = "gold" }
    options = { domain = "first" }
    [[class]]
    name = "second"
    match = { network = "lab" }
    options = { domain = "second", server-name = "second", raw = [{ code = 224, hex = "02" }] }
"#;

#[test]
fn a_class_is_narrower_than_global_and_wider_than_a_network_and_the_first_wins() {
    let got = |network| {
        let binding = binding_of(&with_classes(TWO, network), &known());
        [binding.domain]
            .map(|text| text.as_str().to_owned())
            .concat()
            + "/"
            + binding.server_name.as_str()
            + "/"
            + &binding.mtu.to_string()
    };
    assert_eq!(got(""), "first/second/1300");
    assert_eq!(
        got("options = { domain = \"network\", mtu = 1400 }"),
        "network/second/1400"
    );
    let stranger = binding_of(&with_classes(TWO, ""), &bridge("a"));
    assert_eq!(
        (stranger.domain.as_str(), stranger.raw.len()),
        ("global", 0)
    );
}

const GUESTS: &str = r#"
    options = { next-server = "gateway" }
    [[class]]
    name = "ipxe"
    match = { user-class = ["iPXE", "gPXE"] }
    options = { boot-file = "http://boot.example/menu" }
    [[class]]
    name = "lab"
    match = { network = "lab" }
    options = { server-name = "lab" }
    [[class]]
    name = "bios"
    match = { vendor-class = "PXEClient*", architecture = "bios" }
    options = { boot-file = "undionly.kpxe", server-name = "bios", raw = [{ code = 60, hex = "505845" }] }
    [[class]]
    name = "gold-windows"
    match = { tag = "gold", vendor-class = "MSFT*" }
    options = { mtu = "auto", dns = ["gateway"] }
"#;

fn overlays(binding: &Binding) -> Vec<(Vec<Claim<'_>>, Vec<Setting>)> {
    let overlays = binding.overlays.iter();
    overlays
        .map(|overlay| (overlay.claims().collect(), overlay.settings().collect()))
        .collect()
}

fn boot_file(name: &str) -> Setting {
    Setting::BootFile(Text::new(name).unwrap())
}

#[test]
fn what_a_guest_may_claim_becomes_an_overlay_each_and_the_first_in_the_config_is_the_last() {
    let config = with_classes(GUESTS, "");
    let binding = binding_of(&config, &bridge("a"));
    let mut raw = slash32_binding::List::new(0);
    raw.extend_from_slice(&[60, 0, 3, b'P', b'X', b'E'])
        .unwrap();
    assert_eq!(
        overlays(&binding),
        [
            (
                vec![Claim::VendorClass("PXEClient*"), Claim::Architecture(0)],
                vec![
                    Setting::ServerName(Text::new("bios").unwrap()),
                    boot_file("undionly.kpxe"),
                    Setting::Raw(raw)
                ]
            ),
            (
                vec![Claim::UserClass("iPXE"), Claim::UserClass("gPXE")],
                vec![boot_file("http://boot.example/menu")]
            ),
        ]
    );
    assert_eq!(binding.boot_file.as_str(), "");
}

#[test]
fn a_guest_class_with_a_fact_of_the_host_is_for_those_only() {
    let link = LinkFacts {
        mtu: 9000,
        metadata: tags(&["gold"]),
        ..bridge("a")
    };
    let binding = binding_of(&with_classes(GUESTS, ""), &link);
    let mut dns = slash32_binding::List::new(Ipv4Addr::UNSPECIFIED);
    dns.push(Ipv4Addr::new(169, 254, 0, 1)).unwrap();
    assert_eq!(
        overlays(&binding)[0],
        (
            vec![Claim::VendorClass("MSFT*")],
            vec![Setting::Dns(dns), Setting::Mtu(9000)]
        )
    );
}

#[test]
fn an_overlay_sets_nothing_that_a_stronger_scope_sets() {
    let config = with_classes(GUESTS, "options = { raw = [{ code = 60, hex = \"00\" }] }");
    // In class lab, which is before bios and known to the host.
    let in_lab = LinkFacts {
        network: Some("lab".into()),
        ..bridge("a")
    };
    let binding = binding_of(&config, &in_lab);
    assert_eq!(overlays(&binding)[0].1, [boot_file("undionly.kpxe")]);
    // The reservation sets the boot file itself, so nothing is left of ipxe.
    let binding = binding_of(&config, &bridge("reserved"));
    assert_eq!(overlays(&binding).len(), 1);
    assert_eq!(
        overlays(&binding)[0].1,
        [Setting::ServerName(Text::new("bios").unwrap())]
    );
}

#[test]
fn a_vm_is_matched_by_its_name_whatever_characters_it_has() {
    for (pattern, name, holds) in [
        ("web 1", "web 1", true),
        ("web ?", "web 1", true),
        ("a[*]b", "a*b", true),
        ("a[*]b", "axb", false),
        ("a*b", "a*b", true),
        ("ü", "ü", true),
        ("ü*", "überweb", true),
        ("ü", "u", false),
        ("?", "ü", true),
        ("日本-[0-9]", "日本-7", true),
        ("[[]x]", "[x]", true),
        ("\\\"x\\\\", "\"x\\", true),
    ] {
        let text = format!("[[class]]\nname = \"c\"\nmatch = {{ vm = \"{pattern}\" }}\n");
        let link = LinkFacts {
            vm: Some(name.into()),
            ..bridge("virbr7")
        };
        let config = config(&text);
        let classes = config.classes_of(&link).count();
        assert_eq!(classes == 1, holds, "{pattern} {name}");
    }
}
