//! Options of all scopes, merged into the binding of one link.

use crate::common::{bridge, config};
use slash32_binding::{Binding, Ipv4Addr, MacAddr, Routers};
use slash32_policy::{Allocations, Config, LinkFacts, Mtu};

/// A network with a reservation in a pool, and `options` in each of its scopes.
fn scoped(options: [&str; 5]) -> String {
    let [global, network, subnet, pool, reservation] = options;
    format!(
        r#"
        options = {{ {global} }}
        [[network]]
        name = "public"
        links = ["virbr*"]
        gateway = "169.254.0.1"
        allocation = "automatic"
        options = {{ {network} }}
        [[network.subnet]]
        prefix = "203.0.113.0/24"
        pools = [{{ range = "203.0.113.10-203.0.113.99", options = {{ {pool} }} }}]
        options = {{ {subnet} }}
        [[network.reservation]]
        link = "virbr13"
        address = "203.0.113.13"
        options = {{ {reservation} }}
        "#
    )
}

fn binding_of(config: &Config, link: &LinkFacts) -> Binding {
    let network = config
        .network_of(&link.name, &link.altnames)
        .unwrap()
        .unwrap();
    let assignment = Allocations::new(config, "boot", [])
        .assign(config, network, link)
        .unwrap();
    config.binding(network, &assignment, link)
}

fn binding(text: &str) -> Binding {
    binding_of(&config(text), &bridge("virbr13"))
}

/// Shows what a binding has of one key.
type Show = fn(&Binding) -> String;

#[test]
fn the_narrowest_scope_that_sets_an_option_wins() {
    let keys: &[(&str, Show)] = &[
        ("lease-time = N00", |b| b.lease_time.to_string()),
        ("mtu = N00", |b| b.mtu.to_string()),
        ("hostname = \"N00\"", |b| b.hostname.as_str().to_owned()),
        ("domain = \"N00\"", |b| b.domain.as_str().to_owned()),
        ("search = [\"N00\"]", |b| b.search.as_str().to_owned()),
        ("server-name = \"N00\"", |b| {
            b.server_name.as_str().to_owned()
        }),
        ("boot-file = \"N00\"", |b| b.boot_file.as_str().to_owned()),
        ("dns = [\"192.0.2.N\"]", |b| {
            format!("{}00", b.dns[0].octets()[3])
        }),
        ("ntp = [\"192.0.2.N\"]", |b| {
            format!("{}00", b.ntp[0].octets()[3])
        }),
        ("tftp-servers = [\"192.0.2.N\"]", |b| {
            format!("{}00", b.tftp_servers[0].octets()[3])
        }),
        ("next-server = \"192.0.2.N\"", |b| {
            format!("{}00", b.next_server.octets()[3])
        }),
        (
            "routes = [{ to = \"10.N.0.0/16\", via = \"gateway\" }]",
            |b| format!("{}00", b.routes[0].to.address().octets()[1]),
        ),
        ("raw = [{ code = 224, hex = \"0N\" }]", |b| {
            format!("{}00", b.raw[3])
        }),
    ];
    for (line, show) in keys {
        // Scopes 0 to 4, from the widest to the narrowest, set in every combination.
        for set in 1u32..32 {
            let options = [0, 1, 2, 3, 4].map(|scope| {
                if set & (1 << scope) == 0 {
                    String::new()
                } else {
                    line.replace('N', &(scope + 1).to_string())
                }
            });
            let binding = binding(&scoped(options.each_ref().map(String::as_str)));
            let narrowest = 32 - set.leading_zeros();
            assert_eq!(show(&binding), format!("{narrowest}00"), "{line} {set:05b}");
        }
    }
}

#[test]
fn the_two_times_and_the_netmask_are_merged_too() {
    let wide = "t1 = 10, t2 = 20, netmask = \"255.255.255.252\", routers = \"rfc3442\"";
    let got = binding(&scoped([
        wide,
        "",
        "t2 = 30",
        "",
        "t1 = 15, routers = \"always\"",
    ]));
    assert_eq!((got.renewal_time, got.rebinding_time), (Some(15), Some(30)));
    assert_eq!(got.netmask, Ipv4Addr::new(255, 255, 255, 252));
    assert_eq!(got.routers, Routers::Always);
}

#[test]
fn an_empty_list_or_text_stops_the_wider_scopes() {
    let got = binding(&scoped([
        "dns = [\"9.9.9.9\"], domain = \"a\"",
        "",
        "",
        "",
        "dns = [], domain = \"\"",
    ]));
    assert!(got.dns.is_empty());
    assert_eq!(got.domain.as_str(), "");
}

#[test]
fn raw_options_are_merged_code_by_code() {
    let got = binding(&scoped([
        "raw = [{ code = 225, hex = \"01\" }, { code = 224, hex = \"02\" }]",
        "",
        "",
        "",
        "raw = [{ code = 225, hex = \"0304\", always = true }]",
    ]));
    assert_eq!(&*got.raw, [224, 0, 1, 2, 225, 1, 2, 3, 4]);
}

#[test]
fn a_raw_option_may_be_text_and_a_long_one_is_bound_in_pieces() {
    let got = binding(&scoped([
        "raw = [{ code = 252, text = \"\\n\" }]",
        "",
        "",
        "",
        "",
    ]));
    assert_eq!(&*got.raw, [252, 0, 1, b'\n']);
    let long = format!("raw = [{{ code = 43, hex = \"{}\" }}]", "07".repeat(300));
    let got = binding(&scoped([&long, "", "", "", ""]));
    let pieces = [&[43, 0, 255][..], &[7; 255], &[43, 0, 45], &[7; 45]].concat();
    assert_eq!(&*got.raw, pieces);
}

#[test]
fn rapid_commit_and_ipv6_only_are_merged_and_off_by_default() {
    let got = binding(&scoped(["", "", "", "", ""]));
    assert_eq!((got.rapid_commit, got.ipv6_only_wait), (false, 0));
    let wide = "rapid-commit = true, ipv6-only-preferred = \"30m\"";
    let got = binding(&scoped([wide, "", "", "", ""]));
    assert_eq!((got.rapid_commit, got.ipv6_only_wait), (true, 1800));
    let narrow = "rapid-commit = false, ipv6-only-preferred = \"off\"";
    let got = binding(&scoped([wide, "", "", "", narrow]));
    assert_eq!((got.rapid_commit, got.ipv6_only_wait), (false, 0));
}

#[test]
fn gateway_stands_for_that_of_the_network() {
    let got = binding(&scoped([
        "dns = [\"gateway\", \"9.9.9.9\"], ntp = [\"gateway\"], routes = [{ to = \"10.0.0.0/8\", via = \"gateway\" }]",
        "",
        "",
        "",
        "",
    ]));
    let gateway = Ipv4Addr::new(169, 254, 0, 1);
    assert_eq!(&*got.dns, [gateway, Ipv4Addr::new(9, 9, 9, 9)]);
    assert_eq!(&*got.ntp, [gateway]);
    assert_eq!(got.routes[0].via, gateway);
}

#[test]
fn with_nothing_set_a_binding_is_the_plain_one() {
    let mut plain = Binding::new(
        Ipv4Addr::new(203, 0, 113, 13),
        Ipv4Addr::new(169, 254, 0, 1),
    );
    let got = binding(&scoped([""; 5]));
    plain.server_mac = MacAddr([2, 0, 0, 0, 0, 1]);
    plain.fuzz_seed = got.fuzz_seed;
    assert_eq!(got, plain);
}

#[test]
fn an_mtu_of_auto_is_that_of_the_link() {
    let config = config(&scoped(["mtu = \"auto\"", "", "", "", ""]));
    assert_eq!(config.options.mtu.as_ref().unwrap().value, Mtu::Auto);
    for (mtu, sent) in [(1400, 1400), (9000, 9000), (65_536, 65_535), (0, 68)] {
        assert_eq!(
            binding_of(
                &config,
                &LinkFacts {
                    mtu,
                    ..bridge("virbr13")
                }
            )
            .mtu,
            sent
        );
    }
}

#[test]
fn the_facts_of_the_link_are_in_the_binding() {
    let mac = MacAddr([0x52, 0x54, 0, 0, 0, 7]);
    let got = binding_of(
        &config(&scoped([""; 5])),
        &LinkFacts {
            mac: Some(mac),
            ..bridge("virbr13")
        },
    );
    assert_eq!(got.chaddr, Some(mac));
    assert_eq!(got.server_mac, MacAddr([2, 0, 0, 0, 0, 1]));
}

#[test]
fn the_time_that_is_not_set_follows_the_one_that_is() {
    for (options, times) in [
        ("lease-time = 800, t1 = 400", (Some(400), Some(700))),
        ("lease-time = 800, t2 = 700", (Some(400), Some(700))),
        ("lease-time = 800, t1 = 790", (Some(790), Some(797))),
        ("lease-time = 3, t1 = 1", (Some(1), Some(2))),
        ("lease-time = 3, t2 = 2", (Some(1), Some(2))),
        (
            "lease-time = 4294967294, t1 = 4294967292",
            (Some(4_294_967_292), Some(4_294_967_293)),
        ),
        ("lease-time = 800", (None, None)),
    ] {
        let got = binding(&scoped([options, "", "", "", ""]));
        assert_eq!((got.renewal_time, got.rebinding_time), times, "{options}");
    }
}

#[test]
fn an_infinite_lease_has_no_times() {
    let got = binding(&scoped([
        "t1 = 400, t2 = 500",
        "",
        "",
        "",
        "lease-time = \"infinite\"",
    ]));
    assert_eq!(
        (got.lease_time, got.renewal_time, got.rebinding_time),
        (u32::MAX, None, None)
    );
}

#[test]
fn neighbours_have_different_seeds_and_each_keeps_its_own() {
    let config = config(&scoped([""; 5]));
    let seed = |name| binding_of(&config, &bridge(name)).fuzz_seed;
    assert_eq!(seed("virbr13"), seed("virbr13"));
    assert_ne!(seed("virbr13"), seed("virbr14"));
}

#[test]
fn what_a_binding_can_hold_at_most_fits() {
    let many = |n: usize, entry: &str| vec![entry; n].join(", ");
    let options = format!(
        "dns = [{s8}], ntp = [{s8}], tftp-servers = [{s4}], routes = [{r16}], hostname = \"{h}\", server-name = \"{h}\", boot-file = \"{b}\", \
         raw = [{{ code = 224, hex = \"{x}\" }}, {{ code = 225, hex = \"{x}\" }}]",
        s8 = many(8, "\"gateway\""),
        s4 = many(4, "\"gateway\""),
        r16 = many(16, "{ to = \"10.0.0.0/8\", via = \"gateway\" }"),
        h = "h".repeat(63),
        b = "b".repeat(253),
        x = "ff".repeat(253),
    );
    let got = binding(&scoped(["", "", "", "", &options]));
    assert_eq!(
        (
            got.dns.len(),
            got.ntp.len(),
            got.tftp_servers.len(),
            got.routes.len()
        ),
        (8, 8, 4, 16)
    );
    assert_eq!(
        (
            got.hostname.as_str().len(),
            got.boot_file.as_str().len(),
            got.raw.len()
        ),
        (63, 253, 512)
    );
}
